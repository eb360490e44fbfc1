#include "formats/torch/pickle_writer.h"

#include <bit>
#include <limits>
#include <utility>

#include "formats/torch/little_endian.h"
#include "formats/torch/pickle_text.h"
#include "formats/torch/utf8_surrogates.h"

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
    integer(shortest_integer(bytes));
  }
}

void PickleWriter::integer(std::string_view little_endian) {
  if (little_endian.size() <= 0xFF) {
    op(Opcode::long1);
    append_le(out_, static_cast<std::uint8_t>(little_endian.size()));
  } else {
    op(Opcode::long4);
    append_le(out_, static_cast<std::uint32_t>(little_endian.size()));
  }
  out_ += little_endian;
}

void PickleWriter::real(double value) {
  op(Opcode::binfloat);
  const auto bits = std::bit_cast<std::uint64_t>(value);
  for (int shift = 56; shift >= 0; shift -= 8) out_ += static_cast<char>(bits >> shift & 0xFF);
}

void PickleWriter::bytes(std::string_view value) {
  global("_codecs", "encode");
  std::string latin1;
  for (const char byte : value) append_utf8(latin1, static_cast<unsigned char>(byte));
  text(latin1);
  shared_text("latin1");
  tuple(2);
  op(Opcode::reduce);
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
  shared_.emplace(std::move(key), put());
}

void PickleWriter::global(std::string_view module, std::string_view name) {
  std::string key = "g";
  key.append(module).append("\n").append(name);
  if (recall(key)) return;
  op(Opcode::global);
  out_.append(module).append("\n").append(name).append("\n");
  shared_.emplace(std::move(key), put());
}

void PickleWriter::tuple(std::size_t size) {
  constexpr Opcode kShort[] = {Opcode::empty_tuple, Opcode::tuple1, Opcode::tuple2, Opcode::tuple3};
  op(size <= 3 ? kShort[size] : Opcode::tuple);
}

std::string PickleWriter::finish() {
  op(Opcode::stop);
  return std::move(out_);
}

std::uint32_t PickleWriter::put() {
  const std::uint32_t index = put_++;
  if (index <= 0xFF) {
    op(Opcode::binput);
    append_le(out_, static_cast<std::uint8_t>(index));
  } else {
    op(Opcode::long_binput);
    append_le(out_, index);
  }
  return index;
}

void PickleWriter::get(std::uint32_t index) {
  if (index <= 0xFF) {
    op(Opcode::binget);
    append_le(out_, static_cast<std::uint8_t>(index));
  } else {
    op(Opcode::long_binget);
    append_le(out_, index);
  }
}

bool PickleWriter::recall(const std::string& key) {
  auto known = shared_.find(key);
  if (known == shared_.end()) return false;
  get(known->second);
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
