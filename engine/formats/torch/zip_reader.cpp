#include "formats/torch/zip_reader.h"

#include <zlib.h>

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include "base/checked.h"
#include "base/hash.h"
#include "formats/torch/little_endian.h"
#include "formats/torch/zip_format.h"

namespace regraft {
namespace {

using namespace zip;

constexpr std::string_view kDamaged = "copy or download the file again";
constexpr std::string_view kRepack =
    "load it where it came from and save it with torch.save, or unpack and pack it again with one "
    "plain folder";

// Deflate cannot do better than this; an entry that says so is lying before a byte is allocated.
constexpr std::uint32_t kFolderAttribute = 0x10;  // of MS-DOS
constexpr std::uint64_t kMaxDeflateRatio = 1032;
// An archive of honest names needs far less for each entry of its directory.
constexpr std::uint64_t kMaxDirectoryBytesPerEntry = 512;
constexpr std::uint64_t kNoLimit = ~0ull;
constexpr std::size_t kWindow = 16 * 1024;
constexpr std::size_t kInflateChunk = 256 * 1024;

char fold(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Reads headers that stand near one another with few calls.
class Window {
 public:
  explicit Window(const InputFile& file) : file_(file) {}

  // The bytes [offset, offset + length), valid until the next call.
  Result<std::string_view> view(std::uint64_t offset, std::size_t length) {
    if (offset < begin_ || offset - begin_ > buffer_.size() ||
        buffer_.size() - (offset - begin_) < length) {
      std::uint64_t left = file_.size() > offset ? file_.size() - offset : 0;
      std::size_t wanted = std::max(length, std::min<std::size_t>(kWindow, left));
      buffer_.resize(wanted);
      begin_ = offset;
      Status status = file_.read(offset, std::as_writable_bytes(std::span(buffer_)));
      if (!status) {
        buffer_.clear();
        return std::move(status).error();
      }
    }
    return std::string_view(buffer_).substr(offset - begin_, length);
  }

 private:
  const InputFile& file_;
  std::uint64_t begin_ = 0;
  std::string buffer_;
};

// The extra fields of one header that are understood; `error` says why they cannot be read.
struct ExtraFields {
  std::optional<std::string_view> zip64;
  std::optional<std::string_view> unicode_path;
  const char* error = nullptr;
};

ExtraFields read_extra(std::string_view extra) {
  ExtraFields fields;
  while (!extra.empty()) {
    if (extra.size() < 4) {
      fields.error = "an extra field is cut short";
      return fields;
    }
    auto id = load_le<std::uint16_t>(extra);
    auto size = load_le<std::uint16_t>(extra, 2);
    if (extra.size() - 4 < size) {
      fields.error = "an extra field is longer than its header says";
      return fields;
    }
    std::string_view body = extra.substr(4, size);
    auto* known = id == kExtraZip64         ? &fields.zip64
                  : id == kExtraUnicodePath ? &fields.unicode_path
                                            : nullptr;
    if (known != nullptr) {
      if (known->has_value()) {
        fields.error = "an extra field stands twice";
        return fields;
      }
      *known = body;
    }
    extra.remove_prefix(4u + size);
  }
  return fields;
}

// Takes the next number of a zip64 extra field where the 32-bit field says that it is there.
bool take_64(std::uint64_t& value, std::string_view& zip64) {
  if (value != kIn64) return true;
  if (zip64.size() < 8) return false;
  value = load_le<std::uint64_t>(zip64);
  zip64.remove_prefix(8);
  return true;
}

// Raw deflate from the file into `out`, which has the size that the directory states.
class Inflater {
 public:
  Inflater() { ok_ = inflateInit2(&stream_, -MAX_WBITS) == Z_OK; }
  ~Inflater() {
    // unreached: zlib starts when it has memory; tests/faults refuses that
    if (ok_) inflateEnd(&stream_);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Null when exactly `out.size()` bytes came from exactly the entry's bytes, or what is wrong.
  Result<const char*> run(const InputFile& file, const ZipEntry& entry, std::string& out) {
    // unreached: as above
    if (!ok_) return "zlib cannot start";
    std::string chunk;
    std::uint64_t read = 0, written = 0;
    int code = Z_OK;
    char past_end = 0;  // shows whether there is more than was stated
    do {
      if (stream_.avail_in == 0) {
        if (read == entry.compressed_size) return "the compressed data is cut short";
        chunk.resize(std::min<std::uint64_t>(kInflateChunk, entry.compressed_size - read));
        REGRAFT_CHECK(
            file.read(entry.data_offset + read, std::as_writable_bytes(std::span(chunk))));
        read += chunk.size();
        stream_.next_in = reinterpret_cast<Bytef*>(chunk.data());
        stream_.avail_in = static_cast<uInt>(chunk.size());
      }
      bool full = written == out.size();
      auto room = full ? 1 : std::min<std::uint64_t>(kInflateChunk, out.size() - written);
      stream_.next_out = reinterpret_cast<Bytef*>(full ? &past_end : out.data() + written);
      stream_.avail_out = static_cast<uInt>(room);
      code = inflate(&stream_, Z_NO_FLUSH);
      auto made = room - stream_.avail_out;
      if (full && made > 0) return "the data inflates to more than the stated size";
      written += made;
      if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
        return "the compressed data is damaged";
    } while (code != Z_STREAM_END);
    if (written != out.size()) return "the data inflates to less than the stated size";
    if (stream_.avail_in > 0 || read != entry.compressed_size)
      return "there are bytes after the compressed data";
    return nullptr;
  }

 private:
  z_stream stream_ = {};
  bool ok_ = false;
};

// Whether these bytes are the data descriptor of the entry, in one of its four forms.
bool is_descriptor(std::string_view bytes, const ZipEntry& entry, std::uint32_t crc) {
  if (bytes.size() == 16 || bytes.size() == 24) {
    if (!bytes.starts_with(kDescriptorSignature)) return false;
    bytes.remove_prefix(4);
  }
  if (load_le<std::uint32_t>(bytes) != crc) return false;
  if (bytes.size() == 12)
    return load_le<std::uint32_t>(bytes, 4) == entry.compressed_size &&
           load_le<std::uint32_t>(bytes, 8) == entry.size;
  return load_le<std::uint64_t>(bytes, 4) == entry.compressed_size &&
         load_le<std::uint64_t>(bytes, 12) == entry.size;
}

bool has_parent_component(std::string_view name) {
  while (true) {
    std::size_t slash = name.find('/');
    if (name.substr(0, slash) == "..") return true;
    if (slash == std::string_view::npos) return false;
    name.remove_prefix(slash + 1);
  }
}

}  // namespace

std::size_t ZipReader::CaseFoldHash::operator()(std::string_view name) const {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (char c : name) hash = (hash ^ static_cast<unsigned char>(fold(c))) * 0x100000001b3;
  return hash;
}

bool ZipReader::CaseFoldEqual::operator()(std::string_view a, std::string_view b) const {
  return std::ranges::equal(a, b, {}, fold, fold);
}

Diagnostic ZipReader::corrupt(std::uint64_t offset, std::string_view entry, std::string message,
                              std::string hint) const {
  return error(Code::zip_corrupt, file_location(file_->path(), offset, std::string(entry)),
               std::move(message), hint.empty() ? std::string(kDamaged) : std::move(hint));
}

Result<ZipReader> ZipReader::open(std::shared_ptr<const InputFile> file, const Limits& limits) {
  ZipReader reader(std::move(file));
  REGRAFT_TRY(Directory directory, reader.find_directory());
  REGRAFT_CHECK(reader.read_directory(directory, limits));
  REGRAFT_CHECK(reader.index_names(directory.offset));
  REGRAFT_CHECK(reader.check_local_headers(directory));
  return reader;
}

bool ZipReader::lists(const InputFile& file, std::string_view path) {
  // The caller keeps the file.
  ZipReader reader(std::shared_ptr<const InputFile>(std::shared_ptr<const InputFile>(), &file));
  Result<Directory> directory = reader.find_directory();
  if (!directory || !reader.read_directory(*directory, {})) return false;
  return std::ranges::any_of(reader.entries_, [&](const ZipEntry& entry) {
    std::size_t slash = entry.name.find('/');
    return slash != std::string_view::npos && entry.name.substr(slash + 1) == path;
  });
}

Result<ZipReader::Directory> ZipReader::find_directory() const {
  std::uint64_t size = file_->size();
  if (size < kEndSize) return corrupt(0, {}, "the file is too short for a zip archive");
  constexpr std::uint64_t kLongestTail = kEndSize + 0xFFFF;
  std::uint64_t tail_size = std::min<std::uint64_t>(size, kEndSize);
  REGRAFT_TRY(std::string tail, file_->read_string(size - tail_size, tail_size));
  if (!tail.starts_with(kEndSignature)) {
    tail_size = std::min(size, kLongestTail);
    REGRAFT_TRY(tail, file_->read_string(size - tail_size, tail_size));
    std::size_t found = tail.rfind(kEndSignature);
    if (found == std::string::npos || tail.size() - found < kEndSize)
      return corrupt(size, {}, "the zip archive has no end record: the file is cut short");
    std::uint64_t after = tail.size() - found - kEndSize;
    return corrupt(size - after, {},
                   std::to_string(after) + " bytes follow the end of the zip archive",
                   "PyTorch writes none; remove them, or copy the file again");
  }
  std::uint64_t end_offset = size - kEndSize;
  if (load_le<std::uint16_t>(tail, 20) != 0)
    return corrupt(end_offset, {}, "the zip archive announces a comment that is not there");
  if (load_le<std::uint16_t>(tail, 4) != 0 || load_le<std::uint16_t>(tail, 6) != 0 ||
      load_le<std::uint16_t>(tail, 8) != load_le<std::uint16_t>(tail, 10))
    return corrupt(end_offset, {}, "the zip archive is one part of several");
  Directory directory{load_le<std::uint32_t>(tail, 16), load_le<std::uint32_t>(tail, 12),
                      load_le<std::uint16_t>(tail, 10)};
  return widen(directory, end_offset);
}

// The zip64 end record's numbers, where there is one, and the proof that the directory ends where
// the end records begin.
Result<ZipReader::Directory> ZipReader::widen(Directory directory, std::uint64_t end_offset) const {
  std::uint64_t directory_end = end_offset;
  std::string locator;
  if (end_offset >= kLocator64Size) {
    REGRAFT_TRY(locator, file_->read_string(end_offset - kLocator64Size, kLocator64Size));
  }
  if (locator.starts_with(kLocator64Signature)) {
    std::uint64_t locator_offset = end_offset - kLocator64Size;
    auto record_offset = load_le<std::uint64_t>(locator, 8);
    if (load_le<std::uint32_t>(locator, 4) != 0 || load_le<std::uint32_t>(locator, 16) > 1)
      return corrupt(locator_offset, {}, "the zip archive is one part of several");
    if (record_offset > locator_offset || locator_offset - record_offset != kEnd64Size)
      return corrupt(locator_offset, {}, "the zip64 end record is not where its locator says");
    REGRAFT_TRY(std::string record, file_->read_string(record_offset, kEnd64Size));
    if (!record.starts_with(kEnd64Signature) ||
        load_le<std::uint64_t>(record, 4) != kEnd64Size - 12)
      return corrupt(record_offset, {}, "the zip64 end record is damaged");
    if (load_le<std::uint32_t>(record, 16) != 0 || load_le<std::uint32_t>(record, 20) != 0 ||
        load_le<std::uint64_t>(record, 24) != load_le<std::uint64_t>(record, 32))
      return corrupt(record_offset, {}, "the zip archive is one part of several");
    Directory wide{load_le<std::uint64_t>(record, 48), load_le<std::uint64_t>(record, 40),
                   load_le<std::uint64_t>(record, 32)};
    if ((directory.offset != kIn64 && directory.offset != wide.offset) ||
        (directory.size != kIn64 && directory.size != wide.size) ||
        (directory.entries != kIn64Short && directory.entries != wide.entries))
      return corrupt(record_offset, {},
                     "the two end records of the zip archive contradict each other");
    directory = wide;
    directory_end = record_offset;
  } else if (directory.offset == kIn64 || directory.size == kIn64) {
    return corrupt(end_offset, {}, "the zip64 end record is missing");
  }
  std::optional<std::uint64_t> stated_end = checked_add(directory.offset, directory.size);
  if (!stated_end || *stated_end > directory_end)
    return corrupt(end_offset, {}, "the central directory of the zip archive lies past its end");
  if (*stated_end != directory_end)
    return corrupt(*stated_end, {},
                   std::to_string(directory_end - *stated_end) +
                       " bytes stand before the zip archive or between its parts",
                   "PyTorch writes none; remove them, or copy the file again");
  return directory;
}

Status ZipReader::read_directory(const Directory& directory, const Limits& limits) {
  Location where = file_location(file_->path(), directory.offset);
  if (directory.entries > limits.zip_entries)
    return past_limit(std::move(where),
                      "the zip archive has " + std::to_string(directory.entries) + " entries",
                      limits, &Limits::zip_entries);
  if (directory.entries > directory.size / kCentralSize)
    return corrupt(directory.offset, {}, "the central directory is too short for its entries");
  std::uint64_t most =
      checked_mul(checked_add<std::uint64_t>(limits.zip_entries, 256).value_or(kNoLimit),
                  kMaxDirectoryBytesPerEntry)
          .value_or(kNoLimit);
  if (directory.size > most)
    return error(Code::limit_exceeded, std::move(where),
                 "the central directory has " + std::to_string(directory.size) +
                     " bytes; the limit is " + std::to_string(most),
                 how_to_raise(&Limits::zip_entries));
  REGRAFT_TRY(std::string bytes, file_->read_string(directory.offset, directory.size));
  directory_ = std::make_unique<std::string>(std::move(bytes));
  entries_.reserve(directory.entries);
  flags_.reserve(directory.entries);
  std::size_t position = 0;
  for (std::uint64_t i = 0; i < directory.entries; ++i) {
    std::uint64_t at = directory.offset + position;
    std::size_t flags_at = position + 8;
    REGRAFT_TRY(ZipEntry entry, read_central_header(directory.offset, position));
    std::optional<std::uint64_t> end = checked_add(entry.header_offset, entry.compressed_size);
    if (!end || *end > directory.offset || directory.offset - *end < kLocalSize)
      return corrupt(at, entry.name, "the entry lies past the end of the data");
    entries_.push_back(entry);
    flags_.push_back(load_le<std::uint16_t>(*directory_, flags_at));
  }
  if (position != directory_->size())
    return corrupt(directory.offset + position, {},
                   "the central directory has more than its entries");
  return Done{};
}

Result<ZipEntry> ZipReader::read_central_header(std::uint64_t directory_offset,
                                                std::size_t& position) const {
  std::uint64_t at = directory_offset + position;
  std::string_view rest = std::string_view(*directory_).substr(position);
  if (rest.size() < kCentralSize || !rest.starts_with(kCentralSignature))
    return corrupt(at, {}, "an entry of the central directory is damaged");
  auto flags = load_le<std::uint16_t>(rest, 8);
  auto method = load_le<std::uint16_t>(rest, 10);
  auto crc = load_le<std::uint32_t>(rest, 16);
  std::size_t name_size = load_le<std::uint16_t>(rest, 28);
  std::size_t extra_size = load_le<std::uint16_t>(rest, 30);
  std::size_t comment_size = load_le<std::uint16_t>(rest, 32);
  if (rest.size() - kCentralSize < name_size + extra_size + comment_size)
    return corrupt(at, {}, "an entry of the central directory is cut short");

  ZipEntry entry;
  entry.name = rest.substr(kCentralSize, name_size);
  REGRAFT_CHECK(check_name(entry.name, at));
  if (flags & kFlagEncrypted)
    return corrupt(at, entry.name, "the entry is encrypted", "decrypt the archive first");
  if (flags & ~(kFlagLevels | kFlagDescriptor | kFlagUtf8))
    return corrupt(at, entry.name,
                   "the entry uses a feature of zip that is not supported (flags " +
                       std::to_string(flags) + ")",
                   std::string(kRepack));
  if (method != kStored && method != kDeflated)
    return corrupt(at, entry.name,
                   "the entry is compressed by method " + std::to_string(method) +
                       "; only 0 (stored) and 8 (deflated) are supported",
                   std::string(kRepack));
  entry.deflated = method == kDeflated;
  ExtraFields extra = read_extra(rest.substr(kCentralSize + name_size, extra_size));
  if (extra.error != nullptr) return corrupt(at, entry.name, extra.error);
  // Version and CRC, then the name.
  if (extra.unicode_path &&
      (extra.unicode_path->size() < 5 || extra.unicode_path->substr(5) != entry.name))
    return corrupt(at, entry.name, "the entry has a second name", std::string(kRepack));

  entry.compressed_size = load_le<std::uint32_t>(rest, 20);
  entry.size = load_le<std::uint32_t>(rest, 24);
  entry.header_offset = load_le<std::uint32_t>(rest, 42);
  std::uint64_t disk = load_le<std::uint16_t>(rest, 34);
  std::string_view zip64 = extra.zip64.value_or(std::string_view());
  if (!take_64(entry.size, zip64) || !take_64(entry.compressed_size, zip64) ||
      !take_64(entry.header_offset, zip64))
    return corrupt(at, entry.name, "the zip64 field of the entry is missing or too short");
  if (!zip64.empty()) return corrupt(at, entry.name, "the zip64 field of the entry is too long");
  // torch reads nothing of it and gives memory as it was.
  if ((load_le<std::uint32_t>(rest, 38) & kFolderAttribute) != 0 && !entry.name.ends_with('/'))
    return corrupt(at, entry.name, "the entry is marked as a folder", std::string(kRepack));
  if (disk != 0) return corrupt(at, entry.name, "the zip archive is one part of several");
  if (!entry.deflated && entry.size != entry.compressed_size)
    return corrupt(at, entry.name, "the entry is stored, but its two sizes differ");
  if (entry.deflated && entry.size / kMaxDeflateRatio > entry.compressed_size)
    return corrupt(at, entry.name, "the entry states a size that its compressed bytes cannot have");
  if (crc != 0 || entry.size == 0) entry.crc32 = crc;
  position += kCentralSize + name_size + extra_size + comment_size;
  return entry;
}

Status ZipReader::check_name(std::string_view name, std::uint64_t offset) const {
  const char* wrong = nullptr;
  if (name.empty()) {
    wrong = "an entry has an empty name";
  } else if (name.front() == '/') {
    wrong = "the entry's name is an absolute path";
  } else if (name.find('\\') != std::string_view::npos) {
    wrong = "the entry's name has a backslash";
  } else if (name.find('\0') != std::string_view::npos) {
    wrong = "the entry's name has a NUL byte";
  } else if (has_parent_component(name)) {
    wrong = "the entry's name leads out of the archive";
  }
  if (wrong != nullptr) return corrupt(offset, name, wrong, std::string(kRepack));
  return Done{};
}

// One name for each entry, also for readers that ignore case (PyTorch's own is one), and one root.
Status ZipReader::index_names(std::uint64_t directory_offset) {
  by_name_.reserve(entries_.size());
  auto offset_of = [&](const ZipEntry& entry) {
    return directory_offset + static_cast<std::uint64_t>(entry.name.data() - directory_->data()) -
           kCentralSize;
  };
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const ZipEntry& entry = entries_[i];
    auto [other, inserted] = by_name_.emplace(entry.name, i);
    if (!inserted)
      return corrupt(offset_of(entry), entry.name,
                     other->first == entry.name
                         ? "two entries have this name"
                         : "another entry has this name but for case: " + quoted(other->first),
                     std::string(kRepack));
    std::size_t slash = entry.name.find('/');
    if (slash == std::string_view::npos)
      return corrupt(offset_of(entry), entry.name, "the entry is in no folder",
                     "a PyTorch file has all entries in one folder");
    std::string_view root = entry.name.substr(0, slash);
    if (i == 0) root_ = root;
    if (root != root_)
      return corrupt(
          offset_of(entry), entry.name,
          "the archive has two folders at the top, " + quoted(root_) + " and " + quoted(root),
          "a PyTorch file has all entries in one folder");
  }
  return Done{};
}

// Reads every local header and data descriptor, in file order, and proves that entries neither
// overlap nor leave bytes between them.
Status ZipReader::check_local_headers(const Directory& directory) {
  std::vector<std::uint32_t> order(entries_.size());
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::sort(order, {}, [&](std::uint32_t i) { return entries_[i].header_offset; });
  Window window(*file_);
  if (!order.empty() && entries_[order.front()].header_offset != 0)
    return corrupt(0, {},
                   std::to_string(entries_[order.front()].header_offset) +
                       " bytes stand before the first entry of the zip archive",
                   "PyTorch writes none; remove them, or copy the file again");
  if (order.empty() && directory.offset != 0)
    return corrupt(0, {}, "the zip archive has bytes but no entries");
  for (std::size_t i = 0; i < order.size(); ++i) {
    ZipEntry& entry = entries_[order[i]];
    std::uint16_t flags = flags_[order[i]];
    std::uint64_t at = entry.header_offset;
    std::uint64_t next =
        i + 1 < order.size() ? entries_[order[i + 1]].header_offset : directory.offset;
    if (next - at < kLocalSize) return corrupt(at, entry.name, "the entry overlaps the next one");
    REGRAFT_TRY(std::string_view fixed, window.view(at, kLocalSize));
    if (!fixed.starts_with(kLocalSignature))
      return corrupt(at, entry.name, "the local header of the entry is damaged or not there");
    std::size_t name_size = load_le<std::uint16_t>(fixed, 26);
    std::size_t extra_size = load_le<std::uint16_t>(fixed, 28);
    std::size_t header_size = kLocalSize + name_size + extra_size;
    if (next - at < header_size || next - at - header_size < entry.compressed_size)
      return corrupt(at, entry.name, "the entry overlaps the next one");
    REGRAFT_TRY(std::string_view header, window.view(at, header_size));
    auto differs = [&](const char* what) {
      return corrupt(
          at, entry.name,
          std::string("the local header and the central directory disagree on the ") + what);
    };
    if (header.substr(kLocalSize, name_size) != entry.name) return differs("name");
    if (load_le<std::uint16_t>(header, 6) != flags) return differs("flags");
    if (load_le<std::uint16_t>(header, 8) != (entry.deflated ? kDeflated : kStored))
      return differs("method");
    bool streamed = (flags & kFlagDescriptor) != 0;  // its sizes and CRC may stand behind the data
    ExtraFields extra = read_extra(header.substr(kLocalSize + name_size));
    if (extra.error != nullptr) return corrupt(at, entry.name, extra.error);
    if (extra.unicode_path &&
        (extra.unicode_path->size() < 5 || extra.unicode_path->substr(5) != entry.name))
      return corrupt(at, entry.name, "the entry has a second name", std::string(kRepack));
    std::uint64_t compressed_size = load_le<std::uint32_t>(header, 18);
    std::uint64_t size = load_le<std::uint32_t>(header, 22);
    std::string_view zip64 = extra.zip64.value_or(std::string_view());
    if (!take_64(size, zip64) || !take_64(compressed_size, zip64))
      return corrupt(at, entry.name, "the zip64 field of the local header is missing or too short");
    if (size != entry.size && !(streamed && size == 0)) return differs("size");
    if (compressed_size != entry.compressed_size && !(streamed && compressed_size == 0))
      return differs("compressed size");
    auto crc = load_le<std::uint32_t>(header, 14);
    std::uint32_t central_crc = entry.crc32.value_or(0);
    if (crc != central_crc && !(streamed && crc == 0)) return differs("checksum");

    entry.data_offset = at + header_size;
    std::uint64_t end = entry.data_offset + entry.compressed_size;
    std::uint64_t gap = next - end;
    if (streamed) {
      if (gap != 12 && gap != 16 && gap != 20 && gap != 24)
        return corrupt(end, entry.name, "the data descriptor of the entry is damaged");
      REGRAFT_TRY(std::string_view descriptor, window.view(end, gap));
      if (!is_descriptor(descriptor, entry, central_crc))
        return corrupt(end, entry.name,
                       "the data descriptor and the central directory disagree, or bytes stand "
                       "between two entries");
    } else if (gap != 0) {
      return corrupt(end, entry.name,
                     std::to_string(gap) + " bytes stand between this entry and the next",
                     std::string(kRepack));
    }
  }
  flags_ = {};
  return Done{};
}

const ZipEntry* ZipReader::find(std::string_view path) const {
  std::string name;
  name.reserve(root_.size() + 1 + path.size());
  name.append(root_).append("/").append(path);
  auto found = by_name_.find(name);
  if (found == by_name_.end() || found->first != name) return nullptr;
  return &entries_[found->second];
}

Result<std::string> ZipReader::read(const ZipEntry& entry, std::uint64_t limit,
                                    std::string hint) const {
  Location where = file_location(file_->path(), entry.data_offset, std::string(entry.name));
  if (entry.size > limit)
    return error(Code::limit_exceeded, std::move(where),
                 "the entry has " + std::to_string(entry.size) + " bytes; the limit is " +
                     std::to_string(limit),
                 std::move(hint));
  std::string bytes;
  if (!entry.deflated) {
    REGRAFT_TRY(bytes, file_->read_string(entry.data_offset, entry.size));
  } else {
    bytes.resize(entry.size);
    Inflater inflater;
    REGRAFT_TRY(const char* wrong, inflater.run(*file_, entry, bytes));
    if (wrong != nullptr) return corrupt(entry.data_offset, entry.name, wrong);
  }
  if (entry.crc32 && *entry.crc32 != crc32(as_bytes(bytes)))
    return error(Code::checksum, std::move(where), "the bytes do not have the stated checksum",
                 std::string(kDamaged));
  return bytes;
}

}  // namespace regraft
