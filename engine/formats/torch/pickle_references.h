// Which values a value of a pickle refers to.
#pragma once

#include <cstddef>
#include <vector>

#include "formats/torch/pickle.h"

namespace regraft {

struct References {
  std::vector<NodeId> nodes;
  // So many of them, from the front, have to be there before the value can be made; the others are
  // put into it.
  std::size_t early = 0;
};

References references_of(const PickleGraph& graph, NodeId node);

}  // namespace regraft
