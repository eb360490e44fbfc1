// What torch.save was given, walked from the top: containers, tensors, and the rest as extras.
#pragma once

#include <vector>

#include "base/result.h"
#include "catalog/catalog.h"
#include "formats/format.h"
#include "formats/torch/pickle.h"
#include "formats/torch/torch_extras.h"
#include "formats/torch/torch_storages.h"

namespace regraft {

// Fills `containers`, `tensors`, `extras` and `remarks` of a catalog whose storages are those of
// `storages`, in order. The places of what is in them are indexes into what is returned.
Result<std::vector<PlaceInPickle>> read_values(const PickleGraph& graph, const PickleOrigin& origin,
                                               const TorchStorages& storages, const Limits& limits,
                                               Catalog& catalog);

}  // namespace regraft
