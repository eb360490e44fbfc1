#include "plan/plan.h"

#include "plan/names.h"
#include "plan/target.h"

namespace regraft {

std::vector<const Catalog*> Inputs::all() const {
  std::vector<const Catalog*> catalogs = sources;
  if (target) catalogs.push_back(target);
  return catalogs;
}

std::string_view Inputs::alias_of(std::string_view name) const {
  for (const Catalog* source : sources)
    if (!source->alias.empty() && name.starts_with(alias_prefix(source->alias)))
      return source->alias;
  return {};
}

Plan make_plan(const Program& program, const Inputs& inputs, Diagnostics& diagnostics) {
  Plan plan;
  plan.has_target = inputs.target != nullptr;
  check_require(program, inputs, diagnostics);
  Names names = run_rules(program, inputs, diagnostics);
  plan.rules = std::move(names.rules);
  plan.complete = names.complete;
  if (plan.complete) match_target(program, inputs, names.results, plan, diagnostics);
  plan.steps = std::move(names.steps);
  assign_fates(inputs, names, plan);
  settle_extras(program, inputs, plan, diagnostics);
  if (plan.complete) {
    mark_untied(inputs, plan);
    move_module_metadata(inputs, plan, diagnostics);
  }
  count_totals(inputs, plan);
  if (plan.complete) {
    check_promises(program, inputs, plan, diagnostics);
    warn_unused(program, plan, diagnostics);
    plan.suggestions = suggest(inputs, plan);
  }
  return plan;
}

}  // namespace regraft
