#include "formats/torch/torch_writer.h"

#include <array>
#include <cassert>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/hash.h"
#include "formats/torch/kept_graph.h"
#include "formats/torch/little_endian.h"
#include "formats/torch/pickle_writer.h"
#include "formats/torch/torch_extras.h"
#include "formats/torch/utf8_surrogates.h"
#include "formats/torch/zip_writer.h"

namespace regraft {
namespace {

constexpr std::string_view kRoot = "archive/";
constexpr std::uint64_t kAlignment = 64;

constexpr std::string_view kUntyped = "UntypedStorage";

// What torch reads as the type of a storage: a class with an element type, or none.
struct StorageType {
  std::optional<DType> dtype;  // empty: untyped
  bool used = false;
  std::string_view storage_class = kUntyped;
  std::uint64_t numel = 0;
};

// The content that is kept is torch's own: only its reader makes any for this format.
const TorchExtras* kept_content(const OutputCatalog& output) {
  return static_cast<const TorchExtras*>(output.surroundings.content.get());
}

// A storage is typed when all its tensors are of one dtype that has a class, as torch.save has it.
// Tensors of an untyped one say their dtype themselves (_rebuild_tensor_v3). A storage of content
// that is kept has the type that this content gives it.
std::vector<StorageType> storage_types(const OutputCatalog& output) {
  std::vector<StorageType> types(output.storages.size());
  for (const auto& [source, index] : output.surroundings.storages) {
    const TorchStorage& storage = kept_content(output)->torch_storages().all()[source];
    StorageType& type = types[index];
    if (!storage.type->name.ends_with(kUntyped)) {
      if (storage.type->quantized.empty()) type.dtype = storage.type->dtype;
      type.storage_class = storage.type->name;
    }
    type.numel = storage.numel;
  }
  std::vector<bool> kept(types.size());
  for (const auto& [source, index] : output.surroundings.storages) kept[index] = true;
  for (const Tensor& tensor : output.tensors) {
    if (kept[tensor.storage]) continue;
    StorageType& type = types[tensor.storage];
    bool fits = !info(tensor.dtype).storage_class.empty() &&
                output.storages[tensor.storage].nbytes % itemsize(tensor.dtype) == 0;
    if (!type.used) {
      type.used = true;
      if (fits) type.dtype = tensor.dtype;
    } else if (type.dtype && (!fits || *type.dtype != tensor.dtype)) {
      type.dtype.reset();
    }
  }
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (kept[i]) continue;
    StorageType& type = types[i];
    type.numel = output.storages[i].nbytes;
    if (!type.dtype) continue;
    type.storage_class = info(*type.dtype).storage_class;
    type.numel /= itemsize(*type.dtype);
  }
  return types;
}

class StateDictPickle {
 public:
  explicit StateDictPickle(const OutputCatalog& output)
      : output_(output), types_(storage_types(output)) {}

  std::string write() {
    if (const TorchExtras* content = kept_content(output_)) {
      const Surroundings& around = output_.surroundings;
      std::unordered_map<std::uint32_t, std::uint32_t> index(around.storages.begin(),
                                                             around.storages.end());
      KeptGraph(*content, around.places, around.root)
          .write(
              out_, [&] { state_dict(); },
              [&](NodeId node) {
                storage(index.at(content->torch_storages().use_of(node).index));
              });
    } else {
      state_dict();
    }
    return out_.finish();
  }

 private:
  void state_dict() {
    ordered_dict();
    PickleEntries entries(out_);
    for (const Tensor& tensor : output_.tensors) {
      entries.next();
      out_.text(tensor.name);
      if (tensor.parameter) {
        parameter(tensor);
      } else {
        plain(tensor, tensor.requires_grad);
      }
    }
    entries.finish();
    if (output_.has_module_metadata) module_metadata();
  }

  void ordered_dict() {
    out_.global("collections", "OrderedDict");
    out_.op(Opcode::empty_tuple);
    out_.op(Opcode::reduce);
  }

  // torch._utils._rebuild_parameter(data, requires_grad, OrderedDict())
  void parameter(const Tensor& tensor) {
    out_.global("torch._utils", "_rebuild_parameter");
    plain(tensor, false);
    out_.boolean(tensor.requires_grad);
    ordered_dict();
    out_.op(Opcode::tuple3);
    out_.op(Opcode::reduce);
  }

  // torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, OrderedDict()
  // [, bits]), or _v3 with the dtype before the bits.
  void plain(const Tensor& tensor, bool requires_grad) {
    const bool typed = types_[tensor.storage].dtype == tensor.dtype;
    out_.global("torch._utils", typed ? "_rebuild_tensor_v2" : "_rebuild_tensor_v3");
    out_.op(Opcode::mark);
    storage(tensor.storage);
    out_.integer(tensor.offset);
    out_.integers(tensor.shape);
    out_.integers(tensor.strides);
    out_.boolean(requires_grad);
    ordered_dict();
    if (!typed) out_.global("torch", name(tensor.dtype));
    if (tensor.conj || tensor.neg) bits(tensor);
    out_.op(Opcode::tuple);
    out_.op(Opcode::reduce);
  }

  // The persistent id ('storage', class, key, 'cpu', size).
  void storage(std::uint32_t index) {
    const StorageType& type = types_[index];
    out_.op(Opcode::mark);
    out_.shared_text("storage");
    out_.global(type.storage_class == kUntyped ? "torch.storage" : "torch", type.storage_class);
    out_.text(std::to_string(index));
    out_.shared_text("cpu");
    out_.integer(static_cast<std::int64_t>(type.numel));
    out_.op(Opcode::tuple);
    out_.op(Opcode::binpersid);
  }

  void bits(const Tensor& tensor) {
    out_.op(Opcode::empty_dict);
    for (auto [bit, text] : {std::pair{tensor.conj, "conj"}, std::pair{tensor.neg, "neg"}}) {
      if (!bit) continue;
      out_.shared_text(text);
      out_.boolean(true);
      out_.op(Opcode::setitem);
    }
  }

  // {'_metadata': OrderedDict({module: {'version': 1}})}, the attributes of the state dict.
  void module_metadata() {
    out_.op(Opcode::empty_dict);
    out_.text("_metadata");
    ordered_dict();
    PickleEntries modules(out_);
    for (const ModuleMetadata& module : output_.module_metadata) {
      modules.next();
      out_.text(module.module);
      out_.op(Opcode::empty_dict);
      PickleEntries ints(out_);
      for (const auto& [key, value] : module.ints) {
        ints.next();
        out_.shared_text(key);
        out_.integer(value);
      }
      ints.finish();
    }
    modules.finish();
    out_.op(Opcode::setitem);
    out_.op(Opcode::build);
  }

  const OutputCatalog& output_;
  std::vector<StorageType> types_;
  PickleWriter out_;
};

// 40 decimal digits, as torch writes them: the same content has the same.
std::string serialization_id(std::string_view pickle, const OutputCatalog& output) {
  std::string content(pickle);
  for (const OutputStorage& storage : output.storages) append_le(content, storage.nbytes);
  std::string hash = digest(DigestKind::sha256, as_bytes(content));
  std::string id;
  for (std::size_t half : {0u, 8u}) {
    std::string digits = std::to_string(load_le<std::uint64_t>(hash, half));
    id.append(20 - digits.size(), '0').append(digits);
  }
  return id;
}

// Every record in its place. What is not a storage has its content here.
struct Archive {
  ZipLayout zip{kAlignment};
  std::vector<std::string> contents;  // of each record; empty for storages
  std::size_t first_storage = 0;      // index of the record of storage 0
};

Result<Archive> lay_out(const OutputCatalog& output) {
  Archive archive;
  bool fits = true;
  auto add = [&](std::string_view path, std::string content) {
    std::uint32_t crc = crc32(as_bytes(content));
    fits = fits && archive.zip.add(std::string(kRoot).append(path), content.size(), crc);
    archive.contents.push_back(std::move(content));
  };
  std::string pickle = StateDictPickle(output).write();
  std::string id = serialization_id(pickle, output);
  // Without `.format_version` and `.storage_alignment`: they tell torch that it may compute where
  // records are, which counts on a data descriptor after each. With them, torch 2.13 reads wrong
  // bytes under `calculate_storage_offsets`.
  add("data.pkl", std::move(pickle));
  add("byteorder", "little");
  archive.first_storage = archive.contents.size();
  for (std::size_t i = 0; i < output.storages.size(); ++i) {
    std::string name = std::string(kRoot).append("data/").append(std::to_string(i));
    fits = fits && archive.zip.add(std::move(name), output.storages[i].nbytes,
                                   output.storages[i].crc32.value_or(0),
                                   output.storages[i].source_offset, kSharedPage);
    archive.contents.emplace_back();
  }
  add("version", "3\n");
  add(".data/serialization_id", std::move(id));
  if (!fits)
    return error(Code::cannot_write, {}, "the output has more bytes than 62 bits can count");
  return archive;
}

// That the state dict has a place, and room for what is added to it.
Status check_surroundings(const OutputCatalog& output) {
  const TorchExtras* content = kept_content(output);
  if (content == nullptr) return Done{};
  const Surroundings& around = output.surroundings;
  if (const std::string why = content->refuses_way_to(around.root); !why.empty())
    return error(Code::cannot_write, {},
                 "the state dict cannot be put back where it was, at " + quoted(around.root_path) +
                     ": " + why,
                 "`output: {container: flat}` writes it alone, with `extras: drop`");
  std::unordered_set<std::string> names;
  for (const Tensor& tensor : output.tensors) names.insert(tensor.name);
  for (std::string& key : KeptGraph(*content, around.places, around.root).added_keys())
    if (!names.insert(key).second)
      return error(
          Code::collision, {},
          "a value that is kept and another entry of the state dict have one name, " + quoted(key),
          "rename the tensor, or drop the value with a case of `extras`");
  return Done{};
}

class TorchZipWriter final : public Writer {
 public:
  bool shares_storages() const override { return true; }
  bool holds_strides() const override { return true; }
  bool wants_crc32() const override { return true; }
  bool holds_surroundings() const override { return true; }

  std::optional<std::string> refuses(const Tensor& tensor) const override {
    if (!tensor.unsupported.empty()) return "a .pt file cannot hold " + tensor.unsupported;
    if (!is_utf8_with_surrogates(tensor.name))
      return "the name is not UTF-8, and names in a .pt file are";
    return std::nullopt;
  }

  Result<Layout> layout(const OutputCatalog& output) const override {
    for (const Tensor& tensor : output.tensors) {
      assert(tensor.storage < output.storages.size());
      if (std::optional<std::string> why = refuses(tensor))
        return error(Code::cannot_write, file_location({}, std::nullopt, tensor.name), *why);
    }
    for (const ModuleMetadata& module : output.module_metadata)
      if (!is_utf8_with_surrogates(module.module))
        return error(Code::cannot_write, file_location({}, std::nullopt, module.module),
                     "the name of a module is not UTF-8, and names in a .pt file are");
    REGRAFT_CHECK(check_surroundings(output));
    REGRAFT_TRY(Archive archive, lay_out(output));
    Layout layout;
    layout.size = archive.zip.end() + archive.zip.directory_size();
    layout.storage_offsets.reserve(output.storages.size());
    const auto& records = archive.zip.records();
    bool begins = true;  // the next bytes do not follow those of the last patch
    for (std::size_t i = 0; i < records.size(); ++i) {
      if (begins) layout.header.push_back({records[i].header_offset, {}});
      std::string& bytes = layout.header.back().bytes;
      bytes += archive.zip.local_header(records[i]);
      bytes += archive.contents[i];
      std::size_t storage = i - archive.first_storage;
      bool is_storage = i >= archive.first_storage && storage < output.storages.size();
      if (is_storage) layout.storage_offsets.push_back(records[i].data_offset);
      begins = is_storage && records[i].size > 0;
    }
    return layout;
  }

  // The checksums in the local headers, and the central directory, which has them all again.
  std::vector<Patch> finish(const OutputCatalog& output, const Layout&,
                            std::span<const std::uint32_t> crcs) const override {
    assert(crcs.size() == output.storages.size());
    Result<Archive> laid_out = lay_out(output);
    assert(laid_out.ok());  // as it was for layout()
    Archive& archive = *laid_out;
    std::vector<Patch> patches;
    for (std::size_t i = 0; i < crcs.size(); ++i) {
      if (crcs[i] == output.storages[i].crc32.value_or(0)) continue;
      std::size_t record = archive.first_storage + i;
      archive.zip.set_crc32(record, crcs[i]);
      std::string bytes;
      append_le(bytes, crcs[i]);
      patches.push_back({ZipLayout::local_crc_offset(archive.zip.records()[record]), bytes});
    }
    patches.push_back({archive.zip.end(), archive.zip.directory()});
    return patches;
  }
};

}  // namespace

const Writer& torch_zip_writer() {
  static const TorchZipWriter writer;
  return writer;
}

}  // namespace regraft
