// The values of a pickle that are kept around a state dict, and their way into another pickle.
//
//   {'epoch': 3, 'lr': 0.1, 'model': {...}}   of which `lr` is not kept   ->
//   {'epoch': 3, 'model': <the new state dict>}
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "catalog/extra_content.h"
#include "formats/torch/pickle.h"
#include "formats/torch/pickle_writer.h"

namespace regraft {

class TorchExtras;

class KeptGraph {
 public:
  // Everything at `places`, the containers on the way to them and to `root`, and nothing else. What
  // is kept inside of `root` becomes an entry of the state dict itself. `content` has to outlive
  // it.
  KeptGraph(const TorchExtras& content, std::span<const ExtraPlace> places, ExtraPlace root);

  // Every kept value, once.
  void visit(const std::function<void(NodeId)>& see) const;

  // Puts all of it onto the stack, with the same names, in protocol 2. `state_dict` puts the state
  // dict there, and `storage` what a persistent node stands for. No value may be one that
  // TorchExtras::refuses().
  void write(PickleWriter& out, const std::function<void()>& state_dict,
             const std::function<void(NodeId)>& storage) const;

  // Of the entries that are added to the state dict, where they are texts.
  [[nodiscard]] std::vector<std::string> added_keys() const;

 private:
  friend class KeptWriter;
  // What is kept of a container.
  struct Opened {
    std::vector<bool> entries;
    std::vector<bool> attributes;
    bool all_attributes = false;
  };
  struct Added {
    NodeId key = kNoNode;  // kNoNode: `path` is the key
    std::string path;
    NodeId value = kNoNode;
  };

  void open_way_to(ExtraPlace place);
  [[nodiscard]] std::vector<NodeId> children(NodeId node) const;
  [[nodiscard]] NodePairs kept_pairs(NodeId node, const Opened& opened) const;
  [[nodiscard]] NodePairs kept_attributes(NodeId node, const Opened& opened) const;

  const TorchExtras& content_;
  const PickleGraph& graph_;
  NodeId root_;
  std::unordered_map<NodeId, Opened> opened_;
  std::vector<Added> added_;
};

}  // namespace regraft
