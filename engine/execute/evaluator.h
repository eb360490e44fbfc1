// What computes tensors. The core never links a tensor library: a program that has one passes its
// evaluator in ExecuteOptions. Plans that only move bytes need none.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/result.h"
#include "expr/expr.h"

namespace regraft {

// What evaluated floats depend on, for the report.
struct EvaluatorInfo {
  std::string library;         // "libtorch 2.13.0"
  std::string cpu_capability;  // "AVX2"
};

class Evaluator {
 public:
  virtual ~Evaluator() = default;
  [[nodiscard]] virtual EvaluatorInfo info() const = 0;
  // Gives a loaded tensor's elements in row-major order, its conjugate and negative bits resolved;
  // `out` has numel x itemsize bytes.
  using LoadTensor = std::function<Status(const Load& load, std::span<std::byte> out)>;
  // Computes `expr` into `out`, row-major, expr.dtype; `out` has numel x itemsize bytes. A checked
  // cast that loses a value gives cast-overflow, without the name of the tensor. Throws nothing.
  [[nodiscard]] virtual Status evaluate(const Expr& expr, const LoadTensor& load,
                                        std::span<std::byte> out) = 0;
};

}  // namespace regraft
