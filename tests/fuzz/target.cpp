#include "fuzz/target.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <vector>

#include "base/hash.h"

namespace regraft::fuzz {

const Target* find(std::string_view name) {
  const Target* target = targets;
  while (target != nullptr && target->name != name) target = target->next;
  return target;
}

std::string file_with(std::string_view bytes, int slot) {
  static std::map<int, int> files;
  const auto [file, fresh] = files.emplace(slot, -1);
  if (fresh) file->second = memfd_create("input", MFD_CLOEXEC);
  const int fd = file->second;
  FUZZ_CHECK(fd >= 0 && ftruncate(fd, 0) == 0);
  FUZZ_CHECK(pwrite(fd, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  return "/proc/self/fd/" + std::to_string(fd);
}

const std::string& folder() {
  struct Folder {
    Folder() { FUZZ_CHECK(mkdtemp(path.data()) != nullptr); }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string path = "/dev/shm/regraft-fuzz-XXXXXX";
  };
  static const Folder made;
  return made.path;
}

std::shared_ptr<InputFile> opened(std::string_view bytes) {
  auto file = InputFile::open(file_with(bytes));
  FUZZ_CHECK(file.ok());
  return std::move(file).value();
}

Limits small_limits() {
  Limits limits;
  limits.pickle_bytes = 1 << 20;
  limits.pickle_opcodes = 100'000;
  limits.pickle_depth = 100;
  limits.pickle_stack = 10'000;
  limits.pickle_memo = 10'000;
  limits.pickle_string_bytes = 1 << 16;
  limits.pickle_value_bytes = 32 << 20;
  limits.zip_entries = 1'000;
  limits.script_bytes = 1 << 20;
  limits.safetensors_header_bytes = 1 << 20;
  return limits;
}

void use(const Checkpoint& checkpoint) {
  const Catalog& catalog = checkpoint.catalog;
  for (const Tensor& tensor : catalog.tensors) {
    FUZZ_CHECK(tensor.container < catalog.containers.size());
    if (!tensor.unsupported.empty()) continue;
    FUZZ_CHECK(tensor.shape.size() == tensor.strides.size());
    FUZZ_CHECK(numel(tensor.shape).has_value());
    if (!catalog.has_values) continue;
    FUZZ_CHECK(tensor.storage < catalog.storages.size());
    const auto [begin, end] = byte_extent(tensor);
    FUZZ_CHECK(begin <= end && end <= std::max(catalog.storages[tensor.storage].nbytes, begin));
  }
  std::vector<std::byte> bytes(4096);
  for (std::uint32_t i = 0; checkpoint.reader && i < catalog.storages.size(); ++i) {
    const std::uint64_t size = catalog.storages[i].nbytes;
    if (checkpoint.reader->direct(i)) FUZZ_CHECK(size <= catalog.file_bytes);
    for (const std::uint64_t offset :
         {std::uint64_t{0}, size / 2 | 1, size - std::min(size, std::uint64_t{100})}) {
      if (offset > size) continue;
      const auto part =
          std::span(bytes).first(std::min<std::uint64_t>(size - offset, bytes.size()));
      (void)checkpoint.reader->read(i, offset, part).ok();
    }
  }
  for (const std::vector<std::string>& roots :
       {std::vector<std::string>{}, std::vector<std::string>{""}}) {
    Result<Catalog> below = select_root(catalog, roots);
    if (!below) continue;
    FUZZ_CHECK(!below->containers.empty());
    std::vector<std::string_view> names;
    for (const Tensor& tensor : below->tensors) names.push_back(tensor.name);
    std::ranges::sort(names);
    FUZZ_CHECK(std::ranges::adjacent_find(names) == names.end());
  }
}

namespace {

std::string assembled(const Writer& writer, const OutputCatalog& output, const Layout& layout) {
  std::string file(layout.size, '\0');
  const auto put = [&](const Patch& patch) {
    FUZZ_CHECK(patch.offset <= file.size() && patch.bytes.size() <= file.size() - patch.offset);
    file.replace(patch.offset, patch.bytes.size(), patch.bytes);
  };
  std::ranges::for_each(layout.header, put);
  std::vector<std::uint32_t> crcs;
  for (std::size_t i = 0; i < output.storages.size(); ++i) {
    const std::string zeros(output.storages[i].nbytes, '\0');
    crcs.push_back(crc32(as_bytes(zeros)));
    FUZZ_CHECK(layout.storage_offsets[i] + zeros.size() <= file.size());
  }
  std::ranges::for_each(writer.finish(output, layout, crcs), put);
  return file;
}

}  // namespace

namespace {

// The state dict alone, each tensor with a storage of its own; none that are too large.
OutputCatalog output_of(const Catalog& catalog, const Writer& writer) {
  OutputCatalog output;
  output.module_metadata = catalog.containers.front().metadata;
  output.has_module_metadata = !output.module_metadata.empty();
  std::uint64_t bytes = 0;
  for (Tensor tensor : catalog.tensors) {
    if (writer.refuses(tensor) || (bytes += nbytes(tensor)) > 1 << 22) continue;
    if (!writer.holds_strides()) tensor.strides = contiguous_strides(tensor.shape);
    tensor.offset = 0;
    tensor.storage = static_cast<std::uint32_t>(output.storages.size());
    const std::uint64_t wanted = byte_extent(tensor).second;
    if (wanted > 1 << 22) continue;
    output.storages.push_back({wanted, tensor.dtype});
    output.tensors.push_back(std::move(tensor));
  }
  return output;
}

}  // namespace

void write_and_read_again(const Catalog& catalog, const Format& format) {
  const Writer& writer = *format.writer();
  Result<Catalog> below = select_root(catalog, {""});
  if (!below) return;
  const OutputCatalog output = output_of(*below, writer);
  Result<Layout> layout = writer.layout(output);
  if (!layout) return;  // names that cannot be written are found here too
  const std::string file = assembled(writer, output, *layout);
  Result<Checkpoint> again = format.open(opened(file), {});
  FUZZ_CHECK(again.ok());
  FUZZ_CHECK(again->catalog.tensors.size() == output.tensors.size());
  std::map<std::string_view, const Tensor*> by_name;
  for (const Tensor& tensor : again->catalog.tensors) by_name[tensor.name] = &tensor;
  for (const Tensor& tensor : output.tensors) {
    FUZZ_CHECK(by_name.contains(tensor.name));
    const Tensor& read = *by_name[tensor.name];
    FUZZ_CHECK(read.dtype == tensor.dtype && read.shape == tensor.shape);
    if (writer.holds_strides()) FUZZ_CHECK(read.strides == tensor.strides);
    const Storage& storage = again->catalog.storages[read.storage];
    FUZZ_CHECK(storage.nbytes == output.storages[tensor.storage].nbytes ||
               !writer.shares_storages());
  }
}

void keep_and_read_again(const Catalog& catalog, const Format& format) {
  const Writer& writer = *format.writer();
  const Result<Catalog> below = select_root(catalog, {});
  if (!below || !below->extra_content) return;
  const ExtraContent& content = *below->extra_content;
  OutputCatalog output = output_of(*below, writer);
  Surroundings& around = output.surroundings;
  around.content = below->extra_content;
  around.root = below->containers.front().place;
  around.root_path = below->containers.front().path;
  for (const Extra& extra : below->extras)
    if (content.refuses(extra.place, around.root).empty()) around.places.push_back(extra.place);
  std::uint64_t bytes = 0;
  for (const std::uint32_t storage : content.storages(around.places, around.root)) {
    around.storages.emplace_back(storage, static_cast<std::uint32_t>(output.storages.size()));
    output.storages.push_back({below->storages[storage].nbytes, DType::uint8});
    bytes += below->storages[storage].nbytes;
  }
  if (bytes > 1 << 22 || output.tensors.empty()) return;
  Result<Layout> layout = writer.layout(output);
  if (!layout) return;
  const std::string file = assembled(writer, output, *layout);
  Result<Checkpoint> again = format.open(opened(file), {});
  FUZZ_CHECK(again.ok());
  const Result<Catalog> read = select_root(std::move(again->catalog), {around.root_path});
  if (!read) return;  // two keys can have one dotted path
  FUZZ_CHECK(read->tensors.size() == output.tensors.size());
  // What was written can be written again.
  for (const Extra& extra : read->extras)
    FUZZ_CHECK(read->extra_content->refuses(extra.place, read->containers.front().place).empty());
  if (output.tensors.size() == below->tensors.size() &&
      around.places.size() == below->extras.size())
    FUZZ_CHECK(read->extras.size() == below->extras.size());
}

std::pair<std::string_view, std::string_view> cut(std::string_view input) {
  constexpr std::string_view kLine = "\n---\n";
  const std::size_t at = input.find(kLine);
  if (at == input.npos) return {input, {}};
  return {input.substr(0, at), input.substr(at + kLine.size())};
}

}  // namespace regraft::fuzz
