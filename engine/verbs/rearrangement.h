// einops notation for one tensor, checked as einops does.
//   `(h two d) c -> (h d two) c` with h = 6, two = 2:   [24, 8]  ->  [24, 8], rows interleaved
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "expr/expr.h"
#include "text/axes.h"

namespace regraft {

class Rearrangement {
 public:
  using Sizes = std::map<std::string, std::int64_t, std::less<>>;

  // `sized`: the axes whose sizes apply() is given. Reports wrong-type where both sides do not have
  // the same axes, or where a dimension has several axes without a size.
  static std::optional<Rearrangement> parse(std::string_view text, const Location& where,
                                            std::span<const std::string> sized,
                                            Diagnostics& diagnostics);

  // An error (rule-shape) says which axes do not fit the shape, at their place in the pattern.
  [[nodiscard]] Result<ExprPtr> apply(const ExprPtr& arg, const Sizes& sizes) const;

  [[nodiscard]] const std::vector<std::string>& axes() const { return names_; }

 private:
  Rearrangement() = default;
  bool check_left(std::span<const std::string> sized, Diagnostics& diagnostics);
  bool check_right(Diagnostics& diagnostics);
  [[nodiscard]] Status split(const AxisGroup& group, std::int64_t size, const Sizes& sizes,
                             std::vector<std::int64_t>& known) const;

  std::string left_text_;
  Axes left_, right_;
  std::vector<std::string> names_;  // of the axes, as they stand on the left
  bool ellipsis_ = false;
  Location where_;
};

}  // namespace regraft
