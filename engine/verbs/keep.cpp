// keep: ['^conv1\.']      conv1.weight, conv2.weight  ->  conv1.weight
#include "verbs/inverse.h"
#include "verbs/verbs.h"

namespace regraft {
namespace {

class Nothing final : public BoundVerb {
 public:
  // The planner drops the rest (Verb::drops_the_rest); what matches passes untouched.
  Effect apply(std::span<const Match>, const Variables&) const override { return {}; }
};

class Keep final : public Verb {
 public:
  std::string_view name() const override { return "keep"; }
  std::string_view doc() const override {
    return "Everything that it does not match is dropped; matching nothing is an error.";
  }
  std::string_view example() const override { return "keep: {exact: [conv1.weight, conv1.bias]}"; }
  std::string_view sample() const override {
    return "conv1.weight float32 [8, 3]\n"
           "conv1.bias float32 [8]\n"
           "fc.weight float32 [10, 8]";
  }
  bool drops_the_rest() const override { return true; }
  BoundParts bind(BindContext& context) const override {
    return {.entries = context.patterns(context.operand()), .verb = std::make_unique<Nothing>()};
  }
  Result<Undoing> undo(const InverseInput& input) const override {
    return Undoing{.rules = {}, .missing = mapping_node({{"unless", input.operand}})};
  }
};

}  // namespace

const Verb& keep_verb() {
  static const Keep verb;
  return verb;
}

}  // namespace regraft
