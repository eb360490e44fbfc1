// Where an element of an expression comes from.
#pragma once

#include <cstdint>
#include <optional>

#include "expr/expr.h"

namespace regraft {

struct Origin {
  Load load;
  std::int64_t element;  // of the loaded tensor, in row-major order
  bool operator==(const Origin&) const = default;
};

// The element that stands at `element`, in row-major order, of the expression. Casts are passed
// through; empty where the element is filled or computed.
std::optional<Origin> trace(const Expr& expr, std::int64_t element);

}  // namespace regraft
