// permute: '\.conv\.weight$'
// dims: [3, 2, 0, 1]      a.conv.weight [3, 3, 8, 16]  ->  a.conv.weight [16, 8, 3, 3]
#include <array>

#include "verbs/inverse.h"
#include "verbs/one_to_one.h"
#include "verbs/verbs.h"

namespace regraft {
namespace {

constexpr auto kParams = std::to_array<Param>({
    {"dims", ParamType::integers, true,
     "All dimensions in their new order: the first number says which one comes first."},
});

class Permuting final : public OneToOne {
 public:
  explicit Permuting(Integers dims) : dims_(std::move(dims)) {}

 private:
  Result<ExprPtr> make(const Subject& subject) const override {
    const ExprPtr& arg = *subject.first().expr;
    REGRAFT_TRY(std::vector<std::int64_t> dims, dims_.value(subject));
    std::vector<bool> taken(arg->shape.size(), false);
    for (std::int64_t& dim : dims) {
      REGRAFT_TRY(dim, dim_from_zero(dim, arg->shape.size(), subject.first()));
      if (taken[static_cast<std::size_t>(dim)])
        return shape_error("`permute` has dimension " + std::to_string(dim) + " twice for " +
                               described(subject.first()),
                           "each dimension stands there once");
      taken[static_cast<std::size_t>(dim)] = true;
    }
    if (dims.size() != arg->shape.size())
      return shape_error(
          "`permute` orders " + std::to_string(dims.size()) + " dimensions, and " +
              described(subject.first()) + " has " + std::to_string(arg->shape.size()),
          "each dimension stands there once; `where: {ndim: " + std::to_string(dims.size()) +
              "}` leaves other tensors alone");
    return permute(arg, std::move(dims));
  }

  Integers dims_;
};

class PermuteVerb final : public Verb {
 public:
  std::string_view name() const override { return "permute"; }
  std::string_view doc() const override {
    return "All dimensions in another order, as torch.permute.";
  }
  std::string_view example() const override {
    return "permute: '\\.conv\\.weight$'\ndims: [3, 2, 0, 1]";
  }
  std::string_view sample() const override { return "a.conv.weight float32 [3, 3, 8, 16]"; }
  std::span<const Param> params() const override { return kParams; }
  BoundParts bind(BindContext& context) const override {
    BoundParts parts{.entries = context.patterns(context.operand())};
    if (auto dims = Integers::read(context, "dims", parts))
      parts.verb = std::make_unique<Permuting>(std::move(*dims));
    return parts;
  }
  Result<Undoing> undo(const InverseInput& input) const override {
    const yaml::Node& dims = *input.param("dims");
    const std::size_t count = dims.items.size();
    std::vector<yaml::Node> back(count);
    for (std::size_t i = 0; i < count; ++i) {
      const auto dim = yaml::as_int(dims.items[i]);
      if (!dim) return no_inverse(input, "its `dims` are an expression");
      const auto at =
          static_cast<std::size_t>(*dim < 0 ? *dim + static_cast<std::int64_t>(count) : *dim);
      if (at >= count) return no_inverse(input, "its `dims` are no permutation");
      back[at] = plain_node(std::to_string(i));
    }
    if (!dims.is_sequence()) return no_inverse(input, "its `dims` are an expression");
    return Undoing{
        .rules = {mapping_node({{"permute", input.operand}, {"dims", list_node(std::move(back))}})},
        .same_names = true,
        .same_ndim = true,
        .same_dtype = true};
  }
};

}  // namespace

const Verb& permute_verb() {
  static const PermuteVerb verb;
  return verb;
}

}  // namespace regraft
