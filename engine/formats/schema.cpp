// Reading of target schemas; schema.h shows one.
#include <algorithm>
#include <array>
#include <map>
#include <unordered_map>

#include "base/hash.h"
#include "base/nearest.h"
#include "formats/format.h"
#include "text/json.h"
#include "text/yaml.h"

namespace regraft {
namespace {

constexpr std::uint64_t kMaxBytes = 64ull << 20;
constexpr std::uint64_t kMaxValues = 4'000'000;  // of JSON, whose tree is larger than its text
constexpr std::size_t kMaxNotes = 50;            // further mistakes after the first

// JSON becomes the tree that YAML is read into, so that one reader knows the schema's rules.
class JsonToYaml {
 public:
  explicit JsonToYaml(SourceTextPtr source) : source_(std::move(source)) {
    for (std::size_t i = 0; i < source_->text.size(); ++i) {
      if (source_->text[i] == '\n') line_begins_.push_back(i + 1);
    }
  }

  yaml::Node convert(const json::Value& value) const {
    using Kind = json::Value::Kind;
    yaml::Node node;
    node.where = place(value.offset);
    switch (value.kind) {
      case Kind::null:
        break;
      case Kind::boolean:
        node = scalar(std::move(node), value.boolean ? "true" : "false");
        break;
      case Kind::integer:
        node = scalar(std::move(node), std::to_string(value.integer));
        break;
      case Kind::unsigned_integer:
        node = scalar(std::move(node), std::to_string(value.unsigned_integer));
        break;
      case Kind::real:
        node = scalar(std::move(node), std::to_string(value.real));
        break;
      case Kind::string:
        node = scalar(std::move(node), value.string);
        node.quoted = true;
        break;
      case Kind::array:
        node.kind = yaml::Node::Kind::sequence;
        for (const json::Value& item : value.items) node.items.push_back(convert(item));
        break;
      case Kind::object:
        node.kind = yaml::Node::Kind::mapping;
        for (const auto& [key, item] : value.entries) {
          yaml::Node name;
          name.where = place(item.offset);
          name = scalar(std::move(name), key);
          name.quoted = true;
          node.entries.push_back({std::move(name), convert(item)});
        }
        break;
    }
    return node;
  }

 private:
  static yaml::Node scalar(yaml::Node node, std::string text) {
    node.kind = yaml::Node::Kind::scalar;
    node.text = std::move(text);
    return node;
  }

  Location place(std::uint64_t offset) const {
    const auto next = std::upper_bound(line_begins_.begin(), line_begins_.end(), offset);
    Location where;
    where.text = source_;
    where.line = static_cast<int>(next - line_begins_.begin());
    where.column = static_cast<int>(offset - *(next - 1)) + 1;
    return where;
  }

  SourceTextPtr source_;
  std::vector<std::uint64_t> line_begins_ = {0};
};

class SchemaReader {
 public:
  SchemaReader(SourceTextPtr source, Diagnostics& diagnostics)
      : source_(std::move(source)), diagnostics_(diagnostics) {}

  // Sound only if nothing was reported.
  Catalog read(const yaml::Node& root) {
    catalog_.path = source_->path;
    catalog_.format = "schema";
    catalog_.has_values = false;
    if (!root.is_mapping()) {
      mistake(root.where, "a schema is a mapping, not " + yaml::describe(root),
              "begin with `regraft_schema: 1`");
      return std::move(catalog_);
    }
    if (root.find("regraft_schema") == nullptr) {
      const bool index = root.find("weight_map") != nullptr;
      const bool spec = root.find("regraft") != nullptr;
      mistake(root.where,
              index  ? "this is the index of a sharded checkpoint, not a target schema"
              : spec ? "this is a migration spec, not a checkpoint or a target schema"
                     : "the file is no target schema: it has no key regraft_schema",
              index  ? "give one of the shards that it names"
              : spec ? "the spec stands before the checkpoints on the command line"
                     : "begin with `regraft_schema: 1`");
      return std::move(catalog_);
    }
    static constexpr std::array<std::string_view, 6> kKeys = {
        "regraft_schema", "tensors", "storages", "metadata", "module_metadata", "extras"};
    check_keys(root, kKeys);
    if (yaml::as_int(*root.find("regraft_schema")) != 1) {
      mistake(root.find("regraft_schema")->where, "the schema is of a version other than 1");
    }
    const yaml::Node* tensors = root.find("tensors");
    if (tensors == nullptr) {
      mistake(root.where, "the schema has no key tensors", "without any, it is `tensors: {}`");
    }
    read_storages(mapping(root, "storages"));
    read_tensors(mapping(root, "tensors"));
    read_texts(mapping(root, "metadata"), [&](std::string key, std::string value) {
      catalog_.metadata.emplace_back(std::move(key), std::move(value));
    });
    read_texts(mapping(root, "extras"), [&](std::string key, std::string value) {
      catalog_.extras.push_back({std::move(key), std::move(value)});
    });
    Container top;
    // Extras are not counted: the file says that these tensors are the state dict.
    top.entries = top.tensors = catalog_.tensors.size();
    top.metadata = read_module_metadata(mapping(root, "module_metadata"));
    catalog_.containers.push_back(std::move(top));
    return std::move(catalog_);
  }

 private:
  void mistake(const Location& where, std::string message, std::string hint = {}) {
    diagnostics_.add(error(Code::schema_corrupt, where, std::move(message), std::move(hint)));
  }

  void check_keys(const yaml::Node& node, std::span<const std::string_view> known) {
    for (const yaml::Entry& entry : node.entries) {
      if (std::find(known.begin(), known.end(), entry.key.text) != known.end()) continue;
      const std::string similar = nearest(entry.key.text, known);
      mistake(entry.key.where, "unknown key " + quoted(entry.key.text),
              similar.empty() ? "" : "did you mean " + similar + "?");
    }
  }

  // The entries of an optional mapping.
  std::span<const yaml::Entry> mapping(const yaml::Node& root, std::string_view key) {
    const yaml::Node* node = root.find(key);
    if (node == nullptr) return {};
    if (node->is_mapping()) return node->entries;
    mistake(node->where, std::string(key) + " is a mapping, not " + yaml::describe(*node));
    return {};
  }

  std::optional<std::int64_t> natural(const yaml::Node& node, std::string_view what) {
    const auto value = yaml::as_int(node);
    if (value && *value >= 0) return value;
    mistake(node.where,
            std::string(what) + " is an integer from 0 on, not " + yaml::describe(node));
    return std::nullopt;
  }

  std::optional<std::string> text(const yaml::Node& node, std::string_view what) {
    if (node.is_scalar()) return node.text;
    mistake(node.where, std::string(what) + " is a text, not " + yaml::describe(node));
    return std::nullopt;
  }

  std::optional<Shape> naturals(const yaml::Node& node, std::string_view what) {
    if (!node.is_sequence()) {
      mistake(node.where,
              std::string(what) + " is a list of integers, not " + yaml::describe(node));
      return std::nullopt;
    }
    Shape result;
    bool complete = true;
    for (const yaml::Node& item : node.items) {
      const auto value = natural(item, "each of " + std::string(what));
      complete = complete && value;
      result.push_back(value.value_or(0));
    }
    if (!complete) return std::nullopt;
    return result;
  }

  void read_storages(std::span<const yaml::Entry> entries) {
    static constexpr std::array<std::string_view, 1> kKeys = {"nbytes"};
    for (const auto& [key, value] : entries) {
      const std::uint32_t index = storage_named(key.text);
      const yaml::Node* size = value.find("nbytes");
      if (size == nullptr) {
        mistake(value.where, "storage " + quoted(key.text) + " needs `{nbytes: ...}`");
        continue;
      }
      check_keys(value, kKeys);
      const auto bytes = natural(*size, "nbytes");
      catalog_.storages[index].nbytes = static_cast<std::uint64_t>(bytes.value_or(0));
      fixed_[index] = true;
    }
  }

  std::uint32_t add_storage(std::string key) {
    Storage storage;
    storage.key = std::move(key);
    catalog_.storages.push_back(std::move(storage));
    fixed_.push_back(false);
    return static_cast<std::uint32_t>(catalog_.storages.size() - 1);
  }

  std::uint32_t storage_named(const std::string& key) {
    const auto found = storages_.find(key);
    if (found != storages_.end()) return found->second;
    const std::uint32_t index = add_storage(key);
    storages_.emplace(key, index);
    return index;
  }

  void read_tensors(std::span<const yaml::Entry> entries) {
    std::unordered_map<std::string_view, std::size_t> by_name;
    for (std::size_t i = 0; i < entries.size(); ++i) by_name.emplace(entries[i].key.text, i);
    // Ties last: they take the view of a tensor that may stand further down.
    std::vector<std::optional<Tensor>> tensors(entries.size());
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (entries[i].value.find("tie") == nullptr) {
        tensors[i] = read_tensor(entries[i].key.text, entries[i].value);
      }
    }
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const yaml::Node* tie = entries[i].value.find("tie");
      if (tie == nullptr) continue;
      const auto name = text(*tie, "tie");
      if (!name) continue;
      const auto other = by_name.find(*name);
      if (other == by_name.end()) {
        std::string similar;
        if (diagnostics_.error_count() < kMaxNotes) {  // the search takes as long as the file
          std::vector<std::string_view> names;
          for (const yaml::Entry& entry : entries) names.push_back(entry.key.text);
          similar = nearest(*name, names);
        }
        mistake(tie->where, "there is no tensor " + quoted(*name),
                similar.empty() ? "" : "did you mean " + quoted(similar) + "?");
      } else if (entries[other->second].value.find("tie") != nullptr) {
        mistake(tie->where, quoted(*name) + " has a tie itself",
                "name the one tensor of the tied ones that has none");
      } else if (tensors[other->second]) {
        tensors[i] = read_tied(entries[i].key.text, entries[i].value, *tensors[other->second]);
      }
    }
    for (auto& tensor : tensors) {
      if (tensor) catalog_.tensors.push_back(std::move(*tensor));
    }
    if (diagnostics_.has_errors()) return;  // views of the wrong tensors would be reported
    size_storages();
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const Status status = check_view(catalog_, catalog_.tensors[i], 0);
      if (!status.ok()) mistake(entries[i].key.where, status.error().message);
    }
  }

  // What every tensor has, tied or not.
  std::optional<Tensor> read_common(const std::string& name, const yaml::Node& node) {
    if (!node.is_mapping()) {
      mistake(node.where, "tensor " + quoted(name) + " is `{dtype: ..., shape: [...]}`, not " +
                              yaml::describe(node));
      return std::nullopt;
    }
    static constexpr std::array<std::string_view, 11> kKeys = {
        "dtype", "shape", "tie",       "storage",       "strides",    "offset",
        "conj",  "neg",   "parameter", "requires_grad", "unsupported"};
    check_keys(node, kKeys);
    const yaml::Node* dtype = node.find("dtype");
    const yaml::Node* shape = node.find("shape");
    if (dtype == nullptr) mistake(node.where, "tensor " + quoted(name) + " has no dtype");
    if (shape == nullptr) mistake(node.where, "tensor " + quoted(name) + " has no shape");
    if (dtype == nullptr || shape == nullptr) return std::nullopt;
    const auto type = read_dtype(*dtype);
    const auto sizes = naturals(*shape, "shape");
    if (!type || !sizes) return std::nullopt;
    Tensor tensor;
    tensor.name = name;
    tensor.dtype = *type;
    tensor.shape = *sizes;
    tensor.conj = flag(node, "conj");
    tensor.neg = flag(node, "neg");
    tensor.parameter = flag(node, "parameter");
    tensor.requires_grad = flag(node, "requires_grad");
    if (const yaml::Node* reason = node.find("unsupported")) {
      tensor.unsupported = text(*reason, "unsupported").value_or("");
      if (tensor.unsupported.empty()) {
        mistake(reason->where, "unsupported says what the tensor is, in a text that is not empty");
      }
    }
    return tensor;
  }

  std::optional<DType> read_dtype(const yaml::Node& node) {
    const auto word = text(node, "dtype");
    if (!word) return std::nullopt;
    const auto dtype = dtype_by_name(*word);
    if (dtype) return dtype;
    std::vector<std::string_view> names;
    for (const DTypeInfo& known : all_dtypes()) names.push_back(known.name);
    const std::string similar = nearest(*word, names);
    mistake(node.where, "there is no dtype " + quoted(*word),
            similar.empty() ? "" : "did you mean " + similar + "?");
    return std::nullopt;
  }

  bool flag(const yaml::Node& node, std::string_view key) {
    const yaml::Node* value = node.find(key);
    if (value == nullptr) return false;
    const auto result = yaml::as_bool(*value);
    if (!result) {
      mistake(value->where, std::string(key) + " is true or false, not " + yaml::describe(*value));
    }
    return result.value_or(false);
  }

  std::optional<Tensor> read_tensor(const std::string& name, const yaml::Node& node) {
    std::optional<Tensor> tensor = read_common(name, node);
    if (!tensor) return std::nullopt;
    if (!numel(tensor->shape)) {
      mistake(node.find("shape")->where,
              "more elements than 64 bits can count: " + to_string(tensor->shape));
      return std::nullopt;
    }
    tensor->strides = contiguous_strides(tensor->shape);
    if (const yaml::Node* strides = node.find("strides")) {
      const auto values = naturals(*strides, "strides");
      if (values && values->size() != tensor->shape.size()) {
        mistake(strides->where, std::to_string(values->size()) + " strides for " +
                                    std::to_string(tensor->shape.size()) + " dimensions");
      } else if (values) {
        tensor->strides = *values;
      }
    }
    if (const yaml::Node* offset = node.find("offset")) {
      tensor->offset = natural(*offset, "offset").value_or(0);
    }
    const yaml::Node* storage = node.find("storage");
    const auto key = storage == nullptr ? std::nullopt : text(*storage, "storage");
    tensor->storage = key ? storage_named(*key) : add_storage(name);
    return tensor;
  }

  std::optional<Tensor> read_tied(const std::string& name, const yaml::Node& node,
                                  const Tensor& other) {
    std::optional<Tensor> tensor = read_common(name, node);
    if (!tensor) return std::nullopt;
    for (const std::string_view key : {"storage", "strides", "offset"}) {
      if (const yaml::Node* value = node.find(key)) {
        mistake(value->where, std::string(key) + " beside tie",
                "a tie is the whole view of the other tensor; leave one of them out");
      }
    }
    if (tensor->dtype != other.dtype || tensor->shape != other.shape) {
      mistake(node.where, "tied to " + quoted(other.name) + ", which is " +
                              std::string(regraft::name(other.dtype)) + " " +
                              to_string(other.shape));
      return std::nullopt;
    }
    tensor->strides = other.strides;
    tensor->storage = other.storage;
    tensor->offset = other.offset;
    return tensor;
  }

  // Storages without a size of their own are as long as their views. Wrapped sums are harmless:
  // check_view() refuses what does not fit.
  void size_storages() {
    for (const Tensor& tensor : catalog_.tensors) {
      if (fixed_[tensor.storage] || !tensor.unsupported.empty()) continue;
      std::uint64_t& size = catalog_.storages[tensor.storage].nbytes;
      size = std::max(size, byte_extent(tensor).second);
    }
  }

  template <typename Add>
  void read_texts(std::span<const yaml::Entry> entries, Add add) {
    for (const auto& [key, value] : entries) {
      if (auto found = text(value, quoted(key.text))) add(key.text, std::move(*found));
    }
  }

  std::vector<ModuleMetadata> read_module_metadata(std::span<const yaml::Entry> entries) {
    std::vector<ModuleMetadata> result;
    for (const auto& [key, value] : entries) {
      ModuleMetadata module{key.text, {}};
      if (!value.is_mapping()) {
        mistake(value.where, "metadata of a module is a mapping, not " + yaml::describe(value));
        continue;
      }
      for (const auto& [what, number] : value.entries) {
        const auto integer = yaml::as_int(number);
        if (!integer) {
          mistake(number.where,
                  quoted(what.text) + " is an integer, not " + yaml::describe(number));
        }
        module.ints.emplace_back(what.text, integer.value_or(0));
      }
      result.push_back(std::move(module));
    }
    return result;
  }

  SourceTextPtr source_;
  Diagnostics& diagnostics_;
  Catalog catalog_;
  std::map<std::string, std::uint32_t> storages_;  // those that the file names
  std::vector<bool> fixed_;                        // by index: the file states the size
};

// One Diagnostic for all mistakes: the first, with the others as notes.
Diagnostic joined(const Diagnostics& diagnostics) {
  const std::vector<Diagnostic>& items = diagnostics.items();
  Diagnostic result = items.front();
  result.code = Code::schema_corrupt;
  result.severity = Severity::error;
  for (std::size_t i = 1; i < items.size() && i <= kMaxNotes; ++i) {
    result.notes.push_back(
        {items[i].where, items[i].message + (items[i].hint.empty() ? "" : "; ") + items[i].hint});
  }
  if (items.size() > kMaxNotes + 1) {
    result.notes.push_back(
        {{}, "and " + std::to_string(items.size() - kMaxNotes - 1) + " more mistakes"});
  }
  return result;
}

class SchemaFormat final : public Format {
 public:
  std::string_view name() const override { return "schema"; }

  std::span<const std::string_view> suffixes() const override {
    static constexpr std::array<std::string_view, 3> kSuffixes = {".yaml", ".yml", ".json"};
    return kSuffixes;
  }

  // By name: a schema is text like any other.
  bool recognises(const InputFile& file, std::string_view) const override {
    const auto endings = suffixes();
    return std::any_of(endings.begin(), endings.end(), [&](std::string_view ending) {
      return std::string_view(file.path()).ends_with(ending);
    });
  }

  Result<Checkpoint> open(std::shared_ptr<InputFile> file, const Limits&) const override {
    if (file->size() > kMaxBytes) {
      return error(Code::limit_exceeded, file_location(file->path()),
                   "the schema has " + std::to_string(file->size()) +
                       " bytes, more than the limit of " + std::to_string(kMaxBytes));
    }
    REGRAFT_TRY(std::string text, file->read_string(0, file->size()));
    const std::string hash = digest(DigestKind::sha256, as_bytes(text));
    auto source = std::make_shared<const SourceText>(SourceText{file->path(), std::move(text)});
    Diagnostics diagnostics;
    std::optional<yaml::Node> root;
    if (std::string_view(file->path()).ends_with(".json")) {
      json::Options options;
      options.code = Code::schema_corrupt;
      options.file = file->path();
      options.max_values = kMaxValues;
      REGRAFT_TRY(const json::Value value, json::parse(source->text, options));
      root = JsonToYaml(source).convert(value);
    } else {
      root = yaml::parse(source, diagnostics);
    }
    Catalog catalog;
    if (root) catalog = SchemaReader(source, diagnostics).read(*root);
    if (diagnostics.has_errors()) return joined(diagnostics);
    catalog.file_bytes = file->size();
    catalog.metadata_digest = hash;
    return Checkpoint{std::move(catalog), nullptr};
  }

  const Writer* writer() const override { return nullptr; }
};

}  // namespace

const Format& schema_format() {
  static const SchemaFormat format;
  return format;
}

}  // namespace regraft
