// cast: '\.weight$'
// dtype: bfloat16      a.weight float32  ->  a.weight bfloat16
#include <array>

#include "verbs/inverse.h"
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
    if (!convertible(arg->dtype, dtype_))
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
  std::string_view sample() const override {
    return "fc.weight float32 [10, 8]\n"
           "fc.bias float32 [10]";
  }
  std::span<const Param> params() const override { return kParams; }
  BoundParts bind(BindContext& context) const override {
    BoundParts parts{.entries = context.patterns(context.operand())};
    if (const auto dtype = context.parameters(kParams).dtype("dtype"))
      parts.verb = std::make_unique<Casting>(*dtype);
    return parts;
  }
  Result<Undoing> undo(const InverseInput& input) const override {
    if (!input.seen) return needs_source(input, "what dtype it was");
    if (input.seen->made.empty()) return Undoing{};
    const DType from = input.seen->made.front().from.front().dtype;
    const DType to = input.seen->made.front().result.dtype;
    for (const Seen::Made& made : input.seen->made)
      if (made.from.front().dtype != from)
        return no_inverse(input, "its tensors had different dtypes",
                          "`where: {dtype: ...}` gives each a rule of its own");
    if (!widens(from, to))
      return no_inverse(input, "a " + std::string(name_of(to)) + " does not hold every " +
                                   std::string(name_of(from)));
    return Undoing{.rules = {mapping_node({{"cast", input.operand},
                                           {"dtype", plain_node(std::string(name_of(from)))}})},
                   .same_names = true,
                   .same_shape = true,
                   .same_ndim = true};
  }

 private:
  static std::string_view name_of(DType dtype) { return regraft::name(dtype); }
};

}  // namespace

const Verb& cast_verb() {
  static const CastVerb verb;
  return verb;
}

}  // namespace regraft
