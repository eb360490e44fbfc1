// The readers of checkpoints and of target schemas.
#include <unistd.h>

#include <algorithm>

#include "formats/torch/pickle.h"
#include "formats/torch/pickle_values.h"
#include "formats/torch/zip_reader.h"
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
