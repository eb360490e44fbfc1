#include "formats/torch/kept_graph.h"

#include <algorithm>
#include <optional>

#include "formats/torch/pickle_references.h"
#include "formats/torch/pickle_values.h"
#include "formats/torch/torch_extras.h"

namespace regraft {

KeptGraph::KeptGraph(const TorchExtras& content, std::span<const ExtraPlace> places,
                     ExtraPlace root)
    : content_(content), graph_(content.graph()), root_(content.node(root)) {
  open_way_to(root);
  for (const ExtraPlace place : places) {
    if (!content.inside(place, root)) {
      open_way_to(place);
      continue;
    }
    Added added;
    added.value = content.node(place);
    if (content.at(place).container == root) added.key = content.key(place);
    if (added.key == kNoNode) added.path = content.path_below(root, place).value_or("");
    added_.push_back(std::move(added));
  }
}

void KeptGraph::open_way_to(ExtraPlace place) {
  for (; place != kNoPlace; place = content_.at(place).container) {
    const PlaceInPickle& one = content_.at(place);
    const NodeId container = content_.node(one.container);
    Opened& opened = opened_[container];
    const auto mark = [&](std::vector<bool>& kept) {
      if (kept.size() <= one.index) kept.resize(one.index + 1);
      kept[one.index] = true;
    };
    switch (one.kind) {
      case PlaceInPickle::Kind::entry:
        mark(opened.entries);
        break;
      case PlaceInPickle::Kind::attribute:
        mark(opened.attributes);
        break;
      case PlaceInPickle::Kind::attributes:
        opened.all_attributes = true;
        break;
    }
  }
}

NodePairs KeptGraph::kept_pairs(NodeId node, const Opened& opened) const {
  NodePairs kept;
  const auto mapping = as_mapping(graph_, node);
  for (std::size_t i = 0; mapping && i < opened.entries.size(); ++i)
    if (opened.entries[i]) kept.push_back(mapping->pairs[i]);
  return kept;
}

// `_metadata` is no content of its own: it goes with its state dict.
NodePairs KeptGraph::kept_attributes(NodeId node, const Opened& opened) const {
  NodePairs kept;
  const auto mapping = as_mapping(graph_, node);
  if (!mapping || mapping->state == kNoNode) return kept;
  const auto attributes = as_mapping(graph_, mapping->state);
  if (!attributes) return kept;
  for (std::size_t i = 0; i < attributes->pairs.size(); ++i) {
    const NodeId key = attributes->pairs[i].first;
    const bool metadata = graph_.kind(key) == NodeKind::text && graph_.text(key) == "_metadata";
    if (metadata || (i < opened.attributes.size() && opened.attributes[i]))
      kept.push_back(attributes->pairs[i]);
  }
  return kept;
}

std::vector<NodeId> KeptGraph::children(NodeId node) const {
  std::vector<NodeId> found;
  if (node == root_) {
    for (const Added& added : added_) {
      if (added.key != kNoNode) found.push_back(added.key);
      found.push_back(added.value);
    }
    return found;
  }
  const auto entry = opened_.find(node);
  if (entry == opened_.end()) return references_of(graph_, node).nodes;
  const Opened& opened = entry->second;
  for (const NodePairs& pairs : {kept_pairs(node, opened), kept_attributes(node, opened)})
    for (const auto& [key, value] : pairs) {
      found.push_back(key);
      found.push_back(value);
    }
  const NodeKind kind = graph_.kind(node);
  if (kind == NodeKind::list || kind == NodeKind::tuple)
    for (std::size_t i = 0; i < opened.entries.size(); ++i)
      if (opened.entries[i]) found.push_back(graph_.items(node)[i]);
  if (kind == NodeKind::object && opened.all_attributes) found.push_back(graph_.object(node).state);
  return found;
}

void KeptGraph::visit(const std::function<void(NodeId)>& see) const {
  std::vector<bool> seen(graph_.size());
  std::vector<NodeId> waiting = {graph_.root()};
  while (!waiting.empty()) {
    const NodeId node = waiting.back();
    waiting.pop_back();
    if (seen[node]) continue;
    seen[node] = true;
    see(node);
    for (const NodeId child : children(node))
      if (!seen[child]) waiting.push_back(child);
  }
}

std::vector<std::string> KeptGraph::added_keys() const {
  std::vector<std::string> keys;
  for (const Added& added : added_) {
    if (added.key == kNoNode)
      keys.push_back(added.path);
    else if (graph_.kind(added.key) == NodeKind::text)
      keys.emplace_back(graph_.text(added.key));
  }
  return keys;
}

// Without recursion: values of a stranger may lie deep.
class KeptWriter {
 public:
  KeptWriter(const KeptGraph& kept, PickleWriter& out, const std::function<void()>& state_dict,
             const std::function<void(NodeId)>& storage)
      : kept_(kept), graph_(kept.graph_), out_(out), state_dict_(state_dict), storage_(storage) {}

  void write() {
    tasks_.push_back({Task::Kind::value, graph_.root()});
    while (!tasks_.empty()) {
      const Task task = tasks_.back();
      tasks_.pop_back();
      switch (task.kind) {
        case Task::Kind::value:
          value(task.number);
          break;
        case Task::Kind::op:
          out_.op(static_cast<Opcode>(task.number));
          break;
        case Task::Kind::tuple:
          out_.tuple(task.number);
          break;
        case Task::Kind::memo:
          memo_.emplace(task.number, out_.put());
          break;
        case Task::Kind::added_key:
          out_.text(kept_.added_[task.number].path);
          break;
      }
    }
  }

 private:
  struct Task {
    enum class Kind { value, op, tuple, memo, added_key };
    Kind kind;
    std::uint32_t number;  // a node, an opcode, a size or an index
  };
  // What comes next, in order.
  class Sequence {
   public:
    explicit Sequence(std::vector<Task>& tasks) : tasks_(tasks) {}
    ~Sequence() { tasks_.insert(tasks_.end(), next_.rbegin(), next_.rend()); }
    Sequence(const Sequence&) = delete;
    Sequence& operator=(const Sequence&) = delete;

    void value(NodeId node) { next_.push_back({Task::Kind::value, node}); }
    void op(Opcode opcode) {
      next_.push_back({Task::Kind::op, static_cast<std::uint32_t>(opcode)});
    }
    void tuple(std::size_t size) {
      next_.push_back({Task::Kind::tuple, static_cast<std::uint32_t>(size)});
    }
    void memo(NodeId node) { next_.push_back({Task::Kind::memo, node}); }
    void added_key(std::size_t index) {
      next_.push_back({Task::Kind::added_key, static_cast<std::uint32_t>(index)});
    }
    // Python's batches: an unpickler's stack stays short.
    template <typename Add>
    void batches(std::size_t count, Opcode end, Add add) {
      constexpr std::size_t kBatch = 1000;
      for (std::size_t i = 0; i < count; ++i) {
        if (i % kBatch == 0) op(Opcode::mark);
        add(i);
        if (i % kBatch == kBatch - 1 || i + 1 == count) op(end);
      }
    }
    void items(std::span<const NodeId> items) {
      batches(items.size(), Opcode::appends, [&](std::size_t i) { value(items[i]); });
    }
    void entries(const NodePairs& pairs) {
      batches(pairs.size(), Opcode::setitems, [&](std::size_t i) {
        value(pairs[i].first);
        value(pairs[i].second);
      });
    }

   private:
    std::vector<Task>& tasks_;
    std::vector<Task> next_;
  };

  void remember(NodeId node) { memo_.emplace(node, out_.put()); }

  void value(NodeId node) {
    if (const auto known = memo_.find(node); known != memo_.end()) return out_.get(known->second);
    if (node == kept_.root_) return state_dict(node);
    if (const auto opened = kept_.opened_.find(node); opened != kept_.opened_.end())
      return container(node, opened->second);
    switch (graph_.kind(node)) {
      case NodeKind::none:
        return out_.op(Opcode::none);
      case NodeKind::boolean:
        return out_.boolean(graph_.boolean(node));
      case NodeKind::integer:
        return out_.integer(graph_.integer(node));
      case NodeKind::big_integer:
        return out_.integer(graph_.text(node));
      case NodeKind::real:
        return out_.real(graph_.real(node));
      case NodeKind::text:
        out_.text(graph_.text(node));
        return remember(node);
      case NodeKind::bytes:
        out_.bytes(graph_.text(node));
        return remember(node);
      case NodeKind::bytearray:
        out_.global("builtins", "bytearray");
        out_.bytes(graph_.text(node));
        out_.tuple(1);
        out_.op(Opcode::reduce);
        return remember(node);
      case NodeKind::tuple:
        return tuple(node, graph_.items(node));
      case NodeKind::list:
        return list(node, graph_.items(node));
      case NodeKind::dict:
        return dict(node, graph_.pairs(node));
      case NodeKind::set:
        return set(node, "set");
      case NodeKind::frozenset:
        return set(node, "frozenset");
      case NodeKind::global:
        return out_.global(graph_.module(node), graph_.name(node));
      case NodeKind::persistent:
        return storage_(node);
      case NodeKind::object:
        return object(node);
    }
  }

  void state_dict(NodeId node) {
    state_dict_();
    remember(node);
    Sequence next(tasks_);
    next.batches(kept_.added_.size(), Opcode::setitems, [&](std::size_t i) {
      const KeptGraph::Added& added = kept_.added_[i];
      if (added.key == kNoNode)
        next.added_key(i);
      else
        next.value(added.key);
      next.value(added.value);
    });
  }

  void tuple(NodeId node, std::span<const NodeId> items) {
    if (items.empty()) return out_.tuple(0);
    Sequence next(tasks_);
    if (items.size() > 3) next.op(Opcode::mark);
    for (const NodeId item : items) next.value(item);
    next.tuple(items.size());
    next.memo(node);
  }

  void list(NodeId node, std::span<const NodeId> items) {
    out_.op(Opcode::empty_list);
    remember(node);
    Sequence(tasks_).items(items);
  }

  void dict(NodeId node, const NodePairs& pairs) {
    out_.op(Opcode::empty_dict);
    remember(node);
    Sequence(tasks_).entries(pairs);
  }

  // Protocol 2 has none: set([...]).
  void set(NodeId node, std::string_view type) {
    out_.global("builtins", type);
    out_.op(Opcode::empty_list);
    Sequence next(tasks_);
    next.items(graph_.items(node));
    next.tuple(1);
    next.op(Opcode::reduce);
    next.memo(node);
  }

  void object(NodeId node) {
    const ObjectNode& object = graph_.object(node);
    const bool keywords = object.maker == ObjectMaker::newobj_ex;
    // NEWOBJ_EX came with protocol 4; copyreg has it as a function.
    if (keywords) out_.global("copyreg", "__newobj_ex__");
    Sequence next(tasks_);
    next.value(object.callable);
    next.value(object.arguments);
    if (keywords) {
      next.value(object.keyword_arguments);
      next.tuple(3);
    }
    // OBJ and INST without arguments make an instance without calling anything.
    const bool instance =
        object.maker == ObjectMaker::newobj ||
        (object.maker == ObjectMaker::instance && graph_.items(object.arguments).empty());
    next.op(instance ? Opcode::newobj : Opcode::reduce);
    next.memo(node);
    next.items(object.list_items);
    next.entries(object.dict_items);
    if (object.state != kNoNode) {
      next.value(object.state);
      next.op(Opcode::build);
    }
  }

  // What is kept of it. In a list, None keeps the others in their places.
  void container(NodeId node, const KeptGraph::Opened& opened) {
    const NodeKind kind = graph_.kind(node);
    if (kind == NodeKind::dict) return dict(node, kept_.kept_pairs(node, opened));
    Sequence next(tasks_);
    if (kind == NodeKind::list || kind == NodeKind::tuple) {
      const auto items = graph_.items(node);
      const auto item = [&](std::size_t i) {
        if (i < opened.entries.size() && opened.entries[i])
          next.value(items[i]);
        else
          next.op(Opcode::none);
      };
      if (kind == NodeKind::list) {
        out_.op(Opcode::empty_list);
        remember(node);
        return next.batches(items.size(), Opcode::appends, item);
      }
      if (items.size() > 3) next.op(Opcode::mark);
      for (std::size_t i = 0; i < items.size(); ++i) item(i);
      next.tuple(items.size());
      return next.memo(node);
    }
    const ObjectNode& object = graph_.object(node);
    next.value(object.callable);
    // A defaultdict's factory; a Counter's entries come behind.
    if (is_global(graph_, object.callable, "collections", "defaultdict"))
      next.value(object.arguments);
    else
      next.tuple(0);
    next.op(Opcode::reduce);
    next.memo(node);
    next.entries(kept_.kept_pairs(node, opened));
    const NodePairs attributes = kept_.kept_attributes(node, opened);
    if (opened.all_attributes) {
      next.value(object.state);
      next.op(Opcode::build);
    } else if (!attributes.empty()) {
      next.op(Opcode::empty_dict);
      next.entries(attributes);
      next.op(Opcode::build);
    }
  }

  const KeptGraph& kept_;
  const PickleGraph& graph_;
  PickleWriter& out_;
  const std::function<void()>& state_dict_;
  const std::function<void(NodeId)>& storage_;
  std::vector<Task> tasks_;
  std::unordered_map<NodeId, std::uint32_t> memo_;
};

void KeptGraph::write(PickleWriter& out, const std::function<void()>& state_dict,
                      const std::function<void(NodeId)>& storage) const {
  KeptWriter(*this, out, state_dict, storage).write();
}

}  // namespace regraft
