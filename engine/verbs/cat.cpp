// cat: ['\.q\.weight$', '\.k\.weight$', '\.v\.weight$']
// to: '.qkv.weight'      a.q.weight, a.k.weight, a.v.weight [4, 4]  ->  a.qkv.weight [12, 4]
#include "base/checked.h"
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
  std::span<const Param> params() const override { return joining_params(); }
  BoundParts bind(BindContext& context) const override {
    return bind_joining(context, concatenate);
  }
};

}  // namespace

const Verb& cat_verb() {
  static const CatVerb verb;
  return verb;
}

}  // namespace regraft
