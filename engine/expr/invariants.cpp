#include "expr/invariants.h"

#include <algorithm>
#include <map>
#include <unordered_set>
#include <utility>

#include "base/checked.h"

namespace regraft {
namespace {

using Dims = std::vector<std::int64_t>;

std::int64_t at(const Shape& shape, std::int64_t dim) {
  return shape[static_cast<std::size_t>(dim)];
}
bool has_dim(const Expr& node, std::int64_t dim) {
  return dim >= 0 && dim < static_cast<std::int64_t>(node.shape.size());
}
// The shape with another size in one dimension.
Shape with(Shape shape, std::int64_t dim, std::int64_t size) {
  shape[static_cast<std::size_t>(dim)] = size;
  return shape;
}
bool lies_within(const Shape& outer, const Dims& start, const Shape& inner) {
  if (outer.size() != inner.size() || outer.size() != start.size()) return false;
  for (std::size_t i = 0; i < outer.size(); ++i)
    if (start[i] < 0 || inner[i] > outer[i] || start[i] > outer[i] - inner[i]) return false;
  return true;
}

// The arguments are there, as many as the primitive has.
struct Inference {
  const Expr& node;

  [[nodiscard]] const Expr& arg(std::size_t i = 0) const { return *node.args[i]; }
  [[nodiscard]] bool of(const Shape& shape) const {
    return node.shape == shape && node.dtype == arg().dtype;
  }

  bool operator()(const Load&) const { return true; }
  bool operator()(const Fill& op) const {
    return op.step == 0 ? holds(node.dtype, op.value) : !node.shape.empty();
  }
  bool operator()(const Random&) const { return kind(node.dtype) == Kind::floating; }
  bool operator()(const Narrow& op) const {
    if (!has_dim(arg(), op.dim) || op.start < 0 || op.length < 0 || op.step < 1) return false;
    const std::int64_t size = at(arg().shape, op.dim);
    if (op.length == 0 ? op.start > size : op.start >= size) return false;
    if (op.length > 1 && op.step > (size - 1 - op.start) / (op.length - 1)) return false;
    return of(with(arg().shape, op.dim, op.length));
  }
  bool operator()(const Index& op) const {
    if (!has_dim(arg(), op.dim)) return false;
    const std::int64_t size = at(arg().shape, op.dim);
    const auto inside = [&](std::int64_t one) { return one >= 0 && one < size; };
    return std::all_of(op.index.begin(), op.index.end(), inside) &&
           of(with(arg().shape, op.dim, static_cast<std::int64_t>(op.index.size())));
  }
  bool operator()(const Permute& op) const {
    Dims sorted = op.dims;
    std::sort(sorted.begin(), sorted.end());
    Shape shape;
    for (std::size_t i = 0; i < sorted.size(); ++i) {
      if (sorted[i] != static_cast<std::int64_t>(i) || sorted.size() != arg().shape.size())
        return false;
      shape.push_back(at(arg().shape, op.dims[i]));
    }
    return of(shape);
  }
  bool operator()(const Reshape&) const {
    return numel(node.shape) == numel(arg().shape) && of(node.shape);
  }
  bool operator()(const Expand&) const {
    return broadcast(arg().shape, node.shape) == node.shape && of(node.shape);
  }
  bool operator()(const Cat& op) const {
    if (!has_dim(arg(), op.dim)) return false;
    std::int64_t size = 0;
    for (const ExprPtr& one : node.args) {
      if (one->dtype != node.dtype || one->shape.size() != node.shape.size()) return false;
      const std::int64_t own = at(one->shape, op.dim);
      if (with(one->shape, op.dim, 0) != with(node.shape, op.dim, 0)) return false;
      size += own;
    }
    return of(with(arg().shape, op.dim, size));
  }
  bool operator()(const Pad& op) const {
    return lies_within(node.shape, op.before, arg().shape) && holds(node.dtype, op.value) &&
           of(node.shape);
  }
  bool operator()(const Overlay& op) const {
    return lies_within(node.shape, op.start, arg(1).shape) && arg(1).dtype == node.dtype &&
           of(arg().shape);
  }
  bool operator()(const Cast&) const { return node.shape == arg().shape; }
  bool operator()(const Unary&) const { return of(arg().shape); }
  bool operator()(const Binary&) const {
    const auto shape = broadcast(arg().shape, arg(1).shape);
    return shape && arg(1).dtype == node.dtype && of(*shape);
  }
  bool operator()(const MatMul&) const {
    const Shape &left = arg().shape, &right = arg(1).shape;
    if (left.size() < 2 || left.size() != right.size() || arg(1).dtype != node.dtype) return false;
    if (!std::equal(left.begin(), left.end() - 2, right.begin())) return false;
    const auto columns = static_cast<std::int64_t>(left.size()) - 1;
    return left.back() == right[right.size() - 2] && of(with(left, columns, right.back()));
  }
  bool operator()(const Reduce& op) const {
    return has_dim(arg(), op.dim) && of(with(arg().shape, op.dim, 1));
  }
  bool operator()(const Interpolate&) const {
    if (arg().shape.size() != 4 || node.shape.size() != 4) return false;
    return of({arg().shape[0], arg().shape[1], node.shape[2], node.shape[3]});
  }
};

struct Arity {
  bool operator()(const Load&) const { return count == 0; }
  bool operator()(const Fill&) const { return count == 0; }
  bool operator()(const Random&) const { return count == 0; }
  bool operator()(const Cat&) const { return count >= 1; }
  bool operator()(const Overlay&) const { return count == 2; }
  bool operator()(const Binary&) const { return count == 2; }
  bool operator()(const MatMul&) const { return count == 2; }
  template <typename Other>
  bool operator()(const Other&) const {
    return count == 1;
  }
  std::size_t count;
};

// Every node once; ends when `visit` returns false.
template <typename Visit>
bool each_node(const Expr& root, Visit visit) {
  std::unordered_set<const Expr*> seen;
  std::vector<const Expr*> open{&root};
  while (!open.empty()) {
    const Expr* node = open.back();
    open.pop_back();
    if (!seen.insert(node).second) continue;
    if (!visit(*node)) return false;
    for (const ExprPtr& arg : node->args) open.push_back(arg.get());
  }
  return true;
}

}  // namespace

bool well_formed(const Expr& node) {
  const auto there = [](const ExprPtr& arg) { return arg != nullptr; };
  return numel(node.shape) && std::all_of(node.args.begin(), node.args.end(), there) &&
         std::visit(Arity{node.args.size()}, node.op) && std::visit(Inference{node}, node.op);
}

bool checks_values(const Expr& expr) {
  if (expr.args.empty()) return false;
  return !each_node(expr, [](const Expr& node) {
    const auto* cast = std::get_if<Cast>(&node.op);
    return !(cast && cast->checked && !widens(node.args[0]->dtype, node.dtype));
  });
}

std::optional<std::string> broken_by_rewrite(const Expr& before, const Expr& after) {
  if (after.dtype != before.dtype)
    return "the dtype is " + std::string(name(after.dtype)) + ", and was " +
           std::string(name(before.dtype));
  if (after.shape != before.shape)
    return "the shape is " + to_string(after.shape) + ", and was " + to_string(before.shape);
  std::map<std::pair<std::uint32_t, std::uint32_t>, const Expr*> loads;
  each_node(before, [&](const Expr& node) {
    if (const auto* load = std::get_if<Load>(&node.op))
      loads.emplace(std::pair(load->input, load->tensor), &node);
    return true;
  });
  std::optional<std::string> broken;
  each_node(after, [&](const Expr& node) {
    if (!well_formed(node)) {
      // Its text would need what is missing.
      broken = "a node of shape " + to_string(node.shape) + " does not fit its arguments";
    } else if (const auto* load = std::get_if<Load>(&node.op)) {
      const auto known = loads.find({load->input, load->tensor});
      if (known == loads.end())
        broken = to_string(node) + " is loaded, and was not";
      else if (known->second->dtype != node.dtype || known->second->shape != node.shape)
        broken = to_string(node) + " has another dtype or shape";
    }
    return !broken;
  });
  return broken;
}

}  // namespace regraft
