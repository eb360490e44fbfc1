// Tensors of the inputs for the evaluator, as a whole or a tile after the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <utility>

#include "execute/execution.h"
#include "execute/gather.h"
#include "execute/tensor_digests.h"

namespace regraft {

class EvaluatorLoads {
 public:
  // Everything is by reference and has to outlive it. Digests of what is loaded go to `digests`.
  EvaluatorLoads(const Execution& run, Gatherer& gatherer, InputDigests& digests,
                 const Evaluate& evaluate);

  // As Evaluator::LoadTensor.
  Status load(const Load& load, std::span<std::byte> out);

 private:
  // What has been loaded of a tensor in tiles, from its first element on.
  struct Loaded {
    std::uint64_t bytes = 0;
    TensorDigest digest;
    std::uint32_t crc = 0;
  };
  Status load_tile(const Load& load, const View& view, std::uint64_t first,
                   std::span<std::byte> out);

  const Execution& run_;
  Gatherer& gatherer_;
  InputDigests& digests_;
  const bool tiles_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, Loaded> loaded_;  // by input and tensor
};

}  // namespace regraft
