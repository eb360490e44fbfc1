// A tensor computed in parts: rows of its first dimension, one after the other, in the memory of
// one. Bit for bit what the whole gives: every row is made of rows of what is loaded, products and
// sums over a dimension are never cut, and cuts are where torch's loops would begin a vector.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "expr/expr.h"

namespace regraft {

struct Tiling {
  std::int64_t rows;    // of each tile but the last, which may have fewer
  std::uint64_t bytes;  // that a tile takes: itself, and what is loaded for it
};

// Tiles of about `size` bytes, the smallest that there can be where that is less. Empty: the tensor
// is computed as a whole, since it is no larger, or a row is not made of rows. Tile after tile,
// every tensor that is loaded in parts is loaded from its first element to its last.
// `catalogs` by input index.
std::optional<Tiling> tiling(const Expr& expr, std::span<const Catalog* const> catalogs,
                             std::uint64_t size);

// Rows `first` to `first + rows` of an expression that has a tiling; `first` is a multiple of
// Tiling::rows. Loads below it say where they begin.
ExprPtr tile(const ExprPtr& expr, std::int64_t first, std::int64_t rows);

}  // namespace regraft
