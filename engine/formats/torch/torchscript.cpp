// The zip files that torch.jit.save writes, read as the state dict of the module in them.
//
//   model/data.pkl                     the module: objects, their attributes, tensors
//   model/data/0 ...                   one record a storage
//   model/code/__torch__.py ...        class files: what of an object is a parameter or a buffer
//   model/code/__torch__.py.debug_pkl  where the code came from
//   model/constants.pkl, constants/    what the code refers to: of no state dict
//   model/extra/...                    _extra_files
//   model/traced_inputs.pkl, ...       with what it was traced
//   model/bytecode.pkl                 for the lite interpreter
//   model/version, byteorder, .data/serialization_id
//
// As torch/csrc/jit/serialization writes (export_module.cpp, pickler.cpp, python_print.cpp) and
// reads (import.cpp, import_source.cpp). Code is never run: the classes are read by a lexer.
#include <array>
#include <utility>

#include "formats/format.h"
#include "formats/torch/script_classes.h"
#include "formats/torch/script_modules.h"
#include "formats/torch/torch_archive.h"
#include "formats/torch/zip_reader.h"

namespace regraft {
namespace {

constexpr std::string_view kConstants = "constants.pkl";
constexpr std::string_view kConstantFolder = "constants/";
constexpr std::string_view kExtraFolder = "extra/";

constexpr std::array kRecords = {kConstants, std::string_view("bytecode.pkl"),
                                 std::string_view("mobile_debug_handles.pkl"),
                                 std::string_view("traced_inputs.pkl")};
constexpr std::array kFolders = {kConstantFolder, kExtraFolder, std::string_view("code/"),
                                 std::string_view("traced_inputs/")};

bool is_known(std::string_view path) {
  for (std::string_view record : kRecords)
    if (path == record) return true;
  for (std::string_view folder : kFolders)
    if (path.starts_with(folder)) return true;
  return false;
}

// What the archive holds beside the module.
void add_content(const ZipReader& zip, const ScriptClasses& classes, Catalog& catalog) {
  std::size_t constants = 0;
  for (const ZipEntry& entry : zip.entries()) {
    std::string_view path = entry.name.substr(zip.root().size() + 1);
    if (path.starts_with(kConstantFolder)) ++constants;
    if (path.starts_with(kExtraFolder) && path != kExtraFolder)
      catalog.extras.push_back(
          {std::string(path), "a file of " + std::to_string(entry.size) + " bytes"});
  }
  if (constants > 0)
    catalog.remarks.push_back(
        std::to_string(constants) +
        " tensors stand in the code, as torch.jit.freeze and tracing leave them, and are of no "
        "state dict");
  if (classes.without_buffers() > 0)
    catalog.remarks.push_back(std::to_string(classes.without_buffers()) +
                              " classes do not list their buffers, as in files of older torch; "
                              "torch.jit.load takes them to have none");
}

class TorchScriptFormat final : public Format {
 public:
  std::string_view name() const override { return "torchscript"; }
  std::span<const std::string_view> suffixes() const override {
    static constexpr std::array<std::string_view, 2> kSuffixes = {".ts", ".ptl"};
    return kSuffixes;
  }
  bool recognises(const InputFile& file, std::string_view head) const override {
    return head.starts_with("PK\x03\x04") && ZipReader::lists(file, kConstants);
  }

  Result<Checkpoint> open(std::shared_ptr<InputFile> file, const Limits& limits) const override {
    REGRAFT_TRY(ZipReader zip, ZipReader::open(file, limits));
    REGRAFT_TRY(TorchArchive archive, TorchArchive::read(std::move(file), std::move(zip), limits));
    REGRAFT_TRY(Catalog catalog, archive.start_catalog(name(), limits));
    ScriptClasses classes(archive, limits);
    REGRAFT_CHECK(read_modules(archive, classes, limits, catalog));
    add_content(archive.zip(), classes, catalog);
    return std::move(archive).finish(std::move(catalog), is_known);
  }
  const Writer* writer() const override { return nullptr; }
};

}  // namespace

const Format& torchscript_format() {
  static const TorchScriptFormat format;
  return format;
}

}  // namespace regraft
