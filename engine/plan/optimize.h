// The stage between plan and schedule: what is executed for each planned tensor.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "expr/optimize.h"
#include "plan/plan.h"

namespace regraft {

// The passes of a run: those that rewrite expressions, and two that the schedule does.
struct Passes {
  std::vector<Pass> rewrites;
  bool byte_ranges = true, casts = true, tiles = true;  // of ScheduleOptions
};
// All passes but those that are named; another name is a usage error.
Result<Passes> passes_without(std::span<const std::string> names);
// In order, with what they do.
std::vector<std::pair<std::string_view, std::string_view>> pass_names();

// Sets PlannedTensor::optimized where a pass finds anything to do. Empty, or which pass broke an
// invariant and how: the run ends then.
std::optional<std::string> optimize(Plan& plan, std::span<const Pass> passes);

}  // namespace regraft
