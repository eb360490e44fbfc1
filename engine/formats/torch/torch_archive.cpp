#include "formats/torch/torch_archive.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <mutex>
#include <utility>

namespace regraft {

namespace {

constexpr std::uint64_t kSmallRecord = 64;  // bytes of a version, a byte order, ...
constexpr int kNewestVersion = 10;          // that torch 2.13 reads
constexpr std::size_t kNamedInRemark = 10;

constexpr std::array<std::string_view, 6> kSmallRecords = {
    "version",         ".data/version",      "byteorder",
    ".format_version", ".storage_alignment", ".data/serialization_id"};

// Reverses the bytes of each number of `width`; `bytes` begins with the first byte of one. What is
// left at the end and shorter than a number stays.
void swap_numbers(std::span<std::byte> bytes, std::size_t width) {
  for (std::size_t i = 0; i + width <= bytes.size(); i += width)
    std::ranges::reverse(bytes.subspan(i, width));
}

}  // namespace

class TorchRecordReader final : public StorageReader {
 public:
  struct Place {
    const ZipEntry* entry;
    std::uint8_t swap_width;  // 1: the bytes are as they should be
  };

  TorchRecordReader(std::shared_ptr<InputFile> file, ZipReader zip, std::uint64_t inflate_limit)
      : file_(std::move(file)), zip_(std::move(zip)), inflate_limit_(inflate_limit) {}

  [[nodiscard]] const ZipReader& zip() const { return zip_; }
  void set_places(std::vector<Place> places) { places_ = std::move(places); }

  Status read(std::uint32_t storage, std::uint64_t offset,
              std::span<std::byte> out) const override {
    assert(storage < places_.size());
    const Place& place = places_[storage];
    assert(offset <= place.entry->size && out.size() <= place.entry->size - offset);
    if (place.swap_width == 1) return read_raw(*place.entry, offset, out);
    // Whole numbers around what is asked for.
    std::uint64_t begin = offset - offset % place.swap_width;
    std::uint64_t end = offset + out.size();
    if (std::uint64_t over = end % place.swap_width; over != 0)
      end = std::min(end + place.swap_width - over, place.entry->size);
    std::vector<std::byte> numbers(end - begin);
    REGRAFT_CHECK(read_raw(*place.entry, begin, numbers));
    swap_numbers(numbers, place.swap_width);
    if (!out.empty()) std::memcpy(out.data(), numbers.data() + (offset - begin), out.size());
    return Done{};
  }
  bool direct(std::uint32_t storage) const override {
    return !places_[storage].entry->deflated && places_[storage].swap_width == 1;
  }
  const InputFile* file() const override { return file_.get(); }

 private:
  Status read_raw(const ZipEntry& entry, std::uint64_t offset, std::span<std::byte> out) const {
    if (!entry.deflated) return file_->read(entry.data_offset + offset, out);
    REGRAFT_TRY(std::shared_ptr<const std::string> bytes, inflated(entry));
    if (!out.empty()) std::memcpy(out.data(), bytes->data() + offset, out.size());
    return Done{};
  }
  // The whole record; the last one is kept.
  Result<std::shared_ptr<const std::string>> inflated(const ZipEntry& entry) const {
    std::lock_guard lock(mutex_);
    if (cached_ != &entry) {
      bytes_.reset();
      cached_ = nullptr;
      REGRAFT_TRY(std::string bytes,
                  zip_.read(entry, inflate_limit_, how_to_raise(&Limits::pickle_value_bytes)));
      bytes_ = std::make_shared<const std::string>(std::move(bytes));
      cached_ = &entry;
    }
    return bytes_;
  }

  std::shared_ptr<InputFile> file_;
  ZipReader zip_;
  std::uint64_t inflate_limit_;
  std::vector<Place> places_;
  mutable std::mutex mutex_;
  mutable const ZipEntry* cached_ = nullptr;
  mutable std::shared_ptr<const std::string> bytes_;
};

namespace {

Diagnostic missing(const ZipReader& zip, std::string_view path) {
  return error(Code::zip_corrupt, file_location(zip.file().path()),
               "the record " + quoted(path) + " is missing",
               "the file was not written by torch, or was packed again without it");
}

Status check_version(const ZipReader& zip) {
  const ZipEntry* entry = zip.find(".data/version");
  if (entry == nullptr) entry = zip.find("version");
  if (entry == nullptr) return missing(zip, "version");
  REGRAFT_TRY(std::string text, zip.read(*entry, kSmallRecord));
  std::string_view digits = text;
  if (digits.ends_with('\n')) digits.remove_suffix(1);
  bool number = !digits.empty() && digits.size() <= 3 &&
                digits.find_first_not_of("0123456789") == std::string_view::npos;
  int version = number ? std::stoi(std::string(digits)) : 0;
  if (version < 1 || version > kNewestVersion)
    return error(Code::zip_corrupt, record_place(zip, *entry),
                 "the file's version is " + quoted(digits) + "; 1 to " +
                     std::to_string(kNewestVersion) + " are known",
                 "load it with the torch that wrote it and save the state dict");
  return Done{};
}

Result<bool> is_big_endian(const ZipReader& zip) {
  const ZipEntry* entry = zip.find("byteorder");
  if (entry == nullptr) return false;  // before torch 2.1
  REGRAFT_TRY(std::string word, zip.read(*entry, kSmallRecord));
  if (word == "little") return false;
  if (word == "big") return true;
  return error(Code::zip_corrupt, record_place(zip, *entry),
               "the byte order is " + quoted(word) + ", which is neither 'little' nor 'big'");
}

// How wide the numbers of each storage are. A typed storage says; an untyped one is as its tensors.
Result<std::vector<std::uint8_t>> swap_widths(const ZipReader& zip, const Catalog& catalog,
                                              const TorchStorages& storages) {
  std::vector<std::uint8_t> widths(storages.all().size(), 0);
  for (std::size_t i = 0; i < widths.size(); ++i) {
    const TorchStorage& storage = storages.all()[i];
    if (storage.type->dtype != DType::uint8 && storage.numel > 0)
      widths[i] = info(storage.type->dtype).swap_width;
  }
  for (const Tensor& tensor : catalog.tensors) {
    if (!tensor.unsupported.empty() || catalog.storages[tensor.storage].nbytes == 0) continue;
    std::uint8_t width = info(tensor.dtype).swap_width;
    std::uint8_t& known = widths[tensor.storage];
    if (known != 0 && known != width)
      return error(Code::tensor_corrupt, record_place(zip, *storages.all()[tensor.storage].entry),
                   "the file is big-endian, and " + quoted(tensor.name) +
                       " reads a storage with another width of numbers than others do",
                   "save the file again on the machine that it is from, with the tensors cloned");
    known = width;
  }
  for (std::uint8_t& width : widths) width = std::max<std::uint8_t>(width, 1);
  return widths;
}

void add_remarks(const ZipReader& zip, const TorchStorages& storages, bool big_endian,
                 bool (*is_known)(std::string_view path), Catalog& catalog) {
  std::size_t without_crc = 0;
  std::vector<std::string_view> unknown;
  for (const ZipEntry& entry : zip.entries()) {
    if (!entry.crc32) ++without_crc;
    std::string_view path = entry.name.substr(zip.root().size() + 1);
    bool known = path == "data.pkl" || path.starts_with("data/") || path.empty() ||
                 std::ranges::find(kSmallRecords, path) != kSmallRecords.end() ||
                 (path.ends_with('/') && entry.size == 0) || is_known(path);
    if (!known) unknown.push_back(entry.name);
  }
  auto& remarks = catalog.remarks;
  if (without_crc > 0)
    remarks.push_back("no CRC stated for " + std::to_string(without_crc) + " records");
  if (big_endian) remarks.push_back("the file is big-endian; its numbers are swapped when read");
  if (!storages.unused().empty())
    remarks.push_back(std::to_string(storages.unused().size()) +
                      " storages that nothing refers to: " + some_of(storages.unused()));
  if (!unknown.empty())
    remarks.push_back(std::to_string(unknown.size()) +
                      " records that are not part of the format: " + some_of(unknown));
}

}  // namespace

Result<TorchArchive> TorchArchive::read(std::shared_ptr<InputFile> file, ZipReader opened,
                                        const Limits& limits) {
  TorchArchive archive;
  archive.reader_ = std::make_shared<TorchRecordReader>(std::move(file), std::move(opened),
                                                        limits.pickle_value_bytes);
  const ZipReader& zip = archive.zip();
  const ZipEntry* pickle = zip.find("data.pkl");
  if (pickle == nullptr) return missing(zip, "data.pkl");
  REGRAFT_CHECK(check_version(zip));
  REGRAFT_TRY(archive.big_endian_, is_big_endian(zip));

  REGRAFT_TRY(std::string stream, archive.read_metadata(*pickle, limits, &Limits::pickle_bytes));
  archive.digester_.update(as_bytes(zip.central_directory()));
  archive.origin_ = record_origin(zip, *pickle);
  REGRAFT_TRY(PickleGraph graph, read_pickle(std::move(stream), archive.origin_, limits));
  archive.graph_ = std::make_shared<const PickleGraph>(std::move(graph));
  REGRAFT_TRY(archive.storages_, TorchStorages::read(*archive.graph_, archive.origin_, zip));
  return archive;
}

const ZipReader& TorchArchive::zip() const { return reader_->zip(); }

Result<std::string> TorchArchive::read_metadata(const ZipEntry& entry, const Limits& limits,
                                                std::uint64_t Limits::* limit) {
  REGRAFT_TRY(std::string bytes, zip().read(entry, limits.*limit, how_to_raise(limit)));
  digester_.update(as_bytes(bytes));
  return bytes;
}

Result<Catalog> TorchArchive::start_catalog(std::string_view format, const Limits& limits) const {
  Catalog catalog;
  catalog.path = zip().file().path();
  catalog.format = format;
  catalog.file_bytes = zip().file().size();
  catalog.storages.reserve(storages_.all().size());
  for (const TorchStorage& storage : storages_.all()) {
    const ZipEntry& entry = *storage.entry;
    if (entry.deflated && entry.size > limits.pickle_value_bytes)
      return past_limit(record_place(zip(), entry),
                        "a compressed storage has " + std::to_string(entry.size) + " bytes", limits,
                        &Limits::pickle_value_bytes);
    catalog.storages.push_back(
        {entry.size, std::string(entry.name), entry.data_offset, entry.crc32});
  }
  return catalog;
}

Result<Checkpoint> TorchArchive::finish(Catalog catalog,
                                        bool (*is_known)(std::string_view path)) && {
  std::vector<std::uint8_t> widths(storages_.all().size(), 1);
  if (big_endian_) {
    REGRAFT_TRY(widths, swap_widths(zip(), catalog, storages_));
  }
  std::vector<TorchRecordReader::Place> places;
  places.reserve(widths.size());
  for (std::size_t i = 0; i < widths.size(); ++i)
    places.push_back({storages_.all()[i].entry, widths[i]});
  reader_->set_places(std::move(places));
  add_remarks(zip(), storages_, big_endian_, is_known, catalog);
  catalog.metadata_digest = digester_.finish();
  return Checkpoint{std::move(catalog), std::move(reader_)};
}

Location record_place(const ZipReader& zip, const ZipEntry& entry) {
  return file_location(zip.file().path(), entry.data_offset, std::string(entry.name));
}

PickleOrigin record_origin(const ZipReader& zip, const ZipEntry& entry) {
  return {zip.file().path(), entry.deflated ? 0 : entry.data_offset,
          std::string(entry.name) + (entry.deflated ? " (inflated)" : "")};
}

std::string some_of(const std::vector<std::string_view>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kNamedInRemark); ++i)
    text.append(i == 0 ? "" : ", ").append(names[i]);
  if (names.size() > kNamedInRemark)
    text += " and " + std::to_string(names.size() - kNamedInRemark) + " more";
  return text;
}

}  // namespace regraft
