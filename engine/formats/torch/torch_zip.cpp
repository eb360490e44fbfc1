// The zip files that torch.save writes since torch 1.6.
//
//   archive/data.pkl                   the pickle: names, shapes, strides, which storage
//   archive/.format_version            "1"            \ since torch 2.7
//   archive/.storage_alignment         "64"           /
//   archive/byteorder                  "little"       since torch 2.1
//   archive/data/0 ...                 one record a storage
//   archive/version                    "3\n"
//   archive/.data/serialization_id     a hash
#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "formats/format.h"
#include "formats/torch/torch_archive.h"
#include "formats/torch/torch_extras.h"
#include "formats/torch/torch_values.h"
#include "formats/torch/torch_writer.h"
#include "formats/torch/zip_reader.h"

namespace regraft {
namespace {

// A zip that is whole but no checkpoint of this format: what it is instead.
Status check_kind(const ZipReader& zip) {
  bool script = zip.find("constants.pkl") != nullptr;
  bool package = zip.find(".data/extern_modules") != nullptr;
  for (const ZipEntry& entry : zip.entries()) {
    if (script) break;
    script = entry.name.substr(zip.root().size() + 1).starts_with("code/");
  }
  Location where = file_location(zip.file().path());
  if (package)
    return error(Code::not_a_checkpoint, std::move(where), "the file is a torch.package archive",
                 "load the model from it and save its state_dict() with torch.save");
  if (script)
    return error(Code::not_a_checkpoint, std::move(where),
                 "the file is a TorchScript archive of an old kind, or one that is not complete",
                 "save the state dict: torch.save(torch.jit.load(FILE).state_dict(), OUT)");
  if (zip.entries().empty())
    return error(Code::not_a_checkpoint, std::move(where), "the file is a zip archive of nothing");
  return Done{};
}

class TorchZipFormat final : public Format {
 public:
  std::string_view name() const override { return "torch-zip"; }
  std::span<const std::string_view> suffixes() const override {
    static constexpr std::array<std::string_view, 4> kSuffixes = {".pt", ".pth", ".bin", ".ckpt"};
    return kSuffixes;
  }
  // Any zip: what kind of one it is, open() can tell better.
  bool recognises(const InputFile&, std::string_view head) const override {
    return head.starts_with("PK\x03\x04") || head.starts_with("PK\x05\x06");
  }

  Result<Checkpoint> open(std::shared_ptr<InputFile> file, const Limits& limits) const override {
    REGRAFT_TRY(ZipReader zip, ZipReader::open(file, limits));
    REGRAFT_CHECK(check_kind(zip));
    REGRAFT_TRY(TorchArchive archive, TorchArchive::read(std::move(file), std::move(zip), limits));
    REGRAFT_TRY(Catalog catalog, archive.start_catalog(name(), limits));
    REGRAFT_TRY(
        std::vector<PlaceInPickle> places,
        read_values(archive.graph(), archive.origin(), archive.storages(), limits, catalog));
    // The values of the pickle are needed no longer where there are but tensors.
    if (!catalog.extras.empty() || catalog.containers.size() > 1)
      catalog.extra_content = std::make_shared<TorchExtras>(
          archive.shared_graph(), archive.storages(), archive.big_endian(), std::move(places));
    return std::move(archive).finish(std::move(catalog), [](std::string_view) { return false; });
  }
  const Writer* writer() const override { return &torch_zip_writer(); }
};

}  // namespace

const Format& torch_zip_format() {
  static const TorchZipFormat format;
  return format;
}

}  // namespace regraft
