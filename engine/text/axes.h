// Axes by name, as einops writes them: `1 (h w) c`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/diagnostic.h"

namespace regraft {

struct Axis {
  enum class Kind { name, size, ellipsis };
  Kind kind = Kind::name;
  std::string name;       // `h`
  std::int64_t size = 0;  // `1`: a number in place of a name, from 1 up
  Location where;
};

// What stands for one dimension: an axis, or several in row-major order in parentheses. An ellipsis
// outside of parentheses stands for any number of dimensions.
struct AxisGroup {
  std::vector<Axis> axes;  // none: `()`, a dimension of size 1
  bool parentheses = false;
  Location where;
};
using Axes = std::vector<AxisGroup>;

// Reads `length` bytes at `offset` of the scalar that begins at `where`: all of it, or one side of
// a rearrangement. No name and no ellipsis stands there twice. Reports wrong-type at the first
// mistake, with its place.
std::optional<Axes> parse_axes(std::string_view scalar, std::size_t offset, std::size_t length,
                               const Location& where, Diagnostics& diagnostics);
std::optional<Axes> parse_axes(std::string_view scalar, const Location& where,
                               Diagnostics& diagnostics);

}  // namespace regraft
