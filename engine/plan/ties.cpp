// Ties: names that were one view and are no longer treated alike.
#include <map>

#include "plan/target.h"

namespace regraft {
namespace {

using ViewKey =
    std::tuple<std::uint32_t, std::uint32_t, std::int64_t, DType, Shape, Shape, bool, bool>;

ViewKey key_of(std::uint32_t input, const Tensor& tensor) {
  return {input,        tensor.storage, tensor.offset, tensor.dtype,
          tensor.shape, tensor.strides, tensor.conj,   tensor.neg};
}

}  // namespace

void mark_untied(const Inputs& inputs, Plan& plan) {
  const std::vector<const Catalog*> all = inputs.all();
  // Most storages have one name, which is tied to nothing.
  std::vector<std::vector<std::uint32_t>> names(all.size());
  for (std::size_t input = 0; input < all.size(); ++input)
    names[input].resize(all[input]->storages.size());
  for (const PlannedTensor& planned : plan.tensors)
    if (planned.expr)
      for (const Load& load : loads_of(*planned.expr))
        if (const Tensor& tensor = tensor_of(load, inputs); tensor.unsupported.empty())
          ++names[load.input][tensor.storage];
  // Where each output's values come from before any change: names that begin as one view were tied.
  std::map<ViewKey, std::vector<PlannedTensor*>> origins;
  for (PlannedTensor& planned : plan.tensors) {
    if (!planned.expr) continue;
    const std::vector<Load> loads = loads_of(*planned.expr);
    if (loads.size() != 1) continue;
    const Tensor& tensor = tensor_of(loads.front(), inputs);
    if (tensor.unsupported.empty() && names[loads.front().input][tensor.storage] > 1)
      origins[key_of(loads.front().input, tensor)].push_back(&planned);
  }
  for (auto& [origin, members] : origins) {
    if (members.size() < 2) continue;
    for (PlannedTensor* member : members) {
      const auto view = as_view(*member->expr, all);
      const bool as_it_was =
          view && ViewKey{view->input, view->storage, view->offset, view->dtype,
                          view->shape, view->strides, view->conj,   view->neg} == origin;
      member->untied = !as_it_was;
    }
  }
}

}  // namespace regraft
