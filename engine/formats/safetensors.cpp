// safetensors: 8 bytes little-endian length of a JSON header, the header, then the tensors' bytes,
// contiguous and little-endian, without a gap.
//
// The reader is stricter than the reference implementation: duplicate names (also through escapes),
// unknown fields and leading white space are errors, since two readers could understand them
// differently. What the reference writes is accepted, spaces after the header included.
#include <algorithm>
#include <array>
#include <cassert>
#include <map>
#include <numeric>
#include <unordered_set>

#include "base/checked.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "formats/format.h"
#include "text/json.h"

namespace regraft {
namespace {

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::string_view kMetadata = "__metadata__";
// The reference refuses a longer header, so none is written.
constexpr std::uint64_t kHeaderLimit = 100'000'000;
// The tree of a header takes more memory than its text; 4 million values are 400,000 tensors.
constexpr std::uint64_t kMaxValues = 4'000'000;

std::uint64_t header_length(std::string_view head) {
  std::uint64_t length = 0;
  for (std::size_t i = kLengthBytes; i-- > 0;) {
    length = length << 8 | static_cast<unsigned char>(head[i]);
  }
  return length;
}

// F4 counts numbers in its shape; torch's float4_e2m1fn_x2 counts bytes, two numbers each, so the
// last dimension differs by a factor of 2.
bool is_packed(DType dtype) { return dtype == DType::float4_e2m1fn_x2; }

class SafetensorsReader final : public StorageReader {
 public:
  struct Range {
    std::uint64_t offset, nbytes;
  };
  SafetensorsReader(std::shared_ptr<InputFile> file, std::vector<Range> ranges)
      : file_(std::move(file)), ranges_(std::move(ranges)) {}

  Status read(std::uint32_t storage, std::uint64_t offset,
              std::span<std::byte> out) const override {
    assert(storage < ranges_.size());
    const Range& range = ranges_[storage];
    assert(offset <= range.nbytes && out.size() <= range.nbytes - offset);
    return file_->read(range.offset + offset, out);
  }
  bool direct(std::uint32_t) const override { return true; }
  const InputFile* file() const override { return file_.get(); }

 private:
  std::shared_ptr<InputFile> file_;
  std::vector<Range> ranges_;
};

// Makes the catalog of one header.
class HeaderReader {
 public:
  HeaderReader(const InputFile& file, std::uint64_t data_begin)
      : file_(file), data_begin_(data_begin), data_bytes_(file.size() - data_begin) {
    catalog_.path = file_.path();
    catalog_.format = "safetensors";
    catalog_.file_bytes = file_.size();
  }

  // A member of the header.
  Status read(const std::string& name, const json::Value& value) {
    return name == kMetadata ? read_metadata(value) : read_tensor(name, value);
  }
  // When all have been read.
  Result<Catalog> finish() {
    REGRAFT_CHECK(check_coverage());
    Container top;
    top.entries = top.tensors = catalog_.tensors.size();
    catalog_.containers.push_back(std::move(top));
    return std::move(catalog_);
  }

 private:
  using Kind = json::Value::Kind;

  Diagnostic corrupt(const json::Value& value, const std::string& key, std::string message) const {
    return error(Code::safetensors_corrupt, file_location(file_.path(), value.offset, key),
                 std::move(message));
  }
  Diagnostic bad_tensor(const json::Value& value, const std::string& name,
                        const std::string& what) const {
    return corrupt(value, name, "the tensor " + what);
  }

  Status read_metadata(const json::Value& value) {
    const std::string name(kMetadata);
    if (value.kind != Kind::object) {
      return corrupt(value, name, "the metadata is not a JSON object");
    }
    for (const auto& [key, text] : value.entries) {
      if (text.kind != Kind::string) {
        return corrupt(text, name, "the entry " + quoted(key) + " is not a string");
      }
      catalog_.metadata.emplace_back(key, text.string);
    }
    return Done{};
  }

  Status read_tensor(const std::string& name, const json::Value& value) {
    if (value.kind != Kind::object) return bad_tensor(value, name, "is not a JSON object");
    for (const auto& [key, field] : value.entries) {
      if (key != "dtype" && key != "shape" && key != "data_offsets") {
        return bad_tensor(field, name, "has an unknown field " + quoted(key));
      }
    }
    for (const std::string_view key : {"dtype", "shape", "data_offsets"}) {
      if (value.find(key) == nullptr) {
        return bad_tensor(value, name, "has no field " + quoted(key));
      }
    }
    Tensor tensor;
    tensor.name = name;
    REGRAFT_CHECK(read_dtype(name, *value.find("dtype"), tensor));
    REGRAFT_TRY(const std::uint64_t bytes, read_shape(name, *value.find("shape"), tensor));

    const json::Value& offsets = *value.find("data_offsets");
    if (offsets.kind != Kind::array || offsets.items.size() != 2 ||
        offsets.items[0].kind != Kind::unsigned_integer ||
        offsets.items[1].kind != Kind::unsigned_integer) {
      return bad_tensor(offsets, name, "has data_offsets that are not two integers from 0 on");
    }
    const std::uint64_t begin = offsets.items[0].unsigned_integer;
    const std::uint64_t end = offsets.items[1].unsigned_integer;
    const auto range = [&] {
      return "[" + std::to_string(begin) + ", " + std::to_string(end) + "]";
    };
    if (begin > end || end > data_bytes_) {
      return bad_tensor(offsets, name,
                        "has data_offsets " + range() + " outside of the " +
                            std::to_string(data_bytes_) + " bytes of data");
    }
    if (end - begin != bytes) {
      return bad_tensor(offsets, name,
                        "has " + std::to_string(end - begin) + " bytes at data_offsets " + range() +
                            ", but its dtype and shape make " + std::to_string(bytes));
    }
    Storage storage;
    storage.nbytes = bytes;
    storage.key = name;
    storage.offset = data_begin_ + begin;
    tensor.storage = static_cast<std::uint32_t>(catalog_.storages.size());
    catalog_.storages.push_back(std::move(storage));
    catalog_.tensors.push_back(std::move(tensor));
    return Done{};
  }

  Status read_dtype(const std::string& name, const json::Value& value, Tensor& tensor) const {
    if (value.kind != Kind::string) return bad_tensor(value, name, "has a dtype that is no string");
    const auto dtype = dtype_by_safetensors(value.string);
    if (dtype) {
      tensor.dtype = *dtype;
      return Done{};
    }
    if (value.string == "F6_E2M3" || value.string == "F6_E3M2") {
      return bad_tensor(value, name, "has the dtype " + value.string + ", which torch has not");
    }
    return bad_tensor(value, name, "has an unknown dtype " + quoted(value.string));
  }

  // Gives the bytes of the tensor as well.
  Result<std::uint64_t> read_shape(const std::string& name, const json::Value& value,
                                   Tensor& tensor) const {
    if (value.kind != Kind::array) return bad_tensor(value, name, "has a shape that is no list");
    for (const json::Value& size : value.items) {
      if (size.kind != Kind::unsigned_integer || size.unsigned_integer > INT64_MAX) {
        return bad_tensor(size, name, "has a size that is no integer from 0 to 2^63 - 1");
      }
      tensor.shape.push_back(static_cast<std::int64_t>(size.unsigned_integer));
    }
    if (!numel(tensor.shape)) {
      return bad_tensor(
          value, name,
          "has more elements than 64 bits can count: shape " + to_string(tensor.shape));
    }
    if (is_packed(tensor.dtype)) {
      if (tensor.shape.empty() || tensor.shape.back() % 2 != 0) {
        return bad_tensor(value, name,
                          "has the shape " + to_string(tensor.shape) +
                              ", but F4 needs an even last size: two numbers are one byte");
      }
      tensor.shape.back() /= 2;
    }
    const auto bytes =
        checked_mul(static_cast<std::uint64_t>(*numel(tensor.shape)), itemsize(tensor.dtype));
    if (!bytes) {
      return bad_tensor(value, name,
                        "has more bytes than 64 bits can count: shape " + to_string(tensor.shape));
    }
    tensor.strides = contiguous_strides(tensor.shape);
    return *bytes;
  }

  // Every byte of the data belongs to exactly one tensor.
  Status check_coverage() const {
    std::vector<std::uint32_t> order(catalog_.storages.size());
    std::iota(order.begin(), order.end(), 0u);
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
      const Storage& x = catalog_.storages[a];
      const Storage& y = catalog_.storages[b];
      return std::pair(x.offset, x.nbytes) < std::pair(y.offset, y.nbytes);
    });
    std::uint64_t end = data_begin_;
    const Storage* before = nullptr;
    for (const std::uint32_t index : order) {
      const Storage& storage = catalog_.storages[index];
      const auto at = file_location(file_.path(), storage.offset, storage.key);
      if (storage.offset < end) {
        return error(Code::safetensors_corrupt, at,
                     "the tensor's data overlaps that of " + quoted(before->key));
      }
      if (storage.offset > end) {
        return error(Code::safetensors_corrupt, at,
                     "there is a hole of " + std::to_string(storage.offset - end) +
                         " bytes before the tensor's data");
      }
      end += storage.nbytes;
      before = &storage;
    }
    if (end != file_.size()) {
      return error(
          Code::safetensors_corrupt, file_location(file_.path(), end),
          std::to_string(file_.size() - end) + " bytes follow the data of the last tensor");
    }
    return Done{};
  }

  const InputFile& file_;
  std::uint64_t data_begin_, data_bytes_;
  Catalog catalog_;
};

// `text` is valid UTF-8.
void append_json_string(std::string& out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += "\\u00";
          out += kHex[static_cast<unsigned char>(c) >> 4];
          out += kHex[static_cast<unsigned char>(c) & 15];
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

bool valid_utf8(std::string_view text) { return find_invalid_utf8(text) == std::string_view::npos; }

class SafetensorsWriter final : public Writer {
 public:
  bool shares_storages() const override { return false; }
  bool holds_strides() const override { return false; }
  bool wants_crc32() const override { return false; }

  std::optional<std::string> refuses(const Tensor& tensor) const override {
    if (!tensor.unsupported.empty()) return "safetensors cannot hold " + tensor.unsupported;
    if (info(tensor.dtype).safetensors.empty()) {
      return "safetensors has no dtype " + std::string(name(tensor.dtype));
    }
    if (is_packed(tensor.dtype) && tensor.shape.empty()) {
      return "safetensors holds " + std::string(name(tensor.dtype)) +
             " with at least one dimension only";
    }
    if (tensor.conj) return "safetensors has no conjugate bit";
    if (tensor.neg) return "safetensors has no negative bit";
    if (tensor.name == kMetadata) {
      return "safetensors keeps the name " + quoted(kMetadata) + " for itself";
    }
    if (!valid_utf8(tensor.name)) return "safetensors has no names that are not UTF-8";
    return std::nullopt;
  }

  Result<Layout> layout(const OutputCatalog& output) const override {
    // The data is sorted by the size of the elements, so that every tensor is aligned for its dtype
    // without a gap. The header keeps the order of the output, which the format leaves free.
    const std::vector<Tensor>& tensors = output.tensors;
    assert(tensors.size() == output.storages.size());
    std::vector<std::uint32_t> order(tensors.size());
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
      return itemsize(tensors[a].dtype) > itemsize(tensors[b].dtype);
    });
    Layout layout;
    layout.storage_offsets.resize(output.storages.size());
    std::uint64_t data_bytes = 0;
    for (const std::uint32_t index : order) {
      const Tensor& tensor = tensors[index];
      const std::uint64_t bytes = nbytes(tensor);
      assert(!refuses(tensor) && tensor.offset == 0);
      assert(is_contiguous(tensor.shape, tensor.strides));
      assert(output.storages[tensor.storage].nbytes == bytes);
      layout.storage_offsets[tensor.storage] = data_bytes;
      const auto next = checked_add(data_bytes, bytes);
      if (!next) return error(Code::cannot_write, {}, "the tensors have more than 2^64 bytes");
      data_bytes = *next;
    }

    REGRAFT_TRY(std::string header, header_of(output, layout.storage_offsets));
    header.resize((header.size() + 7) / 8 * 8, ' ');
    const std::uint64_t padded = header.size() + padding(output, layout, header.size());
    if (padded <= kHeaderLimit) header.resize(padded, ' ');
    if (header.size() > kHeaderLimit) {
      return error(Code::cannot_write, {},
                   "a safetensors header has at most " + std::to_string(kHeaderLimit) +
                       " bytes, and this one has " + std::to_string(header.size()),
                   "write a .pt file, or less metadata");
    }
    std::string bytes;
    for (std::uint64_t i = 0, length = header.size(); i < kLengthBytes; ++i, length >>= 8) {
      bytes += static_cast<char>(length & 0xff);
    }
    bytes += header;
    for (std::uint64_t& offset : layout.storage_offsets) offset += bytes.size();
    layout.size = bytes.size() + data_bytes;
    layout.header.push_back({0, std::move(bytes)});
    return layout;
  }

  std::vector<Patch> finish(const OutputCatalog&, const Layout&,
                            std::span<const std::uint32_t>) const override {
    return {};
  }

 private:
  // Spaces behind a header of `size` bytes that put most of the data at offsets that are the
  // input's modulo kSharedPage. `layout`: offsets in the data.
  static std::uint64_t padding(const OutputCatalog& output, const Layout& layout,
                               std::uint64_t size) {
    std::map<std::uint64_t, std::uint64_t> bytes;  // by padding
    for (std::size_t i = 0; i < output.storages.size(); ++i) {
      const OutputStorage& storage = output.storages[i];
      if (!storage.source_offset) continue;
      const std::uint64_t now = kLengthBytes + size + layout.storage_offsets[i];
      const std::uint64_t wanted =
          (kSharedPage + *storage.source_offset % kSharedPage - now % kSharedPage) % kSharedPage;
      if (wanted % 8 == 0) bytes[wanted] += storage.nbytes;
    }
    const auto most = std::max_element(bytes.begin(), bytes.end(),
                                       [](auto& a, auto& b) { return a.second < b.second; });
    return most == bytes.end() ? 0 : most->first;
  }

  static Result<std::string> header_of(const OutputCatalog& output,
                                       const std::vector<std::uint64_t>& offsets) {
    std::vector<std::pair<std::string, std::string>> metadata = output.metadata;
    const bool has_format = std::any_of(metadata.begin(), metadata.end(),
                                        [](const auto& entry) { return entry.first == "format"; });
    // Libraries that read several frameworks' files ask for it.
    if (!has_format) metadata.insert(metadata.begin(), {"format", "pt"});

    std::string header = "{\"__metadata__\":{";
    std::unordered_set<std::string_view> keys;
    for (const auto& [key, value] : metadata) {
      if (!valid_utf8(key) || !valid_utf8(value)) {
        return error(Code::cannot_write, {},
                     "safetensors has no metadata that is not UTF-8: entry " + quoted(key));
      }
      if (!keys.insert(key).second) {
        return error(Code::cannot_write, {}, "the metadata has two entries " + quoted(key));
      }
      if (keys.size() > 1) header += ',';
      append_json_string(header, key);
      header += ':';
      append_json_string(header, value);
    }
    header += '}';
    for (const Tensor& tensor : output.tensors) {
      header += ',';
      append_json_string(header, tensor.name);
      header += ":{\"dtype\":\"";
      header += info(tensor.dtype).safetensors;
      header += "\",\"shape\":[";
      for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
        const bool doubled = is_packed(tensor.dtype) && i + 1 == tensor.shape.size();
        if (i > 0) header += ',';
        header += std::to_string(static_cast<std::uint64_t>(tensor.shape[i]) * (doubled ? 2 : 1));
      }
      const std::uint64_t begin = offsets[tensor.storage];
      header += "],\"data_offsets\":[" + std::to_string(begin) + ',' +
                std::to_string(begin + nbytes(tensor)) + "]}";
    }
    header += '}';
    return header;
  }
};

class SafetensorsFormat final : public Format {
 public:
  std::string_view name() const override { return "safetensors"; }

  std::span<const std::string_view> suffixes() const override {
    static constexpr std::array<std::string_view, 1> kSuffixes = {".safetensors"};
    return kSuffixes;
  }

  bool recognises(const InputFile&, std::string_view head) const override {
    // A length below 2^40 has three zero bytes, which no text and no other magic has in this place.
    // Longer headers than allowed are recognised too: open() says what is wrong with them.
    if (head.size() <= kLengthBytes || head[kLengthBytes] != '{') return false;
    const std::uint64_t length = header_length(head);
    return length >= 2 && length < std::uint64_t{1} << 40;
  }

  Result<Checkpoint> open(std::shared_ptr<InputFile> file, const Limits& limits) const override {
    const auto corrupt = [&](std::uint64_t offset, std::string message, std::string hint = {}) {
      return error(Code::safetensors_corrupt, file_location(file->path(), offset),
                   std::move(message), std::move(hint));
    };
    const std::string incomplete = "the file may be incomplete; get it again";
    if (file->size() < kLengthBytes) {
      return corrupt(0, "the file ends inside the length of its header", incomplete);
    }
    REGRAFT_TRY(std::string bytes, file->read_string(0, kLengthBytes));
    const std::uint64_t length = header_length(bytes);
    if (length < 2) {
      return corrupt(0, "the header has " + std::to_string(length) + " bytes, fewer than {} has");
    }
    if (length > file->size() - kLengthBytes) {
      return corrupt(0,
                     "the header has " + std::to_string(length) + " bytes, but " +
                         std::to_string(file->size() - kLengthBytes) + " follow",
                     incomplete);
    }
    if (length > limits.safetensors_header_bytes) {
      return past_limit(file_location(file->path(), 0),
                        "the header has " + std::to_string(length) + " bytes", limits,
                        &Limits::safetensors_header_bytes);
    }
    REGRAFT_TRY(const std::string header, file->read_string(kLengthBytes, length));
    if (header[0] != '{') {
      return corrupt(kLengthBytes, "the header does not begin with {");
    }
    json::Options options;
    options.code = Code::safetensors_corrupt;
    options.file = file->path();
    options.base_offset = kLengthBytes;
    options.max_depth = 8;
    options.max_values = kMaxValues;
    HeaderReader reader(*file, kLengthBytes + length);
    options.member = [&](const std::string& key, const json::Value& value) {
      return reader.read(key, value);
    };
    // It begins with {, so what it is but its members is nothing.
    if (const auto rest = json::parse(header, options); !rest.ok()) return rest.error();
    REGRAFT_TRY(Catalog catalog, reader.finish());
    bytes += header;
    catalog.metadata_digest = digest(DigestKind::sha256, as_bytes(bytes));

    std::vector<SafetensorsReader::Range> ranges;
    ranges.reserve(catalog.storages.size());
    for (const Storage& storage : catalog.storages) {
      ranges.push_back({storage.offset, storage.nbytes});
    }
    auto values = std::make_shared<const SafetensorsReader>(std::move(file), std::move(ranges));
    return Checkpoint{std::move(catalog), std::move(values)};
  }

  const Writer* writer() const override {
    static const SafetensorsWriter writer;
    return &writer;
  }
};

}  // namespace

const Format& safetensors_format() {
  static const SafetensorsFormat format;
  return format;
}

}  // namespace regraft
