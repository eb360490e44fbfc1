#include "formats/torch/script_modules.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "formats/torch/catalog_filler.h"
#include "formats/torch/pickle_values.h"
#include "formats/torch/torch_tensors.h"

namespace regraft {
namespace {

constexpr std::string_view kHint = "copy or download the file again, or save the module again";

// The name itself, or of something below it.
bool is_below(std::string_view qualifier, std::string_view name) {
  return qualifier.starts_with(name) &&
         (qualifier.size() == name.size() || qualifier[name.size()] == '.');
}

class ModuleWalk {
 public:
  ModuleWalk(const TorchArchive& archive, ScriptClasses& classes, const Limits& limits,
             Catalog& catalog)
      : graph_(archive.graph()),
        origin_(archive.origin()),
        limits_(limits),
        classes_(classes),
        catalog_(catalog),
        filler_(graph_, origin_, limits, catalog),
        tensor_reader_(graph_, origin_, archive.storages()),
        open_(graph_.size()) {}

  Status run() {
    catalog_.containers.emplace_back();
    NodeId root = graph_.root();
    REGRAFT_TRY(const ScriptClass* type, module_class(root));
    if (type == nullptr)
      return error(
          Code::not_a_checkpoint, origin_.at(graph_.offset(root)),
          "the TorchScript archive holds no module, but " + summary(graph_, root),
          "a module is what torch.jit.script(module) or torch.jit.trace(module, ...) makes");
    REGRAFT_CHECK(enter(root, *type));
    while (!frames_.empty()) {
      Frame& frame = frames_.back();
      if (frame.next == frame.children.size()) {
        leave();
        continue;
      }
      const Child child = frame.children[frame.next++];
      prefix_.resize(frame.prefix_size);
      prefix_.append(*child.name).append(".");
      REGRAFT_CHECK(enter(child.node, *child.type));
    }
    catalog_.containers.front().entries = catalog_.tensors.size();
    return Done{};
  }

 private:
  struct Child {
    const std::string* name;
    NodeId node;
    const ScriptClass* type;
  };
  struct Frame {
    NodeId node;
    std::size_t prefix_size;
    std::vector<Child> children;
    std::size_t next;
  };
  using Values = std::unordered_map<std::string_view, NodeId>;

  // The module that is being read.
  [[nodiscard]] std::string path() const {
    return prefix_.substr(0, prefix_.empty() ? 0 : prefix_.size() - 1);
  }
  [[nodiscard]] std::string here() const {
    return prefix_.empty() ? "the module at the top" : "the module " + quoted(path());
  }
  [[nodiscard]] Diagnostic corrupt(Code code, NodeId node, std::string message) const {
    return error(code, origin_.at(graph_.offset(node)), std::move(message), std::string(kHint));
  }

  // Null for what is no module. Objects of C++ classes have no class file.
  Result<const ScriptClass*> module_class(NodeId node) {
    const ScriptClass* none = nullptr;
    if (graph_.kind(node) != NodeKind::object) return none;
    const ObjectNode& object = graph_.object(node);
    if (object.maker != ObjectMaker::newobj || graph_.kind(object.callable) != NodeKind::global)
      return none;
    std::string_view qualifier = graph_.module(object.callable);
    if (std::string lower(qualifier); !is_below(qualifier, "__torch__")) {
      std::ranges::transform(lower, lower.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      });
      // torch finds the class file all the same: it looks for names without regard to case.
      if (is_below(lower, "__torch__"))
        return corrupt(Code::pickle_corrupt, node,
                       "an object is of the class " + quoted(global_name(graph_, object.callable)) +
                           ", which is no class of the archive but for the case of its letters");
    }
    if (!is_below(qualifier, "__torch__") || is_below(qualifier, "__torch__.torch.classes"))
      return none;
    REGRAFT_TRY(const ScriptClass* type, classes_.find(qualifier, graph_.name(object.callable),
                                                       origin_.at(graph_.offset(node))));
    return type->module ? type : none;
  }

  // The tensors of a module; the modules in it are noted.
  Status enter(NodeId node, const ScriptClass& type) {
    if (open_[node])
      return corrupt(Code::pickle_corrupt, node, here() + " contains itself as a module");
    if (frames_.size() >= limits_.pickle_depth)
      return past_limit(origin_.at(graph_.offset(node)), "the modules are nested too deep", limits_,
                        &Limits::pickle_depth);
    REGRAFT_CHECK(filler_.count(node, 1 + type.attributes.size()));
    REGRAFT_CHECK(filler_.charge(node, prefix_.size()));
    if (type.sets_state) return add_made_by_code(node, type);
    REGRAFT_TRY(Values values, values_of(node, type));
    REGRAFT_CHECK(add_tensors(node, type, values, ScriptRole::parameter));
    REGRAFT_CHECK(add_tensors(node, type, values, ScriptRole::buffer));
    Frame frame{node, prefix_.size(), {}, 0};
    for (const ScriptAttribute& attribute : type.attributes) {
      if (is_entry(attribute)) continue;
      NodeId value = values.at(attribute.name);
      REGRAFT_TRY(const ScriptClass* child, module_class(value));
      if (child != nullptr) {
        frame.children.push_back({&attribute.name, value, child});
      } else {
        REGRAFT_CHECK(add_beside(attribute, value));
      }
    }
    open_[node] = true;
    frames_.push_back(std::move(frame));
    return Done{};
  }

  void leave() {
    open_[frames_.back().node] = false;
    frames_.pop_back();
  }

  // Whether the attribute is of the state dict, unless it is None.
  static bool is_entry(const ScriptAttribute& attribute) {
    return attribute.role == ScriptRole::parameter ||
           (attribute.role == ScriptRole::buffer && attribute.type == ScriptType::tensor);
  }

  // The state of an object, which has what its class declares.
  Result<Values> values_of(NodeId node, const ScriptClass& type) {
    const ObjectNode& object = graph_.object(node);
    bool plain = graph_.items(object.arguments).empty() && object.list_items.empty() &&
                 object.dict_items.empty() && object.state != kNoNode &&
                 graph_.kind(object.state) == NodeKind::dict;
    if (!plain)
      return corrupt(Code::pickle_corrupt, node,
                     here() + " is not made of a class and a dict of attributes");
    const NodePairs& pairs = graph_.pairs(object.state);
    REGRAFT_CHECK(filler_.count(node, pairs.size()));
    REGRAFT_CHECK(filler_.check_keys(pairs));
    Values values;
    values.reserve(pairs.size());
    for (auto [key, value] : pairs) {
      if (graph_.kind(key) != NodeKind::text)
        return corrupt(Code::pickle_corrupt, key, here() + " has an attribute without a name");
      values.emplace(graph_.text(key), value);
    }
    for (const ScriptAttribute& attribute : type.attributes)
      if (!values.contains(attribute.name))
        return corrupt(Code::pickle_corrupt, node,
                       here() + " has no attribute " + quoted(attribute.name) +
                           ", which its class " + quoted(type.name) + " declares");
    return values;
  }

  Status add_tensors(NodeId node, const ScriptClass& type, const Values& values, ScriptRole role) {
    for (const ScriptAttribute& attribute : type.attributes) {
      if (attribute.role != role || !is_entry(attribute)) continue;
      NodeId value = values.at(attribute.name);
      if (graph_.kind(value) == NodeKind::none) continue;
      if (!tensor_reader_.is_tensor(value))
        return corrupt(Code::tensor_corrupt, node,
                       here() + " has " + summary(graph_, value) + " as its " +
                           (role == ScriptRole::parameter ? "parameter " : "buffer ") +
                           quoted(attribute.name));
      REGRAFT_TRY(RebuiltTensor rebuilt, tensor_reader_.read(value));
      rebuilt.tensor.parameter = role == ScriptRole::parameter;
      REGRAFT_CHECK(filler_.add_tensor(value, prefix_ + attribute.name, 0, std::move(rebuilt)));
    }
    return Done{};
  }

  // What __setstate__ makes of a state only its code knows: the names are those of the class.
  Status add_made_by_code(NodeId node, const ScriptClass& type) {
    for (ScriptRole role : {ScriptRole::parameter, ScriptRole::buffer}) {
      for (const ScriptAttribute& attribute : type.attributes) {
        if (attribute.role != role || !is_entry(attribute) || attribute.type == ScriptType::none)
          continue;
        RebuiltTensor unknown;
        unknown.tensor.parameter = role == ScriptRole::parameter;
        unknown.tensor.unsupported = "a tensor that the module's __setstate__ makes";
        REGRAFT_CHECK(filler_.add_tensor(node, prefix_ + attribute.name, 0, std::move(unknown)));
      }
    }
    NodeId state = graph_.object(node).state;
    std::string kept = state == kNoNode ? "nothing" : summary(graph_, state);
    return filler_.add_extra(node,
                             {path(), "what " + type.name + " keeps with __getstate__: " + kept});
  }

  // An attribute that is of no state dict.
  Status add_beside(const ScriptAttribute& attribute, NodeId value) {
    bool flag = graph_.kind(value) == NodeKind::boolean &&
                (attribute.name == "training" || attribute.name == "_is_full_backward_hook");
    if (flag || graph_.kind(value) == NodeKind::none) return Done{};
    std::string text;
    if (tensor_reader_.is_tensor(value)) {
      REGRAFT_TRY(RebuiltTensor rebuilt, tensor_reader_.read(value));
      const Tensor& tensor = rebuilt.tensor;
      text = tensor.unsupported.empty()
                 ? "tensor " + std::string(name(tensor.dtype)) + " " + to_string(tensor.shape)
                 : tensor.unsupported;
      text += attribute.role == ScriptRole::buffer ? ", a buffer that may be None"
                                                   : ", neither a parameter nor a buffer";
    } else {
      text = summary(graph_, value);
    }
    return filler_.add_extra(value, {prefix_ + attribute.name, std::move(text)});
  }

  const PickleGraph& graph_;
  const PickleOrigin& origin_;
  const Limits& limits_;
  ScriptClasses& classes_;
  Catalog& catalog_;
  CatalogFiller filler_;
  TensorReader tensor_reader_;
  std::vector<bool> open_;  // of each node: it is in frames_
  std::vector<Frame> frames_;
  std::string prefix_;  // of the names in the module that is being read: "layers.0."
};

}  // namespace

Status read_modules(const TorchArchive& archive, ScriptClasses& classes, const Limits& limits,
                    Catalog& catalog) {
  return ModuleWalk(archive, classes, limits, catalog).run();
}

}  // namespace regraft
