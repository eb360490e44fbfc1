#include "expr/expr.h"

#include <algorithm>
#include <cassert>
#include <unordered_set>

#include "base/diagnostic.h"

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

template <typename Name>
std::string print(const Expr& expr, Name name) {
  if (const auto* loaded = std::get_if<Load>(&expr.op)) {
    return "load(" + std::to_string(loaded->input) + ", " + name(*loaded) + ")";
  }
  return "reshape(" + print(*expr.args[0], name) + ", " + to_string(expr.shape) + ")";
}

}  // namespace

ExprPtr load(std::uint32_t input, std::uint32_t tensor, const Tensor& metadata) {
  return std::make_shared<const Expr>(
      Expr{Load{input, tensor}, {}, metadata.dtype, metadata.shape});
}

ExprPtr reshape(ExprPtr arg, Shape shape) {
  assert(arg && numel(arg->shape) && numel(arg->shape) == numel(shape));
  if (arg->shape == shape) return arg;
  const DType dtype = arg->dtype;
  return std::make_shared<const Expr>(Expr{Reshape{}, {std::move(arg)}, dtype, std::move(shape)});
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

bool equal(const Expr& a, const Expr& b) {
  if (&a == &b) return true;
  if (a.op.index() != b.op.index() || a.dtype != b.dtype || a.shape != b.shape) return false;
  if (const auto* loaded = std::get_if<Load>(&a.op)) {
    const Load& other = std::get<Load>(b.op);
    return loaded->input == other.input && loaded->tensor == other.tensor;
  }
  return std::equal(a.args.begin(), a.args.end(), b.args.begin(), b.args.end(),
                    [](const ExprPtr& x, const ExprPtr& y) { return equal(*x, *y); });
}

std::string to_string(const Expr& expr) {
  return print(expr, [](const Load& loaded) { return std::to_string(loaded.tensor); });
}

std::string to_string(const Expr& expr, std::span<const Catalog* const> catalogs) {
  return print(expr, [&](const Load& loaded) {
    return quoted(catalogs[loaded.input]->tensors[loaded.tensor].name);
  });
}

std::optional<View> as_view(const Expr& expr, std::span<const Catalog* const> catalogs) {
  if (const auto* loaded = std::get_if<Load>(&expr.op)) {
    const Tensor& tensor = catalogs[loaded->input]->tensors[loaded->tensor];
    if (!tensor.unsupported.empty()) return std::nullopt;
    return View{loaded->input,  tensor.storage, tensor.dtype, tensor.shape,
                tensor.strides, tensor.offset,  tensor.conj,  tensor.neg};
  }
  // A reshape of contiguous elements is the same elements under new strides.
  std::optional<View> view = as_view(*expr.args[0], catalogs);
  if (!view) return std::nullopt;
  const auto count = numel(view->shape);
  if (!is_contiguous(view->shape, view->strides) && !(count && *count <= 1)) return std::nullopt;
  view->shape = expr.shape;
  view->strides = contiguous_strides(expr.shape);
  return view;
}

}  // namespace regraft
