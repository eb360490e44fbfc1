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

class Grid {
 public:
  // The grid's own size and the one it gets; tokens before and behind it in one axis.
  struct Sizes {
    std::optional<GridSize> to, from;
    std::int64_t prefix = 0, suffix = 0;
  };

  // What `interpolate` takes as a policy, whose numbers are literal, and as a verb.
  static std::span<const Param> case_params();
  static std::span<const Param> rule_params();
  // Reads what is no number; empty when a mistake was reported.
  static std::optional<Grid> read(Parameters parameters, Diagnostics& diagnostics);
  // Reads the numbers of a case.
  static Sizes read_sizes(Parameters parameters);

  struct Resized {
    ExprPtr expr;
    std::string detail;  // "14 x 14 -> 16 x 16, bicubic"
  };
  // `arg` with the grid of `shape`, all other dimensions as they are. An error (rule-shape,
  // rule-dtype) says what does not fit.
  [[nodiscard]] Result<Resized> resize(const ExprPtr& arg, const Shape& shape,
                                       const Sizes& sizes) const;
  // `arg` with a grid of `*sizes.to`.
  [[nodiscard]] Result<Resized> resize(const ExprPtr& arg, const Sizes& sizes) const;

 private:
  enum class Place { h, w, group, one, other };  // what a dimension is

  static std::optional<Grid> layout(const Axes& axes, std::string text, const Location& where,
                                    Diagnostics& diagnostics);
  [[nodiscard]] std::size_t dim(Place place) const;
  [[nodiscard]] bool grouped() const { return dim(Place::group) < places_.size(); }
  [[nodiscard]] Status check_axes(const Shape& from, const Shape& to) const;
  [[nodiscard]] Result<GridSize> size_in(const Shape& shape, const Sizes& sizes,
                                         const std::optional<GridSize>& given,
                                         std::string_view parameter, std::string_view whose) const;
  [[nodiscard]] ExprPtr computed(const ExprPtr& tokens, GridSize from, GridSize to) const;

  std::vector<Place> places_;  // by dimension
  bool w_first_ = false;       // in the group
  std::string text_;           // the pattern
  InterpolateMode mode_ = InterpolateMode::bicubic;
  bool antialias_ = false;
};

}  // namespace regraft
