// `regraft check`: what is no mistake of the language and still not what its writer meant.
#include <set>

#include "compile/program.h"

namespace regraft {
namespace {

// Patterns that take every name, for what stands behind them in a list.
bool takes_everything(const RuleEntry& entry) {
  const std::string& text = entry.pattern.text();
  return !entry.pattern.is_literal() &&
         (text.empty() || text == "^" || text == ".*" || text == "$");
}

// Behind an entry that is found wherever this one is.
void lint_entries(const std::vector<RuleEntry>& entries, std::string_view what,
                  Diagnostics& diagnostics) {
  std::set<std::pair<bool, std::string>> seen;
  const RuleEntry* everything = nullptr;
  for (const RuleEntry& entry : entries) {
    if (everything || !seen.emplace(entry.pattern.is_literal(), entry.pattern.text()).second) {
      Diagnostic problem =
          error(Code::unreachable, entry.where,
                std::string(what) + " can never be reached: " +
                    quoted(everything ? everything->pattern.text() : entry.pattern.text()) +
                    " stands before it and takes every name it would",
                "remove it, or put it first");
      if (everything) problem.notes.push_back({everything->where, "this one takes every name"});
      diagnostics.add(std::move(problem));
    }
    if (takes_everything(entry)) everything = &entry;
  }
}

bool same_patterns(const std::vector<RuleEntry>& a, const std::vector<RuleEntry>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].pattern.text() != b[i].pattern.text() ||
        a[i].pattern.is_literal() != b[i].pattern.is_literal())
      return false;
  return true;
}

// `before` takes every name that `after` would.
bool shadows(const PolicyCase& before, const PolicyCase& after) {
  if (before.always) return true;
  if (!before.unless.empty())
    return same_patterns(before.unless, after.unless) && same_patterns(before.match, after.match);
  if (before.match.empty()) return true;
  for (const RuleEntry& entry : before.match)
    if (takes_everything(entry)) return true;
  return !after.match.empty() && same_patterns(before.match, after.match);
}

void lint_policy(const BoundPolicy& policy, Diagnostics& diagnostics) {
  for (std::size_t i = 0; i + 1 < policy.cases.size();
       ++i) {  // the default may well be unreachable
    for (std::size_t j = 0; j < i; ++j) {
      if (!shadows(policy.cases[j], policy.cases[i])) continue;
      Diagnostic problem = error(Code::unreachable, policy.cases[i].where,
                                 "this case can never be reached", "put it first, or remove it");
      problem.notes.push_back({policy.cases[j].where, "this case takes every name that it would"});
      diagnostics.add(std::move(problem));
      break;
    }
  }
}

}  // namespace

void lint(const Program& program, const Spec& spec, Diagnostics& diagnostics) {
  for (const std::string& name : program.unused_variables) {
    Location where;
    for (const yaml::Entry& entry : spec.vars)
      if (entry.key.text == name) where = entry.key.where;
    diagnostics.add(
        error(Code::unused_var, where, "no rule uses the variable " + quoted(name), "remove it"));
  }
  for (const Rule& rule : program.rules) {
    lint_entries(rule.entries, "this pattern", diagnostics);
    lint_entries(rule.unless, "this pattern", diagnostics);
  }
  for (const BoundPolicy& policy : program.policies) lint_policy(policy, diagnostics);
}

}  // namespace regraft
