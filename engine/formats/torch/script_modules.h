// A TorchScript module as its state dict: what torch.jit.load(FILE).state_dict() gives.
//
//   data.pkl                                                   the state dict
//   __torch__.Net(p=T1, l=__torch__.Linear(weight=T2, bias=None), s='x')    p, l.weight
//
// Parameters of a module, then buffers, then the modules in it, each in the order in which the
// class declares its attributes. Buffers that were not persistent are there too, and those declared
// as `Optional[Tensor]` are not: so it is in torch.
#pragma once

#include "base/result.h"
#include "catalog/catalog.h"
#include "formats/format.h"
#include "formats/torch/script_classes.h"
#include "formats/torch/torch_archive.h"

namespace regraft {

// Fills `containers`, `tensors`, `extras` and `remarks` of a catalog whose storages are those of
// the archive, in order.
Status read_modules(const TorchArchive& archive, ScriptClasses& classes, const Limits& limits,
                    Catalog& catalog);

}  // namespace regraft
