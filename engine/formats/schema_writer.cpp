#include <algorithm>
#include <map>
#include <unordered_map>

#include "base/utf8.h"
#include "formats/schema.h"
#include "text/yaml.h"

namespace regraft {
namespace {

// Whether YAML has a spelling for it: UTF-8 without control characters other than \t \n \r.
bool fits_yaml(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const Utf8 next = utf8_at(text, i);
    const char32_t c = next.code_point;
    if (next.length == 0 || (c >= 0x7f && c < 0xa0)) return false;
    if (c < 0x20 && c != '\t' && c != '\n' && c != '\r') return false;
    i += next.length;
  }
  return true;
}

std::string yaml_scalar(std::string_view text, bool quote) {
  yaml::Node node;
  node.kind = yaml::Node::Kind::scalar;
  node.text = fits_yaml(text) ? text : printable(text);
  node.quoted = quote;
  std::string written = yaml::write(node);
  written.pop_back();  // the end of the line
  return written;
}

// Inside `{...}`, where plain text has more meanings than in a block: the simplest stays plain.
std::string yaml_text(std::string_view text) {
  const bool simple = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
  });
  return yaml_scalar(text, !simple);
}

// `  key: ` on a line of its own.
std::string yaml_key(std::string_view text) {
  const std::string key = yaml_scalar(text, false);
  // YAML finds a key only within 1024 bytes, unless it is marked.
  return key.size() > 1000 ? "  ? " + key + "\n  : " : "  " + key + ": ";
}

// Which storages have to be named, because their bytes are not simply those of one tensor.
std::vector<bool> named_storages(const Catalog& catalog) {
  std::vector<bool> named(catalog.storages.size());
  std::vector<const Tensor*> first(catalog.storages.size());
  for (const Tensor& tensor : catalog.tensors) {
    if (!tensor.unsupported.empty()) continue;
    const Tensor*& other = first[tensor.storage];
    if (other == nullptr) {
      other = &tensor;
      named[tensor.storage] = tensor.offset != 0 ||
                              tensor.strides != contiguous_strides(tensor.shape) ||
                              catalog.storages[tensor.storage].nbytes != nbytes(tensor);
    } else if (!tied(*other, tensor)) {
      named[tensor.storage] = true;
    }
  }
  return named;
}

std::string tensor_fields(const Tensor& tensor, const std::string& view) {
  std::string text =
      "{dtype: " + std::string(name(tensor.dtype)) + ", shape: " + to_string(tensor.shape) + view;
  if (tensor.conj) text += ", conj: true";
  if (tensor.neg) text += ", neg: true";
  if (tensor.parameter) text += ", parameter: true";
  if (tensor.requires_grad) text += ", requires_grad: true";
  if (!tensor.unsupported.empty()) text += ", unsupported: " + yaml_text(tensor.unsupported);
  return text + "}";
}

void write_texts(std::string& out, std::string_view key,
                 const std::vector<std::pair<std::string, std::string>>& texts) {
  if (texts.empty()) return;
  out += std::string(key) + ":\n";
  for (const auto& [name, value] : texts) {
    out += yaml_key(name) + yaml_text(value) + "\n";
  }
}

}  // namespace

std::string write_schema(const Catalog& catalog) {
  const std::vector<bool> named = named_storages(catalog);
  std::map<std::uint32_t, std::string> keys;               // of named storages
  std::unordered_map<std::uint32_t, const Tensor*> plain;  // of the others: their first tensor
  std::string tensors;
  for (const Tensor& tensor : catalog.tensors) {
    std::string view;
    if (!tensor.unsupported.empty()) {
      // Nothing is known of its bytes.
    } else if (named[tensor.storage]) {
      const auto [entry, fresh] = keys.try_emplace(tensor.storage);
      if (fresh) entry->second = "s" + std::to_string(keys.size() - 1);
      view = ", storage: " + entry->second;
      if (tensor.strides != contiguous_strides(tensor.shape)) {
        view += ", strides: " + to_string(tensor.strides);
      }
      if (tensor.offset != 0) view += ", offset: " + std::to_string(tensor.offset);
    } else {
      const auto [entry, fresh] = plain.try_emplace(tensor.storage, &tensor);
      if (!fresh) view = ", tie: " + yaml_text(entry->second->name);
    }
    tensors += yaml_key(tensor.name) + tensor_fields(tensor, view) + "\n";
  }

  std::string out = "regraft_schema: 1\n";
  write_texts(out, "metadata", catalog.metadata);
  if (!catalog.containers.empty() && !catalog.containers[0].metadata.empty()) {
    out += "module_metadata:\n";
    for (const ModuleMetadata& module : catalog.containers[0].metadata) {
      out += yaml_key(module.module) + "{";
      for (std::size_t i = 0; i < module.ints.size(); ++i) {
        out += (i == 0 ? "" : ", ") + yaml_text(module.ints[i].first) + ": " +
               std::to_string(module.ints[i].second);
      }
      out += "}\n";
    }
  }
  if (!keys.empty()) {
    out += "storages:\n";
    for (const auto& [index, key] : keys) {
      out += "  " + key + ": {nbytes: " + std::to_string(catalog.storages[index].nbytes) + "}\n";
    }
  }
  return out + (tensors.empty() ? "tensors: {}\n" : "tensors:\n" + tensors);
}

const std::string* unwritable_name(const Catalog& catalog) {
  for (const Tensor& tensor : catalog.tensors)
    if (!fits_yaml(tensor.name)) return &tensor.name;
  return nullptr;
}

}  // namespace regraft
