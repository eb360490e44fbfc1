#include "formats/torch/torch_values.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "formats/torch/catalog_filler.h"
#include "formats/torch/pickle_text.h"
#include "formats/torch/pickle_values.h"
#include "formats/torch/torch_tensors.h"

namespace regraft {
namespace {

class Walk {
 public:
  Walk(const PickleGraph& graph, const PickleOrigin& origin, const TorchStorages& storages,
       const Limits& limits, Catalog& catalog)
      : graph_(graph),
        origin_(origin),
        limits_(limits),
        filler_(graph, origin, limits, catalog),
        tensor_reader_(graph, origin, storages),
        catalog_(catalog),
        open_(graph.size()) {}

  Status run() {
    catalog_.containers.emplace_back();
    NodeId root = graph_.root();
    if (!is_container(root)) {
      catalog_.containers.front().mapping = false;
      return visit_leaf(root, 0, kNoPlace);
    }
    REGRAFT_CHECK(enter(root, -1, kNoPlace));
    while (!frames_.empty()) {
      Frame& frame = frames_.back();
      if (frame.next == frame.size()) {
        leave();
      } else {
        REGRAFT_CHECK(visit_next());
      }
    }
    return Done{};
  }

  std::vector<PlaceInPickle> places() && { return std::move(places_); }

 private:
  // A container that is being walked, and what the catalog had when it began.
  struct Frame {
    NodeId node;
    std::uint32_t container;
    bool mapping;
    std::span<const std::pair<NodeId, NodeId>> pairs;  // of a mapping
    std::span<const NodeId> items;                     // of a list or tuple
    std::size_t next, path_size, tensors, extras, places;
    ExtraPlace place;
    std::int32_t optimizer;  // the innermost optimizer that it is in, or is; -1: none
    std::uint64_t charged;
    [[nodiscard]] std::size_t size() const { return mapping ? pairs.size() : items.size(); }
  };

  [[nodiscard]] bool is_container(NodeId node) const {
    NodeKind kind = graph_.kind(node);
    return kind == NodeKind::list || kind == NodeKind::tuple ||
           as_mapping(graph_, node).has_value();
  }
  // A list of numbers can be long; it is told from others without walking it.
  [[nodiscard]] bool is_flat(NodeId node) const {
    NodeKind kind = graph_.kind(node);
    return (kind == NodeKind::list || kind == NodeKind::tuple) &&
           std::ranges::all_of(graph_.items(node),
                               [&](NodeId item) { return graph_.kind(item) < NodeKind::tuple; });
  }

  Status enter(NodeId node, std::int32_t parent, ExtraPlace place) {
    REGRAFT_CHECK(filler_.count(node, 1));
    if (frames_.size() >= limits_.pickle_depth)
      return past_limit(origin_.at(graph_.offset(node)),
                        "the checkpoint's values are nested too deep", limits_,
                        &Limits::pickle_depth);
    Frame frame{};
    frame.node = node;
    frame.path_size = path_.size();
    frame.tensors = catalog_.tensors.size();
    frame.extras = catalog_.extras.size();
    frame.places = places_.size();
    frame.place = place;
    frame.optimizer = frames_.empty() ? -1 : frames_.back().optimizer;
    frame.charged = filler_.charged();
    if (parent >= 0) catalog_.containers.emplace_back();
    frame.container = static_cast<std::uint32_t>(catalog_.containers.size() - 1);
    Container& container = catalog_.containers.back();
    container.parent = parent;
    container.path = path_;
    container.place = place;
    REGRAFT_CHECK(filler_.charge(node, sizeof(Container) + path_.size()));
    if (std::optional<MappingView> mapping = as_mapping(graph_, node)) {
      frame.mapping = true;
      frame.pairs = mapping->pairs;
      REGRAFT_CHECK(filler_.check_keys(mapping->pairs));
      container.optimizer =
          has_key(mapping->pairs, "state") && has_key(mapping->pairs, "param_groups");
      if (container.optimizer) frame.optimizer = static_cast<std::int32_t>(frame.container);
      REGRAFT_CHECK(read_attributes(mapping->state, frame.container));
    } else {
      frame.items = graph_.items(node);
      container.mapping = false;
    }
    open_[node] = true;
    frames_.push_back(frame);
    return Done{};
  }

  // A container without a tensor anywhere below is one extra, not many.
  void leave() {
    Frame frame = frames_.back();
    frames_.pop_back();
    open_[frame.node] = false;
    path_.resize(frame.path_size);
    if (catalog_.tensors.size() == frame.tensors && !frames_.empty()) {
      std::optional<std::string> optimizer = optimizer_of(frame);
      catalog_.extras.resize(frame.extras);
      catalog_.containers.resize(frame.container);
      places_.resize(frame.places);
      filler_.set_charged(frame.charged);
      catalog_.extras.push_back(
          {path_, summary(graph_, frame.node), frame.place, std::move(optimizer)});
    }
  }

  Status visit_next() {
    Frame& frame = frames_.back();
    std::size_t i = frame.next++;
    path_.resize(frame.path_size);
    if (frames_.size() > 1) path_ += '.';
    std::uint32_t container = frame.container;
    NodeId node = frame.mapping ? frame.pairs[i].second : frame.items[i];
    REGRAFT_TRY(ExtraPlace place, add_place({frame.place, static_cast<std::uint32_t>(i), node}));
    if (frame.mapping) {
      NodeId key = frame.pairs[i].first;
      if (!append_name(key)) {
        REGRAFT_CHECK(filler_.count(key, 1));
        ++catalog_.containers[container].entries;
        return add_extra(
            node,
            "under the key " + summary(graph_, key) + ": " +
                (tensor_reader_.is_tensor(node) ? std::string("a tensor") : summary(graph_, node)),
            place);
      }
    } else {
      path_ += std::to_string(i);
    }
    bool walked = is_container(node) && !is_flat(node) && !open_[node];
    if (!walked) return visit_leaf(node, container, place);
    ++catalog_.containers[container].entries;
    return enter(node, static_cast<std::int32_t>(container), place);
  }

  Result<ExtraPlace> add_place(const PlaceInPickle& place) {
    REGRAFT_CHECK(filler_.charge(place.node, sizeof(PlaceInPickle)));
    places_.push_back(place);
    return static_cast<ExtraPlace>(places_.size() - 1);
  }

  // The path of the optimizer that a container is in, or is.
  [[nodiscard]] std::optional<std::string> optimizer_of(const Frame& frame) const {
    if (frame.optimizer < 0) return std::nullopt;
    return catalog_.containers[static_cast<std::size_t>(frame.optimizer)].path;
  }
  [[nodiscard]] std::optional<std::string> optimizer() const {
    return frames_.empty() ? std::nullopt : optimizer_of(frames_.back());
  }

  // Text and integers are part of a name.
  bool append_name(NodeId key) {
    switch (graph_.kind(key)) {
      case NodeKind::text:
        path_ += graph_.text(key);
        return true;
      case NodeKind::integer:
        path_ += std::to_string(graph_.integer(key));
        return true;
      case NodeKind::big_integer:
        path_ += to_decimal(graph_.text(key));
        return true;
      default:
        path_ += '?';
        return false;
    }
  }

  Status visit_leaf(NodeId node, std::uint32_t container, ExtraPlace place) {
    bool flat = is_flat(node);
    REGRAFT_CHECK(filler_.count(node, flat ? 1 + graph_.items(node).size() : 1));
    ++catalog_.containers[container].entries;
    if (!tensor_reader_.is_tensor(node)) {
      bool cycle = open_[node];
      return add_extra(node, summary(graph_, node) + (cycle ? " that contains itself" : ""), place);
    }
    if (place != kNoPlace) places_[place].tensor = true;
    REGRAFT_TRY(RebuiltTensor rebuilt, tensor_reader_.read(node));
    return filler_.add_tensor(node, path_, container, std::move(rebuilt), place, optimizer());
  }

  Status add_extra(NodeId node, std::string text, ExtraPlace place) {
    return filler_.add_extra(node, {path_, std::move(text), place, optimizer()});
  }

  [[nodiscard]] bool has_key(std::span<const std::pair<NodeId, NodeId>> pairs,
                             std::string_view name) const {
    return std::ranges::any_of(pairs, [&](const auto& pair) {
      return graph_.kind(pair.first) == NodeKind::text && graph_.text(pair.first) == name;
    });
  }

  // The attributes of an OrderedDict: `_metadata`, as Module.state_dict() sets it, and others.
  Status read_attributes(NodeId state, std::uint32_t container) {
    if (state == kNoNode || graph_.kind(state) == NodeKind::none) return Done{};
    using Kind = PlaceInPickle::Kind;
    const ExtraPlace owner = catalog_.containers[container].place;
    std::optional<MappingView> attributes = as_mapping(graph_, state);
    if (!attributes) {
      REGRAFT_TRY(ExtraPlace place, add_place({owner, 0, state, Kind::attributes}));
      return add_extra(state, "attributes of a dict: " + summary(graph_, state), place);
    }
    REGRAFT_CHECK(filler_.count(state, 1 + attributes->pairs.size()));
    REGRAFT_CHECK(filler_.check_keys(attributes->pairs));
    std::uint32_t index = 0;
    for (auto [key, value] : attributes->pairs) {
      const std::uint32_t i = index++;
      bool metadata = graph_.kind(key) == NodeKind::text && graph_.text(key) == "_metadata";
      if (metadata && as_mapping(graph_, value)) {
        REGRAFT_CHECK(read_module_metadata(value, container));
      } else {
        REGRAFT_TRY(ExtraPlace place, add_place({owner, i, value, Kind::attribute}));
        REGRAFT_CHECK(add_extra(
            value, "attribute " + summary(graph_, key) + " of a dict: " + summary(graph_, value),
            place));
      }
    }
    return Done{};
  }

  Status read_module_metadata(NodeId node, std::uint32_t container) {
    auto pairs = as_mapping(graph_, node)->pairs;
    REGRAFT_CHECK(filler_.count(node, 1 + pairs.size()));
    REGRAFT_CHECK(filler_.check_keys(pairs));
    std::size_t left_out = 0;
    for (auto [key, value] : pairs) {
      std::optional<MappingView> entries = as_mapping(graph_, value);
      if (graph_.kind(key) != NodeKind::text || !entries) {
        ++left_out;
        continue;
      }
      REGRAFT_CHECK(filler_.count(value, entries->pairs.size()));
      REGRAFT_CHECK(filler_.check_keys(entries->pairs));
      REGRAFT_CHECK(filler_.charge(value, sizeof(ModuleMetadata) + graph_.text(key).size()));
      ModuleMetadata module;
      module.module = graph_.text(key);
      for (auto [name, number] : entries->pairs) {
        if (graph_.kind(name) != NodeKind::text || graph_.kind(number) != NodeKind::integer) {
          ++left_out;
          continue;
        }
        REGRAFT_CHECK(filler_.charge(name, 64 + graph_.text(name).size()));
        module.ints.emplace_back(graph_.text(name), graph_.integer(number));
      }
      catalog_.containers[container].metadata.push_back(std::move(module));
    }
    if (left_out > 0)
      catalog_.remarks.push_back(std::to_string(left_out) +
                                 " entries of `_metadata` are not integers and are left out" +
                                 (path_.empty() ? "" : " (at " + quoted(path_) + ")"));
    return Done{};
  }

  const PickleGraph& graph_;
  const PickleOrigin& origin_;
  const Limits& limits_;
  CatalogFiller filler_;
  TensorReader tensor_reader_;
  Catalog& catalog_;
  std::vector<bool> open_;  // of each node: it is in frames_
  std::vector<Frame> frames_;
  std::string path_;
  std::vector<PlaceInPickle> places_;
};

}  // namespace

Result<std::vector<PlaceInPickle>> read_values(const PickleGraph& graph, const PickleOrigin& origin,
                                               const TorchStorages& storages, const Limits& limits,
                                               Catalog& catalog) {
  Walk walk(graph, origin, storages, limits, catalog);
  REGRAFT_CHECK(walk.run());
  return std::move(walk).places();
}

}  // namespace regraft
