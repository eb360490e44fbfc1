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

// Every name that there was on the way, and what the rules said of it: for `explain`. A plan does
// without.
struct Trail {
  struct Item {
    std::string name;
    ExprPtr expr;
    std::vector<std::uint32_t> parents;  // items it was made of; empty: a source's tensor
    std::uint32_t rule = kNone;          // that put it
    std::uint32_t gone = kNone;          // the rule that consumed or dropped it
  };
  enum class Outcome { matched, unless, where, when, failed };  // failed: `when` has no value
  // A rule, one of whose patterns is found in a name.
  struct Look {
    std::uint32_t item, rule, entry;
    Outcome outcome;
  };
  std::vector<Item> items;      // first the sources' tensors, in order
  std::vector<Look> looks;      // in the order of the rules
  std::uint32_t rules_run = 0;  // the last of them failed when Names::complete is false
};

// `set_memory`: of the pattern set, bytes; tests give it little and demand the same names.
// `trail`: filled if it is given.
Names run_rules(const Program& program, const Inputs& inputs, Diagnostics& diagnostics,
                std::int64_t set_memory = 64 << 20, Trail* trail = nullptr);

}  // namespace regraft
