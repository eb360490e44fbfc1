// What an output tensor is: an immutable tree of primitives over loaded tensors. Shape and dtype
// are inferred when a node is made, so a tree that exists is well-formed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "catalog/catalog.h"

namespace regraft {

struct Expr;
using ExprPtr = std::shared_ptr<const Expr>;

// The primitives. A later one is a struct here, a maker below and a case in the evaluator.
struct Load {            // a tensor as it stands in an input
  std::uint32_t input;   // index into the inputs of the run: sources in order, then the target
  std::uint32_t tensor;  // index into that input's catalog
};
struct Reshape {};  // the same elements in row-major order under another shape

struct Expr {
  std::variant<Load, Reshape> op;
  std::vector<ExprPtr> args;
  DType dtype;
  Shape shape;
};

ExprPtr load(std::uint32_t input, std::uint32_t tensor, const Tensor& metadata);
// numel must agree; an assertion, since callers have checked it.
ExprPtr reshape(ExprPtr arg, Shape shape);

// The loads below an expression, in order, each once.
std::vector<Load> loads_of(const Expr& expr);
// Load of one tensor and nothing else, reshapes to equal numel aside.
bool moves_only(const Expr& expr);
bool equal(const Expr& a, const Expr& b);
std::string to_string(const Expr& expr);  // "reshape(load(0, 12), [4])": tensors by index
// The same with tensors by name, "load(0, 'a.weight')", for --print. `catalogs` by input index.
std::string to_string(const Expr& expr, std::span<const Catalog* const> catalogs);

// A storage view that an expression amounts to, without computing anything.
struct View {
  std::uint32_t input;
  std::uint32_t storage;
  DType dtype;
  Shape shape;
  Shape strides;
  std::int64_t offset;  // elements
  bool conj = false;    // the bits of the tensor: other values over the same bytes
  bool neg = false;
  bool operator==(const View&) const = default;
};
// `catalogs` by input index. Empty: the expression has to be evaluated, or its tensor is of a kind
// that is no view (`Tensor::unsupported`).
std::optional<View> as_view(const Expr& expr, std::span<const Catalog* const> catalogs);

}  // namespace regraft
