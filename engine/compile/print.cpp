#include "compile/program.h"

namespace regraft {
namespace {

std::string patterns(const std::vector<RuleEntry>& entries) {
  std::string out;
  for (const RuleEntry& entry : entries) {
    if (!out.empty()) out += ", ";
    out += (entry.pattern.is_literal() ? "exact " : "") + quoted(entry.pattern.text());
  }
  return out;
}

std::string position(const Location& where) { return "line " + std::to_string(where.line); }

std::string print(const Where& where) {
  std::string out;
  if (where.ndim) out += " ndim " + std::to_string(*where.ndim);
  if (where.dtype) out += " dtype " + std::string(name(*where.dtype));
  if (where.shape) {
    out += " shape [";
    for (std::size_t i = 0; i < where.shape->size(); ++i) {
      const auto& size = (*where.shape)[i];
      out += (i ? ", " : "") + (size ? std::to_string(*size) : std::string("~"));
    }
    out += "]";
  }
  return out;
}

std::string print(const SourceNeeds& needs) {
  const std::string of = needs.alias.empty() ? "" : " of " + needs.alias;
  std::string out;
  for (const std::string& root : needs.roots) out += "root" + of + " " + quoted(root) + "\n";
  if (!needs.require.empty()) out += "require" + of + " " + patterns(needs.require) + "\n";
  return out;
}

std::string print(const PolicyCase& one) {
  std::string out(one.word);
  if (!one.match.empty()) out += " match " + patterns(one.match);
  if (!one.unless.empty()) out += " unless " + patterns(one.unless);
  return out + (one.where.line ? " (" + position(one.where) + ")" : " (default)");
}

}  // namespace

std::string print(const Program& program) {
  std::string out = "program " + quoted(program.name) + "\n";
  for (const auto& [name, variable] : program.variables)
    out += "var " + name + ": " +
           (variable.value ? describe(*variable.value) : "known with its source") + "\n";
  out += print(program.source);
  for (const SourceNeeds& needs : program.aliases)
    out += "source " + needs.alias + "\n" + print(needs);
  for (std::size_t i = 0; i < program.rules.size(); ++i) {
    const Rule& rule = program.rules[i];
    out += "rule " + std::to_string(i + 1) + " (" +
           (rule.uses.empty() ? "" : rule.where.path() + " ") + position(rule.where) + ")";
    if (!rule.id.empty()) out += " id " + quoted(rule.id);
    out += ": " + std::string(rule.verb->name()) + " " + patterns(rule.entries);
    if (!rule.unless.empty()) out += " unless " + patterns(rule.unless);
    if (const std::string where = print(rule.where_clause); !where.empty()) out += " where" + where;
    if (!rule.when.empty() && rule.when[0]) out += " when " + quoted(rule.when[0]->text());
    if (rule.count) out += " count " + rule.count->text;
    out += "\n";
  }
  constexpr std::string_view kPolicies[] = {"missing", "unexpected", "shape", "dtype", "extras"};
  for (const BoundPolicy& policy : program.policies)
    for (const PolicyCase& one : policy.cases)
      out += "policy " + std::string(kPolicies[static_cast<std::size_t>(policy.kind)]) + ": " +
             print(one) + "\n";
  for (const NamePromise& promise : program.expect.names)
    out += "expect " + std::string(name(promise.promise)) + ": " +
           (promise.patterns.empty() ? "none" : patterns(promise.patterns)) + "\n";
  if (program.expect.loaded) out += "expect loaded " + program.expect.loaded->text + "\n";
  if (program.expect.unused_rules_are_errors) out += "expect no unused rules\n";
  return out;
}

}  // namespace regraft
