// Results against the target: one decision for each name, by the policies.
#pragma once

#include "plan/names.h"
#include "plan/plan.h"

namespace regraft {

// Fills Plan::tensors and Plan::unexpected. Without a target every result is the output, but for
// names that still begin with the alias of their source: those are unexpected too.
void match_target(const Program& program, const Inputs& inputs, const std::vector<Live>& results,
                  Plan& plan, Diagnostics& diagnostics);

// The parts of make_plan that follow, each in a file of its own.
void assign_fates(const Inputs& inputs, const Names& names, Plan& plan);
void settle_extras(const Program& program, const Inputs& inputs, Plan& plan,
                   Diagnostics& diagnostics);
void move_module_metadata(const Inputs& inputs, Plan& plan, Diagnostics& diagnostics);
void mark_untied(const Inputs& inputs, Plan& plan);
void count_totals(const Inputs& inputs, Plan& plan);
void check_require(const Program& program, const Inputs& inputs, Diagnostics& diagnostics);
void check_promises(const Program& program, const Inputs& inputs, const Plan& plan,
                    Diagnostics& diagnostics);
void warn_unused(const Program& program, const Plan& plan, Diagnostics& diagnostics);
std::vector<Suggestion> suggest(const Inputs& inputs, const Plan& plan);

// "2 missing tensors: 'a', 'b'": violations of one code and one place are one diagnostic, those of
// names that still have an alias apart from the others.
class Violations {
 public:
  void add(Code code, const Location& where, const std::string& name, const std::string& detail,
           std::string hint, bool aliased = false);
  void report(const Program& program, Diagnostics& diagnostics);

 private:
  struct Group {
    Code code;
    Location where;
    std::string hint;
    bool aliased;
    std::vector<std::string> names;  // with their details
  };
  std::vector<Group> groups_;
};

// The tensor a Load stands for.
const Tensor& tensor_of(const Load& load, const Inputs& inputs);

}  // namespace regraft
