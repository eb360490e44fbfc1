// The storages that a checkpoint's persistent ids name, each proven to be a record of the archive
// with exactly the bytes that it states.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "catalog/catalog.h"
#include "formats/torch/pickle.h"
#include "formats/torch/zip_reader.h"

namespace regraft {

// One class of storages, as a persistent id ('storage', class, key, location, numel) names it.
struct StorageClass {
  std::string_view name;       // "FloatStorage"
  DType dtype = DType::uint8;  // of the elements; uint8 when untyped
  std::string_view quantized;  // "qint8"; empty for all others
};

// Whether Python's torch has a class of that name; torch.jit.save has names of its own.
bool is_of_python(const StorageClass& type);

// One storage, as the first persistent id with its key has it.
struct TorchStorage {
  const StorageClass* type = nullptr;
  std::uint64_t numel = 0;
  const ZipEntry* entry = nullptr;
};

class TorchStorages {
 public:
  // Reads all persistent ids of the graph, used or not. The key of a storage is `data/KEY`.
  static Result<TorchStorages> read(const PickleGraph& graph, const PickleOrigin& origin,
                                    const ZipReader& zip);

  [[nodiscard]] const std::vector<TorchStorage>& all() const { return storages_; }
  // What a persistent node means. The class is the storage's own, but for an empty one: two dtypes
  // can be of it.
  struct Use {
    std::uint32_t index;  // into all()
    const StorageClass* type;
    bool meta;  // of the device that holds no values
  };
  [[nodiscard]] Use use_of(NodeId persistent) const;
  // Records of the archive that hold a storage which no persistent id names.
  [[nodiscard]] const std::vector<std::string_view>& unused() const { return unused_; }

 private:
  std::vector<TorchStorage> storages_;
  std::vector<NodeId> persistents_;  // ascending
  std::vector<Use> uses_;            // of each of them
  std::vector<std::string_view> unused_;
};

}  // namespace regraft
