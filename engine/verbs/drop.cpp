// drop: 'num_batches_tracked$'      bn.weight, bn.num_batches_tracked  ->  bn.weight
#include <numeric>

#include "verbs/inverse.h"
#include "verbs/verbs.h"

namespace regraft {
namespace {

class Dropping final : public BoundVerb {
 public:
  Effect apply(std::span<const Match> matches, const Variables&) const override {
    Effect effect;
    effect.consumed.resize(matches.size());
    std::iota(effect.consumed.begin(), effect.consumed.end(), 0u);
    return effect;
  }
};

class Drop final : public Verb {
 public:
  std::string_view name() const override { return "drop"; }
  std::string_view doc() const override { return "What it matches is dropped."; }
  std::string_view example() const override {
    return "drop: ['\\.position_ids$', 'num_batches_tracked$']";
  }
  std::string_view sample() const override {
    return "bn.weight float32 [8]\n"
           "bn.num_batches_tracked int64 []";
  }
  BoundParts bind(BindContext& context) const override {
    return {.entries = context.patterns(context.operand()), .verb = std::make_unique<Dropping>()};
  }
  Result<Undoing> undo(const InverseInput& input) const override {
    yaml::Node names = mapping_node({{"match", input.operand}});
    if (const yaml::Node* unless = input.param("unless"))
      names.entries.push_back({plain_node("unless"), *unless});
    return Undoing{.rules = {}, .missing = std::move(names)};
  }
};

}  // namespace

const Verb& drop_verb() {
  static const Drop verb;
  return verb;
}

}  // namespace regraft
