#include "formats/torch/pickle_writer.h"

#include <limits>
#include <utility>

#include "formats/torch/little_endian.h"
#include "formats/torch/pickle_text.h"

namespace regraft {
namespace {

constexpr std::uint32_t kBatch = 1000;

}  // namespace

PickleWriter::PickleWriter() {
  op(Opcode::proto);
  out_ += '\2';
}

void PickleWriter::integer(std::int64_t value) {
  if (value >= 0 && value <= 0xFF) {
    op(Opcode::binint1);
    append_le(out_, static_cast<std::uint8_t>(value));
  } else if (value >= 0 && value <= 0xFFFF) {
    op(Opcode::binint2);
    append_le(out_, static_cast<std::uint16_t>(value));
  } else if (value >= std::numeric_limits<std::int32_t>::min() &&
             value <= std::numeric_limits<std::int32_t>::max()) {
    op(Opcode::binint);
    append_le(out_, static_cast<std::uint32_t>(value));
  } else {
    std::string bytes;
    append_le(bytes, static_cast<std::uint64_t>(value));
    std::string_view shortest = shortest_integer(bytes);
    op(Opcode::long1);
    append_le(out_, static_cast<std::uint8_t>(shortest.size()));
    out_ += shortest;
  }
}

void PickleWriter::text(std::string_view value) {
  op(Opcode::binunicode);
  append_le(out_, static_cast<std::uint32_t>(value.size()));
  out_ += value;
}

void PickleWriter::shared_text(std::string_view value) {
  std::string key = "t" + std::string(value);
  if (recall(key)) return;
  text(value);
  remember(std::move(key));
}

void PickleWriter::global(std::string_view module, std::string_view name) {
  std::string key = "g";
  key.append(module).append("\n").append(name);
  if (recall(key)) return;
  op(Opcode::global);
  out_.append(module).append("\n").append(name).append("\n");
  remember(std::move(key));
}

void PickleWriter::tuple(std::size_t size) {
  constexpr Opcode kShort[] = {Opcode::empty_tuple, Opcode::tuple1, Opcode::tuple2, Opcode::tuple3};
  op(size <= 3 ? kShort[size] : Opcode::tuple);
}

std::string PickleWriter::finish() {
  op(Opcode::stop);
  return std::move(out_);
}

void PickleWriter::remember(std::string key) {
  auto index = static_cast<std::uint32_t>(memo_.size());
  memo_.emplace(std::move(key), index);
  if (index <= 0xFF) {
    op(Opcode::binput);
    append_le(out_, static_cast<std::uint8_t>(index));
  } else {
    op(Opcode::long_binput);
    append_le(out_, index);
  }
}

bool PickleWriter::recall(const std::string& key) {
  auto known = memo_.find(key);
  if (known == memo_.end()) return false;
  if (known->second <= 0xFF) {
    op(Opcode::binget);
    append_le(out_, static_cast<std::uint8_t>(known->second));
  } else {
    op(Opcode::long_binget);
    append_le(out_, known->second);
  }
  return true;
}

void PickleEntries::next() {
  if (in_batch_ == kBatch) finish();
  if (in_batch_++ == 0) writer_.op(Opcode::mark);
}

void PickleEntries::finish() {
  if (in_batch_ > 0) writer_.op(Opcode::setitems);
  in_batch_ = 0;
}

}  // namespace regraft
