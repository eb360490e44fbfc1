// Outputs that stay in memory: a writer whose file is a block of bytes.
#include <algorithm>

#include "base/checked.h"
#include "formats/format.h"

namespace regraft {
namespace {

// Of every storage, so that vector instructions find their operands aligned, as torch's allocator
// does it.
constexpr std::uint64_t kAlignment = 64;

class MemoryWriter final : public Writer {
 public:
  bool shares_storages() const override { return true; }
  bool holds_strides() const override { return true; }
  bool wants_crc32() const override { return false; }
  bool in_memory() const override { return true; }
  std::optional<std::string> refuses(const Tensor&) const override { return std::nullopt; }
  Result<Layout> layout(const OutputCatalog& output) const override {
    Layout layout;
    for (const OutputStorage& storage : output.storages) {
      layout.storage_offsets.push_back(layout.size);
      const std::uint64_t padded = checked_add(storage.nbytes, kAlignment - 1).value_or(UINT64_MAX);
      const auto next = checked_add(layout.size, padded / kAlignment * kAlignment);
      if (!next)
        return error(Code::limit_exceeded, {}, "the model has more bytes than memory can have");
      layout.size = *next;
    }
    return layout;
  }
  std::vector<Patch> finish(const OutputCatalog&, const Layout&,
                            std::span<const std::uint32_t>) const override {
    return {};
  }
};

class MemoryFormat final : public Format {
 public:
  std::string_view name() const override { return "memory"; }
  std::span<const std::string_view> suffixes() const override { return {}; }
  bool recognises(const InputFile&, std::string_view) const override { return false; }
  Result<Checkpoint> open(std::shared_ptr<InputFile> file, const Limits&) const override {
    return error(Code::not_a_checkpoint, file_location(file->path()), "memory is not a file");
  }
  const Writer* writer() const override { return &writer_; }

 private:
  MemoryWriter writer_;
};

}  // namespace

const Format& memory_format() {
  static const MemoryFormat format;
  return format;
}

}  // namespace regraft
