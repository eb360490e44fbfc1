// Sizes that no file of a golden case can have.
#include "catch.h"
#include "verbs/grid.h"

namespace regraft {
namespace {

Grid grid() {
  Diagnostics diagnostics;
  std::optional<Grid> read =
      Grid::read(Parameters(nullptr, Grid::case_params(), diagnostics), diagnostics);
  REQUIRE(read);
  return *read;
}

// How the default parameters take a source of so many tokens.
std::string outcome(std::int64_t tokens) {
  const ExprPtr source = fill(std::int64_t{0}, DType::float32, {1, tokens, 1});
  const Result<Grid::Resized> resized = grid().resize(source, {1, 4, 1}, {});
  if (!resized) return resized.error().message;
  CHECK(resized->expr->shape == Shape{1, 4, 1});
  CHECK(resized->expr->dtype == DType::float32);
  return resized->detail;
}

TEST_CASE("grid: squares are found exactly, however large") {
  for (const std::int64_t side : {std::int64_t{1}, std::int64_t{2}, std::int64_t{14},
                                  std::int64_t{94906267}, std::int64_t{3037000499}}) {
    const std::string text = std::to_string(side);
    CHECK(outcome(side * side) == text + " x " + text + " -> 2 x 2, bicubic");
    CHECK(outcome(side * side + 1) ==
          "the source has " + std::to_string(side * side + 1) + " tokens, which is no square");
    if (side > 2) CHECK_THAT(outcome(side * side - 1), Catch::EndsWith("which is no square"));
  }
  CHECK_THAT(outcome(std::numeric_limits<std::int64_t>::max()),
             Catch::EndsWith("which is no square"));
}

}  // namespace
}  // namespace regraft
