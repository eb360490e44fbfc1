// A grid of positions among the axes of a tensor, and the same grid in another size: what
// `interpolate` does.
//   `1 (h w) c`:  [1, 1 + 14 * 14, 384]  ->  [1, 1 + 16 * 16, 384], one token before the grid
#pragma once

#include <array>
#include <optional>
#include <string>

#include "base/result.h"
#include "verbs/parameters.h"

namespace regraft {

// What `interpolate` takes, as a verb and as a policy.
std::span<const Param> grid_params();

class Grid {
 public:
  // Reads the parameters; empty when a mistake was reported.
  static std::optional<Grid> read(Parameters parameters, Diagnostics& diagnostics);

  struct Resized {
    ExprPtr expr;
    std::string detail;  // "14 x 14 -> 16 x 16, bicubic"
  };
  // `arg` with the grid of `shape`, all other dimensions as they are. An error (shape-mismatch)
  // says what does not fit.
  [[nodiscard]] Result<Resized> resize(const ExprPtr& arg, const Shape& shape) const;

 private:
  enum class Place { h, w, group, one, other };  // what a dimension is

  static std::optional<Grid> layout(const Axes& axes, std::string text, const Location& where,
                                    Diagnostics& diagnostics);
  [[nodiscard]] std::size_t dim(Place place) const;
  [[nodiscard]] bool grouped() const { return dim(Place::group) < places_.size(); }
  [[nodiscard]] Status check_axes(const Shape& from, const Shape& to) const;
  [[nodiscard]] Result<GridSize> size_in(const Shape& shape, const std::optional<GridSize>& given,
                                         std::string_view parameter, std::string_view whose) const;
  [[nodiscard]] ExprPtr computed(const ExprPtr& tokens, GridSize from, GridSize to) const;

  std::vector<Place> places_;  // by dimension
  bool w_first_ = false;       // in the group
  std::string text_;           // the pattern
  std::optional<GridSize> from_, to_;
  std::int64_t prefix_ = 0, suffix_ = 0;
  InterpolateMode mode_ = InterpolateMode::bicubic;
  bool antialias_ = false;
};

}  // namespace regraft
