// What a checkpoint holds, without its data: every tensor, every storage, and what stands beside.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "catalog/dtype.h"
#include "catalog/extra_content.h"

namespace regraft {

using Shape = std::vector<std::int64_t>;

std::string to_string(const Shape& shape);  // "[3, 16]"
// Empty when a size is negative, or when the product of the sizes that are not 0 overflows: a zero
// hides no overflow, wherever it stands.
std::optional<std::int64_t> numel(const Shape&);
Shape contiguous_strides(const Shape& shape);  // torch's, in elements
// torch's is_contiguous(): sizes of 1 and empty tensors do not care about strides.
bool is_contiguous(const Shape& shape, const Shape& strides);

// Bytes that tensors are views of.
struct Storage {
  std::uint64_t nbytes = 0;
  std::string key;                     // the record's name inside the file, for messages
  std::uint64_t offset = 0;            // first byte in the file (of the compressed data, if so)
  std::optional<std::uint32_t> crc32;  // as the file states it; empty: unknown
};

// A view of a storage, or something tensor-like that cannot be carried (`unsupported` says what).
struct Tensor {
  // Dotted path below the root; before select_root(), from the top: the key itself in
  // containers[0], the container's path + "." + key elsewhere.
  std::string name;
  DType dtype = DType::float32;
  Shape shape;
  Shape strides;                // in elements, as torch's
  std::uint32_t storage = 0;    // index into Catalog::storages
  std::int64_t offset = 0;      // first element, in elements from the storage's start
  std::uint32_t container = 0;  // index into Catalog::containers
  ExtraPlace place = kNoPlace;  // for Catalog::extra_content, should it be no part of the root
  bool requires_grad = false;
  bool parameter = false;   // saved as torch.nn.Parameter
  bool conj = false;        // conjugate bit
  bool neg = false;         // negative bit
  bool meta = false;        // dtype and shape alone, no values (also `unsupported`)
  std::string unsupported;  // "a quantized tensor (qint8)"; empty for all others
};

// One entry of `_metadata`, the OrderedDict that Module.state_dict() attaches: module path ->
// version.
struct ModuleMetadata {
  std::string module;  // "" is the root module
  std::vector<std::pair<std::string, std::int64_t>>
      ints;  // {"version": 2}; `entries` in file order
};

// A mapping or list in the file: where a state dict may be.
struct Container {
  std::int32_t parent = -1;     // index, smaller than its own; -1 for the top, containers[0]
  std::string path;             // dotted, from the top; "" for the top
  bool mapping = true;          // false: list or tuple
  bool optimizer = false;       // has `state` and `param_groups`: not searched for state dicts
  std::uint64_t entries = 0;    // direct values
  std::uint64_t tensors = 0;    // direct values that are tensors
  ExtraPlace place = kNoPlace;  // for Catalog::extra_content
  std::vector<ModuleMetadata> metadata;
};

// Content beside the tensors.
struct Extra {
  std::string path;     // dotted, from the top
  std::string summary;  // "int 12", "str 'adam'", "list of 3", "argparse.Namespace"
  ExtraPlace place = kNoPlace;
  // It is, or belongs to, the state of an optimizer: the path of that.
  std::optional<std::string> optimizer;
};

struct Catalog {
  std::string path;    // as the user gave it
  std::string alias;   // of a further source: its names begin with `alias::`; "" for all others
  std::string format;  // "torch-zip", "torchscript", "safetensors", "schema"
  std::uint64_t file_bytes = 0;
  std::string metadata_digest;  // SHA-256, raw, over all bytes that are not tensor data
  bool has_values = true;       // false: names, shapes and dtypes only (a schema)
  std::vector<Tensor> tensors;  // in file order; names unique after select_root()
  std::vector<Storage> storages;
  std::vector<Container> containers;
  std::vector<Extra> extras;
  std::shared_ptr<const ExtraContent> extra_content;  // null: none of it can be written again
  std::vector<std::pair<std::string, std::string>> metadata;  // safetensors' __metadata__, in order
  std::vector<std::string> remarks;  // for the report: "no CRC stated for 3 records"
};

std::uint64_t nbytes(const Tensor& tensor);  // numel x itemsize; the reader has proven that it fits
// First and one-past-last byte of the storage that the view touches; {0, 0} when it is empty.
std::pair<std::uint64_t, std::uint64_t> byte_extent(const Tensor& tensor);
// One view: same storage, offset, shape, strides and dtype (and bits). The catalogs must be one.
bool tied(const Tensor& a, const Tensor& b);
// Proves that the view lies inside its storage and nothing overflows; readers call it for each
// tensor. An empty view may begin anywhere, as in torch. `unsupported` tensors are not looked at.
Status check_view(const Catalog& catalog, const Tensor& tensor, std::uint64_t pickle_offset);

// The names below one container: tensors renamed to the dotted path below it, all other tensors
// turned into extras. `roots` are paths tried in order ("" is the top); empty: found automatically,
// as the language page's "Sources" says. A mapping with `state` and `param_groups` is an
// optimizer's. The root becomes containers[0], with its metadata and its path from the top;
// containers outside of it go. When there is no tensor, extras whose summary says "pickled module"
// are named. Errors: root-not-found, root-ambiguous (lists candidates and the `root:` line to add),
// and tensor-corrupt when two tensors have one dotted name. With an alias, names and the paths of
// extras begin with `alias::`.
Result<Catalog> select_root(Catalog catalog, const std::vector<std::string>& roots,
                            std::string alias = {});

// `other::` for the alias `other`.
std::string alias_prefix(std::string_view alias);

}  // namespace regraft
