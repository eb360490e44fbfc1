#include "plan/target.h"

namespace regraft {
namespace {

std::string at(const Location& where, std::string_view word) {
  if (word.empty()) return "";
  return " by " + std::string(word) +
         (where.line ? " (line " + std::to_string(where.line) + ")" : " (default)");
}

// The rules that a result went through, from the source on.
std::string rules(const Plan& plan, std::uint32_t step) {
  std::vector<std::uint32_t> chain;
  while (step != kNone) {
    chain.push_back(plan.steps[step].rule + 1);
    step = plan.steps[step].parents.empty() ? kNone : plan.steps[step].parents.front();
  }
  std::string out;
  for (auto rule = chain.rbegin(); rule != chain.rend(); ++rule)
    out += (out.empty() ? " by rule " : ", ") + std::to_string(*rule);
  return out;
}

std::string sources(const PlannedTensor& planned, const Inputs& inputs) {
  std::string out;
  for (const Load& load : planned.from)
    out += (out.empty() ? " <- " : ", ") + printable(tensor_of(load, inputs).name);
  return out;
}

}  // namespace

std::string print(const Plan& plan, const Program& program, const Inputs& inputs) {
  std::string out = std::string("plan ") + (plan.complete ? "" : "(incomplete) ") +
                    (plan.has_target ? "into a target" : "without a target") + "\n";
  const std::vector<const Catalog*> all = inputs.all();
  for (const PlannedTensor& planned : plan.tensors) {
    out += std::string(name(planned.decision)) + " " + printable(planned.name);
    if (planned.expr)
      out += " " + std::string(name(planned.expr->dtype)) + " " + to_string(planned.expr->shape);
    out += sources(planned, inputs) + rules(plan, planned.step) +
           at(*planned.policy, planned.policy_word);
    if (planned.tied_to) out += " tied to " + printable(*planned.tied_to);
    if (planned.untied) out += " untied";
    if (planned.expr && planned.lossy) out += " lossy";
    if (planned.expr && planned.copied)
      out += " copied " + to_string(planned.copied->size) + " from " +
             to_string(planned.copied->from) + " to " + to_string(planned.copied->to);
    if (!planned.detail.empty()) out += ": " + planned.detail;
    out += "\n";
    if (planned.expr && planned.decision == Decision::transformed)
      out += "  = " + to_string(*planned.expr, all) + "\n";
    if (planned.optimized) out += "  optimized: " + to_string(*planned.optimized, all) + "\n";
  }
  for (const UnexpectedResult& result : plan.unexpected)
    out += "unexpected " + printable(result.name) + at(*result.policy, result.policy_word) + "\n";
  for (std::size_t input = 0; input < plan.sources.size(); ++input)
    for (std::size_t i = 0; i < plan.sources[input].size(); ++i) {
      const SourceFate& fate = plan.sources[input][i];
      out += "source " + printable(inputs.sources[input]->tensors[i].name) + ": " +
             std::string(name(fate.disposition));
      if (fate.rule != kNone) out += " by rule " + std::to_string(fate.rule + 1);
      out += at(*fate.policy, fate.policy_word) + "\n";
    }
  for (std::size_t i = 0; i < plan.rules.size(); ++i) {
    out += "rule " + std::to_string(i + 1) + " " + std::string(program.rules[i].verb->name()) +
           ": " + std::to_string(plan.rules[i].matches) + " matches";
    if (plan.rules[i].entries.size() > 1) {
      out += " (";
      for (std::size_t entry = 0; entry < plan.rules[i].entries.size(); ++entry)
        out += (entry ? ", " : "") + std::to_string(plan.rules[i].entries[entry]);
      out += ")";
    }
    out += "\n";
  }
  for (const ExtraFate& fate : plan.extras) {
    const Extra& extra = inputs.sources[fate.input]->extras[fate.extra];
    out += "extra " + printable(extra.path) + " (" + printable(extra.summary) +
           "): " + std::string(fate.word) +
           (fate.left_out.empty() ? "" : ", left out: " + printable(fate.left_out)) + "\n";
  }
  for (const ModuleMetadata& entry : plan.module_metadata) {
    out += "module " + quoted(entry.module);
    for (const auto& [key, value] : entry.ints)
      out += " " + printable(key) + " " + std::to_string(value);
    out += "\n";
  }
  for (const Suggestion& suggestion : plan.suggestions)
    out += "suggestion rename " + quoted(suggestion.pattern) + " to " + quoted(suggestion.to) +
           " (" + std::to_string(suggestion.tensors) + " tensors)\n";
  return out;
}

}  // namespace regraft
