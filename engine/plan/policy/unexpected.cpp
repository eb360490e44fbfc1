// unexpected: a result that is no name of the target.
#include <array>

#include "plan/policy/action.h"

namespace regraft {
namespace {

Settled fail(const Situation& situation) {
  if (!situation.alias.empty())
    return refuse(Code::unexpected_tensor, "unexpected",
                  "rename, merge or drop it with a rule, for instance `- drop: '^" +
                      alias_prefix(situation.alias) + "'`");
  return refuse(Code::unexpected_tensor, "unexpected",
                "drop or rename it with a rule, or allow it with `unexpected: drop` or `keep`");
}

Settled drop(const Situation&) {
  Settled settled;
  settled.decision = Decision::omitted;
  return settled;
}

Settled keep(const Situation& situation) {
  Settled settled;
  settled.decision = Decision::unexpected;
  settled.expr = situation.result;
  settled.detail = "not in the target, kept";
  return settled;
}

const SimpleAction kError("error", "It is an error.", fail);
const SimpleAction kDrop("drop", "The result is dropped.", drop);
const SimpleAction kKeep("keep", "The result is written all the same, behind the target's names.",
                         keep);

}  // namespace

const Policy& unexpected_policy() {
  static const std::array<const Action*, 3> actions = {&kError, &kDrop, &kKeep};
  static const PolicyTable policy(PolicyKind::unexpected, "unexpected",
                                  "Results that the target does not have.", actions, kError);
  return policy;
}

}  // namespace regraft
