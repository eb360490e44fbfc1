// Writes pickle protocol 2, with the opcodes that torch.load(weights_only=True) reads.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "formats/torch/pickle_opcodes.h"

namespace regraft {

class PickleWriter {
 public:
  PickleWriter();

  void op(Opcode opcode) { out_ += static_cast<char>(opcode); }
  void boolean(bool value) { op(value ? Opcode::newtrue : Opcode::newfalse); }
  void integer(std::int64_t value);
  // Of any size: two's complement, little-endian.
  void integer(std::string_view little_endian);
  void real(double value);
  // _codecs.encode(text, 'latin1'): protocol 2 has no bytes.
  void bytes(std::string_view value);
  // UTF-8, in which surrogates may stand.
  void text(std::string_view value);
  // The same for what occurs again and again: written once, then taken from the memo.
  void shared_text(std::string_view value);
  void global(std::string_view module, std::string_view name);
  // A tuple of integers.
  template <typename Range>
  void integers(const Range& values) {
    bool many = values.size() > 3;
    if (many) op(Opcode::mark);
    for (std::int64_t value : values) integer(value);
    tuple(values.size());
  }
  // The last `size` values; more than three stand above a MARK.
  void tuple(std::size_t size);

  // Puts the last value into the memo, under a number of its own; get() brings it again.
  std::uint32_t put();
  void get(std::uint32_t index);

  // STOP; the whole stream.
  std::string finish();

 private:
  bool recall(const std::string& key);

  std::string out_;
  std::uint32_t put_ = 0;  // entries of the memo
  std::unordered_map<std::string, std::uint32_t> shared_;
};

// Writes the entries of a dict that is on the stack, in batches as Python does: an unpickler's
// stack stays short. Call next() before each entry and finish() after the last.
class PickleEntries {
 public:
  explicit PickleEntries(PickleWriter& writer) : writer_(writer) {}
  void next();
  void finish();

 private:
  PickleWriter& writer_;
  std::uint32_t in_batch_ = 0;
};

}  // namespace regraft
