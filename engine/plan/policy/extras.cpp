// extras: content of a checkpoint beside the tensors of its state dict.
#include <array>

#include "plan/policy/action.h"

namespace regraft {
namespace {

Settled drop(const Situation&) {
  Settled settled;
  settled.decision = Decision::omitted;
  return settled;
}

Settled keep(const Situation&) {
  Settled settled;
  settled.decision = Decision::kept;
  return settled;
}

Settled fail(const Situation&) {
  return refuse(Code::extras_present, "content beside the tensors",
                "`extras: drop` leaves it out and lists it in the report, `extras: keep` writes it "
                "into a .pt file again");
}

const SimpleAction kDrop("drop", "It is left out, and itemised in the report.", drop);
const SimpleAction kKeep("keep",
                         "From one .pt file to another it is written again around the state dict, "
                         "which goes back to where it was.",
                         keep);
const SimpleAction kError("error", "It is an error.", fail);

}  // namespace

const Policy& extras_policy() {
  static const std::array<const Action*, 3> actions = {&kDrop, &kKeep, &kError};
  static const PolicyTable policy(PolicyKind::extras, "extras",
                                  "Content of the checkpoint beside the tensors.", actions, kDrop);
  return policy;
}

}  // namespace regraft
