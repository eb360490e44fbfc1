// Adds what a walk over a pickle's values finds to a catalog, within the limits of the reader:
// values may refer to one another, so that few of them spell out without end.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "base/result.h"
#include "catalog/catalog.h"
#include "formats/format.h"
#include "formats/torch/pickle.h"
#include "formats/torch/torch_tensors.h"

namespace regraft {

class CatalogFiller {
 public:
  CatalogFiller(const PickleGraph& graph, const PickleOrigin& origin, const Limits& limits,
                Catalog& catalog)
      : graph_(graph), origin_(origin), limits_(limits), catalog_(catalog) {}

  // Steps of the walk, and bytes of what it has put into the catalog.
  Status count(NodeId node, std::size_t steps);
  Status charge(NodeId node, std::uint64_t bytes);
  [[nodiscard]] std::uint64_t charged() const { return charged_; }
  void set_charged(std::uint64_t bytes) { charged_ = bytes; }  // what was added is taken out again

  // `rebuilt` as `path`, an entry of the container, with what it carries as extras.
  Status add_tensor(NodeId node, const std::string& path, std::uint32_t container,
                    RebuiltTensor rebuilt, ExtraPlace place = kNoPlace,
                    const std::optional<std::string>& optimizer = {});
  Status add_extra(NodeId node, Extra extra);

  // No key stands twice in what is to be a dict.
  [[nodiscard]] Status check_keys(std::span<const std::pair<NodeId, NodeId>> pairs) const;

 private:
  const PickleGraph& graph_;
  const PickleOrigin& origin_;
  const Limits& limits_;
  Catalog& catalog_;
  std::uint64_t steps_ = 0;
  std::uint64_t charged_ = 0;
};

}  // namespace regraft
