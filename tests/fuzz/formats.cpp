// The readers of checkpoints and of target schemas.
#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/hash.h"
#include "formats/torch/pickle.h"
#include "formats/torch/pickle_values.h"
#include "formats/torch/zip_reader.h"
#include "formats/torch/zip_writer.h"
#include "fuzz/target.h"

namespace regraft::fuzz {

FUZZ_TARGET(zip) {
  const auto file = opened(input);
  Result<ZipReader> zip = ZipReader::open(file, small_limits());
  if (!zip) return;
  std::uint64_t stored = 0;
  for (const ZipEntry& entry : zip->entries()) {
    FUZZ_CHECK(entry.data_offset <= input.size());
    FUZZ_CHECK(entry.compressed_size <= input.size() - entry.data_offset);
    FUZZ_CHECK(entry.deflated || entry.size == entry.compressed_size);
    stored += entry.compressed_size;
    const Result<std::string> bytes = zip->read(entry, 1 << 20);
    if (bytes) FUZZ_CHECK(bytes->size() == entry.size);
    const std::string_view root = zip->root();
    if (entry.name.size() > root.size() + 1)
      FUZZ_CHECK(zip->find(entry.name.substr(root.size() + 1)) == &entry);
  }
  FUZZ_CHECK(stored <= input.size());  // none overlap
}

FUZZ_TARGET(pickle) {
  const Limits limits = small_limits();
  const Result<PickleGraph> graph = read_pickle(std::string(input), {}, limits);
  if (!graph) return;
  FUZZ_CHECK(graph->root() < graph->size());
  for (NodeId node = 0; node < graph->size(); ++node) {
    FUZZ_CHECK(graph->offset(node) < input.size());
    FUZZ_CHECK(!summary(*graph, node).empty());
    switch (graph->kind(node)) {
      case NodeKind::tuple:
      case NodeKind::list:
      case NodeKind::set:
      case NodeKind::frozenset:
        for (const NodeId item : graph->items(node)) FUZZ_CHECK(item < graph->size());
        break;
      case NodeKind::dict:
        for (const auto& [key, value] : graph->pairs(node))
          FUZZ_CHECK(key < graph->size() && value < graph->size());
        break;
      case NodeKind::persistent:
        FUZZ_CHECK(graph->persistent_id(node) < graph->size());
        break;
      default:
        break;
    }
    if (const auto mapping = as_mapping(*graph, node)) duplicate_key(*graph, mapping->pairs);
  }
}

FUZZ_TARGET(torch) {
  const Result<Checkpoint> checkpoint = open_checkpoint(file_with(input), small_limits());
  if (!checkpoint) return;
  use(*checkpoint);
  write_and_read_again(checkpoint->catalog, torch_zip_format());
  keep_and_read_again(checkpoint->catalog, torch_zip_format());
}

namespace {

// An archive with this data.pkl and the storages that it speaks of, of the sizes that it states:
// what is wrong with it, its checksums do not hide.
std::optional<std::string> archive_of(std::string_view pickle) {
  const Result<PickleGraph> graph = read_pickle(std::string(pickle), {}, small_limits());
  if (!graph) return std::nullopt;
  std::map<std::string, std::string> records = {{"archive/data.pkl", std::string(pickle)},
                                                {"archive/version", "3\n"}};
  for (const NodeId node : graph->persistents()) {
    const NodeId id = graph->persistent_id(node);
    if (graph->kind(id) != NodeKind::tuple || graph->items(id).size() != 5) continue;
    const auto parts = graph->items(id);
    if (graph->kind(parts[1]) != NodeKind::global || graph->kind(parts[2]) != NodeKind::text ||
        graph->kind(parts[4]) != NodeKind::integer)
      continue;
    std::uint64_t width = graph->name(parts[1]) == "QInt32Storage" ? 4 : 1;
    for (const DTypeInfo& dtype : all_dtypes())
      if (dtype.storage_class == graph->name(parts[1])) width = itemsize(dtype.dtype);
    const std::int64_t numel = graph->integer(parts[4]);
    if (numel < 0 || numel > 4096) continue;
    records.emplace("archive/data/" + std::string(graph->text(parts[2])),
                    std::string(static_cast<std::size_t>(numel) * width, '\1'));
  }
  ZipLayout zip(1);
  std::string file;
  for (const auto& [name, content] : records) {
    if (!zip.add(name, content.size(), crc32(as_bytes(content)))) return std::nullopt;
    file += zip.local_header(zip.records().back()) + content;
  }
  return file + zip.directory();
}

}  // namespace

FUZZ_TARGET(values) {
  const std::optional<std::string> file = archive_of(input);
  if (!file) return;
  const Result<Checkpoint> checkpoint = open_checkpoint(file_with(*file), small_limits());
  if (!checkpoint) return;
  use(*checkpoint);
  write_and_read_again(checkpoint->catalog, torch_zip_format());
  keep_and_read_again(checkpoint->catalog, torch_zip_format());
}

FUZZ_TARGET(safetensors) {
  const Result<Checkpoint> checkpoint = safetensors_format().open(opened(input), small_limits());
  if (!checkpoint) return;
  use(*checkpoint);
  write_and_read_again(checkpoint->catalog, safetensors_format());
}

namespace {

// A link to the file whose name ends in .json.
std::string as_json(const std::string& path) {
  static const std::string link = folder() + "/schema.json";
  if (access(link.c_str(), F_OK) != 0) FUZZ_CHECK(symlink(path.c_str(), link.c_str()) == 0);
  return link;
}

}  // namespace

// `j` for JSON or any other byte for YAML, then the schema.
FUZZ_TARGET(schema) {
  if (input.empty()) return;
  std::string path = file_with(input.substr(1));
  if (input.front() == 'j') path = as_json(path);
  Result<std::shared_ptr<InputFile>> file = InputFile::open(path);
  FUZZ_CHECK(file.ok());
  const Result<Checkpoint> schema = schema_format().open(std::move(*file), small_limits());
  if (schema) use(*schema);
}

}  // namespace regraft::fuzz
