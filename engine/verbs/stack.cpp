// stack: '\.experts\.(\d+)\.w1$'
// to: '.experts.w1'      a.experts.0.w1, a.experts.1.w1 [4, 3]  ->  a.experts.w1 [2, 4, 3]
#include "verbs/inverse.h"
#include "verbs/joining.h"
#include "verbs/one_to_one.h"
#include "verbs/verbs.h"

namespace regraft {
namespace {

Result<ExprPtr> stack_up(const Group& group, std::int64_t asked, std::optional<DType> given) {
  const Match& first = group.matches.front();
  const Shape& shape = (*first.expr)->shape;
  REGRAFT_TRY(const std::int64_t dim, dim_from_zero(asked, shape.size() + 1, first));
  for (const Match& match : group.matches)
    if ((*match.expr)->shape != shape)
      return shape_error("the parts of " + quoted(group.name) + " have different shapes: " +
                             described(first) + " and " + described(match),
                         "what is stacked has one shape");
  Shape layer = shape;
  layer.insert(layer.begin() + dim, 1);
  Shape whole = layer;
  whole[static_cast<std::size_t>(dim)] = static_cast<std::int64_t>(group.matches.size());
  if (!numel(whole)) return too_large(group.name);
  REGRAFT_TRY(const DType dtype, joint_dtype(group, given));
  std::vector<ExprPtr> layers = cast_to(group, dtype);
  for (ExprPtr& one : layers) one = reshape(std::move(one), layer);
  return cat(std::move(layers), dim);
}

class StackVerb final : public Verb {
 public:
  std::string_view name() const override { return "stack"; }
  std::string_view doc() const override {
    return "Tensors of one shape along a new dimension, as torch.stack. Groups are those of `cat`.";
  }
  std::string_view example() const override {
    return "stack: '\\.experts\\.(\\d+)\\.w1\\.weight$'\nto: '.experts.w1'";
  }
  std::string_view sample() const override {
    return "a.experts.0.w1.weight float32 [4, 3]\n"
           "a.experts.1.w1.weight float32 [4, 3]\n"
           "a.experts.2.w1.weight float32 [4, 3]";
  }
  std::span<const Param> params() const override { return joining_params(); }
  BoundParts bind(BindContext& context) const override { return bind_joining(context, stack_up); }
  Result<Undoing> undo(const InverseInput& input) const override {
    const yaml::Node& to = *input.param("to");
    const auto unbind = [&](std::string pattern, std::string name) {
      yaml::Node rule = mapping_node(
          {{"unbind", text_node(std::move(pattern))}, {"to", text_node(std::move(name))}});
      if (const yaml::Node* dim = input.param("dim"))
        rule.entries.push_back({plain_node("dim"), *dim});
      return rule;
    };
    REGRAFT_TRY(const std::vector<const yaml::Node*> patterns, operand_patterns(input));
    if (input.operand.is_scalar()) {
      REGRAFT_TRY(Reversal back, reverse_numbered(input, input.operand, to));
      return Undoing{.rules = {unbind(std::move(back.pattern), std::move(back.to))},
                     .same_dtype = true};
    }
    // By number first, behind the name or where the match ends, and then each by its name.
    std::string whole;
    yaml::Node names = mapping_node({});
    for (std::size_t i = 0; i < patterns.size(); ++i) {
      REGRAFT_TRY(Reversal back, reverse(input, *patterns[i], to));
      if (i > 0 && back.pattern != whole)
        return no_inverse(input, "its parts have their captures in different order");
      whole = back.pattern;
      const bool ends = back.pattern.ends_with('$');
      std::string numbered = ends ? back.pattern.substr(0, whole.size() - 1) : back.pattern;
      numbered += "\\." + std::to_string(i) + (ends ? "$" : "\\.");
      names.entries.push_back({text_node(std::move(numbered)), text_node(std::move(back.to))});
    }
    return Undoing{.rules = {unbind(whole, whole.ends_with('$') ? "\\0.{i}" : "\\0.{i}."),
                             mapping_node({{"rename", std::move(names)}})},
                   .same_dtype = true};
  }
};

}  // namespace

const Verb& stack_verb() {
  static const StackVerb verb;
  return verb;
}

}  // namespace regraft
