// stack: '\.experts\.(\d+)\.w1$'
// to: '.experts.w1'      a.experts.0.w1, a.experts.1.w1 [4, 3]  ->  a.experts.w1 [2, 4, 3]
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
  std::span<const Param> params() const override { return joining_params(); }
  BoundParts bind(BindContext& context) const override { return bind_joining(context, stack_up); }
};

}  // namespace

const Verb& stack_verb() {
  static const StackVerb verb;
  return verb;
}

}  // namespace regraft
