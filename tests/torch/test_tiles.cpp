// Tiles of what is computed, bit for bit against the whole.
#include <ATen/Parallel.h>

#include "expr/tiles.h"
#include "support.h"
#include "test_trees.h"

namespace regraft {
namespace {

Words in_tiles(Inputs& in, const ExprPtr& expr, std::int64_t rows) {
  Words all;
  for (std::int64_t first = 0; first < expr->shape[0]; first += rows) {
    const Words tile_words = in.words(tile(expr, first, std::min(rows, expr->shape[0] - first)));
    all.insert(all.end(), tile_words.begin(), tile_words.end());
  }
  return all;
}

// Any bits, NaNs among them, in tensors of an odd size; `rows` of the smallest tiles.
void check_tiles(Inputs& in, const ExprPtr& expr) {
  INFO(to_string(*expr));
  const std::array<const Catalog*, 1> catalogs = {&in.catalog};
  const Words whole = in.words(expr);
  for (const std::uint64_t size : {1u, 2000u, 5000u}) {
    const auto found = tiling(*expr, catalogs, size);
    REQUIRE(found);
    CHECK(in_tiles(in, expr, found->rows) == whole);
  }
}

TEST_CASE("computed in tiles as in one, of every dtype") {
  Draw draw(5);
  for (const DType dtype :
       {DType::float64, DType::float32, DType::float16, DType::bfloat16, DType::complex64,
        DType::complex128, DType::int64, DType::int32, DType::uint8}) {
    Inputs in;
    const auto input = [&](Shape shape) {
      const auto size = static_cast<std::size_t>(*numel(shape)) * itemsize(dtype);
      return in.add(dtype, std::move(shape), draw.bytes(size));
    };
    const ExprPtr a = input({403, 13}), b = input({403, 13}), row = input({13}),
                  column = input({403, 1});
    for (const BinaryOp op : {BinaryOp::add, BinaryOp::sub, BinaryOp::mul, BinaryOp::div}) {
      if (op == BinaryOp::div && kind(dtype) == Kind::integer) continue;
      check_tiles(in, binary(op, a, b));
      check_tiles(in, binary(op, a, row));
      check_tiles(in, binary(op, column, a));
      check_tiles(in,
                  reshape(permute(binary(op, reshape(a, {403, 1, 13}), reshape(b, {403, 1, 13})),
                                  {0, 2, 1}),
                          {5239}));
    }
    if (kind(dtype) != Kind::complex || dtype == DType::complex64)
      check_tiles(in, unary(UnaryOp::neg, a));
    if (kind(dtype) != Kind::complex) check_tiles(in, unary(UnaryOp::abs, cat({a, b}, 1)));
    check_tiles(in, pad(binary(BinaryOp::add, a, b), {0, 2}, {403, 20}, std::int64_t{1}));
  }
}

TEST_CASE("cast in tiles as in one, of every two dtypes") {
  Draw draw(6);
  const std::vector<DType> dtypes = {
      DType::float64,       DType::float32, DType::float16, DType::bfloat16, DType::float8_e5m2,
      DType::float8_e4m3fn, DType::int64,   DType::int8,    DType::boolean,  DType::complex64};
  for (const DType from : dtypes) {
    Inputs in;
    Words bytes = draw.bytes(static_cast<std::size_t>(1201 * 7) * itemsize(from));
    if (from == DType::boolean)
      for (unsigned char& one : bytes) one &= 1;
    const ExprPtr a = in.add(from, {1201, 7}, bytes);
    for (const DType to : dtypes)
      if (to != from) check_tiles(in, cast(a, to, false));
  }
}

TEST_CASE("numbers that are drawn are those of the place") {
  Inputs in;
  for (const DType dtype : {DType::float32, DType::float16, DType::bfloat16, DType::float64})
    check_tiles(in, normal(0.5, 2, 99, dtype, {1001, 9}));
}

TEST_CASE("a value that a cast in tiles loses is named by its place in the whole") {
  Inputs in;
  std::vector<float> values(600, 1);
  values[431] = 1e30f;
  const ExprPtr checked = cast(in.add<float>(DType::float32, {100, 6}, values), DType::int32, true);
  const Diagnostic whole = in.error(checked);
  CHECK(whole.message.find("[71, 5]") != std::string::npos);
  CHECK(in.error(tile(checked, 70, 10)).message == whole.message);
}

}  // namespace
}  // namespace regraft
