// What computes tensors. The core never links a tensor library: a program that has one passes its
// evaluator in ExecuteOptions. Plans that only move bytes need none.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "base/result.h"
#include "expr/expr.h"

namespace regraft {

class Evaluator {
 public:
  virtual ~Evaluator() = default;
  // Gives a loaded tensor's elements in row-major order; `out` has numel x itemsize bytes.
  using LoadTensor = std::function<Status(const Load& load, std::span<std::byte> out)>;
  // Computes `expr` into `out`, row-major, expr.dtype; `out` has numel x itemsize bytes.
  [[nodiscard]] virtual Status evaluate(const Expr& expr, const LoadTensor& load,
                                        std::span<std::byte> out) = 0;
};

}  // namespace regraft
