#include <algorithm>

#include "compile/program.h"

namespace regraft {
namespace {

OutputOptions compile_output(const Spec& spec, Diagnostics& diagnostics) {
  OutputOptions output;
  for (const yaml::Entry& entry : spec.output) {
    const yaml::Node& value = entry.value;
    if (entry.key.text == "ties") {
      if (value.is_scalar() && value.text == "duplicate")
        output.ties = TiesMode::duplicate;
      else if (value.is_scalar() && value.text == "first")
        output.ties = TiesMode::first;
      else if (value.is_scalar() && value.text == "error")
        output.ties = TiesMode::error;
      else
        diagnostics.add(
            error(Code::wrong_type, value.where,
                  "`ties` is `duplicate`, `first` or `error`, not " + yaml::describe(value)));
    } else if (entry.key.text == "metadata") {
      if (!value.is_mapping()) {
        diagnostics.add(error(Code::wrong_type, value.where,
                              "`metadata` is a mapping of texts, not " + yaml::describe(value)));
        continue;
      }
      for (const yaml::Entry& pair : value.entries) {
        if (pair.value.is_scalar())
          output.metadata.emplace_back(pair.key.text, pair.value.text);
        else
          diagnostics.add(
              error(Code::wrong_type, pair.value.where,
                    "a value of `metadata` is a text, not " + yaml::describe(pair.value)));
      }
    }
  }
  return output;
}

}  // namespace

std::optional<Program> compile(const Spec& spec, const CompileInputs& inputs,
                               Diagnostics& diagnostics) {
  Program program;
  program.name = spec.name;
  program.revision = spec.revision;
  program.revises = spec.revises;
  program.fingerprint = fingerprint(spec);
  program.text = spec.tree.where.text;
  for (const yaml::Node& path : spec.root) program.roots.push_back(path.text);
  program.has_roots = spec.has_root;
  if (!spec.require.is_null()) program.require = read_patterns(spec.require, diagnostics);
  program.variables = read_variables(spec, inputs, diagnostics);
  std::vector<std::string> used;
  program.rules = compile_rules(spec, inputs, program.variables, used, diagnostics);
  program.policies = compile_policies(spec, inputs.policies, diagnostics);
  program.expect = compile_expect(spec, diagnostics);
  program.output = compile_output(spec, diagnostics);
  for (const auto& [name, variable] : program.variables)
    if (std::find(used.begin(), used.end(), name) == used.end())
      program.unused_variables.push_back(name);
  if (diagnostics.has_errors()) return std::nullopt;
  return program;
}

}  // namespace regraft
