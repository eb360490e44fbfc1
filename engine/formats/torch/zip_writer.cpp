#include "formats/torch/zip_writer.h"

#include <limits>
#include <utility>

#include "formats/torch/little_endian.h"
#include "formats/torch/zip_format.h"

namespace regraft {
namespace {

using namespace zip;

constexpr std::uint16_t kVersion = 20;
constexpr std::uint16_t kVersion64 = 45;
constexpr std::uint16_t kUnix = 3 << 8;
constexpr std::uint16_t kDate = 1 << 5 | 1;  // 1 January 1980: no clock in an output
constexpr std::size_t kExtraHeader = 4;

bool is_64(std::uint64_t value) { return value >= kIn64; }
std::uint32_t in_32(std::uint64_t value) {
  return is_64(value) ? kIn64 : static_cast<std::uint32_t>(value);
}

// The zip64 field of a local header has both sizes, that of the directory what does not fit.
std::size_t local_64_size(std::uint64_t size) { return is_64(size) ? kExtraHeader + 16 : 0; }
std::size_t central_64_size(const ZipLayout::Record& record) {
  std::size_t body = (is_64(record.size) ? 16 : 0) + (is_64(record.header_offset) ? 8 : 0);
  return body == 0 ? 0 : kExtraHeader + body;
}

// What a local header and an entry of the directory have in common, from the version on.
void append_fields(std::string& out, const ZipLayout::Record& record, bool has_64,
                   std::size_t extra) {
  append_le<std::uint16_t>(out, has_64 ? kVersion64 : kVersion);
  append_le<std::uint16_t>(out, kFlagUtf8);
  append_le<std::uint16_t>(out, kStored);
  append_le<std::uint16_t>(out, 0);
  append_le<std::uint16_t>(out, kDate);
  append_le<std::uint32_t>(out, record.crc32);
  append_le<std::uint32_t>(out, in_32(record.size));
  append_le<std::uint32_t>(out, in_32(record.size));
  append_le(out, static_cast<std::uint16_t>(record.name.size()));
  append_le(out, static_cast<std::uint16_t>(extra));
}

}  // namespace

bool ZipLayout::add(std::string name, std::uint64_t size, std::uint32_t crc32,
                    std::optional<std::uint64_t> like, std::uint64_t page) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max() / 2;
  if (name.size() > std::numeric_limits<std::uint16_t>::max()) return false;
  if (size > kMost || end_ > kMost - size) return false;
  std::uint64_t unpadded = end_ + kLocalSize + name.size() + local_64_size(size) + kExtraHeader;
  std::uint64_t padding = (alignment_ - unpadded % alignment_) % alignment_;
  if (like && *like % alignment_ == 0 && page % alignment_ == 0)
    padding = (page + *like % page - unpadded % page) % page;
  records_.push_back({std::move(name), size, end_, unpadded + padding, crc32});
  end_ = unpadded + padding + size;
  central_size_ += kCentralSize + records_.back().name.size() + central_64_size(records_.back());
  return true;
}

std::string ZipLayout::local_header(const Record& record) const {
  std::string out;
  std::size_t size = record.data_offset - record.header_offset;
  std::size_t size_64 = local_64_size(record.size);
  std::size_t padding = size - kLocalSize - record.name.size() - size_64 - kExtraHeader;
  out.reserve(size);
  out += kLocalSignature;
  append_fields(out, record, size_64 > 0, size_64 + kExtraHeader + padding);
  out += record.name;
  if (size_64 > 0) {
    append_le<std::uint16_t>(out, kExtraZip64);
    append_le<std::uint16_t>(out, 16);
    append_le(out, record.size);
    append_le(out, record.size);
  }
  append_le<std::uint16_t>(out, kExtraPadding);
  append_le(out, static_cast<std::uint16_t>(padding));
  out.append(padding, 'Z');
  return out;
}

std::uint64_t ZipLayout::local_crc_offset(const Record& record) {
  return record.header_offset + 14;
}

bool ZipLayout::needs_end64() const {
  return records_.size() >= kIn64Short || is_64(end_) || is_64(central_size_);
}

std::uint64_t ZipLayout::directory_size() const {
  return central_size_ + (needs_end64() ? kEnd64Size + kLocator64Size : 0) + kEndSize;
}

std::string ZipLayout::directory() const {
  std::string out;
  out.reserve(directory_size());
  for (const Record& record : records_) {
    std::size_t size_64 = central_64_size(record);
    out += kCentralSignature;
    append_le<std::uint16_t>(out, kUnix | (size_64 > 0 ? kVersion64 : kVersion));
    append_fields(out, record, size_64 > 0, size_64);
    append_le<std::uint16_t>(out, 0);  // comment
    append_le<std::uint16_t>(out, 0);  // disk
    append_le<std::uint16_t>(out, 0);  // internal attributes
    append_le<std::uint32_t>(out, 0);  // external attributes
    append_le<std::uint32_t>(out, in_32(record.header_offset));
    out += record.name;
    if (size_64 > 0) {
      append_le<std::uint16_t>(out, kExtraZip64);
      append_le(out, static_cast<std::uint16_t>(size_64 - kExtraHeader));
      if (is_64(record.size)) {
        append_le(out, record.size);
        append_le(out, record.size);
      }
      if (is_64(record.header_offset)) append_le(out, record.header_offset);
    }
  }
  std::uint64_t count = records_.size();
  if (needs_end64()) {
    std::uint64_t end64_offset = end_ + central_size_;
    out += kEnd64Signature;
    append_le<std::uint64_t>(out, kEnd64Size - 12);
    append_le<std::uint16_t>(out, kUnix | kVersion64);
    append_le<std::uint16_t>(out, kVersion64);
    append_le<std::uint32_t>(out, 0);
    append_le<std::uint32_t>(out, 0);
    append_le<std::uint64_t>(out, count);
    append_le<std::uint64_t>(out, count);
    append_le<std::uint64_t>(out, central_size_);
    append_le<std::uint64_t>(out, end_);
    out += kLocator64Signature;
    append_le<std::uint32_t>(out, 0);
    append_le<std::uint64_t>(out, end64_offset);
    append_le<std::uint32_t>(out, 1);
  }
  auto short_count = static_cast<std::uint16_t>(count >= kIn64Short ? kIn64Short : count);
  out += kEndSignature;
  append_le<std::uint16_t>(out, 0);
  append_le<std::uint16_t>(out, 0);
  append_le<std::uint16_t>(out, short_count);
  append_le<std::uint16_t>(out, short_count);
  append_le<std::uint32_t>(out, in_32(central_size_));
  append_le<std::uint32_t>(out, in_32(end_));
  append_le<std::uint16_t>(out, 0);
  return out;
}

}  // namespace regraft
