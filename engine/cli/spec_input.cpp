#include "cli/spec_input.h"

#include <algorithm>

#include "spec/spec.h"

namespace regraft::cli {
namespace {

yaml::Node scalar(std::string text, const SourceTextPtr& source) {
  yaml::Node node;
  node.kind = yaml::Node::Kind::scalar;
  node.text = std::move(text);
  node.where.text = source;
  return node;
}

yaml::Node empty(yaml::Node::Kind kind, const SourceTextPtr& source) {
  yaml::Node node;
  node.kind = kind;
  node.where.text = source;
  return node;
}

yaml::Node& member(yaml::Node& mapping, const std::string& key, yaml::Node::Kind kind,
                   const SourceTextPtr& source) {
  for (yaml::Entry& entry : mapping.entries)
    if (entry.key.text == key) {
      if (entry.value.is_null()) entry.value = empty(kind, source);
      return entry.value;
    }
  mapping.entries.push_back({scalar(key, source), empty(kind, source)});
  return mapping.entries.back().value;
}

std::optional<yaml::Node> option(const std::string& name, const std::string& text,
                                 Diagnostics& diagnostics) {
  return yaml::parse(std::make_shared<const SourceText>(SourceText{name, text}), diagnostics);
}

}  // namespace

std::optional<yaml::Node> assemble_spec(const SpecInput& input, Diagnostics& diagnostics) {
  const auto source = std::make_shared<const SourceText>(SourceText{"command line", ""});
  std::optional<yaml::Node> tree;
  if (!input.path.empty()) {
    Result<SourceTextPtr> text = read_spec_file(input.path);
    if (!text)
      diagnostics.add(std::move(text).error());
    else
      tree = yaml::parse(*text, diagnostics);
    if (!tree) return std::nullopt;
  } else {
    tree = empty(yaml::Node::Kind::mapping, source);
    tree->entries.push_back({scalar("regraft", source), scalar("1", source)});
    yaml::Node& rules = member(*tree, "rules", yaml::Node::Kind::sequence, source);
    for (std::size_t i = 0; i < input.rules.size(); ++i) {
      const std::string name = input.rules.size() == 1 ? "-e" : "-e " + std::to_string(i + 1);
      if (auto rule = option(name, input.rules[i], diagnostics))
        rules.items.push_back(std::move(*rule));
    }
  }
  if (tree->is_mapping() && input.root) {
    yaml::Node& sources = member(*tree, "source", yaml::Node::Kind::mapping, source);
    yaml::Node root = scalar(*input.root, source);
    root.quoted = true;  // '' is a path: the top
    if (sources.is_mapping())
      member(sources, "root", yaml::Node::Kind::null, source) = std::move(root);
  }
  if (tree->is_mapping())
    for (const auto& [name, text] : input.policies) {
      auto value = option("--" + name, text, diagnostics);
      if (!value) continue;
      yaml::Node& policies = member(*tree, "policy", yaml::Node::Kind::mapping, source);
      if (policies.is_mapping())
        member(policies, name, yaml::Node::Kind::null, source) = std::move(*value);
    }
  return tree;
}

}  // namespace regraft::cli
