#include "formats/torch/pickle.h"

#include <array>
#include <bit>
#include <charconv>
#include <limits>
#include <optional>
#include <unordered_map>

#include "base/checked.h"
#include "formats/torch/little_endian.h"
#include "formats/torch/pickle_opcodes.h"
#include "formats/torch/pickle_text.h"
#include "formats/torch/utf8_surrogates.h"

namespace regraft {

double PickleGraph::real(NodeId id) const { return std::bit_cast<double>(nodes_[id].value); }

std::string_view PickleGraph::text(NodeId id) const {
  const Node& node = nodes_[id];
  if (node.value & kDecoded) return decoded_[node.value & ~kDecoded];
  return std::string_view(stream_).substr(node.value, node.length);
}

std::span<const NodeId> PickleGraph::items(NodeId id) const {
  const Node& node = nodes_[id];
  if (node.kind == NodeKind::tuple) return std::span(tuples_).subspan(node.value, node.length);
  return lists_[node.value];
}

// One run over one stream. Steps return false after fail(), which keeps the first error.
class PickleMachine {
 public:
  PickleMachine(std::string stream, const PickleOrigin& origin, const Limits& limits)
      : origin_(origin), limits_(limits) {
    graph_.stream_ = std::move(stream);
    stream_ = graph_.stream_;
  }

  Result<PickleGraph> run() {
    if (stream_.size() > limits_.pickle_bytes ||
        stream_.size() >= std::numeric_limits<std::uint32_t>::max()) {
      fail_limit("the pickle has " + std::to_string(stream_.size()) + " bytes",
                 &Limits::pickle_bytes);
      return *std::move(error_);
    }
    if (stream_.empty()) fail("the pickle is empty");
    std::uint64_t count = 0;
    while (!error_ && !stopped_) {
      if (position_ == frame_end_) frame_end_ = kNoFrame;
      at_ = position_;
      if (position_ == stream_.size()) {
        fail("the pickle ends without STOP: it is cut short");
        break;
      }
      if (++count > limits_.pickle_opcodes) {
        fail_limit("the pickle has too many opcodes", &Limits::pickle_opcodes);
        break;
      }
      opcode_ = static_cast<Opcode>(stream_[position_++]);
      step();
    }
    if (error_) return *std::move(error_);
    return std::move(graph_);
  }

 private:
  using Node = PickleGraph::Node;
  static constexpr std::uint64_t kNoFrame = std::numeric_limits<std::uint64_t>::max();

  bool step();

  // Errors.
  bool fail(std::string message, std::string hint = {}) {
    if (!error_)
      error_ = error(Code::pickle_corrupt, origin_.at(at_), std::move(message), std::move(hint));
    return false;
  }
  bool fail_limit(const std::string& message, std::uint64_t Limits::* limit) {
    if (!error_) error_ = past_limit(origin_.at(at_), message, limits_, limit);
    return false;
  }
  std::string here() const { return std::string(opcode_name(opcode_)); }

  // Operands.
  std::uint64_t left() const {
    return (frame_end_ == kNoFrame ? stream_.size() : frame_end_) - position_;
  }
  bool take(std::uint64_t count, std::string_view& out) {
    if (count > left())
      return fail(here() + " needs " + std::to_string(count) + " bytes, and " +
                  std::to_string(left()) + " are left in the " +
                  (frame_end_ == kNoFrame ? "pickle" : "frame"));
    out = stream_.substr(position_, count);
    position_ += count;
    return true;
  }
  template <typename T>
  bool number(T& out) {
    std::string_view bytes;
    if (!take(sizeof(T), bytes)) return false;
    out = load_le<T>(bytes);
    return true;
  }
  bool line(std::string_view& out) {
    std::size_t end = stream_.substr(position_, left()).find('\n');
    if (end == std::string_view::npos) return fail("the line of " + here() + " has no end");
    if (end > limits_.pickle_string_bytes)
      return fail_limit("a line of " + std::to_string(end) + " bytes",
                        &Limits::pickle_string_bytes);
    out = stream_.substr(position_, end);
    position_ += end + 1;
    return true;
  }
  template <typename Length>
  bool sized(std::string_view& out) {
    Length length = 0;
    if (!number(length)) return false;
    if (!take(length, out)) return false;
    if (length > limits_.pickle_string_bytes)
      return fail_limit("a string of " + std::to_string(length) + " bytes",
                        &Limits::pickle_string_bytes);
    return true;
  }
  bool signed_length(std::uint64_t& length) {
    std::uint32_t bits = 0;
    if (!number(bits)) return false;
    if (bits > std::numeric_limits<std::int32_t>::max())
      return fail(here() + " has a negative length");
    length = bits;
    return true;
  }

  // Nodes.
  bool charge(std::uint64_t bytes) {
    charged_ += bytes;
    if (charged_ > limits_.pickle_value_bytes)
      return fail_limit("the pickle's values need too much memory", &Limits::pickle_value_bytes);
    return true;
  }
  bool make(NodeKind kind, std::uint64_t value, NodeId& id, std::uint64_t length = 0,
            std::uint32_t depth = 0) {
    if (!charge(sizeof(Node))) return false;
    if (graph_.nodes_.size() >= kNoNode) return fail("the pickle has too many values");
    id = static_cast<NodeId>(graph_.nodes_.size());
    graph_.nodes_.push_back(
        {kind, depth, static_cast<std::uint32_t>(length), static_cast<std::uint32_t>(at_), value});
    return true;
  }
  bool push(NodeId id) {
    if (stack_.size() + marks_.size() >= limits_.pickle_stack)
      return fail_limit("the pickle's stack is too long", &Limits::pickle_stack);
    stack_.push_back(id);
    return true;
  }
  bool push_new(NodeKind kind, std::uint64_t value = 0, std::uint64_t length = 0,
                std::uint32_t depth = 0) {
    NodeId id = kNoNode;
    return make(kind, value, id, length, depth) && push(id);
  }
  bool make_text(NodeKind kind, std::string_view in_stream, NodeId& id) {
    auto start = static_cast<std::uint64_t>(in_stream.data() - stream_.data());
    return make(kind, start, id, in_stream.size());
  }
  bool push_text(NodeKind kind, std::string_view in_stream) {
    NodeId id = kNoNode;
    return make_text(kind, in_stream, id) && push(id);
  }
  bool push_decoded(NodeKind kind, std::string text) {
    if (!charge(sizeof(std::string) + text.size())) return false;
    std::size_t length = text.size();
    graph_.decoded_.push_back(std::move(text));
    return push_new(kind, PickleGraph::kDecoded | (graph_.decoded_.size() - 1), length);
  }
  // Little-endian two's complement.
  bool push_integer(std::string_view bytes, bool in_stream) {
    bytes = shortest_integer(bytes);
    if (bytes.size() <= 8)
      return push_new(NodeKind::integer, static_cast<std::uint64_t>(small_integer(bytes)));
    return in_stream ? push_text(NodeKind::big_integer, bytes)
                     : push_decoded(NodeKind::big_integer, std::string(bytes));
  }
  bool push_decimal(std::string_view text) {
    if (text.size() > limits_.pickle_integer_bytes)
      return fail_limit("an integer of " + std::to_string(text.size()) + " digits",
                        &Limits::pickle_integer_bytes);
    std::optional<std::string> bytes = parse_decimal(text);
    if (!bytes) return fail(here() + " is not followed by a decimal integer");
    return push_integer(*bytes, false);
  }
  bool push_unicode(std::string_view text) {
    if (!is_utf8_with_surrogates(text)) return fail("the text of " + here() + " is not UTF-8");
    return push_text(NodeKind::text, text);
  }

  // Depth: a value that holds others is one deeper than the deepest of them.
  std::uint32_t depth(NodeId id) const { return graph_.nodes_[id].depth; }
  bool deepen(NodeId holder, NodeId held) {
    if (holder == held || depth(held) < depth(holder)) return true;
    std::uint64_t deeper = std::uint64_t{depth(held)} + 1;
    if (deeper > limits_.pickle_depth)
      return fail_limit("the pickle's values are nested too deep", &Limits::pickle_depth);
    graph_.nodes_[holder].depth = static_cast<std::uint32_t>(deeper);
    return true;
  }

  // The stack. What stands below the last mark is out of reach.
  std::size_t fence() const { return marks_.empty() ? 0 : marks_.back(); }
  bool need(std::size_t count) {
    if (stack_.size() - fence() >= count) return true;
    return fail(here() + " needs " + std::to_string(count) + " values on the stack, and " +
                std::to_string(stack_.size() - fence()) + " are there");
  }
  bool pop(NodeId& id) {
    if (!need(1)) return false;
    id = stack_.back();
    stack_.pop_back();
    return true;
  }
  // Removes the last mark; `begin` is the first value above it.
  bool pop_mark(std::size_t& begin) {
    if (marks_.empty()) return fail(here() + " needs a MARK, and none is there");
    begin = marks_.back();
    marks_.pop_back();
    return true;
  }

  NodeKind kind(NodeId id) const { return graph_.nodes_[id].kind; }
  std::vector<NodeId>& list(NodeId id) { return graph_.lists_[graph_.nodes_[id].value]; }
  NodePairs& dict(NodeId id) { return graph_.dicts_[graph_.nodes_[id].value]; }
  ObjectNode& object(NodeId id) { return graph_.objects_[graph_.nodes_[id].value]; }

  bool push_empty_list(NodeKind kind_of_list) {
    if (!charge(sizeof(std::vector<NodeId>))) return false;
    graph_.lists_.emplace_back();
    return push_new(kind_of_list, graph_.lists_.size() - 1, 0, 1);
  }
  bool push_empty_dict() {
    if (!charge(sizeof(NodePairs))) return false;
    graph_.dicts_.emplace_back();
    return push_new(NodeKind::dict, graph_.dicts_.size() - 1, 0, 1);
  }
  // A tuple of the values from `begin` up, which leave the stack.
  bool make_tuple(std::size_t begin, NodeId& id) {
    std::size_t count = stack_.size() - begin;
    if (!charge(count * sizeof(NodeId))) return false;
    std::size_t start = graph_.tuples_.size();
    graph_.tuples_.insert(graph_.tuples_.end(), stack_.begin() + static_cast<std::ptrdiff_t>(begin),
                          stack_.end());
    stack_.resize(begin);
    if (!make(NodeKind::tuple, start, id, count, 1)) return false;
    for (std::size_t i = 0; i < count; ++i)
      if (!deepen(id, graph_.tuples_[start + i])) return false;
    return true;
  }
  bool push_tuple(std::size_t begin) {
    NodeId id = kNoNode;
    return make_tuple(begin, id) && push(id);
  }
  bool push_global(NodeId module, NodeId name) {
    if (!charge(sizeof(std::pair<NodeId, NodeId>))) return false;
    graph_.globals_.emplace_back(module, name);
    return push_new(NodeKind::global, graph_.globals_.size() - 1);
  }
  bool global_lines() {
    std::string_view module, name;
    if (!line(module) || !line(name)) return false;
    if (!is_utf8_with_surrogates(module) || !is_utf8_with_surrogates(name))
      return fail("the name of " + here() + " is not UTF-8");
    NodeId module_id = kNoNode, name_id = kNoNode;
    return make_text(NodeKind::text, module, module_id) &&
           make_text(NodeKind::text, name, name_id) && push_global(module_id, name_id);
  }
  bool push_persistent(NodeId id) {
    NodeId node = kNoNode;
    if (!charge(sizeof(NodeId)) || !make(NodeKind::persistent, id, node)) return false;
    graph_.persistents_.push_back(node);
    return deepen(node, id) && push(node);
  }
  // TorchScript calls the class of an enum with the bare value, which is a tuple for all others.
  bool wrap_enum_value(NodeId callable, NodeId& argument) {
    if (kind(argument) == NodeKind::tuple || kind(callable) != NodeKind::global ||
        !graph_.module(callable).starts_with("__torch__"))
      return true;
    return push(argument) && make_tuple(stack_.size() - 1, argument);
  }
  bool push_object(ObjectMaker maker, NodeId callable, NodeId arguments,
                   NodeId keyword_arguments = kNoNode) {
    if (kind(callable) != NodeKind::global && kind(callable) != NodeKind::object)
      return fail(here() + " calls what is not a name");
    if (kind(arguments) != NodeKind::tuple)
      return fail("the arguments of " + here() + " are not a tuple");
    if (!charge(sizeof(ObjectNode))) return false;
    ObjectNode made;
    made.maker = maker;
    made.callable = callable;
    made.arguments = arguments;
    made.keyword_arguments = keyword_arguments;
    graph_.objects_.push_back(std::move(made));
    NodeId id = kNoNode;
    return make(NodeKind::object, graph_.objects_.size() - 1, id, 0, 1) && deepen(id, callable) &&
           deepen(id, arguments) &&
           (keyword_arguments == kNoNode || deepen(id, keyword_arguments)) && push(id);
  }

  // Opcodes that are more than a line.
  bool append_to(NodeId target, std::size_t begin);
  bool set_items(NodeId target, std::size_t begin);
  bool add_items(NodeId target, std::size_t begin);
  bool build();
  bool memo_put(std::uint64_t index);
  bool memo_get(std::uint64_t index);
  bool memo_index(std::uint64_t& index);
  bool text_integer();
  bool text_float();
  bool stop();

  const PickleOrigin& origin_;
  const Limits& limits_;
  PickleGraph graph_;
  std::string_view stream_;
  std::uint64_t position_ = 0;
  std::uint64_t at_ = 0;  // of the current opcode
  Opcode opcode_ = Opcode::stop;
  std::uint64_t frame_end_ = kNoFrame;
  std::vector<NodeId> stack_;
  std::vector<std::size_t> marks_;  // the stack's size when each was put
  std::vector<NodeId> memo_;        // the first indexes, without a gap
  std::unordered_map<std::uint64_t, NodeId> sparse_memo_;
  std::uint64_t charged_ = 0;
  bool stopped_ = false;
  std::optional<Diagnostic> error_;
};

bool PickleMachine::step() {
  std::string_view bytes;
  std::uint8_t u8 = 0;
  std::uint16_t u16 = 0;
  std::uint32_t u32 = 0;
  std::uint64_t u64 = 0;
  std::size_t begin = 0;
  NodeId a = kNoNode, b = kNoNode, c = kNoNode;
  switch (opcode_) {
    // The stream itself.
    case Opcode::proto:
      if (at_ != 0) return fail("PROTO is not the first opcode");
      if (!number(u8)) return false;
      return u8 <= 5 || fail("pickle protocol " + std::to_string(u8) + " is not known");
    case Opcode::frame:
      if (frame_end_ != kNoFrame) return fail("a frame begins inside of another");
      if (!number(u64)) return false;
      if (u64 > left()) return fail("a frame is longer than the pickle");
      frame_end_ = position_ + u64;
      return true;
    case Opcode::stop:
      return stop();

    // Constants and numbers.
    case Opcode::none:
      return push_new(NodeKind::none);
    case Opcode::newtrue:
      return push_new(NodeKind::boolean, 1);
    case Opcode::newfalse:
      return push_new(NodeKind::boolean, 0);
    case Opcode::int_text:
      return text_integer();
    case Opcode::binint:
      return take(4, bytes) && push_integer(bytes, true);
    case Opcode::binint1:
      return number(u8) && push_new(NodeKind::integer, u8);
    case Opcode::binint2:
      return number(u16) && push_new(NodeKind::integer, u16);
    case Opcode::long_text:
      if (!line(bytes)) return false;
      if (bytes.ends_with('L')) bytes.remove_suffix(1);
      return push_decimal(bytes);
    case Opcode::long1:
    case Opcode::long4:
      if (opcode_ == Opcode::long1 ? !number(u8) : !signed_length(u64)) return false;
      if (opcode_ == Opcode::long1) u64 = u8;
      if (!take(u64, bytes)) return false;
      if (u64 > limits_.pickle_integer_bytes)
        return fail_limit("an integer of " + std::to_string(u64) + " bytes",
                          &Limits::pickle_integer_bytes);
      return push_integer(bytes, true);
    case Opcode::float_text:
      return text_float();
    case Opcode::binfloat:
      if (!take(8, bytes)) return false;
      for (char byte : bytes) u64 = u64 << 8 | static_cast<unsigned char>(byte);
      return push_new(NodeKind::real, u64);

    // Texts and bytes. Byte strings of Python 2 are texts, as torch.load takes them.
    case Opcode::string: {
      if (!line(bytes)) return false;
      std::optional<std::string> text = unescape_string(bytes);
      return text ? push_decoded(NodeKind::text, *std::move(text))
                  : fail("the string of STRING is not quoted or not escaped as it should be");
    }
    case Opcode::binstring:
      if (!signed_length(u64) || !take(u64, bytes)) return false;
      if (u64 > limits_.pickle_string_bytes)
        return fail_limit("a string of " + std::to_string(u64) + " bytes",
                          &Limits::pickle_string_bytes);
      return push_text(NodeKind::text, bytes);
    case Opcode::short_binstring:
      return sized<std::uint8_t>(bytes) && push_text(NodeKind::text, bytes);
    case Opcode::unicode: {
      if (!line(bytes)) return false;
      std::optional<std::string> text = unescape_unicode(bytes);
      return text ? push_decoded(NodeKind::text, *std::move(text))
                  : fail("the text of UNICODE is not escaped as it should be");
    }
    case Opcode::short_binunicode:
      return sized<std::uint8_t>(bytes) && push_unicode(bytes);
    case Opcode::binunicode:
      return sized<std::uint32_t>(bytes) && push_unicode(bytes);
    case Opcode::binunicode8:
      return sized<std::uint64_t>(bytes) && push_unicode(bytes);
    case Opcode::short_binbytes:
      return sized<std::uint8_t>(bytes) && push_text(NodeKind::bytes, bytes);
    case Opcode::binbytes:
      return sized<std::uint32_t>(bytes) && push_text(NodeKind::bytes, bytes);
    case Opcode::binbytes8:
      return sized<std::uint64_t>(bytes) && push_text(NodeKind::bytes, bytes);
    case Opcode::bytearray8:
      return sized<std::uint64_t>(bytes) && push_text(NodeKind::bytearray, bytes);

    // Tuples, lists, dicts, sets.
    case Opcode::empty_tuple:
      return push_tuple(stack_.size());
    case Opcode::tuple:
      return pop_mark(begin) && push_tuple(begin);
    case Opcode::tuple1:
      return need(1) && push_tuple(stack_.size() - 1);
    case Opcode::tuple2:
      return need(2) && push_tuple(stack_.size() - 2);
    case Opcode::tuple3:
      return need(3) && push_tuple(stack_.size() - 3);
    case Opcode::empty_list:
      return push_empty_list(NodeKind::list);
    case Opcode::empty_set:
      return push_empty_list(NodeKind::set);
    case Opcode::empty_dict:
      return push_empty_dict();
    case Opcode::list:
    case Opcode::frozenset:
    case Opcode::dict: {
      // Made above the values that it is then filled with.
      if (!pop_mark(begin)) return false;
      bool is_dict = opcode_ == Opcode::dict;
      NodeKind new_kind = opcode_ == Opcode::list ? NodeKind::list : NodeKind::frozenset;
      if (!(is_dict ? push_empty_dict() : push_empty_list(new_kind)) || !pop(a)) return false;
      if (is_dict ? !set_items(a, begin) : !append_to(a, begin)) return false;
      return push(a);
    }
    case Opcode::append:
      return need(2) && append_to(stack_[stack_.size() - 2], stack_.size() - 1);
    case Opcode::appends:
      return pop_mark(begin) && (begin > fence() || fail("APPENDS has nothing to append to")) &&
             append_to(stack_[begin - 1], begin);
    case Opcode::setitem:
      return need(3) && set_items(stack_[stack_.size() - 3], stack_.size() - 2);
    case Opcode::setitems:
      return pop_mark(begin) && (begin > fence() || fail("SETITEMS has nothing to set in")) &&
             set_items(stack_[begin - 1], begin);
    case Opcode::additems:
      return pop_mark(begin) && (begin > fence() || fail("ADDITEMS has nothing to add to")) &&
             add_items(stack_[begin - 1], begin);

    // Names and what would be called.
    case Opcode::global:
      return global_lines();
    case Opcode::stack_global:
      if (!pop(b) || !pop(a)) return false;
      if (kind(a) != NodeKind::text || kind(b) != NodeKind::text)
        return fail("STACK_GLOBAL needs two texts");
      return push_global(a, b);
    case Opcode::reduce:
      return pop(b) && pop(a) && wrap_enum_value(a, b) && push_object(ObjectMaker::reduce, a, b);
    case Opcode::newobj:
      return pop(b) && pop(a) && push_object(ObjectMaker::newobj, a, b);
    case Opcode::newobj_ex:
      if (!pop(c) || !pop(b) || !pop(a)) return false;
      if (kind(c) != NodeKind::dict)
        return fail("the keyword arguments of NEWOBJ_EX are not a dict");
      return push_object(ObjectMaker::newobj_ex, a, b, c);
    case Opcode::inst:
      if (!pop_mark(begin) || !make_tuple(begin, b)) return false;
      return global_lines() && pop(a) && push_object(ObjectMaker::instance, a, b);
    case Opcode::obj:
      if (!pop_mark(begin)) return false;
      if (begin == stack_.size()) return fail("OBJ has no class");
      a = stack_[begin];
      if (!make_tuple(begin + 1, b)) return false;
      stack_.pop_back();
      return push_object(ObjectMaker::instance, a, b);
    case Opcode::build:
      return build();
    case Opcode::persid: {
      if (!line(bytes)) return false;
      if (!is_utf8_with_surrogates(bytes)) return fail("the persistent id is not UTF-8");
      return make_text(NodeKind::text, bytes, a) && push_persistent(a);
    }
    case Opcode::binpersid:
      return pop(a) && push_persistent(a);

    // The stack and the memo.
    case Opcode::mark:
      if (stack_.size() + marks_.size() >= limits_.pickle_stack)
        return fail_limit("the pickle's stack is too long", &Limits::pickle_stack);
      marks_.push_back(stack_.size());
      return true;
    case Opcode::pop:
      if (!marks_.empty() && stack_.size() == marks_.back()) return pop_mark(begin);
      return pop(a);
    case Opcode::pop_mark:
      if (!pop_mark(begin)) return false;
      stack_.resize(begin);
      return true;
    case Opcode::dup:
      return need(1) && push(stack_.back());
    case Opcode::put:
      return memo_index(u64) && memo_put(u64);
    case Opcode::binput:
      return number(u8) && memo_put(u8);
    case Opcode::long_binput:
      return number(u32) && memo_put(u32);
    case Opcode::memoize:
      return memo_put(memo_.size() + sparse_memo_.size());
    case Opcode::get:
      return memo_index(u64) && memo_get(u64);
    case Opcode::binget:
      return number(u8) && memo_get(u8);
    case Opcode::long_binget:
      return number(u32) && memo_get(u32);

    case Opcode::ext1:
    case Opcode::ext2:
    case Opcode::ext4:
    case Opcode::next_buffer:
    case Opcode::readonly_buffer:
      return fail(here() + " refers to something outside of the file");
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  auto byte = static_cast<unsigned char>(opcode_);
  return fail(std::string("0x") + kDigits[byte >> 4] + kDigits[byte & 15] +
              " is not an opcode of pickle");
}

bool PickleMachine::append_to(NodeId target, std::size_t begin) {
  NodeKind target_kind = kind(target);
  // LIST and FROZENSET fill what they have just made.
  bool fits = target_kind == NodeKind::list || target_kind == NodeKind::object ||
              (target_kind == NodeKind::frozenset && opcode_ == Opcode::frozenset);
  if (!fits) return fail(here() + " on what is not a list");
  if (!charge((stack_.size() - begin) * 2 * sizeof(NodeId))) return false;
  for (std::size_t i = begin; i < stack_.size(); ++i)
    if (!deepen(target, stack_[i])) return false;
  auto& items = target_kind == NodeKind::object ? object(target).list_items : list(target);
  items.insert(items.end(), stack_.begin() + static_cast<std::ptrdiff_t>(begin), stack_.end());
  stack_.resize(begin);
  return true;
}

bool PickleMachine::set_items(NodeId target, std::size_t begin) {
  NodeKind target_kind = kind(target);
  if (target_kind != NodeKind::dict && target_kind != NodeKind::object)
    return fail(here() + " on what is not a dict");
  if ((stack_.size() - begin) % 2 != 0) return fail(here() + " has a key without a value");
  if (!charge((stack_.size() - begin) * 2 * sizeof(NodeId))) return false;
  auto& pairs = target_kind == NodeKind::object ? object(target).dict_items : dict(target);
  for (std::size_t i = begin; i < stack_.size(); i += 2) {
    if (!deepen(target, stack_[i]) || !deepen(target, stack_[i + 1])) return false;
    pairs.emplace_back(stack_[i], stack_[i + 1]);
  }
  stack_.resize(begin);
  return true;
}

bool PickleMachine::add_items(NodeId target, std::size_t begin) {
  NodeKind target_kind = kind(target);
  if (target_kind != NodeKind::set && target_kind != NodeKind::object)
    return fail(here() + " on what is not a set");
  if (!charge((stack_.size() - begin) * 2 * sizeof(NodeId))) return false;
  for (std::size_t i = begin; i < stack_.size(); ++i)
    if (!deepen(target, stack_[i])) return false;
  auto& items = target_kind == NodeKind::object ? object(target).list_items : list(target);
  items.insert(items.end(), stack_.begin() + static_cast<std::ptrdiff_t>(begin), stack_.end());
  stack_.resize(begin);
  return true;
}

bool PickleMachine::build() {
  NodeId state = kNoNode;
  if (!need(2) || !pop(state)) return false;
  NodeId target = stack_.back();
  if (kind(target) != NodeKind::object) return fail("BUILD on what is not an object");
  if (object(target).state != kNoNode) return fail("BUILD on what has its state already");
  object(target).state = state;
  return deepen(target, state);
}

bool PickleMachine::memo_put(std::uint64_t index) {
  if (!need(1)) return false;
  NodeId id = stack_.back();
  if (index < memo_.size()) {
    memo_[index] = id;
    return true;
  }
  auto known = sparse_memo_.find(index);
  if (known != sparse_memo_.end()) {
    known->second = id;
    return true;
  }
  if (memo_.size() + sparse_memo_.size() >= limits_.pickle_memo)
    return fail_limit("the pickle's memo is too long", &Limits::pickle_memo);
  bool next = index == memo_.size();
  if (!charge(next ? 2 * sizeof(NodeId) : 64)) return false;
  if (next) {
    memo_.push_back(id);
  } else {
    sparse_memo_.emplace(index, id);
  }
  return true;
}

bool PickleMachine::memo_get(std::uint64_t index) {
  if (index < memo_.size()) return push(memo_[index]);
  auto known = sparse_memo_.find(index);
  if (known == sparse_memo_.end())
    return fail(here() + " asks for memo " + std::to_string(index) + ", which is not there");
  return push(known->second);
}

bool PickleMachine::memo_index(std::uint64_t& index) {
  std::string_view text;
  if (!line(text)) return false;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (code == std::errc() && end == text.data() + text.size()) return true;
  return fail("the memo index of " + here() + " is not a number or too large");
}

bool PickleMachine::text_integer() {
  std::string_view text;
  if (!line(text)) return false;
  if (text == "00" || text == "01") return push_new(NodeKind::boolean, text == "01");
  return push_decimal(text);
}

bool PickleMachine::text_float() {
  std::string_view text;
  if (!line(text)) return false;
  double value = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || code != std::errc())
    return fail("FLOAT is not followed by a decimal number");
  return push_new(NodeKind::real, std::bit_cast<std::uint64_t>(value));
}

bool PickleMachine::stop() {
  if (!marks_.empty() || stack_.size() != 1)
    return fail("STOP with " + std::to_string(stack_.size()) + " values on the stack and " +
                std::to_string(marks_.size()) + " marks; one value is right");
  if (position_ != stream_.size())
    return fail(std::to_string(stream_.size() - position_) + " bytes follow the end of the pickle");
  graph_.root_ = stack_.back();
  stopped_ = true;
  return true;
}

Result<PickleGraph> read_pickle(std::string stream, const PickleOrigin& origin,
                                const Limits& limits) {
  return PickleMachine(std::move(stream), origin, limits).run();
}

}  // namespace regraft
