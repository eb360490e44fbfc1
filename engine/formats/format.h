// A checkpoint format: a reader that gives a Catalog and reads ranges, and a writer that is two
// pure functions. A new format is one new file and one line in registry.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "catalog/catalog.h"
#include "formats/file.h"
#include "formats/limits.h"

namespace regraft {

// Reads the bytes of a checkpoint's storages. Thread-safe.
class StorageReader {
 public:
  virtual ~StorageReader() = default;
  // Bytes [offset, offset + out.size()) of a storage, little-endian whatever the file's byte order.
  virtual Status read(std::uint32_t storage, std::uint64_t offset,
                      std::span<std::byte> out) const = 0;
  // True when read() gives the file's bytes unchanged from Storage::offset on (not compressed, not
  // byte-swapped), so that ranges may be copied by file offset.
  [[nodiscard]] virtual bool direct(std::uint32_t storage) const = 0;
  [[nodiscard]] virtual const InputFile* file() const = 0;  // null: in memory
};

struct Checkpoint {
  Catalog catalog;
  std::shared_ptr<const StorageReader> reader;  // null: no values (Catalog::has_values is false)
};

// What is to be written, in order. Storages are whole: a tensor is a view of one of them.
struct OutputStorage {
  std::uint64_t nbytes = 0;
  DType dtype = DType::uint8;  // of its first view: typed storages of .pt need one
  // Of large ones that are bytes of an input: where in its file. A writer tries to put them where
  // the offset is the same modulo kSharedPage, so that a file system can share what lies on whole
  // pages.
  std::optional<std::uint64_t> source_offset;
  std::optional<std::uint32_t> crc32;  // what it will be, as far as that is known
};
inline constexpr std::uint64_t kSharedPage = 4096;
struct OutputCatalog {
  std::vector<Tensor> tensors;  // `storage` indexes `storages`; container is not used
  std::vector<OutputStorage> storages;
  std::vector<ModuleMetadata> module_metadata;                // of a .pt state dict
  bool has_module_metadata = false;                           // the source had a `_metadata`
  std::vector<std::pair<std::string, std::string>> metadata;  // of safetensors, in order
  Surroundings surroundings;                                  // of a .pt state dict
};

struct Patch {
  std::uint64_t offset;
  std::string bytes;
};
// Where everything of the output goes; depends on the OutputCatalog alone.
struct Layout {
  std::uint64_t size = 0;
  std::vector<Patch> header;                   // all bytes that are known before any data
  std::vector<std::uint64_t> storage_offsets;  // one for each OutputStorage
};

class Writer {
 public:
  virtual ~Writer() = default;
  [[nodiscard]] virtual bool shares_storages()
      const = 0;  // false: every tensor has bytes of its own
  [[nodiscard]] virtual bool holds_strides() const = 0;
  [[nodiscard]] virtual bool wants_crc32() const = 0;             // finish() uses checksums
  [[nodiscard]] virtual bool in_memory() const { return false; }  // no file: tensors alone
  // Whether OutputCatalog::surroundings can be written, of content that Format::open() of the same
  // format gave.
  [[nodiscard]] virtual bool holds_surroundings() const { return false; }
  // Null, or why this tensor cannot be written ("safetensors has no dtype complex32").
  [[nodiscard]] virtual std::optional<std::string> refuses(const Tensor& tensor) const = 0;
  [[nodiscard]] virtual Result<Layout> layout(const OutputCatalog& output) const = 0;
  // What can only be known at the end: checksums. `crcs`: one for each storage.
  [[nodiscard]] virtual std::vector<Patch> finish(const OutputCatalog& output, const Layout& layout,
                                                  std::span<const std::uint32_t> crcs) const = 0;
};

class Format {
 public:
  virtual ~Format() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  [[nodiscard]] virtual std::span<const std::string_view> suffixes()
      const = 0;  // of outputs; with dot
  // By content, not by name: `head` is the first 4 KiB.
  [[nodiscard]] virtual bool recognises(const InputFile& file, std::string_view head) const = 0;
  [[nodiscard]] virtual Result<Checkpoint> open(std::shared_ptr<InputFile> file,
                                                const Limits& limits) const = 0;
  [[nodiscard]] virtual const Writer* writer() const = 0;  // null: read only
};

std::span<const Format* const> all_formats();
// Opens a checkpoint of any format; not-a-checkpoint says what the file looks like instead (HTML,
// PNG, 7z, gzip, a git-LFS pointer, an empty file, a pickle without a zip, ...).
Result<Checkpoint> open_checkpoint(const std::string& path, const Limits& limits = {});
// The format that an output's suffix names; usage error that lists the suffixes.
Result<const Format*> format_for_output(const std::string& path);

// The formats, each in its own file.
const Format& torch_zip_format();
const Format& torchscript_format();
const Format& safetensors_format();
const Format& schema_format();

// Not one of all_formats(): an output in memory, every storage at an address that suits its dtype.
const Format& memory_format();

}  // namespace regraft
