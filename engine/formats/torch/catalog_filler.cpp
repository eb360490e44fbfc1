#include "formats/torch/catalog_filler.h"

#include <optional>

#include "formats/torch/pickle_values.h"

namespace regraft {

Status CatalogFiller::count(NodeId node, std::size_t steps) {
  steps_ += steps;
  if (steps_ <= limits_.pickle_opcodes) return Done{};
  return past_limit(origin_.at(graph_.offset(node)),
                    "the checkpoint's values refer to one another so often that walking them takes "
                    "too many steps",
                    limits_, &Limits::pickle_opcodes);
}

Status CatalogFiller::charge(NodeId node, std::uint64_t bytes) {
  charged_ += bytes;
  if (charged_ <= limits_.pickle_value_bytes) return Done{};
  return past_limit(origin_.at(graph_.offset(node)),
                    "the list of the checkpoint's content needs too much memory", limits_,
                    &Limits::pickle_value_bytes);
}

Status CatalogFiller::add_tensor(NodeId node, const std::string& path, std::uint32_t container,
                                 RebuiltTensor rebuilt, ExtraPlace place,
                                 const std::optional<std::string>& optimizer) {
  Tensor& tensor = rebuilt.tensor;
  REGRAFT_CHECK(charge(node, sizeof(Tensor) + path.size() + 16 * tensor.shape.size()));
  tensor.name = path;
  tensor.container = container;
  tensor.place = place;
  REGRAFT_CHECK(check_view(catalog_, tensor, origin_.offset + graph_.offset(node)));
  ++catalog_.containers[container].tensors;
  catalog_.tensors.push_back(std::move(tensor));
  for (std::string& attribute : rebuilt.attributes)
    REGRAFT_CHECK(add_extra(node, {path, std::move(attribute), place, optimizer}));
  return Done{};
}

Status CatalogFiller::add_extra(NodeId node, Extra extra) {
  REGRAFT_CHECK(charge(node, sizeof(Extra) + extra.path.size() + extra.summary.size() +
                                 (extra.optimizer ? extra.optimizer->size() : 0)));
  catalog_.extras.push_back(std::move(extra));
  return Done{};
}

Status CatalogFiller::check_keys(std::span<const std::pair<NodeId, NodeId>> pairs) const {
  std::optional<NodeId> twice = duplicate_key(graph_, pairs);
  if (!twice) return Done{};
  return error(Code::pickle_corrupt, origin_.at(graph_.offset(*twice)),
               "a dict has the key " + summary(graph_, *twice) + " twice",
               "load it with torch and save it again; torch takes the last one");
}

}  // namespace regraft
