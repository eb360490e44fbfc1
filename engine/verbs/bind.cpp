// What the verbs' `bind` functions share: reading patterns, templates and flags with their places.
#include <algorithm>

#include "verbs/parameters.h"

namespace regraft {
namespace {

void wrong_type(const yaml::Node& node, std::string_view what, std::string_view wanted,
                std::string hint, Diagnostics& diagnostics) {
  diagnostics.add(
      error(Code::wrong_type, node.where,
            std::string(what) + " is " + std::string(wanted) + ", not " + yaml::describe(node),
            std::move(hint)));
}

void add_pattern(const yaml::Node& node, std::vector<RuleEntry>& entries,
                 Diagnostics& diagnostics) {
  if (!node.is_scalar())
    return wrong_type(node, "a pattern", "a text", "for instance '^layers\\.'", diagnostics);
  if (auto pattern = Pattern::compile(node.text, node.where, diagnostics))
    entries.push_back({std::move(*pattern), node.where});
}

void add_literal(const yaml::Node& node, std::vector<RuleEntry>& entries,
                 Diagnostics& diagnostics) {
  if (!node.is_scalar()) return wrong_type(node, "a name", "a text", {}, diagnostics);
  entries.push_back({Pattern::literal(node.text), node.where});
}

void read_exact(const yaml::Node& mapping, std::vector<RuleEntry>& entries,
                Diagnostics& diagnostics) {
  const yaml::Node* names = mapping.find("exact");
  if (!names || mapping.entries.size() != 1) {
    diagnostics.add(error(
        Code::wrong_type, mapping.where,
        "a pattern is a text, a list of texts or {exact: ...}, not " + yaml::describe(mapping),
        "literal names stand as `{exact: NAME}` or `{exact: [NAMES]}`"));
    return;
  }
  if (names->is_sequence()) {
    for (const yaml::Node& name : names->items) add_literal(name, entries, diagnostics);
    if (names->items.empty())
      wrong_type(*names, "`exact`", "a name or a list of names", {}, diagnostics);
  } else {
    add_literal(*names, entries, diagnostics);
  }
}

}  // namespace

std::vector<RuleEntry> read_patterns(const yaml::Node& node, Diagnostics& diagnostics) {
  std::vector<RuleEntry> entries;
  if (node.is_sequence()) {
    for (const yaml::Node& item : node.items) {
      if (item.is_mapping())
        read_exact(item, entries, diagnostics);
      else
        add_pattern(item, entries, diagnostics);
    }
    if (node.items.empty()) wrong_type(node, "a list of patterns", "not empty", {}, diagnostics);
  } else if (node.is_mapping()) {
    read_exact(node, entries, diagnostics);
  } else {
    add_pattern(node, entries, diagnostics);
  }
  return entries;
}

bool any_found(std::span<const RuleEntry> entries, std::string_view name) {
  return std::any_of(entries.begin(), entries.end(),
                     [&](const RuleEntry& entry) { return entry.pattern.found_in(name); });
}

std::vector<RuleEntry> BindContext::patterns(const yaml::Node& node) {
  return read_patterns(node, diagnostics_);
}

std::optional<Template> BindContext::text_template(const yaml::Node& node, const Pattern& pattern,
                                                   bool part_index) {
  if (!node.is_scalar()) {
    wrong_type(node, "`to`", "a text", node.is_null() ? "nothing is written as ''" : "",
               diagnostics_);
    return std::nullopt;
  }
  const Scope scope{.variables = &variables_, .pattern = &pattern, .part_index = part_index};
  return Template::parse(node.text, node.where, scope, diagnostics_);
}

Parameters BindContext::parameters(std::span<const Param> table) {
  return {&rule_, table, diagnostics_};
}

bool BindContext::boolean(std::string_view name, bool otherwise) {
  const yaml::Node* node = param(name);
  if (!node) return otherwise;
  if (const auto value = yaml::as_bool(*node)) return *value;
  wrong_type(*node, "`" + std::string(name) + "`", "true or false", {}, diagnostics_);
  return otherwise;
}

}  // namespace regraft
