// Names through the rules: what stands under which name when all rules have run.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plan/plan.h"

namespace regraft {

// A name and what it stands for, after the last rule.
struct Live {
  std::string name;
  ExprPtr expr;
  std::uint32_t step = kNone;
};

struct DroppedLoad {
  Load load;
  std::uint32_t rule;
};

struct Names {
  std::vector<Live> results;  // in order
  std::vector<Step> steps;
  std::vector<RuleUse> rules;
  std::vector<DroppedLoad> dropped;  // in order of the rules
  bool complete = true;              // false: a rule failed and those after it did not run
};

// `set_memory`: of the pattern set, bytes; tests give it little and demand the same names.
Names run_rules(const Program& program, const Inputs& inputs, Diagnostics& diagnostics,
                std::int64_t set_memory = 64 << 20);

}  // namespace regraft
