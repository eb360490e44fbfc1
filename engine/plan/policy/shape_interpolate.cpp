// interpolate: another grid of positions; the size is the target's.
#include "plan/policy/shape.h"
#include "verbs/grid.h"

namespace regraft {
namespace {

class Interpolating final : public BoundAction {
 public:
  Interpolating(Grid grid, Grid::Sizes sizes) : grid_(std::move(grid)), sizes_(sizes) {}
  Settled settle(const Situation& situation) const override {
    Result<Grid::Resized> resized = grid_.resize(situation.result, situation.target->shape, sizes_);
    if (!resized)
      return refuse(Code::shape_mismatch, against(situation) + ": " + resized.error().message,
                    resized.error().hint);
    Settled settled;
    settled.decision = Decision::adapted;
    settled.expr = std::move(resized->expr);
    settled.continues = true;
    settled.detail = becomes(situation, "interpolate " + resized->detail);
    return settled;
  }

 private:
  Grid grid_;
  Grid::Sizes sizes_;
};

class InterpolateAction final : public Action {
 public:
  std::string_view name() const override { return "interpolate"; }
  std::string_view doc() const override {
    return "A grid of positions is resized, as torch's interpolate does with align_corners false, "
           "in float32.";
  }
  std::span<const Param> params() const override { return Grid::case_params(); }
  std::unique_ptr<const BoundAction> bind(const yaml::Node* parameters,
                                          Diagnostics& diagnostics) const override {
    const Parameters read(parameters, Grid::case_params(), diagnostics);
    const Grid::Sizes sizes = Grid::read_sizes(read);
    std::optional<Grid> grid = Grid::read(read, diagnostics);
    if (!grid) return nullptr;
    return std::make_unique<Interpolating>(std::move(*grid), sizes);
  }
};

}  // namespace

const Action& interpolate_action() {
  static const InterpolateAction action;
  return action;
}

}  // namespace regraft
