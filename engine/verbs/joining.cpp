#include "verbs/joining.h"

#include <array>

#include "verbs/parameters.h"

namespace regraft {
namespace {

constexpr auto kParams = std::to_array<Param>({
    {"to", ParamType::text_template, true,
     "What stands in place of the match. Names that become equal are one group."},
    {"dim", ParamType::integer, false, "The dimension, in the result. Default 0."},
    kGroupDType,
    kPartial,
});

class Joining final : public BoundVerb {
 public:
  Joining(Groups groups, Integer dim, std::optional<DType> dtype, Join join)
      : groups_(std::move(groups)), dim_(std::move(dim)), dtype_(dtype), join_(join) {}

  Effect apply(std::span<const Match> matches, const Variables& variables) const override {
    Effect effect;
    for (Group& group : groups_.collect(matches, variables, effect.errors)) {
      Result<ExprPtr> whole = joined(group, variables);
      if (!whole) {
        effect.errors.push_back(std::move(whole).error());
        continue;
      }
      effect.consumed.insert(effect.consumed.end(), group.parts.begin(), group.parts.end());
      effect.puts.push_back({std::move(group.name), std::move(*whole), std::move(group.parts)});
    }
    return effect;
  }

 private:
  Result<ExprPtr> joined(const Group& group, const Variables& variables) const {
    REGRAFT_TRY(const std::int64_t dim, dim_.value(Subject(group.matches, variables)));
    return join_(group, dim, dtype_);
  }

  Groups groups_;
  Integer dim_;
  std::optional<DType> dtype_;
  Join join_;
};

}  // namespace

std::span<const Param> joining_params() { return kParams; }

BoundParts bind_joining(BindContext& context, Join join) {
  BoundParts parts;
  std::optional<Groups> groups = Groups::read(context, parts);
  Integer dim = Integer::read_or(context, "dim", 0, parts);
  const std::optional<DType> dtype = context.parameters(kParams).dtype("dtype");
  if (groups)
    parts.verb = std::make_unique<Joining>(std::move(*groups), std::move(dim), dtype, join);
  return parts;
}

}  // namespace regraft
