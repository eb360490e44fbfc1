#include <map>

#include "catch.h"
#include "expr/tiles.h"
#include "test_trees.h"

namespace regraft {
namespace {

// Loads that a tree can have: contiguous, but for what is said to be otherwise.
class Loads {
 public:
  ExprPtr add(DType dtype, Shape shape, Words bytes) {
    Tensor tensor;
    tensor.dtype = dtype;
    tensor.strides = contiguous_strides(shape);
    tensor.shape = std::move(shape);
    catalog.tensors.push_back(tensor);
    data_.push_back(std::move(bytes));
    return load(0, static_cast<std::uint32_t>(data_.size() - 1), tensor);
  }
  ExprPtr add(DType dtype, Shape shape) {
    const std::size_t size = static_cast<std::size_t>(*numel(shape)) * itemsize(dtype);
    return add(dtype, std::move(shape), Words(size));
  }
  const Words& bytes(std::uint32_t tensor) const { return data_[tensor]; }

  // "4 rows, 96 bytes"
  std::string tiling_of(const ExprPtr& expr, std::uint64_t size = 1) const {
    const auto found = tiling(*expr, std::array{&catalog}, size);
    if (!found) return "whole";
    return std::to_string(found->rows) + " rows, " + std::to_string(found->bytes) + " bytes";
  }

  Catalog catalog;

 private:
  std::vector<Words> data_;
};

TEST_CASE("tiles of what is made row by row") {
  Loads in;
  const ExprPtr a = in.add(DType::float32, {6, 4}), b = in.add(DType::float32, {6, 4});
  CHECK(in.tiling_of(cast(a, DType::float64, true)) == "1 rows, 48 bytes");
  CHECK(in.tiling_of(cast(a, DType::float64, true), 64) == "2 rows, 96 bytes");
  CHECK(in.tiling_of(cast(a, DType::float64, true), 6 * 4 * 8) == "whole");
  CHECK(in.tiling_of(binary(BinaryOp::add, a, b)) == "1 rows, 48 bytes");
  CHECK(in.tiling_of(unary(UnaryOp::neg, cat({a, b}, 0)), 32) == "2 rows, 96 bytes");
  CHECK(in.tiling_of(unary(UnaryOp::neg, cat({a, b}, 1))) == "1 rows, 64 bytes");
  CHECK(in.tiling_of(pad(unary(UnaryOp::neg, a), {1, 0}, {8, 5}, 0.0)) == "1 rows, 36 bytes");
  CHECK(in.tiling_of(normal(0, 1, 7, DType::float32, {6, 4})) == "1 rows, 16 bytes");
  CHECK(in.tiling_of(unary(UnaryOp::neg, index_select(a, 1, {3, 0}))) == "1 rows, 24 bytes");
  // Rows of the result and of what is reshaped have to begin together.
  CHECK(in.tiling_of(reshape(unary(UnaryOp::neg, a), {4, 6})) == "2 rows, 96 bytes");
  CHECK(in.tiling_of(reshape(unary(UnaryOp::neg, a), {24})) == "4 rows, 32 bytes");
  CHECK(in.tiling_of(reshape(unary(UnaryOp::neg, a), {1, 24})) == "whole");
}

TEST_CASE("what is computed as a whole") {
  Loads in;
  const ExprPtr a = in.add(DType::float32, {6, 4}), square = in.add(DType::float32, {6, 6});
  CHECK(in.tiling_of(matmul(square, a)) == "whole");
  CHECK(in.tiling_of(reduce(ReduceOp::sum, a, 1)) == "whole");
  CHECK(in.tiling_of(unary(UnaryOp::exp, a)) == "whole");
  CHECK(in.tiling_of(unary(UnaryOp::neg, permute(a, {1, 0}))) == "whole");
  CHECK(in.tiling_of(unary(UnaryOp::neg, index_select(a, 0, {1, 0}))) == "whole");
  CHECK(in.tiling_of(binary(BinaryOp::add, a, matmul(square, a))) == "whole");
  // A tensor of which rows are left out would have no digest.
  CHECK(in.tiling_of(unary(UnaryOp::neg, narrow(a, 0, 1, 4))) == "whole");
  CHECK(in.tiling_of(unary(UnaryOp::neg, in.add(DType::float32, {}))) == "whole");
  CHECK(in.tiling_of(unary(UnaryOp::neg, in.add(DType::float32, {0, 4}))) == "whole");
  CHECK(in.tiling_of(arange(DType::int64, {8})) == "whole");
  in.catalog.tensors[0].strides = {1, 6};
  CHECK(in.tiling_of(unary(UnaryOp::neg, a)) == "whole");
}

TEST_CASE("what every row needs is small") {
  Loads in;
  const ExprPtr a = in.add(DType::float32, {1024, 64}), row = in.add(DType::float32, {64});
  CHECK(in.tiling_of(binary(BinaryOp::mul, a, row)).starts_with("1 rows, "));
  const ExprPtr column = in.add(DType::float32, {1024, 1});
  CHECK(in.tiling_of(binary(BinaryOp::mul, a, column)) == "1 rows, 516 bytes");
  const ExprPtr wide = in.add(DType::float32, {4, 1 << 17}),
                large = in.add(DType::float32, {1 << 17});
  CHECK(in.tiling_of(binary(BinaryOp::mul, wide, large)) == "whole");
}

// torch's vectors and what it does behind the last of them differ in some dtypes.
TEST_CASE("tiles begin where vectors do") {
  Loads in;
  const ExprPtr half = in.add(DType::float16, {1000, 12}),
                single = in.add(DType::float32, {1000, 12});
  CHECK(in.tiling_of(unary(UnaryOp::neg, half)).starts_with("32 rows"));
  CHECK(in.tiling_of(unary(UnaryOp::neg, half), 100 * 24).starts_with("96 rows"));
  CHECK(in.tiling_of(unary(UnaryOp::neg, single)).starts_with("1 rows"));
  CHECK(in.tiling_of(unary(UnaryOp::neg, single), 100 * 48).starts_with("96 rows"));
  // The second half would begin within a vector.
  const ExprPtr twice = cat({unary(UnaryOp::neg, in.add(DType::float16, {500, 12})), half}, 0);
  CHECK(in.tiling_of(unary(UnaryOp::neg, twice)).starts_with("32 rows"));
  CHECK(in.tiling_of(twice).starts_with("whole") == false);
  const ExprPtr apart = cat({half, unary(UnaryOp::neg, half)}, 0);
  CHECK(in.tiling_of(apart) == "whole");
  // The loops of this engine give the same anywhere.
  CHECK(in.tiling_of(cast(half, DType::float32, true)).starts_with("1 rows"));
}

TEST_CASE("a tile knows where it lies") {
  Loads in;
  const ExprPtr a = in.add(DType::float32, {6, 4});
  const ExprPtr cut = tile(cast(a, DType::float64, true), 2, 3);
  CHECK(cut->shape == Shape{3, 4});
  const auto& op = std::get<Cast>(cut->op);
  CHECK((op.checked && op.first == 8 && op.whole->shape == Shape{6, 4}));
  CHECK(std::get<Load>(cut->args[0]->op).first == 8);
  CHECK(std::get<Random>(tile(normal(0, 1, 7, DType::float32, {6, 4}), 5, 1)->op).first == 20);
  // What is shared stays so, also below what repeats it.
  ExprPtr sum = a;
  for (int i = 0; i < 60; ++i) sum = binary(BinaryOp::add, sum, sum);
  CHECK(in.tiling_of(sum).starts_with("1 rows"));
  const ExprPtr row = tile(sum, 1, 1);
  CHECK(row->args[0] == row->args[1]);
}

// What is loaded for a tile moves the end of what was loaded before.
void advance(const Expr& expr, std::map<std::uint32_t, std::int64_t>& ends) {
  if (const auto* op = std::get_if<Load>(&expr.op))
    if (std::int64_t& end = ends[op->tensor]; end == op->first) end += *numel(expr.shape);
  for (const ExprPtr& arg : expr.args) advance(*arg, ends);
}

TEST_CASE("tiles one after the other are the whole, whatever moves") {
  int cut = 0;
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    Trees<Loads> trees(DType::float32, seed);
    const ExprPtr expr = trees.draw();
    const auto found =
        tiling(*expr, std::array{&std::as_const(trees.inputs.catalog)}, 1 + seed % 40);
    if (!found) continue;
    ++cut;
    INFO("seed " << seed << ": " << to_string(*expr));
    Words tiles;
    std::map<std::uint32_t, std::int64_t> ends;
    for (std::int64_t first = 0; first < expr->shape[0]; first += found->rows) {
      const std::int64_t rows = std::min(found->rows, expr->shape[0] - first);
      const ExprPtr one = tile(expr, first, rows);
      REQUIRE(one->shape[0] == rows);
      const Words bytes = by_hand(*one, trees.inputs);
      tiles.insert(tiles.end(), bytes.begin(), bytes.end());
      advance(*one, ends);
    }
    CHECK(tiles == by_hand(*expr, trees.inputs));
    // What has not been loaded from its first element to its last has no digest.
    for (const Load& one : loads_of(*expr))
      CHECK(ends[one.tensor] == *numel(trees.inputs.catalog.tensors[one.tensor].shape));
  }
  CHECK(cut > 200);
}

}  // namespace
}  // namespace regraft
