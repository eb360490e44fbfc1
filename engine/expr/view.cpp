// Expressions that are views: torch's rules for strides.
#include "expr/expr.h"

namespace regraft {
namespace {

std::size_t at(std::int64_t dim) { return static_cast<std::size_t>(dim); }

// What may be said of a view without looking at its elements; false where they have to move.
struct Rewrite {
  View& view;
  const Expr& expr;

  bool operator()(const Narrow& op) const {
    // An empty part keeps its place: nothing is read there, and no offset can leave the storage.
    if (op.length > 0) view.offset += op.start * view.strides[at(op.dim)];
    if (op.length > 1) view.strides[at(op.dim)] *= op.step;
    return true;
  }
  bool operator()(const Permute& op) const {
    const Shape strides = view.strides;
    for (std::size_t i = 0; i < op.dims.size(); ++i) view.strides[i] = strides[at(op.dims[i])];
    return true;
  }
  // A reshape of contiguous elements is the same elements under new strides.
  bool operator()(const Reshape&) const {
    const auto count = numel(view.shape);
    if (!is_contiguous(view.shape, view.strides) && !(count && *count <= 1)) return false;
    view.strides = contiguous_strides(expr.shape);
    return true;
  }
  bool operator()(const Expand&) const {
    const std::size_t front = expr.shape.size() - view.shape.size();
    Shape strides(front, 0);
    for (std::size_t i = 0; i < view.shape.size(); ++i)
      strides.push_back(view.shape[i] == expr.shape[front + i] ? view.strides[i] : 0);
    view.strides = std::move(strides);
    return true;
  }
  template <typename Other>
  bool operator()(const Other&) const {
    return false;
  }
};

}  // namespace

View view_of(std::uint32_t input, const Tensor& tensor) {
  return {input,          tensor.storage, tensor.dtype, tensor.shape,
          tensor.strides, tensor.offset,  tensor.conj,  tensor.neg};
}

std::optional<View> as_view(const Expr& expr, std::span<const Catalog* const> catalogs) {
  if (const auto* loaded = std::get_if<Load>(&expr.op)) {
    const Tensor& tensor = catalogs[loaded->input]->tensors[loaded->tensor];
    if (!tensor.unsupported.empty()) return std::nullopt;
    return view_of(loaded->input, tensor);
  }
  if (expr.args.size() != 1) return std::nullopt;
  std::optional<View> view = as_view(*expr.args[0], catalogs);
  if (!view || !std::visit(Rewrite{*view, expr}, expr.op)) return std::nullopt;
  view->shape = expr.shape;
  return view;
}

}  // namespace regraft
