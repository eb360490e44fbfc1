// transpose: '\.weight$'
// dims: [0, 1]      a.weight [4, 3]  ->  a.weight [3, 4]
#include <array>
#include <numeric>

#include "verbs/inverse.h"
#include "verbs/one_to_one.h"
#include "verbs/verbs.h"

namespace regraft {
namespace {

constexpr auto kParams = std::to_array<Param>({
    {"dims", ParamType::integers, true, "The two dimensions that change places."},
});

class Transposing final : public OneToOne {
 public:
  explicit Transposing(Integers dims) : dims_(std::move(dims)) {}

 private:
  Result<ExprPtr> make(const Subject& subject) const override {
    const ExprPtr& arg = *subject.first().expr;
    REGRAFT_TRY(const std::vector<std::int64_t> asked, dims_.value(subject));
    if (asked.size() != 2)
      return shape_error("`transpose` takes two dimensions, not " + to_string(asked),
                         "`permute` takes all of them");
    REGRAFT_TRY(const std::int64_t a, dim_from_zero(asked[0], arg->shape.size(), subject.first()));
    REGRAFT_TRY(const std::int64_t b, dim_from_zero(asked[1], arg->shape.size(), subject.first()));
    std::vector<std::int64_t> dims(arg->shape.size());
    std::iota(dims.begin(), dims.end(), 0);
    std::swap(dims[static_cast<std::size_t>(a)], dims[static_cast<std::size_t>(b)]);
    return permute(arg, std::move(dims));
  }

  Integers dims_;
};

class Transpose final : public Verb {
 public:
  std::string_view name() const override { return "transpose"; }
  std::string_view doc() const override {
    return "Two dimensions change places, as torch.transpose.";
  }
  std::string_view example() const override {
    return "transpose: '\\.c_fc\\.weight$'\ndims: [0, 1]";
  }
  std::string_view sample() const override { return "h.c_fc.weight float32 [8, 32]"; }
  std::span<const Param> params() const override { return kParams; }
  BoundParts bind(BindContext& context) const override {
    BoundParts parts{.entries = context.patterns(context.operand())};
    if (auto dims = Integers::read(context, "dims", parts))
      parts.verb = std::make_unique<Transposing>(std::move(*dims));
    return parts;
  }
  Result<Undoing> undo(const InverseInput& input) const override {
    return Undoing{
        .rules = {mapping_node({{"transpose", input.operand}, {"dims", *input.param("dims")}})},
        .same_names = true,
        .same_ndim = true,
        .same_dtype = true};
  }
};

}  // namespace

const Verb& transpose_verb() {
  static const Transpose verb;
  return verb;
}

}  // namespace regraft
