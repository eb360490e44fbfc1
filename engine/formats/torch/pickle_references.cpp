#include "formats/torch/pickle_references.h"

namespace regraft {

References references_of(const PickleGraph& graph, NodeId node) {
  References found;
  std::vector<NodeId>& nodes = found.nodes;
  const auto add = [&](NodeId one) {
    if (one != kNoNode) nodes.push_back(one);
  };
  const auto add_pairs = [&](const NodePairs& pairs) {
    for (const auto& [key, value] : pairs) {
      nodes.push_back(key);
      nodes.push_back(value);
    }
  };
  switch (graph.kind(node)) {
    case NodeKind::tuple:
    case NodeKind::set:
    case NodeKind::frozenset:
      nodes.assign(graph.items(node).begin(), graph.items(node).end());
      found.early = nodes.size();
      break;
    case NodeKind::list:
      nodes.assign(graph.items(node).begin(), graph.items(node).end());
      break;
    case NodeKind::dict:
      add_pairs(graph.pairs(node));
      break;
    case NodeKind::object: {
      const ObjectNode& object = graph.object(node);
      add(object.callable);
      add(object.arguments);
      add(object.keyword_arguments);
      found.early = nodes.size();
      for (const NodeId item : object.list_items) nodes.push_back(item);
      add_pairs(object.dict_items);
      add(object.state);
      break;
    }
    default:
      break;
  }
  return found;
}

}  // namespace regraft
