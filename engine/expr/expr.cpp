#include "expr/expr.h"

#include <algorithm>
#include <cassert>
#include <unordered_set>
#include <utility>

#include "base/checked.h"

namespace regraft {
namespace {

// Calls `visit` for every node once, arguments before the nodes that use them. Trees share subtrees
// (copies, parts of a split), so a walk that forgot where it was could take exponential time.
template <typename Visit>
void for_each_node(const Expr& expr, std::unordered_set<const Expr*>& seen, Visit visit) {
  if (!seen.insert(&expr).second) return;
  for (const ExprPtr& arg : expr.args) for_each_node(*arg, seen, visit);
  visit(expr);
}

ExprPtr make(Op op, std::vector<ExprPtr> args, DType dtype, Shape shape) {
  assert(numel(shape));
  return std::make_shared<const Expr>(
      Expr{std::move(op), std::move(args), dtype, std::move(shape)});
}

// One argument, dtype as it is.
ExprPtr make(Op op, ExprPtr arg, Shape shape) {
  const DType dtype = arg->dtype;
  return make(std::move(op), std::vector<ExprPtr>{std::move(arg)}, dtype, std::move(shape));
}

[[maybe_unused]] bool has_dim(const Expr& expr, std::int64_t dim) {
  return dim >= 0 && dim < static_cast<std::int64_t>(expr.shape.size());
}

std::int64_t& at(Shape& shape, std::int64_t dim) { return shape[static_cast<std::size_t>(dim)]; }
std::int64_t at(const Shape& shape, std::int64_t dim) {
  return shape[static_cast<std::size_t>(dim)];
}

// A region of size `inner` from `start` on lies within `outer`.
[[maybe_unused]] bool fits(const Shape& outer, const std::vector<std::int64_t>& start,
                           const Shape& inner) {
  if (outer.size() != inner.size() || outer.size() != start.size()) return false;
  for (std::size_t i = 0; i < outer.size(); ++i)
    if (start[i] < 0 || start[i] > outer[i] - inner[i]) return false;
  return true;
}

// The fields of two nodes of one kind; tags without fields are equal.
bool same(const Op& a, const Op& b) {
  if (a.index() != b.index()) return false;
  if (const auto* x = std::get_if<Load>(&a)) return *x == std::get<Load>(b);
  if (const auto* x = std::get_if<Fill>(&a)) {
    const auto& y = std::get<Fill>(b);
    return to_string(x->value) == to_string(y.value) && x->step == y.step;  // .nan equals .nan
  }
  if (const auto* x = std::get_if<Random>(&a)) {
    const auto& y = std::get<Random>(b);
    return x->mean == y.mean && x->std == y.std && x->key == y.key && x->first == y.first;
  }
  if (const auto* x = std::get_if<Narrow>(&a)) {
    const auto& y = std::get<Narrow>(b);
    return x->dim == y.dim && x->start == y.start && x->length == y.length && x->step == y.step;
  }
  if (const auto* x = std::get_if<Index>(&a)) {
    const auto& y = std::get<Index>(b);
    return x->dim == y.dim && x->index == y.index;
  }
  if (const auto* x = std::get_if<Permute>(&a)) return x->dims == std::get<Permute>(b).dims;
  if (const auto* x = std::get_if<Cat>(&a)) return x->dim == std::get<Cat>(b).dim;
  if (const auto* x = std::get_if<Pad>(&a)) {
    const auto& y = std::get<Pad>(b);
    return x->before == y.before && to_string(x->value) == to_string(y.value);
  }
  if (const auto* x = std::get_if<Overlay>(&a)) return x->start == std::get<Overlay>(b).start;
  if (const auto* x = std::get_if<Cast>(&a)) return x->checked == std::get<Cast>(b).checked;
  if (const auto* x = std::get_if<Unary>(&a)) return x->op == std::get<Unary>(b).op;
  if (const auto* x = std::get_if<Binary>(&a)) return x->op == std::get<Binary>(b).op;
  if (const auto* x = std::get_if<Reduce>(&a)) {
    const auto& y = std::get<Reduce>(b);
    return x->op == y.op && x->dim == y.dim;
  }
  if (const auto* x = std::get_if<Interpolate>(&a)) {
    const auto& y = std::get<Interpolate>(b);
    return x->mode == y.mode && x->antialias == y.antialias;
  }
  return true;
}

}  // namespace

ExprPtr load(std::uint32_t input, std::uint32_t tensor, const Tensor& metadata) {
  return make(Load{input, tensor}, std::vector<ExprPtr>{}, metadata.dtype, metadata.shape);
}

ExprPtr fill(Scalar value, DType dtype, Shape shape) {
  assert(holds(dtype, value));
  return make(Fill{value}, std::vector<ExprPtr>{}, dtype, std::move(shape));
}

ExprPtr arange(DType dtype, Shape shape) {
  assert(!shape.empty());
  return make(Fill{std::int64_t{0}, 1}, std::vector<ExprPtr>{}, dtype, std::move(shape));
}

ExprPtr normal(double mean, double std, std::uint64_t key, DType dtype, Shape shape) {
  assert(kind(dtype) == Kind::floating);
  return make(Random{mean, std, key}, std::vector<ExprPtr>{}, dtype, std::move(shape));
}

ExprPtr narrow(ExprPtr arg, std::int64_t dim, std::int64_t start, std::int64_t length,
               std::int64_t step) {
  assert(arg && has_dim(*arg, dim) && start >= 0 && length >= 0 && step >= 1);
  const std::int64_t size = at(arg->shape, dim);
  assert(length == 0 ? start <= size : start + (length - 1) * step < size);
  if (length == size) return arg;
  Shape shape = arg->shape;
  at(shape, dim) = length;
  return make(Narrow{dim, start, length, step}, std::move(arg), std::move(shape));
}

ExprPtr index_select(ExprPtr arg, std::int64_t dim, std::vector<std::int64_t> index) {
  assert(arg && has_dim(*arg, dim));
  assert(std::all_of(index.begin(), index.end(),
                     [&](std::int64_t one) { return one >= 0 && one < at(arg->shape, dim); }));
  Shape shape = arg->shape;
  at(shape, dim) = static_cast<std::int64_t>(index.size());
  return make(Index{dim, std::move(index)}, std::move(arg), std::move(shape));
}

ExprPtr permute(ExprPtr arg, std::vector<std::int64_t> dims) {
  assert(arg && dims.size() == arg->shape.size());
  Shape shape;
  bool moved = false;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    assert(has_dim(*arg, dims[i]));
    shape.push_back(at(arg->shape, dims[i]));
    moved = moved || dims[i] != static_cast<std::int64_t>(i);
  }
  if (!moved) return arg;
  return make(Permute{std::move(dims)}, std::move(arg), std::move(shape));
}

ExprPtr reshape(ExprPtr arg, Shape shape) {
  assert(arg && numel(arg->shape) && numel(arg->shape) == numel(shape));
  if (arg->shape == shape) return arg;
  // There and back again, as where an axis of 1 is taken away and added.
  if (std::holds_alternative<Reshape>(arg->op) && arg->args.front()->shape == shape)
    return arg->args.front();
  return make(Reshape{}, std::move(arg), std::move(shape));
}

std::optional<Shape> reshaped(Shape asked, std::int64_t elements) {
  const auto open = std::find(asked.begin(), asked.end(), -1);
  if (open != asked.end()) {
    *open = 1;
    const auto rest = numel(asked);  // empty when another one is negative
    if (!rest || *rest == 0 || elements % *rest != 0) return std::nullopt;
    *open = elements / *rest;
  }
  return numel(asked) == elements ? std::optional(std::move(asked)) : std::nullopt;
}

ExprPtr expand(ExprPtr arg, Shape shape) {
  assert(arg && broadcast(arg->shape, shape) == shape);
  if (arg->shape == shape) return arg;
  return make(Expand{}, std::move(arg), std::move(shape));
}

ExprPtr cat(std::vector<ExprPtr> args, std::int64_t dim) {
  assert(!args.empty() && has_dim(*args.front(), dim));
  if (args.size() == 1) return args.front();
  Shape shape = args.front()->shape;
  at(shape, dim) = 0;
  for (const ExprPtr& arg : args) {
    assert(arg->dtype == args.front()->dtype && arg->shape.size() == shape.size());
    at(shape, dim) += at(arg->shape, dim);
  }
  const DType dtype = args.front()->dtype;
  return make(Cat{dim}, std::move(args), dtype, std::move(shape));
}

ExprPtr pad(ExprPtr arg, std::vector<std::int64_t> before, Shape shape, Scalar value) {
  assert(arg && fits(shape, before, arg->shape) && holds(arg->dtype, value));
  if (arg->shape == shape) return arg;
  return make(Pad{std::move(before), value}, std::move(arg), std::move(shape));
}

ExprPtr overlay(ExprPtr base, ExprPtr patch, std::vector<std::int64_t> start) {
  assert(base && patch && base->dtype == patch->dtype);
  assert(fits(base->shape, start, patch->shape));
  if (base->shape == patch->shape) return patch;
  const DType dtype = base->dtype;
  Shape shape = base->shape;
  return make(Overlay{std::move(start)}, {std::move(base), std::move(patch)}, dtype,
              std::move(shape));
}

ExprPtr cast(ExprPtr arg, DType dtype, bool checked) {
  assert(arg);
  if (arg->dtype == dtype) return arg;
  Shape shape = arg->shape;
  return make(Cast{checked}, std::vector<ExprPtr>{std::move(arg)}, dtype, std::move(shape));
}

ExprPtr unary(UnaryOp op, ExprPtr arg) {
  assert(arg);
  Shape shape = arg->shape;
  return make(Unary{op}, std::move(arg), std::move(shape));
}

ExprPtr binary(BinaryOp op, ExprPtr left, ExprPtr right) {
  assert(left && right && left->dtype == right->dtype);
  const auto shape = broadcast(left->shape, right->shape);
  assert(shape);
  const DType dtype = left->dtype;
  return make(Binary{op}, {std::move(left), std::move(right)}, dtype, *shape);
}

ExprPtr matmul(ExprPtr left, ExprPtr right) {
  assert(left && right && left->dtype == right->dtype);
  assert(left->shape.size() >= 2 && left->shape.size() == right->shape.size());
  assert(left->shape.back() == right->shape[right->shape.size() - 2]);
  const DType dtype = left->dtype;
  Shape shape = left->shape;
  shape.back() = right->shape.back();
  return make(MatMul{}, {std::move(left), std::move(right)}, dtype, std::move(shape));
}

ExprPtr reduce(ReduceOp op, ExprPtr arg, std::int64_t dim) {
  assert(arg && has_dim(*arg, dim));
  Shape shape = arg->shape;
  at(shape, dim) = 1;
  return make(Reduce{op, dim}, std::move(arg), std::move(shape));
}

ExprPtr interpolate(ExprPtr arg, std::int64_t height, std::int64_t width, InterpolateMode mode,
                    bool antialias) {
  assert(arg && arg->shape.size() == 4 && arg->dtype == DType::float32);
  assert(arg->shape[2] > 0 && arg->shape[3] > 0 && height > 0 && width > 0);
  assert(!antialias || mode != InterpolateMode::nearest);
  const Shape shape = {arg->shape[0], arg->shape[1], height, width};
  return make(Interpolate{mode, antialias}, std::move(arg), shape);
}

std::uint64_t nbytes(const Expr& expr) {
  const auto count = static_cast<std::uint64_t>(numel(expr.shape).value_or(INT64_MAX));
  return checked_mul<std::uint64_t>(count, itemsize(expr.dtype)).value_or(UINT64_MAX);
}

std::optional<Shape> broadcast(const Shape& a, const Shape& b) {
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape shape = longer;
  const std::size_t front = longer.size() - shorter.size();
  for (std::size_t i = 0; i < shorter.size(); ++i) {
    if (shape[front + i] == 1)
      shape[front + i] = shorter[i];
    else if (shorter[i] != 1 && shorter[i] != shape[front + i])
      return std::nullopt;
  }
  return shape;
}

std::vector<Load> loads_of(const Expr& expr) {
  if (const auto* alone = std::get_if<Load>(&expr.op)) return {*alone};
  std::vector<Load> loads;
  std::unordered_set<std::uint64_t> known;  // two nodes may load one tensor
  std::unordered_set<const Expr*> seen;
  for_each_node(expr, seen, [&](const Expr& node) {
    const auto* loaded = std::get_if<Load>(&node.op);
    if (loaded == nullptr) return;
    const std::uint64_t key = std::uint64_t{loaded->input} << 32 | loaded->tensor;
    if (known.insert(key).second) loads.push_back(*loaded);
  });
  return loads;
}

bool moves_only(const Expr& expr) {
  const Expr* node = &expr;
  while (std::holds_alternative<Reshape>(node->op)) node = node->args[0].get();
  return std::holds_alternative<Load>(node->op);
}

bool has_lossy_cast(const Expr& expr) {
  if (expr.args.empty()) return false;  // of most tensors, without a look at sets
  bool lossy = false;
  std::unordered_set<const Expr*> seen, computed;
  for_each_node(expr, seen, [&](const Expr& node) {
    bool is_computed =
        std::holds_alternative<Unary>(node.op) || std::holds_alternative<Binary>(node.op) ||
        std::holds_alternative<MatMul>(node.op) || std::holds_alternative<Reduce>(node.op) ||
        std::holds_alternative<Interpolate>(node.op);
    for (const ExprPtr& arg : node.args) is_computed = is_computed || computed.contains(arg.get());
    if (is_computed) computed.insert(&node);
    if (std::holds_alternative<Cast>(node.op) && !is_computed)
      lossy = lossy || !widens(node.args.front()->dtype, node.dtype);
  });
  return lossy;
}

bool equal(const Expr& a, const Expr& b) {
  if (&a == &b) return true;
  if (a.dtype != b.dtype || a.shape != b.shape || !same(a.op, b.op)) return false;
  return std::equal(a.args.begin(), a.args.end(), b.args.begin(), b.args.end(),
                    [](const ExprPtr& x, const ExprPtr& y) { return equal(*x, *y); });
}

}  // namespace regraft
