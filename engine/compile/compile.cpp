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

SourceNeeds needs_of(const SourceSection& section, Diagnostics& diagnostics) {
  SourceNeeds needs;
  needs.alias = section.alias;
  for (const yaml::Node& path : section.root) needs.roots.push_back(path.text);
  if (!section.require.is_null()) needs.require = read_patterns(section.require, diagnostics);
  return needs;
}

}  // namespace

const SourceNeeds* Program::needs(std::string_view alias) const {
  if (alias.empty()) return &source;
  const auto found = std::find_if(aliases.begin(), aliases.end(),
                                  [&](const SourceNeeds& one) { return one.alias == alias; });
  return found == aliases.end() ? nullptr : &*found;
}

std::optional<Program> compile(const Spec& spec, const CompileInputs& inputs,
                               Diagnostics& diagnostics) {
  Program program;
  program.name = spec.name;
  program.revision = spec.revision;
  program.revises = spec.revises;
  program.fingerprint = fingerprint(spec);
  program.text = spec.tree.where.text;
  program.source = needs_of(spec.source, diagnostics);
  for (const SourceSection& section : spec.aliases) {
    program.aliases.push_back(needs_of(section, diagnostics));
    if (inputs.source_directories && !inputs.source_directories->contains(section.alias))
      diagnostics.add(error(Code::usage, section.where,
                            "the spec is for a source with the alias " + quoted(section.alias) +
                                ", and none is given",
                            "give it behind the first source: " + section.alias + "=FILE"));
  }
  program.variables = read_variables(spec, inputs, diagnostics);
  std::vector<std::string> used;
  program.rules = compile_rules(spec, inputs, std::make_shared<const Variables>(program.variables),
                                used, diagnostics);
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
