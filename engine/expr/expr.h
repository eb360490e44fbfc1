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
#include "expr/number.h"

namespace regraft {

struct Expr;
using ExprPtr = std::shared_ptr<const Expr>;

// The primitives. A later one is a struct here, a maker below, a line in print.cpp and a case in
// the evaluator. Dimensions are from 0, sizes and starts in elements.

// Where values come from.
struct Load {              // a tensor as it stands in an input
  std::uint32_t input;     // index into the inputs of the run: sources in order, then the target
  std::uint32_t tensor;    // index into that input's catalog
  std::int64_t first = 0;  // of a tile (expr/tiles.h): the number of its first element
  bool operator==(const Load&) const = default;
};
struct Fill {  // element i of the last dimension is value + i * step
  Scalar value;
  std::int64_t step = 0;
};
struct Random {  // normal numbers, expr/random.h
  double mean, std;
  std::uint64_t key;
  std::int64_t first = 0;  // as in Load
};

// The same elements, or some of them, at other places.
struct Narrow {  // start, start + step, ...: `length` of them
  std::int64_t dim, start, length, step;
};
struct Index {  // torch.index_select
  std::int64_t dim;
  std::vector<std::int64_t> index;
};
struct Permute {
  std::vector<std::int64_t> dims;  // result dimension i is dims[i] of the argument
};
struct Reshape {};  // the same elements in row-major order under another shape
struct Expand {};   // dimensions of size 1 repeated; new ones in front
struct Cat {
  std::int64_t dim;
};
struct Pad {  // the argument, surrounded by one value
  std::vector<std::int64_t> before;
  Scalar value;
};
struct Overlay {  // the first argument, with the second laid over it from `start` on
  std::vector<std::int64_t> start;
};

// New values.
struct Cast {
  // A value that the dtype cannot hold, even rounded, is an error (cast-overflow): one beyond the
  // largest, an infinity where there is none, one out of an integer's range. false: as torch's
  // `to`; where that depends on the machine, torch/cast.h says what it is.
  bool checked;
  std::int64_t first = 0;   // as in Load
  ExprPtr whole = nullptr;  // of a tile: what it is a part of, for messages
};
enum class UnaryOp { neg, abs, sqrt, exp };
struct Unary {
  UnaryOp op;
};
enum class BinaryOp { add, sub, mul, div };
struct Binary {  // broadcasts
  BinaryOp op;
};
struct MatMul {};  // torch.matmul of two matrices, or of equal batches of them
enum class ReduceOp { sum, mean, norm };  // norm: the 2-norm
struct Reduce {                           // the dimension stays, with size 1
  ReduceOp op;
  std::int64_t dim;
};
enum class InterpolateMode { nearest, bilinear, bicubic };
struct Interpolate {  // [N, C, H, W] to another H, W; align_corners=False; float32
  InterpolateMode mode;
  bool antialias;
};

using Op = std::variant<Load, Fill, Random, Narrow, Index, Permute, Reshape, Expand, Cat, Pad,
                        Overlay, Cast, Unary, Binary, MatMul, Reduce, Interpolate>;

struct Expr {
  Op op;
  std::vector<ExprPtr> args;
  DType dtype;
  Shape shape;
};

// Makers. What they demand of their arguments is asserted: callers have checked it, and said what
// is wrong in words of the spec. Where nothing would change, the argument itself is given back.
ExprPtr load(std::uint32_t input, std::uint32_t tensor, const Tensor& metadata);
ExprPtr fill(Scalar value, DType dtype, Shape shape);  // the dtype holds the value
ExprPtr arange(DType dtype, Shape shape);              // 0, 1, 2.. on the last dimension
ExprPtr normal(double mean, double std, std::uint64_t key, DType dtype, Shape shape);
ExprPtr narrow(ExprPtr arg, std::int64_t dim, std::int64_t start, std::int64_t length,
               std::int64_t step = 1);
ExprPtr index_select(ExprPtr arg, std::int64_t dim, std::vector<std::int64_t> index);
ExprPtr permute(ExprPtr arg, std::vector<std::int64_t> dims);
ExprPtr reshape(ExprPtr arg, Shape shape);  // equal numel
// The shape of `elements` that torch.reshape understands by `asked`, in which one size may be -1.
std::optional<Shape> reshaped(Shape asked, std::int64_t elements);
ExprPtr expand(ExprPtr arg, Shape shape);
ExprPtr cat(std::vector<ExprPtr> args, std::int64_t dim);  // one dtype
ExprPtr pad(ExprPtr arg, std::vector<std::int64_t> before, Shape shape, Scalar value);
ExprPtr overlay(ExprPtr base, ExprPtr patch, std::vector<std::int64_t> start);  // one dtype
ExprPtr cast(ExprPtr arg, DType dtype, bool checked);
ExprPtr unary(UnaryOp op, ExprPtr arg);
ExprPtr binary(BinaryOp op, ExprPtr left, ExprPtr right);  // one dtype, shapes that broadcast
ExprPtr matmul(ExprPtr left, ExprPtr right);               // one dtype
ExprPtr reduce(ReduceOp op, ExprPtr arg, std::int64_t dim);
ExprPtr interpolate(ExprPtr arg, std::int64_t height, std::int64_t width, InterpolateMode mode,
                    bool antialias);

// numel x itemsize; the largest number where that is more.
std::uint64_t nbytes(const Expr& expr);

// torch's broadcasting; empty when the shapes do not fit.
std::optional<Shape> broadcast(const Shape& a, const Shape& b);

// The loads below an expression, in order, each once.
std::vector<Load> loads_of(const Expr& expr);
// Load of one tensor and nothing else, reshapes to equal numel aside.
bool moves_only(const Expr& expr);
// Values that were loaded, and not computed, are cast to a dtype that cannot hold all of theirs.
bool has_lossy_cast(const Expr& expr);
bool equal(const Expr& a, const Expr& b);
std::string to_string(const Expr& expr);  // "reshape(load(0, 12), [4])": tensors by index
// The same with tensors by name, "load(0, 'a.weight')", for --print. `catalogs` by input index.
std::string to_string(const Expr& expr, std::span<const Catalog* const> catalogs);
// One text for expressions that give the same tensor: loads of tied tensors are one.
std::string identity(const Expr& expr, std::span<const Catalog* const> catalogs);

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
// A tensor of an input as a view of its storage.
View view_of(std::uint32_t input, const Tensor& tensor);
// `catalogs` by input index. Empty: the expression has to be evaluated, or its tensor is of a kind
// that is no view (`Tensor::unsupported`).
std::optional<View> as_view(const Expr& expr, std::span<const Catalog* const> catalogs);

}  // namespace regraft
