// What became of each source tensor (law 1).
#include "plan/target.h"

namespace regraft {
namespace {

// Copies of one tensor may end differently: the weightier fate is told.
int weight(Disposition disposition) {
  switch (disposition) {
    case Disposition::used:
      return 6;
    case Disposition::unexpected_kept:
      return 5;
    case Disposition::error:
      return 4;
    case Disposition::skipped:
      return 3;
    case Disposition::unexpected_dropped:
      return 2;
    case Disposition::dropped:
      return 1;
  }
  return 0;
}

class Fates {
 public:
  Fates(const Inputs& inputs, Plan& plan) : plan_(plan) {
    for (const Catalog* source : inputs.sources) {
      plan_.sources.emplace_back(source->tensors.size());
      weights_.emplace_back(source->tensors.size(), 0);
    }
  }

  void set(const Load& load, const SourceFate& fate) {
    if (load.input >= plan_.sources.size()) return;  // the target's own
    int& known = weights_[load.input][load.tensor];
    if (weight(fate.disposition) < known) return;
    known = weight(fate.disposition);
    plan_.sources[load.input][load.tensor] = fate;
  }

 private:
  Plan& plan_;
  std::vector<std::vector<int>> weights_;
};

Disposition disposition_of(const PlannedTensor& planned) {
  switch (planned.decision) {
    case Decision::loaded:
    case Decision::transformed:
    case Decision::adapted:
      return Disposition::used;
    case Decision::unexpected:
      return Disposition::unexpected_kept;
    case Decision::error:
      return Disposition::error;
    default:
      return Disposition::skipped;
  }
}

}  // namespace

void assign_fates(const Inputs& inputs, const Names& names, Plan& plan) {
  Fates fates(inputs, plan);
  for (const DroppedLoad& dropped : names.dropped)
    fates.set(dropped.load, {Disposition::dropped, dropped.rule, {}});
  if (!plan.complete) {
    // What is still under way when a rule fails has no other fate.
    for (const Live& live : names.results)
      for (const Load& load : loads_of(*live.expr))
        fates.set(load, {Disposition::error, kNone, {}});
    return;
  }
  for (const UnexpectedResult& result : plan.unexpected) {
    if (result.policy_word == "keep") continue;
    const Disposition disposition =
        result.policy_word == "drop" ? Disposition::unexpected_dropped : Disposition::error;
    for (const Load& load : result.from)
      fates.set(load, {disposition, kNone, result.policy_word, result.policy});
  }
  for (const PlannedTensor& planned : plan.tensors)
    for (const Load& load : planned.from)
      fates.set(load, {disposition_of(planned), kNone, planned.policy_word, planned.policy});
}

}  // namespace regraft
