// Target schemas: what a model expects, as text, without a value in it. YAML, or JSON of the same
// shape (suffix .json):
//
//   regraft_schema: 1
//   tensors:                          # in the order of the model
//     conv1.weight: {dtype: float32, shape: [16, 3, 3, 3]}
//     head.weight: {dtype: float32, shape: [10, 4]}
//     embed.weight: {dtype: float32, shape: [10, 4], tie: head.weight}
//     row: {dtype: float32, shape: [2], storage: s, strides: [1], offset: 3}
//     odd: {dtype: int8, shape: [4], unsupported: a quantized tensor (qint8)}
//   storages:                         # optional
//     s: {nbytes: 400}
//   metadata: {license: mit}          # optional: safetensors' metadata, text to text
//   module_metadata:                  # optional: `_metadata` of a state dict, module to integers
//     '': {version: 1}
//   extras: {epoch: int 3}            # optional: path to summary of what stands beside the tensors
//
// `tie` makes a tensor the same view as another one, which has no `tie` itself. `storage` names the
// bytes that several views share; without it and `tie` a tensor has bytes of its own. `strides` are
// contiguous and `offset` (in elements) is 0 unless given. A storage that is not under `storages`
// is as long as its views need. `conj`, `neg`, `parameter` and `requires_grad` are false unless
// given.
#pragma once

#include <string>

#include "catalog/catalog.h"

namespace regraft {

// A schema in YAML that reads back to the same names, shapes, dtypes, views, shared storages and
// metadata. Extras are left out: a model expects none. What YAML has no spelling for (bytes that
// are not UTF-8, control characters) becomes the text \xNN.
std::string write_schema(const Catalog& catalog);
// A name that YAML has no spelling for, so that it would be read as another; null: there is none.
const std::string* unwritable_name(const Catalog& catalog);

}  // namespace regraft
