// Tensors of the inputs for the evaluator, as a whole or a tile after the other.
#pragma once

#include <cstddef>
#include <span>

#include "execute/execution.h"
#include "execute/gather.h"
#include "execute/passing_by.h"
#include "execute/tensor_digests.h"

namespace regraft {

class EvaluatorLoads {
 public:
  // Everything is by reference and has to outlive it. Digests of what is loaded go to `digests`.
  EvaluatorLoads(const Execution& run, Gatherer& gatherer, InputDigests& digests,
                 const Evaluate& evaluate);

  // As Evaluator::LoadTensor.
  Status load(const Load& load, std::span<std::byte> out);
  // After the last tile.
  void finish() { passing_.finish(digests_); }

 private:
  // Bytes that are put one behind the other.
  class Filling final : public ByteSink {
   public:
    explicit Filling(Ticker& ticker) : ticker_(ticker) {}
    void into(std::span<std::byte> out, TensorDigest* digest) { out_ = out, digest_ = digest; }
    Status take(Bytes bytes) override;
    Status proceed() override { return ticker_.proceed(); }

   private:
    Ticker& ticker_;
    std::span<std::byte> out_;
    TensorDigest* digest_ = nullptr;
  };

  const Execution& run_;
  Gatherer& gatherer_;
  InputDigests& digests_;
  const bool tiles_;
  Filling filling_;
  PassingBy passing_;  // what is loaded in parts
};

}  // namespace regraft
