// What a spec demands beside its policies: `source.require`, `expect`; and what it has in vain.
#include <algorithm>

#include "plan/target.h"
#include "spec/use.h"

namespace regraft {
namespace {

std::vector<std::string> names_of(Promise promise, const Inputs& inputs, const Plan& plan) {
  std::vector<std::string> names;
  const auto decided = [&](Decision decision) {
    for (const PlannedTensor& planned : plan.tensors)
      if (planned.decision == decision) names.push_back(planned.name);
  };
  switch (promise) {
    case Promise::missing:
      for (const PlannedTensor& planned : plan.tensors)
        if (planned.target != kNone && planned.from.empty()) names.push_back(planned.name);
      break;
    case Promise::skipped:
      decided(Decision::skipped);
      break;
    case Promise::adapted:
      decided(Decision::adapted);
      break;
    case Promise::kept:
      decided(Decision::kept);
      break;
    case Promise::initialised:
      decided(Decision::initialised);
      break;
    case Promise::unexpected:
      for (const UnexpectedResult& result : plan.unexpected) names.push_back(result.name);
      break;
    case Promise::dropped:
      for (std::size_t input = 0; input < plan.sources.size(); ++input)
        for (std::size_t i = 0; i < plan.sources[input].size(); ++i)
          if (plan.sources[input][i].disposition == Disposition::dropped)
            names.push_back(inputs.sources[input]->tensors[i].name);
      break;
  }
  return names;
}

std::string percent(std::uint64_t part, std::uint64_t whole) {
  // Cut, not rounded: less than all is never 100%.
  const std::uint64_t tenths =
      whole == 0 ? 1000 : static_cast<std::uint64_t>(static_cast<__uint128_t>(part) * 1000 / whole);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + "%";
}

// Rules and entries that match nothing; `count: '>= 0'` says that it may be so.
template <typename Visit>
void for_unused(const Program& program, const Plan& plan, Visit visit) {
  for (std::size_t i = 0; i < program.rules.size(); ++i) {
    const Rule& rule = program.rules[i];
    if (rule.count && rule.count->holds(0)) continue;
    if (plan.rules[i].matches == 0) {
      visit(rule, rule.where,
            "rule " + std::to_string(i + 1) + " (`" + std::string(rule.verb->name()) +
                "`) matches nothing");
      continue;
    }
    if (plan.rules[i].idle)
      visit(rule, rule.where,
            "rule " + std::to_string(i + 1) + " (`" + std::string(rule.verb->name()) +
                "`) changes nothing: none of its groups is complete");
    if (!rule.table) continue;
    for (std::size_t entry = 0; entry < rule.entries.size(); ++entry)
      if (plan.rules[i].entries[entry] == 0)
        visit(rule, rule.entries[entry].where,
              quoted(rule.entries[entry].pattern.text()) + " of rule " + std::to_string(i + 1) +
                  " matches nothing");
  }
}

}  // namespace

void check_require(const Program& program, const Inputs& inputs, Diagnostics& diagnostics) {
  for (const Catalog* source : inputs.sources) {
    const SourceNeeds* needs = program.needs(source->alias);
    if (!needs) continue;
    const std::size_t prefix = source->alias.empty() ? 0 : alias_prefix(source->alias).size();
    for (const RuleEntry& entry : needs->require) {
      const bool there =
          std::any_of(source->tensors.begin(), source->tensors.end(), [&](const Tensor& tensor) {
            return entry.pattern.found_in(std::string_view(tensor.name).substr(prefix));
          });
      if (!there)
        diagnostics.add(error(Code::require_unmet, entry.where,
                              "no tensor of " + quoted(source->path) + " matches " +
                                  quoted(entry.pattern.text()) + ", which this spec requires",
                              "the spec is for another checkpoint; `regraft inspect --keys " +
                                  shell_quoted(source->path) + "` lists this one's names"));
    }
  }
}

void check_promises(const Program& program, const Inputs& inputs, const Plan& plan,
                    Diagnostics& diagnostics) {
  for (const NamePromise& promise : program.expect.names) {
    std::string broken;
    std::size_t count = 0;
    for (const std::string& one : names_of(promise.promise, inputs, plan)) {
      if (any_found(promise.patterns, one)) continue;
      if (++count <= 8) broken += (count == 1 ? "" : ", ") + quoted(one);
    }
    if (count == 0) continue;
    if (count > 8) broken += " and " + std::to_string(count - 8) + " more";
    diagnostics.add(error(Code::expect_unmet, promise.where,
                          "`expect` does not allow " + std::to_string(count) + " " +
                              std::string(name(promise.promise)) + ": " + broken));
  }
  const Totals& totals = plan.totals;
  if (program.expect.loaded &&
      !program.expect.loaded->holds(totals.loaded_elements, totals.target.parameters))
    diagnostics.add(error(Code::expect_unmet, program.expect.loaded_where,
                          "`expect` promises loaded " + program.expect.loaded->text + ", it is " +
                              percent(totals.loaded_elements, totals.target.parameters)));
  if (program.expect.unused_rules_are_errors)
    for_unused(program, plan,
               [&](const Rule& rule, const Location& where, const std::string& message) {
                 diagnostics.add(through_uses(
                     error(Code::unused_rule, where, message, "remove it, or say `count: '>= 0'`"),
                     rule.uses));
               });
}

void warn_unused(const Program& program, const Plan& plan, Diagnostics& diagnostics) {
  if (program.expect.unused_rules_are_errors) return;  // said as errors
  for_unused(program, plan,
             [&](const Rule& rule, const Location& where, const std::string& message) {
               diagnostics.add(through_uses(
                   warning(Code::unused_rule, where, message, "remove it, or say `count: '>= 0'`"),
                   rule.uses));
             });
}

}  // namespace regraft
