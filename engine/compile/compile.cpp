#include <algorithm>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "compile/program.h"

namespace regraft {
namespace {

// One of a few words: "`ties` is `duplicate`, `first` or `error`, not 7".
template <typename Mode>
void read_word(const yaml::Node& value, std::string_view key,
               std::initializer_list<std::pair<std::string_view, Mode>> words, Mode& mode,
               Diagnostics& diagnostics) {
  std::string list;
  std::size_t left = words.size();
  for (const auto& [word, meaning] : words) {
    if (value.is_scalar() && value.text == word) {
      mode = meaning;
      return;
    }
    list += "`" + std::string(word) + "`";
    if (--left > 0) list += left == 1 ? " or " : ", ";
  }
  diagnostics.add(
      error(Code::wrong_type, value.where,
            "`" + std::string(key) + "` is " + list + ", not " + yaml::describe(value)));
}

OutputOptions compile_output(const Spec& spec, Diagnostics& diagnostics) {
  OutputOptions output;
  for (const yaml::Entry& entry : spec.output) {
    const yaml::Node& value = entry.value;
    if (entry.key.text == "ties") {
      read_word(value, "ties",
                {{"duplicate", TiesMode::duplicate},
                 {"first", TiesMode::first},
                 {"error", TiesMode::error}},
                output.ties, diagnostics);
    } else if (entry.key.text == "container") {
      read_word(value, "container",
                {{"flat", ContainerMode::flat}, {"source", ContainerMode::source}},
                output.container, diagnostics);
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

bool Program::keeps_extras() const {
  return std::ranges::any_of(policy(PolicyKind::extras).cases,
                             [](const PolicyCase& one) { return one.word == "keep"; });
}

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
