// cast: '\.weight$'
// dtype: bfloat16      a.weight float32  ->  a.weight bfloat16
#include <array>

#include "verbs/one_to_one.h"
#include "verbs/parameters.h"
#include "verbs/verbs.h"

namespace regraft {
namespace {

constexpr auto kParams = std::to_array<Param>({
    {"dtype", ParamType::dtype, true, "torch's name of the dtype."},
});

class Casting final : public OneToOne {
 public:
  explicit Casting(DType dtype) : dtype_(dtype) {}

 private:
  Result<ExprPtr> make(const Subject& subject) const override {
    const ExprPtr& arg = *subject.first().expr;
    if (arg->dtype != dtype_ && (kind(arg->dtype) == Kind::bits || kind(dtype_) == Kind::bits))
      return dtype_error("torch does not convert " + described(subject.first()) + ", which is " +
                             std::string(name(arg->dtype)) + ", to " + std::string(name(dtype_)),
                         "`where: {dtype: ...}` or `unless` leaves tensors alone");
    return cast(arg, dtype_, true);
  }

  DType dtype_;
};

class CastVerb final : public Verb {
 public:
  std::string_view name() const override { return "cast"; }
  std::string_view doc() const override {
    return "Another dtype, whatever torch converts. A value that it cannot hold, even rounded, "
           "stops the run.";
  }
  std::string_view example() const override { return "cast: '\\.weight$'\ndtype: bfloat16"; }
  std::span<const Param> params() const override { return kParams; }
  BoundParts bind(BindContext& context) const override {
    BoundParts parts{.entries = context.patterns(context.operand())};
    if (const auto dtype = context.parameters(kParams).dtype("dtype"))
      parts.verb = std::make_unique<Casting>(*dtype);
    return parts;
  }
};

}  // namespace

const Verb& cast_verb() {
  static const CastVerb verb;
  return verb;
}

}  // namespace regraft
