// dtype: a result has another dtype than its name in the target.
#include <array>

#include "plan/policy/action.h"

namespace regraft {
namespace {

std::string against(const Situation& situation) {
  return std::string(name(situation.result->dtype)) + " against " +
         std::string(name(situation.target->dtype));
}

Settled source(const Situation& situation) {
  Settled settled;
  settled.decision = Decision::loaded;
  settled.expr = situation.result;
  settled.detail = against(situation) + ": the source's dtype stays";
  return settled;
}

// Only asked when the dtypes differ: where they are equal there is nothing to cast.
Settled cast(const Situation& situation) {
  return refuse(Code::dtype_mismatch, against(situation) + ", and values are not converted",
                "`dtype: source` keeps the source's dtype");
}

Settled fail(const Situation& situation) {
  return refuse(Code::dtype_mismatch, against(situation),
                "`dtype: source` keeps the source's dtype");
}

const SimpleAction kCast("cast", "To the target's dtype.", cast);
const SimpleAction kSource("source", "As it is in the source.", source);
const SimpleAction kError("error", "It is an error.", fail);

}  // namespace

const Policy& dtype_policy() {
  static const std::array<const Action*, 3> actions = {&kCast, &kSource, &kError};
  static const PolicyTable policy(PolicyKind::dtype, "dtype",
                                  "Results with another dtype than the target.", actions, kCast);
  return policy;
}

}  // namespace regraft
