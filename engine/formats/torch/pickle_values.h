// Small questions about the values of a pickle graph.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "formats/torch/pickle.h"

namespace regraft {

// "module.name" of a global; empty for anything else. Python 2's `__builtin__` is `builtins`.
std::string global_name(const PickleGraph& graph, NodeId node);
bool is_global(const PickleGraph& graph, NodeId node, std::string_view module,
               std::string_view name);

// The value itself where TorchScript has put its type around it: it writes lists and dicts as
// `torch.jit._pickle.restore_type_tag(value, "Dict[str, bool]")` or `build_intlist(value)`.
NodeId untagged(const PickleGraph& graph, NodeId node);

// The entries of a dict, OrderedDict, defaultdict or Counter, as written; empty optional: it is
// none of them, or has been made in a way that these are not made.
struct MappingView {
  std::span<const std::pair<NodeId, NodeId>> pairs;
  NodeId state = kNoNode;  // of an OrderedDict: its attributes
};
std::optional<MappingView> as_mapping(const PickleGraph& graph, NodeId node);

// The later of two keys that Python holds for equal (1, True and 1.0 are); empty: there is none.
std::optional<NodeId> duplicate_key(const PickleGraph& graph,
                                    std::span<const std::pair<NodeId, NodeId>> pairs);

// One line about a value, for people: `int 12`, `str 'adam'`, `list of 3`, `argparse.Namespace`.
std::string summary(const PickleGraph& graph, NodeId node);

}  // namespace regraft
