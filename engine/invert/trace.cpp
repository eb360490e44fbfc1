#include "invert/trace.h"

namespace regraft {
namespace {

using Position = std::vector<std::int64_t>;

Position unravel(std::int64_t element, const Shape& shape) {
  Position index(shape.size());
  for (std::size_t i = shape.size(); i-- > 0;) {
    index[i] = element % shape[i];
    element /= shape[i];
  }
  return index;
}

std::int64_t ravel(const Position& index, const Shape& shape) {
  std::int64_t element = 0;
  for (std::size_t i = 0; i < shape.size(); ++i) element = element * shape[i] + index[i];
  return element;
}

// Which argument an element comes from, and which of its elements it is.
struct Step {
  std::size_t argument;
  std::int64_t element;
};

struct Back {
  const Expr& expr;
  std::int64_t element;

  [[nodiscard]] Step to(std::size_t argument, const Position& index) const {
    return {argument, ravel(index, expr.args[argument]->shape)};
  }
  [[nodiscard]] Position index() const { return unravel(element, expr.shape); }

  std::optional<Step> operator()(const Narrow& op) const {
    Position at = index();
    std::int64_t& along = at[static_cast<std::size_t>(op.dim)];
    along = op.start + along * op.step;
    return to(0, at);
  }
  std::optional<Step> operator()(const Index& op) const {
    Position at = index();
    std::int64_t& along = at[static_cast<std::size_t>(op.dim)];
    along = op.index[static_cast<std::size_t>(along)];
    return to(0, at);
  }
  std::optional<Step> operator()(const Permute& op) const {
    const Position at = index();
    Position before(at.size());
    for (std::size_t i = 0; i < at.size(); ++i)
      before[static_cast<std::size_t>(op.dims[i])] = at[i];
    return to(0, before);
  }
  std::optional<Step> operator()(const Reshape&) const { return Step{0, element}; }
  std::optional<Step> operator()(const Cast&) const { return Step{0, element}; }
  std::optional<Step> operator()(const Expand&) const {
    const Shape& shape = expr.args[0]->shape;
    Position at = index();
    at.erase(at.begin(), at.end() - static_cast<std::ptrdiff_t>(shape.size()));
    for (std::size_t i = 0; i < at.size(); ++i)
      if (shape[i] == 1) at[i] = 0;
    return to(0, at);
  }
  std::optional<Step> operator()(const Cat& op) const {
    Position at = index();
    std::int64_t& along = at[static_cast<std::size_t>(op.dim)];
    for (std::size_t i = 0; i < expr.args.size(); ++i) {
      const std::int64_t length = expr.args[i]->shape[static_cast<std::size_t>(op.dim)];
      if (along < length) return to(i, at);
      along -= length;
    }
    return std::nullopt;
  }
  std::optional<Step> operator()(const Pad& op) const { return inside(0, op.before); }
  std::optional<Step> operator()(const Overlay& op) const {
    if (auto patch = inside(1, op.start)) return patch;
    return Step{0, element};
  }
  template <typename Other>
  std::optional<Step> operator()(const Other&) const {
    return std::nullopt;
  }

 private:
  // In an argument that lies in the result from `start` on.
  [[nodiscard]] std::optional<Step> inside(std::size_t argument, const Position& start) const {
    const Shape& shape = expr.args[argument]->shape;
    Position at = index();
    for (std::size_t i = 0; i < at.size(); ++i) {
      at[i] -= start[i];
      if (at[i] < 0 || at[i] >= shape[i]) return std::nullopt;
    }
    return to(argument, at);
  }
};

}  // namespace

std::optional<Origin> trace(const Expr& expr, std::int64_t element) {
  const Expr* node = &expr;
  while (true) {
    if (const auto* loaded = std::get_if<Load>(&node->op)) return Origin{*loaded, element};
    const std::optional<Step> step = std::visit(Back{*node, element}, node->op);
    if (!step) return std::nullopt;
    node = node->args[step->argument].get();
    element = step->element;
  }
}

}  // namespace regraft
