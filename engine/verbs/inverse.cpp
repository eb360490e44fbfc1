#include "verbs/inverse.h"

namespace regraft {

Diagnostic no_inverse(const InverseInput& input, std::string reason, std::string hint) {
  return error(Code::no_inverse, input.verb_key.where,
               "nothing undoes this `" + input.verb_key.text + "`: " + std::move(reason),
               std::move(hint));
}

Diagnostic needs_source(const InverseInput& input, std::string what) {
  return error(Code::no_inverse, input.verb_key.where,
               "the spec does not say " + std::move(what) + ", which undoing this `" +
                   input.verb_key.text + "` takes",
               "give a source that it is for: `regraft invert SPEC SOURCE`");
}

Result<Undoing> Verb::undo(const InverseInput& input) const {
  return no_inverse(input, "what it takes away or computes is not in its result");
}

yaml::Node text_node(std::string text) {
  yaml::Node node;
  node.kind = yaml::Node::Kind::scalar;
  node.text = std::move(text);
  node.quoted = true;
  return node;
}

yaml::Node plain_node(std::string text) {
  yaml::Node node = text_node(std::move(text));
  node.quoted = false;
  return node;
}

yaml::Node list_node(std::vector<yaml::Node> items) {
  yaml::Node node;
  node.kind = yaml::Node::Kind::sequence;
  node.items = std::move(items);
  return node;
}

yaml::Node mapping_node(std::vector<std::pair<std::string, yaml::Node>> entries) {
  yaml::Node node;
  node.kind = yaml::Node::Kind::mapping;
  for (auto& [key, value] : entries) node.entries.push_back({plain_node(key), std::move(value)});
  return node;
}

Result<std::vector<const yaml::Node*>> operand_patterns(const InverseInput& input) {
  std::vector<const yaml::Node*> patterns;
  if (input.operand.is_scalar()) patterns.push_back(&input.operand);
  for (const yaml::Node& item : input.operand.items)
    if (item.is_scalar()) patterns.push_back(&item);
  if (patterns.empty() ||
      (input.operand.is_sequence() && patterns.size() != input.operand.items.size()))
    return no_inverse(input, "it takes literal names, and `to` speaks of patterns",
                      "a table `rename: {exact: {NAME: NEW}}` can be turned around");
  return patterns;
}

Result<const yaml::Node*> one_pattern(const InverseInput& input) {
  REGRAFT_TRY(const std::vector<const yaml::Node*> patterns, operand_patterns(input));
  if (patterns.size() == 1) return patterns.front();
  return no_inverse(input, "which of its patterns was found is not in the new name",
                    "give each pattern a rule of its own");
}

Result<std::int64_t> literal(const InverseInput& input, std::string_view param,
                             std::int64_t otherwise) {
  const yaml::Node* node = input.param(param);
  if (!node) return otherwise;
  if (const auto number = yaml::as_int(*node)) return *number;
  return no_inverse(input, "`" + std::string(param) + "` is an expression",
                    "numbers that are written as such can be turned around");
}

}  // namespace regraft
