// Which storages the output has, and which of them each tensor is a view of.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "schedule/schedule.h"

namespace regraft {

// A tensor of the output that has no place yet.
struct Piece {
  std::uint32_t planned;
  ExprPtr expr;   // what it is, and tied by
  ExprPtr steps;  // how it is made
  // The input's bytes, where nothing has to be computed.
  std::optional<View> view;
  // The same for bytes of several places.
  std::optional<Parts> parts;
  // The same for such bytes of another dtype.
  std::optional<Convert> convert;
  // The tensor is the view's elements in row-major order, under another shape: bytes of its own.
  bool rearranged = false;
  // Of values that no input has: the tensor of the target that they are for. Names that are one
  // there are one again, others are not, though their values may be equal.
  std::string made_for;
  Tensor tensor;  // name, dtype, shape and flags; contiguous
};

// Names of one tensor, as indexes into the pieces, in the order of the output; at least two.
using Ties = std::vector<std::vector<std::uint32_t>>;

// For formats whose tensors may be views of one storage. Fills tensors, storages and remarks, and
// Surroundings::storages from `kept`: storages of the first source that are written whole, whatever
// tensors make of them.
void place_sharing(std::vector<Piece> pieces, std::span<const Catalog* const> catalogs,
                   std::span<const std::uint32_t> kept, Schedule& schedule);
// For formats where every tensor has bytes of its own. `ties` says what becomes of tied ones; with
// TiesMode::error they are returned, and the schedule is of no use.
Ties place_apart(std::vector<Piece> pieces, std::span<const Catalog* const> catalogs, TiesMode ties,
                 std::string_view format, Schedule& schedule);

// "1 tensor was", "3 tensors were"
std::string count_of(std::uint64_t count, std::string_view one, std::string_view many);

}  // namespace regraft
