#include "formats/torch/torch_storages.h"

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/checked.h"

namespace regraft {
namespace {

constexpr std::string_view kFolder = "data/";

// Classes that no dtype of the catalog has. The element of a quantized one is an integer; those
// that pack several numbers into a byte count the bytes.
constexpr std::array kOtherClasses = {
    StorageClass{"UntypedStorage", DType::uint8, ""},
    StorageClass{"_UntypedStorage", DType::uint8, ""},
    StorageClass{"QInt8Storage", DType::int8, "qint8"},
    StorageClass{"QUInt8Storage", DType::uint8, "quint8"},
    StorageClass{"QInt32Storage", DType::int32, "qint32"},
    StorageClass{"QUInt4x2Storage", DType::uint8, "quint4x2"},
    StorageClass{"QUInt2x4Storage", DType::uint8, "quint2x4"},
};

// What torch.jit.save calls the storages of dtypes whose class Python does not have.
constexpr std::array kScriptClasses = {
    StorageClass{"Float8_e4m3fnStorage", DType::float8_e4m3fn, ""},
    StorageClass{"Float8_e4m3fnuzStorage", DType::float8_e4m3fnuz, ""},
    StorageClass{"Float8_e5m2Storage", DType::float8_e5m2, ""},
    StorageClass{"Float8_e5m2fnuzStorage", DType::float8_e5m2fnuz, ""},
    StorageClass{"Float8_e8m0fnuStorage", DType::float8_e8m0fnu, ""},
    StorageClass{"Float4_e2m1fn_x2Storage", DType::float4_e2m1fn_x2, ""},
    StorageClass{"ComplexHalfStorage", DType::complex32, ""},
    StorageClass{"UInt64Storage", DType::uint64, ""},
    StorageClass{"UInt32Storage", DType::uint32, ""},
    StorageClass{"UInt16Storage", DType::uint16, ""},
    StorageClass{"Bits8Storage", DType::bits8, ""},
    StorageClass{"Bits16Storage", DType::bits16, ""},
    StorageClass{"Bits1x8Storage", DType::bits1x8, ""},
    StorageClass{"Bits2x4Storage", DType::bits2x4, ""},
    StorageClass{"Bits4x2Storage", DType::bits4x2, ""},
};

// The classes of all dtypes that have one, made once: they are pointed to.
const std::vector<StorageClass>& typed_classes() {
  static const std::vector<StorageClass> classes = [] {
    std::vector<StorageClass> made;
    for (const DTypeInfo& dtype : all_dtypes())
      if (!dtype.storage_class.empty()) made.push_back({dtype.storage_class, dtype.dtype, ""});
    return made;
  }();
  return classes;
}

// Null for a class that is not PyTorch's.
const StorageClass* storage_class(std::string_view module, std::string_view name) {
  if (module != "torch" && module != "torch.storage") return nullptr;
  for (const StorageClass& other : kOtherClasses)
    if (other.name == name) return &other;
  for (const StorageClass& typed : typed_classes())
    if (typed.name == name) return &typed;
  for (const StorageClass& script : kScriptClasses)
    if (script.name == name) return &script;
  return nullptr;
}

bool is_text_or_bytes(const PickleGraph& graph, NodeId id) {
  return graph.kind(id) == NodeKind::text || graph.kind(id) == NodeKind::bytes;
}

}  // namespace

bool is_of_python(const StorageClass& type) {
  return std::ranges::none_of(kScriptClasses,
                              [&](const StorageClass& script) { return script.name == type.name; });
}

Result<TorchStorages> TorchStorages::read(const PickleGraph& graph, const PickleOrigin& origin,
                                          const ZipReader& zip) {
  TorchStorages result;
  std::unordered_map<std::string_view, std::uint32_t> by_key;
  by_key.reserve(graph.persistents().size());
  for (NodeId node : graph.persistents()) {
    Location where = origin.at(graph.offset(node));
    NodeId id = graph.persistent_id(node);
    auto parts = graph.kind(id) == NodeKind::tuple ? graph.items(id) : std::span<const NodeId>();
    if (parts.size() != 5 || !is_text_or_bytes(graph, parts[0]) ||
        graph.text(parts[0]) != "storage" || graph.kind(parts[1]) != NodeKind::global ||
        graph.kind(parts[2]) != NodeKind::text || !is_text_or_bytes(graph, parts[3]) ||
        graph.kind(parts[4]) != NodeKind::integer || graph.integer(parts[4]) < 0)
      return error(Code::pickle_corrupt, std::move(where),
                   "a persistent id is not ('storage', class, key, location, size)",
                   "the file was not written by torch.save, or is damaged");
    std::string_view class_module = graph.module(parts[1]);
    std::string_view class_name = graph.name(parts[1]);
    std::string_view key = graph.text(parts[2]);
    const StorageClass* known = storage_class(class_module, class_name);
    if (known == nullptr)
      return error(Code::tensor_corrupt, std::move(where),
                   "storage " + quoted(key) + " is of an unknown class, " +
                       quoted(std::string(class_module) + "." + std::string(class_name)));
    TorchStorage storage;
    storage.type = known;
    storage.numel = static_cast<std::uint64_t>(graph.integer(parts[4]));
    auto [found, is_new] = by_key.emplace(key, static_cast<std::uint32_t>(result.storages_.size()));
    // torch.jit.save writes the storage of a meta tensor, without its bytes.
    bool meta = graph.text(parts[3]) == "meta";
    result.persistents_.push_back(node);
    result.uses_.push_back({found->second, known, meta});
    if (!is_new) {
      // An untyped storage and one of uint8 are the same to PyTorch, and so are empty ones.
      const TorchStorage& first = result.storages_[found->second];
      if (first.numel != storage.numel ||
          ((first.type->dtype != known->dtype || first.type->quantized != known->quantized) &&
           storage.numel != 0))
        return error(Code::tensor_corrupt, std::move(where),
                     "storage " + quoted(key) + " is " + std::to_string(first.numel) +
                         " elements of " + std::string(first.type->name) + " in one place and " +
                         std::to_string(storage.numel) + " of " + std::string(known->name) +
                         " in another");
      continue;
    }
    std::optional<std::uint64_t> nbytes = checked_mul(storage.numel, itemsize(known->dtype));
    storage.entry = zip.find(std::string(kFolder) + std::string(key));
    if (storage.entry == nullptr)
      return error(Code::zip_corrupt, std::move(where),
                   "the record " + quoted(std::string(kFolder) + std::string(key)) +
                       " of a storage is missing",
                   "copy or download the file again");
    bool empty = meta && storage.entry->size == 0;
    if (!empty && (!nbytes || storage.entry->size != *nbytes))
      return error(Code::tensor_corrupt,
                   file_location(zip.file().path(), storage.entry->data_offset,
                                 std::string(storage.entry->name)),
                   "the record has " + std::to_string(storage.entry->size) +
                       " bytes, but its storage states " + std::to_string(storage.numel) +
                       " elements of " + std::to_string(itemsize(known->dtype)));
    result.storages_.push_back(storage);
  }
  std::size_t prefix = zip.root().size() + 1;
  for (const ZipEntry& entry : zip.entries()) {
    std::string_view path = entry.name.substr(prefix);
    if (!path.starts_with(kFolder) || path == kFolder) continue;
    if (!by_key.contains(path.substr(kFolder.size()))) result.unused_.push_back(entry.name);
  }
  return result;
}

TorchStorages::Use TorchStorages::use_of(NodeId persistent) const {
  auto found = std::ranges::lower_bound(persistents_, persistent);
  return uses_[static_cast<std::size_t>(found - persistents_.begin())];
}

}  // namespace regraft
