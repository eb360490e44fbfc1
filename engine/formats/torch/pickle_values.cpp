#include "formats/torch/pickle_values.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <unordered_set>
#include <vector>

#include "base/utf8.h"
#include "formats/torch/pickle_text.h"

namespace regraft {
namespace {

using Pairs = std::span<const std::pair<NodeId, NodeId>>;

// A key whose text would be longer than this is compared by identity: only tuples that share their
// parts over and over come here.
constexpr std::size_t kLongestKey = 64 * 1024;
constexpr std::size_t kLongestText = 60;  // of a text in a summary
constexpr std::size_t kFewKeys = 8;       // compared one by one

std::string_view current_module(std::string_view module) {
  return module == "__builtin__" ? "builtins" : module;
}

// The value of an integral float as the integer it is equal to, little-endian.
std::optional<std::string> integral_value(double value) {
  if (!std::isfinite(value) || value != std::floor(value)) return std::nullopt;
  char digits[512];
  int length = std::snprintf(digits, sizeof digits, "%.0f", value);
  std::string_view text(digits, static_cast<std::size_t>(length));
  return parse_decimal(text == "-0" ? "0" : text);
}

std::string integer_bytes(std::int64_t value) {
  std::string bytes;
  auto bits = static_cast<std::uint64_t>(value);
  for (int i = 0; i < 8; ++i, bits >>= 8) bytes += static_cast<char>(bits & 0xFF);
  return std::string(shortest_integer(bytes));
}

// Appends a text that two keys have in common exactly when Python holds them for equal. Values that
// compare by what only their class knows stand for themselves alone.
void append_key(const PickleGraph& graph, NodeId node, std::string& out) {
  auto part = [&](char tag, std::string_view bytes) {
    out += tag;
    out += std::to_string(bytes.size());
    out += ':';
    out += bytes;
  };
  switch (graph.kind(node)) {
    case NodeKind::none:
      out += 'n';
      return;
    case NodeKind::boolean:
      return part('i', graph.boolean(node) ? std::string_view("\1") : std::string_view());
    case NodeKind::integer:
      return part('i', integer_bytes(graph.integer(node)));
    case NodeKind::big_integer:
      return part('i', graph.text(node));
    case NodeKind::real:
      if (std::optional<std::string> value = integral_value(graph.real(node)))
        return part('i', *value);
      if (!std::isnan(graph.real(node))) return part('f', std::to_string(graph.integer(node)));
      break;
    case NodeKind::text:
      return part('t', graph.text(node));
    case NodeKind::bytes:
      return part('b', graph.text(node));
    case NodeKind::global:
      return part('g', global_name(graph, node));
    case NodeKind::tuple:
      out += '(';
      for (NodeId item : graph.items(node)) {
        if (out.size() > kLongestKey) return;
        append_key(graph, item, out);
      }
      out += ')';
      return;
    default:
      break;
  }
  part('#', std::to_string(node));
}

std::string real_text(double value) {
  char buffer[64];
  auto [end, code] = std::to_chars(buffer, buffer + sizeof buffer, value);
  std::string text(buffer, end);
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

std::string text_summary(std::string_view type, std::string_view text) {
  if (text.size() <= kLongestText) return std::string(type) + " " + quoted(text);
  return std::string(type) + " of " + std::to_string(text.size()) + " bytes";
}

std::string latin1(std::string_view utf8) {
  std::string bytes;
  for (std::size_t i = 0; i < utf8.size();) {
    Utf8 next = utf8_at(utf8, i);
    if (next.length == 0 || next.code_point > 0xFF) return std::string(utf8);
    bytes += static_cast<char>(next.code_point);
    i += next.length;
  }
  return bytes;
}

// What torch.nn.Module's instances have, whatever their class.
bool has_module_state(const PickleGraph& graph, NodeId state) {
  if (state == kNoNode || graph.kind(state) != NodeKind::dict) return false;
  bool parameters = false, modules = false;
  for (auto [key, value] : graph.pairs(state)) {
    if (graph.kind(key) != NodeKind::text) continue;
    parameters = parameters || graph.text(key) == "_parameters";
    modules = modules || graph.text(key) == "_modules";
  }
  return parameters && modules;
}

std::string object_summary(const PickleGraph& graph, NodeId node) {
  const ObjectNode& object = graph.object(node);
  std::string made = global_name(graph, object.callable);
  if (made.empty()) return "an object of an object's making";
  auto arguments = graph.items(object.arguments);
  // How protocol 2 writes bytes: as a text of Latin-1.
  if (made == "_codecs.encode" && !arguments.empty() && graph.kind(arguments[0]) == NodeKind::text)
    return text_summary("bytes", latin1(graph.text(arguments[0])));
  // These make an instance of the class that they are given.
  bool makes_first = made == "copyreg._reconstructor" || made == "copy_reg._reconstructor" ||
                     made == "numpy.core.multiarray._reconstruct" ||
                     made == "numpy._core.multiarray._reconstruct";
  if (makes_first && !arguments.empty())
    if (std::string first = global_name(graph, arguments[0]); !first.empty()) made = first;
  if (has_module_state(graph, object.state))
    made += " (a pickled module; save its state_dict() instead)";
  return made;
}

}  // namespace

std::string global_name(const PickleGraph& graph, NodeId node) {
  if (graph.kind(node) != NodeKind::global) return {};
  std::string name(current_module(graph.module(node)));
  return name.append(".").append(graph.name(node));
}

bool is_global(const PickleGraph& graph, NodeId node, std::string_view module,
               std::string_view name) {
  return graph.kind(node) == NodeKind::global && graph.name(node) == name &&
         current_module(graph.module(node)) == module;
}

NodeId untagged(const PickleGraph& graph, NodeId node) {
  while (graph.kind(node) == NodeKind::object) {
    const ObjectNode& object = graph.object(node);
    std::string made = global_name(graph, object.callable);
    constexpr std::string_view kModule = "torch.jit._pickle.";
    if (object.maker != ObjectMaker::reduce || !made.starts_with(kModule)) break;
    std::string_view function = std::string_view(made).substr(kModule.size());
    auto arguments = graph.items(object.arguments);
    bool tagged = function == "restore_type_tag" && arguments.size() == 2;
    bool typed =
        function.starts_with("build_") && function.ends_with("list") && arguments.size() == 1;
    if (!tagged && !typed) break;
    node = arguments[0];  // older than the call: this comes to an end
  }
  return node;
}

std::optional<MappingView> as_mapping(const PickleGraph& graph, NodeId node) {
  if (graph.kind(node) == NodeKind::dict) return MappingView{graph.pairs(node), kNoNode};
  if (graph.kind(node) != NodeKind::object) return std::nullopt;
  const ObjectNode& object = graph.object(node);
  bool ordered = is_global(graph, object.callable, "collections", "OrderedDict");
  bool counter = is_global(graph, object.callable, "collections", "Counter");
  bool defaulted = is_global(graph, object.callable, "collections", "defaultdict");
  if (!ordered && !counter && !defaulted) return std::nullopt;
  if (object.maker != ObjectMaker::reduce || !object.list_items.empty()) return std::nullopt;
  auto arguments = graph.items(object.arguments);
  if (counter && arguments.size() == 1 && object.dict_items.empty() &&
      graph.kind(arguments[0]) == NodeKind::dict)
    return MappingView{graph.pairs(arguments[0]), object.state};
  bool plain = arguments.empty() || (defaulted && arguments.size() == 1);
  if (!plain) return std::nullopt;
  return MappingView{object.dict_items, object.state};
}

std::optional<NodeId> duplicate_key(const PickleGraph& graph, Pairs pairs) {
  auto is_text = [&](const auto& pair) { return graph.kind(pair.first) == NodeKind::text; };
  if (pairs.size() <= kFewKeys && std::ranges::all_of(pairs, is_text)) {
    for (std::size_t i = 1; i < pairs.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (graph.text(pairs[i].first) == graph.text(pairs[j].first)) return pairs[i].first;
    return std::nullopt;
  }
  std::unordered_set<std::string_view> texts;
  std::unordered_set<std::string> others;
  texts.reserve(pairs.size());
  for (const auto& pair : pairs) {
    bool is_new = false;
    if (is_text(pair)) {
      is_new = texts.insert(graph.text(pair.first)).second;
    } else {
      std::string key;
      append_key(graph, pair.first, key);
      if (key.size() > kLongestKey) key = "#" + std::to_string(pair.first);
      is_new = others.insert(std::move(key)).second;
    }
    if (!is_new) return pair.first;
  }
  return std::nullopt;
}

std::string summary(const PickleGraph& graph, NodeId node) {
  node = untagged(graph, node);
  switch (graph.kind(node)) {
    case NodeKind::none:
      return "None";
    case NodeKind::boolean:
      return graph.boolean(node) ? "bool True" : "bool False";
    case NodeKind::integer:
      return "int " + std::to_string(graph.integer(node));
    case NodeKind::big_integer: {
      std::string digits = to_decimal(graph.text(node));
      return digits.size() <= kLongestText ? "int " + digits
                                           : "int of " + std::to_string(digits.size()) + " digits";
    }
    case NodeKind::real:
      return "float " + real_text(graph.real(node));
    case NodeKind::text:
      return text_summary("str", graph.text(node));
    case NodeKind::bytes:
      return text_summary("bytes", graph.text(node));
    case NodeKind::bytearray:
      return text_summary("bytearray", graph.text(node));
    case NodeKind::tuple:
      return "tuple of " + std::to_string(graph.items(node).size());
    case NodeKind::list:
      return "list of " + std::to_string(graph.items(node).size());
    case NodeKind::set:
      return "set of " + std::to_string(graph.items(node).size());
    case NodeKind::frozenset:
      return "frozenset of " + std::to_string(graph.items(node).size());
    case NodeKind::dict:
      return "dict of " + std::to_string(graph.pairs(node).size());
    case NodeKind::global:
      return global_name(graph, node);
    case NodeKind::persistent:
      return "a storage without a tensor";
    case NodeKind::object:
      break;
  }
  std::optional<MappingView> mapping = as_mapping(graph, node);
  if (!mapping) return object_summary(graph, node);
  std::string type(graph.name(graph.object(node).callable));
  return type + " of " + std::to_string(mapping->pairs.size());
}

}  // namespace regraft
