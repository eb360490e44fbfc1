// Tensors that need no computing: their bytes lie in the inputs, in a few places.
//   cat(load(0, 'q'), load(0, 'k'), 0)    all of q, then all of k
//   pad(load(0, 'w'), [0, 0], [6, 4], 0)  all of w, then zeros
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "expr/expr.h"
#include "schedule/schedule.h"

namespace regraft {

// The elements of an expression in row-major order. Empty where they have to be computed, and where
// they lie in more parts than most_parts() of their bytes: reading the whole is faster then.
std::optional<Parts> parts_of(const Expr& expr, std::span<const Catalog* const> catalogs);

// A part costs a read and a place in the schedule: few where they are short.
std::uint64_t most_parts(std::uint64_t nbytes);

}  // namespace regraft
