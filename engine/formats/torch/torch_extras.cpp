#include "formats/torch/torch_extras.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "formats/torch/carried_globals.h"
#include "formats/torch/kept_graph.h"
#include "formats/torch/pickle_references.h"
#include "formats/torch/pickle_text.h"
#include "formats/torch/pickle_values.h"
#include "formats/torch/utf8_surrogates.h"

namespace regraft {
namespace {

// Judges the values that a first one leads to, each once: Tarjan's walk over the strongly connected
// components, which come to an end after all that they refer to.
class Judge {
 public:
  Judge(const PickleGraph& graph, const TorchStorages& storages, bool big_endian)
      : graph_(graph),
        storages_(storages),
        big_endian_(big_endian),
        order_(graph.size()),
        low_(graph.size()),
        open_(graph.size()),
        judgements_(graph.size()) {
    reasons_.emplace_back();
  }

  void visit(NodeId first) {
    if (order_[first] == 0) enter(first);
    while (!frames_.empty()) {
      Frame& frame = frames_.back();
      if (frame.next == frame.references.nodes.size()) {
        leave();
        continue;
      }
      const NodeId child = frame.references.nodes[frame.next++];
      if (order_[child] == 0)
        enter(child);
      else
        looked_at(frame.node, child);
    }
  }

  void give_to(std::vector<std::uint32_t>& judgements, std::vector<std::string>& reasons) {
    judgements = std::move(judgements_);
    reasons = std::move(reasons_);
  }

 private:
  struct Frame {
    NodeId node;
    References references;
    std::size_t next = 0;
  };

  void enter(NodeId node) {
    order_[node] = low_[node] = ++entered_;
    open_[node] = true;
    component_.push_back(node);
    judgements_[node] = reason(fault_of(node));
    frames_.push_back({node, references_of(graph_, node)});
  }

  void looked_at(NodeId node, NodeId child) {
    if (open_[child]) low_[node] = std::min(low_[node], low_[child]);
    if (judgements_[node] == 0) judgements_[node] = judgements_[child];
  }

  void leave() {
    const NodeId node = frames_.back().node;
    frames_.pop_back();
    if (low_[node] == order_[node]) close(node);
    if (!frames_.empty()) looked_at(frames_.back().node, node);
  }

  void close(NodeId first) {
    std::size_t begin = component_.size();
    while (component_[--begin] != first) {
    }
    const std::span<const NodeId> members = std::span(component_).subspan(begin);
    std::uint32_t judgement = 0;
    for (const NodeId member : members)
      if (judgement == 0) judgement = judgements_[member];
    if (judgement == 0 && members.size() > 1 && needs_itself(members))
      judgement = reason("it is part of what it is made of");
    for (const NodeId member : members) {
      judgements_[member] = judgement;
      open_[member] = false;
    }
    component_.resize(begin);
  }

  // Whether one of them has to be there before itself. They are the last component, so what is open
  // and was entered no earlier than they were is one of them.
  [[nodiscard]] bool needs_itself(std::span<const NodeId> members) const {
    return std::ranges::any_of(members, [&](NodeId member) {
      const References references = references_of(graph_, member);
      return std::ranges::any_of(
          std::span(references.nodes).first(references.early),
          [&](NodeId node) { return open_[node] && order_[node] >= order_[members.front()]; });
    });
  }

  // Empty, or what stands against the value itself.
  [[nodiscard]] std::string fault_of(NodeId node) const {
    switch (graph_.kind(node)) {
      case NodeKind::text:
        return is_utf8_with_surrogates(graph_.text(node)) ? "" : "a text in it is not UTF-8";
      case NodeKind::global:
        if (is_carried_global(graph_.module(node), graph_.name(node))) return {};
        return global_name(graph_, node) +
               " is not among the classes and functions that are written again";
      case NodeKind::persistent: {
        const TorchStorages::Use use = storages_.use_of(node);
        if (use.meta) return "a tensor in it has no values";
        if (!is_of_python(*use.type))
          return "a storage in it is of the class " + std::string(use.type->name);
        if (big_endian_ && use.type->name.ends_with("UntypedStorage"))
          return "the file is big-endian, and a storage in it does not say what its numbers are";
        return {};
      }
      case NodeKind::object:
        return graph_.kind(graph_.object(node).callable) == NodeKind::global
                   ? ""
                   : "an object in it is of an object's making";
      default:
        return {};
    }
  }

  std::uint32_t reason(const std::string& text) {
    if (text.empty()) return 0;
    const auto [found, is_new] = known_.emplace(text, static_cast<std::uint32_t>(reasons_.size()));
    if (is_new) reasons_.push_back(text);
    return found->second;
  }

  const PickleGraph& graph_;
  const TorchStorages& storages_;
  const bool big_endian_;
  std::vector<std::uint32_t> order_, low_;  // 0: not entered
  std::vector<bool> open_;                  // its component is not closed
  std::vector<NodeId> component_;           // all open values, in the order of entering
  std::vector<Frame> frames_;
  std::uint32_t entered_ = 0;
  std::vector<std::uint32_t> judgements_;  // 0: nothing stands against it
  std::vector<std::string> reasons_;
  std::unordered_map<std::string, std::uint32_t> known_;
};

}  // namespace

bool TorchExtras::inside(ExtraPlace place, ExtraPlace root) const {
  while (place != kNoPlace) {
    place = places_[place].container;
    if (place == root) return true;
  }
  return false;
}

NodeId TorchExtras::key(ExtraPlace place) const {
  const PlaceInPickle& one = places_[place];
  const NodeId container = node(one.container);
  if (one.kind != PlaceInPickle::Kind::entry) return kNoNode;
  const std::optional<MappingView> mapping = as_mapping(*graph_, container);
  return mapping ? mapping->pairs[one.index].first : kNoNode;
}

std::optional<std::string> TorchExtras::path_below(ExtraPlace root, ExtraPlace place) const {
  std::string path;
  for (; place != root && place != kNoPlace; place = places_[place].container) {
    std::string part = std::to_string(places_[place].index);
    if (const NodeId entry_key = key(place); entry_key != kNoNode) {
      switch (graph_->kind(entry_key)) {
        case NodeKind::text:
          part = graph_->text(entry_key);
          break;
        case NodeKind::integer:
          part = std::to_string(graph_->integer(entry_key));
          break;
        case NodeKind::big_integer:
          part = to_decimal(graph_->text(entry_key));
          break;
        default:
          return std::nullopt;
      }
    }
    if (!path.empty()) part.append(".").append(path);
    path = std::move(part);
  }
  return path;
}

const std::string& TorchExtras::refuses_value(NodeId value) const {
  std::call_once(judged_, [&] {
    Judge judge(*graph_, storages_, big_endian_);
    judge.visit(graph_->root());
    judge.give_to(judgements_, reasons_);
  });
  return reasons_[judgements_[value]];
}

std::string TorchExtras::refuses_way_to(ExtraPlace place) const {
  for (; place != kNoPlace; place = places_[place].container) {
    if (const NodeId entry_key = key(place); entry_key != kNoNode)
      if (const std::string& why = refuses_value(entry_key); !why.empty())
        return "it stands under a key that cannot be written: " + why;
    const NodeId container = node(places_[place].container);
    if (graph_->kind(container) != NodeKind::object) continue;
    // A defaultdict's factory; the entries of a Counter are judged one by one.
    const NodeId arguments = graph_->object(container).arguments;
    for (const NodeId argument : graph_->items(arguments))
      if (graph_->kind(argument) == NodeKind::global && !refuses_value(argument).empty())
        return "it stands in a mapping that cannot be written: " + refuses_value(argument);
  }
  return {};
}

std::string TorchExtras::refuses(ExtraPlace place, ExtraPlace root) const {
  if (place == kNoPlace) return "it is the whole file";
  const PlaceInPickle& one = places_[place];
  if (inside(place, root)) {
    if (one.kind != PlaceInPickle::Kind::entry)
      return "it is an attribute of the state dict, which is made anew";
    if (one.tensor) return "it belongs to a tensor of the state dict, which is made anew";
    if (one.container != root && !path_below(root, place))
      return "it stands in the state dict, under a key that is no text";
  }
  if (std::string why = refuses_way_to(place); !why.empty()) return why;
  return refuses_value(one.node);
}

std::vector<std::uint32_t> TorchExtras::storages(std::span<const ExtraPlace> places,
                                                 ExtraPlace root) const {
  const KeptGraph kept(*this, places, root);
  std::vector<bool> used(storages_.all().size());
  kept.visit([&](NodeId value) {
    if (graph_->kind(value) == NodeKind::persistent) used[storages_.use_of(value).index] = true;
  });
  std::vector<std::uint32_t> found;
  for (std::uint32_t i = 0; i < used.size(); ++i)
    if (used[i]) found.push_back(i);
  return found;
}

}  // namespace regraft
