// The pickle machine: a stream of opcodes becomes a graph of inert values.
//
//   80 02 7d 71 00 58 01 00 00 00 61 4b 01 73 2e      {'a': 1}
//
// It imports nothing and calls nothing. Values are nodes in an arena, referred to by index, so that
// aliases and cycles stay what they are: a list that is memoized, aliased and then changed has
// changed under both names. What a stream would call is kept as an object node: callable, arguments
// and what was put into the result.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "formats/format.h"

namespace regraft {

enum class NodeKind : std::uint8_t {
  none,
  boolean,
  integer,      // fits 64 bits
  big_integer,  // does not; text() is its little-endian two's complement, as short as can be
  real,
  text,  // UTF-8 in which surrogates may stand; strings of Python 2 are any bytes
  bytes,
  bytearray,
  tuple,
  list,
  dict,
  set,
  frozenset,
  global,      // a name that was never imported
  persistent,  // refers outside of the stream by the value object().callable
  object,      // what calling or instantiating something would have given
};

using NodeId = std::uint32_t;
inline constexpr NodeId kNoNode = 0xFFFFFFFF;

using NodePairs = std::vector<std::pair<NodeId, NodeId>>;

enum class ObjectMaker : std::uint8_t { reduce, newobj, newobj_ex, instance };

struct ObjectNode {
  ObjectMaker maker = ObjectMaker::reduce;
  NodeId callable = kNoNode;           // a global, or another object
  NodeId arguments = kNoNode;          // a tuple
  NodeId keyword_arguments = kNoNode;  // a dict; of NEWOBJ_EX
  NodeId state = kNoNode;              // of BUILD
  std::vector<NodeId> list_items;      // of APPEND, APPENDS and ADDITEMS
  NodePairs dict_items;                // of SETITEM and SETITEMS, as written: keys may repeat
};

class PickleGraph {
 public:
  [[nodiscard]] NodeId root() const { return root_; }
  [[nodiscard]] std::size_t size() const { return nodes_.size(); }
  [[nodiscard]] NodeKind kind(NodeId id) const { return nodes_[id].kind; }
  // Where the opcode that made the node stands in the stream.
  [[nodiscard]] std::uint64_t offset(NodeId id) const { return nodes_[id].offset; }

  [[nodiscard]] bool boolean(NodeId id) const { return nodes_[id].value != 0; }
  [[nodiscard]] std::int64_t integer(NodeId id) const {
    return static_cast<std::int64_t>(nodes_[id].value);
  }
  [[nodiscard]] double real(NodeId id) const;
  // Of text, bytes, bytearray and big_integer.
  [[nodiscard]] std::string_view text(NodeId id) const;
  // Of a global.
  [[nodiscard]] std::string_view module(NodeId id) const {
    return text(globals_[nodes_[id].value].first);
  }
  [[nodiscard]] std::string_view name(NodeId id) const {
    return text(globals_[nodes_[id].value].second);
  }
  // Of a tuple, list, set and frozenset.
  [[nodiscard]] std::span<const NodeId> items(NodeId id) const;
  // Of a dict, as written: keys may repeat.
  [[nodiscard]] const NodePairs& pairs(NodeId id) const { return dicts_[nodes_[id].value]; }
  [[nodiscard]] const ObjectNode& object(NodeId id) const { return objects_[nodes_[id].value]; }
  // What a persistent node refers by.
  [[nodiscard]] NodeId persistent_id(NodeId id) const {
    return static_cast<NodeId>(nodes_[id].value);
  }
  // All persistent nodes, in the stream's order.
  [[nodiscard]] const std::vector<NodeId>& persistents() const { return persistents_; }

 private:
  friend class PickleMachine;
  struct Node {
    NodeKind kind = NodeKind::none;
    std::uint32_t depth = 0;   // of the values below
    std::uint32_t length = 0;  // of a text in bytes, of a tuple in items
    std::uint32_t offset = 0;
    std::uint64_t value = 0;  // a number's bits, or where the rest is
  };
  // In the value of a text: it is in decoded_, not in the stream.
  static constexpr std::uint64_t kDecoded = 1ull << 63;

  std::string stream_;
  std::deque<std::string> decoded_;  // texts that do not stand in the stream as they are
  std::vector<Node> nodes_;
  std::vector<NodeId> tuples_;              // the items of all tuples, one after the other
  std::vector<std::vector<NodeId>> lists_;  // of lists and sets
  std::vector<NodePairs> dicts_;
  std::vector<ObjectNode> objects_;
  NodePairs globals_;  // texts: module and name
  std::vector<NodeId> persistents_;
  NodeId root_ = kNoNode;
};

// Where a stream comes from, for messages.
struct PickleOrigin {
  std::string file;
  std::uint64_t offset = 0;  // of the stream's first byte
  std::string record;
  [[nodiscard]] Location at(std::uint64_t position) const {
    return file_location(file, offset + position, record);
  }
};

// Codes: pickle-corrupt, and limit for what goes past `limits`.
Result<PickleGraph> read_pickle(std::string stream, const PickleOrigin& origin,
                                const Limits& limits);

}  // namespace regraft
