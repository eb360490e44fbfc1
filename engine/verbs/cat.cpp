// cat: ['\.q\.weight$', '\.k\.weight$', '\.v\.weight$']
// to: '.qkv.weight'      a.q.weight, a.k.weight, a.v.weight [4, 4]  ->  a.qkv.weight [12, 4]
#include "base/checked.h"
#include "verbs/inverse.h"
#include "verbs/joining.h"
#include "verbs/one_to_one.h"
#include "verbs/verbs.h"

namespace regraft {
namespace {

Result<ExprPtr> concatenate(const Group& group, std::int64_t asked, std::optional<DType> given) {
  const Match& first = group.matches.front();
  Shape whole = (*first.expr)->shape;
  REGRAFT_TRY(const std::int64_t dim, dim_from_zero(asked, whole.size(), first));
  const auto along = static_cast<std::size_t>(dim);
  whole[along] = 0;
  for (const Match& match : group.matches) {
    Shape other = (*match.expr)->shape;
    const auto length =
        along < other.size() ? checked_add(whole[along], other[along]) : std::nullopt;
    if (length) other[along] = whole[along];
    if (other != whole)
      return shape_error("the parts of " + quoted(group.name) + " do not fit along dimension " +
                             std::to_string(dim) + ": " + described(first) + " and " +
                             described(match),
                         "they may differ in that dimension alone");
    whole[along] = length.value_or(-1);
    if (!numel(whole)) return too_large(group.name);
  }
  REGRAFT_TRY(const DType dtype, joint_dtype(group, given));
  return cat(cast_to(group, dtype), dim);
}

class CatVerb final : public Verb {
 public:
  std::string_view name() const override { return "cat"; }
  std::string_view doc() const override {
    return "Tensors one behind the other along a dimension, as torch.cat. A list gives the order "
           "of the parts; of one pattern, the number does that `to` leaves out.";
  }
  std::string_view example() const override {
    return "cat: ['\\.q\\.weight$', '\\.k\\.weight$', '\\.v\\.weight$']\nto: '.qkv.weight'\ndim: 0";
  }
  std::string_view sample() const override {
    return "a.q.weight float32 [8, 4]\n"
           "a.k.weight float32 [2, 4]\n"
           "a.v.weight float32 [2, 4]";
  }
  std::span<const Param> params() const override { return joining_params(); }
  BoundParts bind(BindContext& context) const override {
    return bind_joining(context, concatenate);
  }
  Result<Undoing> undo(const InverseInput& input) const override {
    REGRAFT_TRY(const std::vector<const yaml::Node*> patterns, operand_patterns(input));
    REGRAFT_TRY(const std::int64_t asked, literal(input, "dim", 0));
    if (!input.seen) return needs_source(input, "how large the parts are");
    if (input.seen->made.empty()) return Undoing{};
    REGRAFT_TRY(const std::vector<std::int64_t> sizes, sizes_seen(input, asked));
    const bool numbered = input.operand.is_scalar();
    std::string whole;
    std::vector<yaml::Node> parts;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      REGRAFT_TRY(Reversal back,
                  numbered ? reverse_numbered(input, *patterns.front(), *input.param("to"))
                           : reverse(input, *patterns[i], *input.param("to")));
      if (i > 0 && back.pattern != whole)
        return no_inverse(input, "its parts have their captures in different order");
      whole = std::move(back.pattern);
      parts.push_back(text_node(std::move(back.to)));
    }
    yaml::Node split =
        mapping_node({{"split", text_node(whole)}, {"to", list_node(std::move(parts))}});
    if (asked != 0) split.entries.push_back({plain_node("dim"), *input.param("dim")});
    std::vector<yaml::Node> numbers;
    for (const std::int64_t size : sizes) numbers.push_back(plain_node(std::to_string(size)));
    split.entries.push_back({plain_node("sizes"), list_node(std::move(numbers))});
    return Undoing{.rules = {std::move(split)}, .same_ndim = true};
  }

 private:
  // Of the parts, the same in every group.
  static Result<std::vector<std::int64_t>> sizes_seen(const InverseInput& input,
                                                      std::int64_t asked) {
    std::vector<std::int64_t> sizes;
    for (const Seen::Made& made : input.seen->made) {
      std::vector<std::int64_t> here;
      for (const Seen::Tensor& part : made.from) {
        const auto dim = asked < 0 ? asked + static_cast<std::int64_t>(part.shape.size()) : asked;
        here.push_back(part.shape[static_cast<std::size_t>(dim)]);
        if (!widens(part.dtype, made.result.dtype))
          return no_inverse(input, "a " + std::string(regraft::name(made.result.dtype)) +
                                       " does not hold every " +
                                       std::string(regraft::name(part.dtype)));
      }
      if (!sizes.empty() && here != sizes)
        return no_inverse(input,
                          "the parts are " + to_string(sizes) + " long in one group and " +
                              to_string(here) + " in another",
                          "give each kind of group a rule of its own, with `where` or `unless`");
      sizes = std::move(here);
    }
    return sizes;
  }
};

}  // namespace

const Verb& cat_verb() {
  static const CatVerb verb;
  return verb;
}

}  // namespace regraft
