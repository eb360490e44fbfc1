// `use`: the rules of another spec, with variables of their own.
#include "spec/use.h"

#include "compile/program.h"

namespace regraft {
namespace {

// `with`, over the variables of the spec that uses.
GivenValues read_with(const yaml::Node* node, const Spec& used, const Variables& outer,
                      std::vector<std::string>& used_variables, Diagnostics& diagnostics) {
  GivenValues given;
  if (!node || node->is_null()) return given;
  if (!node->is_mapping()) {
    diagnostics.add(
        error(Code::wrong_type, node->where,
              "`with` is a mapping of variables to values, not " + yaml::describe(*node),
              "for instance `with: {prefix: 'encoder.'}`"));
    return given;
  }
  std::vector<Key> declared;
  for (const yaml::Entry& entry : used.vars) declared.push_back({entry.key.text, {}});
  for (const yaml::Entry& entry : node->entries) {
    if (declared.empty())
      diagnostics.add(error(Code::unknown_key, entry.key.where,
                            "the used spec declares no variables", "remove `with`"));
    else if (check_key(entry.key, declared, "the used spec", diagnostics))
      given.emplace(entry.key.text, read_given(entry.value, outer, used_variables, diagnostics));
  }
  return given;
}

// Whether `when` lets the rules in; true while a variable of it is not known.
bool is_wanted(const yaml::Node* when, const Variables& outer,
               std::vector<std::string>& used_variables, Diagnostics& diagnostics) {
  if (!when) return true;
  if (!when->is_scalar()) {
    diagnostics.add(error(Code::wrong_type, when->where,
                          "`when` is an expression, not " + yaml::describe(*when),
                          "for instance `when: 'depth > 12'`"));
    return true;
  }
  const Scope scope{.variables = &outer};
  const auto expression = Expression::parse(when->text, when->where, scope, diagnostics);
  if (!expression) return true;
  const std::vector<std::string>& names = expression->variables();
  used_variables.insert(used_variables.end(), names.begin(), names.end());
  for (const std::string& name : names)
    if (!outer.find(name)->second.value) return true;
  const Result<bool> holds = expression->holds({.variables = &outer});
  if (holds) return *holds;
  Diagnostic problem = holds.error();
  if (!problem.where.known()) problem.where = when->where;
  diagnostics.add(std::move(problem));
  return true;
}

}  // namespace

std::vector<Rule> compile_use(const yaml::Node& rule, const Spec& used, const CompileInputs& inputs,
                              const Variables& outer, std::vector<std::string>& used_variables,
                              Diagnostics& diagnostics) {
  const GivenValues given = read_with(rule.find("with"), used, outer, used_variables, diagnostics);
  const bool wanted = is_wanted(rule.find("when"), outer, used_variables, diagnostics);
  CompileInputs own = inputs;
  own.set.clear();
  own.spec_directory = used.directory;
  Diagnostics inner;
  const auto variables = std::make_shared<const Variables>(read_variables(used, own, inner, given));
  std::vector<std::string> used_within;
  std::vector<Rule> rules = compile_rules(used, own, variables, used_within, inner);
  const Location& where = rule.find("use")->where;
  for (const Diagnostic& problem : inner.items())
    diagnostics.add(through_uses(problem, {&where, 1}));
  const yaml::Node* id = rule.find("id");
  for (Rule& one : rules) {
    one.uses.push_back(where);
    if (one.id.empty() && id) one.id = id->text;
  }
  return wanted ? std::move(rules) : std::vector<Rule>();
}

}  // namespace regraft
