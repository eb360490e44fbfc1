// missing: a name of the target that no result reaches.
#include <array>

#include "plan/policy/action.h"

namespace regraft {
namespace {

Settled fail(const Situation&) {
  return refuse(Code::missing_tensor, "missing",
                "`missing: keep` leaves the target's own values, `omit` leaves the name out");
}

Settled keep(const Situation& situation) {
  Settled settled;
  settled.decision = situation.target_values ? Decision::kept : Decision::omitted;
  settled.expr = situation.target_values;
  settled.detail =
      situation.target_values ? "target's own values" : "left out: the target has no values";
  return settled;
}

Settled omit(const Situation&) {
  Settled settled;
  settled.decision = Decision::omitted;
  settled.detail = "left out";
  return settled;
}

const SimpleAction kError("error", "It is an error.", fail);
const SimpleAction kKeep(
    "keep", "The target's own values; a target without values leaves the name out and says so.",
    keep);
const SimpleAction kOmit("omit", "The name is left out of the output.", omit);

}  // namespace

const Policy& missing_policy() {
  static const std::array<const Action*, 3> actions = {&kError, &kKeep, &kOmit};
  static const PolicyTable policy(PolicyKind::missing, "missing",
                                  "Target tensors that no result reaches.", actions, kError);
  return policy;
}

}  // namespace regraft
