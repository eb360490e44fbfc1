// The content of a torch.save file beside its state dict, as values of its pickle.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "catalog/extra_content.h"
#include "formats/torch/pickle.h"
#include "formats/torch/torch_storages.h"

namespace regraft {

// Where a value stands: an entry of a container, or an attribute of one.
struct PlaceInPickle {
  enum class Kind : std::uint8_t { entry, attribute, attributes };
  ExtraPlace container = kNoPlace;  // kNoPlace: the top
  std::uint32_t index = 0;          // of the entry, or of the attribute
  NodeId node = kNoNode;            // what stands there
  Kind kind = Kind::entry;          // `attributes`: all of a container's, which are no mapping
  bool tensor = false;              // the value is one
};

class TorchExtras final : public ExtraContent {
 public:
  TorchExtras(std::shared_ptr<const PickleGraph> graph, TorchStorages storages, bool big_endian,
              std::vector<PlaceInPickle> places)
      : graph_(std::move(graph)),
        storages_(std::move(storages)),
        big_endian_(big_endian),
        places_(std::move(places)) {}

  [[nodiscard]] std::string refuses(ExtraPlace place, ExtraPlace root) const override;
  [[nodiscard]] std::vector<std::uint32_t> storages(std::span<const ExtraPlace> places,
                                                    ExtraPlace root) const override;

  [[nodiscard]] const PickleGraph& graph() const { return *graph_; }
  [[nodiscard]] const TorchStorages& torch_storages() const { return storages_; }
  [[nodiscard]] const PlaceInPickle& at(ExtraPlace place) const { return places_[place]; }
  [[nodiscard]] NodeId node(ExtraPlace place) const {
    return place == kNoPlace ? graph_->root() : places_[place].node;
  }
  // Whether it stands in `root`, or below; a place does not stand in itself.
  [[nodiscard]] bool inside(ExtraPlace place, ExtraPlace root) const;
  // The key of an entry; kNoNode for one of a list.
  [[nodiscard]] NodeId key(ExtraPlace place) const;
  // The dotted path from `root`. Empty optional: there is a key on the way that is neither text nor
  // an integer.
  [[nodiscard]] std::optional<std::string> path_below(ExtraPlace root, ExtraPlace place) const;
  // Empty, or why the containers that a place stands in cannot be written again.
  [[nodiscard]] std::string refuses_way_to(ExtraPlace place) const;

 private:
  // Empty, or why the value and all that it refers to cannot be written again.
  [[nodiscard]] const std::string& refuses_value(NodeId node) const;

  std::shared_ptr<const PickleGraph> graph_;
  TorchStorages storages_;
  bool big_endian_;
  std::vector<PlaceInPickle> places_;

  // Of each node, as an index into reasons_; made when it is first asked for.
  mutable std::once_flag judged_;
  mutable std::vector<std::uint32_t> judgements_;
  mutable std::vector<std::string> reasons_;
};

}  // namespace regraft
