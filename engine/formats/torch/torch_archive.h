// What the zip files of torch.save and of torch.jit.save have in common: a version, a byte order,
// the pickle `data.pkl`, and a record for each storage.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "base/result.h"
#include "formats/format.h"
#include "formats/torch/pickle.h"
#include "formats/torch/torch_storages.h"
#include "formats/torch/zip_reader.h"

namespace regraft {

class TorchRecordReader;

class TorchArchive {
 public:
  // All of the archive that is no tensor data and no code.
  static Result<TorchArchive> read(std::shared_ptr<InputFile> file, ZipReader zip,
                                   const Limits& limits);

  [[nodiscard]] const ZipReader& zip() const;
  [[nodiscard]] const PickleGraph& graph() const { return *graph_; }
  [[nodiscard]] std::shared_ptr<const PickleGraph> shared_graph() const { return graph_; }
  [[nodiscard]] const PickleOrigin& origin() const { return origin_; }  // of the graph
  [[nodiscard]] const TorchStorages& storages() const { return storages_; }
  [[nodiscard]] bool big_endian() const { return big_endian_; }

  // Another record that says what the tensors are; the digest of the metadata covers it.
  Result<std::string> read_metadata(const ZipEntry& entry, const Limits& limits,
                                    std::uint64_t Limits::* limit);

  // The file and its storages; no tensors yet.
  [[nodiscard]] Result<Catalog> start_catalog(std::string_view format, const Limits& limits) const;
  // `is_known` says which paths below the root are part of the format, beside those that both kinds
  // of archives have; the others become a remark.
  Result<Checkpoint> finish(Catalog catalog, bool (*is_known)(std::string_view path)) &&;

 private:
  TorchArchive() = default;

  std::shared_ptr<TorchRecordReader> reader_;
  Digester digester_{DigestKind::sha256};
  bool big_endian_ = false;
  PickleOrigin origin_;
  std::shared_ptr<const PickleGraph> graph_;
  TorchStorages storages_;
};

// Where a record of the archive stands.
Location record_place(const ZipReader& zip, const ZipEntry& entry);
// The same for places inside of a record whose bytes have been read.
PickleOrigin record_origin(const ZipReader& zip, const ZipEntry& entry);
// "data/3, data/4 and 5 more".
std::string some_of(const std::vector<std::string_view>& names);

}  // namespace regraft
