// Primitives that move elements, for every dtype, against an element-by-element reading of the
// tree.
#include "expr/element.h"
#include "expr/number.h"
#include "expr/optimize.h"
#include "support.h"
#include "test_trees.h"

namespace regraft {
namespace {

TEST_CASE("what moves elements does so for every dtype") {
  for (const DTypeInfo& dtype : all_dtypes()) {
    INFO(dtype.name);
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
      Trees<Inputs> trees(dtype.dtype, seed);
      const ExprPtr tree = trees.draw();
      INFO(to_string(*tree));
      CHECK(trees.inputs.words(tree) == by_hand(*tree, trees.inputs));
    }
  }
}

// The makers ask that a padding is a number of the dtype; trees are drawn without them.
bool has_zero(DType dtype) { return holds(dtype, std::int64_t{0}); }

TEST_CASE("optimized, a tree has the same bits") {
  for (const DTypeInfo& dtype : all_dtypes()) {
    if (!has_zero(dtype.dtype)) continue;
    INFO(dtype.name);
    for (std::uint64_t seed = 1000; seed < 1080; ++seed) {
      Trees<Inputs> trees(dtype.dtype, seed, 20);
      const ExprPtr tree = trees.draw();
      Optimizer all(all_passes());
      const ExprPtr optimized = all.optimize(tree);
      INFO(to_string(*tree));
      INFO(all.fault());
      REQUIRE(optimized);
      INFO(to_string(*optimized));
      CHECK(trees.inputs.words(optimized) == trees.inputs.words(tree));
    }
  }
}

TEST_CASE("integers that are cast twice have the same bits when they are cast once") {
  Inputs in;
  const auto is_exact = [](DType dtype) {
    return kind(dtype) == Kind::integer || kind(dtype) == Kind::boolean;
  };
  const Pass* pass = nullptr;
  for (const Pass& one : all_passes())
    if (one.name == "cast-of-cast") pass = &one;
  REQUIRE(pass);
  int rewritten = 0;
  for (const DTypeInfo& from : all_dtypes()) {
    if (!is_exact(from.dtype)) continue;
    std::vector<std::uint64_t> numbers = {0, 1, 2, 3, 127, 128, 255, 256, 2049, 65535, 65536};
    for (int bit = 20; bit < 64; ++bit)
      for (const std::uint64_t one : {std::uint64_t{1} << bit, (std::uint64_t{1} << bit) + 1})
        numbers.push_back(one);
    for (std::size_t i = 0, count = numbers.size(); i < count; ++i) numbers.push_back(~numbers[i]);
    Words bytes;
    for (const std::uint64_t number : numbers)
      for (std::size_t i = 0; i < from.itemsize; ++i)
        bytes.push_back(static_cast<unsigned char>(
            from.dtype == DType::boolean ? number & 1 : number >> (8 * i) & 255));
    const ExprPtr x = in.add(from.dtype, {std::ssize(numbers)}, bytes);
    for (const DTypeInfo& wide : all_dtypes())
      for (const DTypeInfo& to : all_dtypes()) {
        if (wide.dtype == from.dtype || wide.dtype == to.dtype) continue;
        if (kind(wide.dtype) == Kind::bits || kind(to.dtype) == Kind::bits) continue;
        const ExprPtr twice = cast(cast(x, wide.dtype, true), to.dtype, false);
        const ExprPtr once = pass->rewrite(*twice);
        if (!once) continue;
        INFO(to_string(*twice));
        ++rewritten;
        CHECK(in.words(once) == in.words(twice));
      }
  }
  CHECK(rewritten > 500);
}

TEST_CASE("the bytes of a number are those of a fill") {
  Inputs in;
  int known = 0;
  for (const DTypeInfo& dtype : all_dtypes())
    for (const Scalar& number : std::vector<Scalar>{std::int64_t{0},
                                                    std::int64_t{1},
                                                    std::int64_t{-1},
                                                    std::int64_t{127},
                                                    std::int64_t{-128},
                                                    std::int64_t{2049},
                                                    std::int64_t{2051},
                                                    std::int64_t{65504},
                                                    std::int64_t{16777217},
                                                    std::int64_t{9007199254740993},
                                                    std::numeric_limits<std::int64_t>::max(),
                                                    std::numeric_limits<std::int64_t>::min(),
                                                    0.0,
                                                    -0.0,
                                                    0.1,
                                                    -1.5,
                                                    1.0 / 3,
                                                    65519.0,
                                                    65520.0,
                                                    1e-5,
                                                    6e-8,
                                                    2.98e-8,
                                                    2.9802322387695312e-8,
                                                    -3e-8,
                                                    6.1e-5,
                                                    6.097555160522461e-5,
                                                    1e-45,
                                                    1e-40,
                                                    1e300,
                                                    3.3895e38,
                                                    1.00390625,
                                                    1.01171875,
                                                    1.0048828125,
                                                    4.0,
                                                    1e18,
                                                    1.8e19,
                                                    std::numeric_limits<double>::infinity(),
                                                    -std::numeric_limits<double>::infinity(),
                                                    std::numeric_limits<double>::quiet_NaN()}) {
      if (!holds(dtype.dtype, number)) continue;
      const auto bytes = element_bytes(dtype.dtype, number);
      if (!bytes) continue;
      INFO(dtype.name << " " << to_string(number));
      ++known;
      CHECK(in.words(fill(number, dtype.dtype, {1})) == Words(bytes->begin(), bytes->end()));
    }
  CHECK(known > 250);
}

TEST_CASE("each primitive that moves, by itself") {
  Inputs in;
  const ExprPtr x = in.add<std::uint16_t>(DType::bits16, {2, 3}, {1, 2, 3, 4, 5, 6});
  using Values = std::vector<std::uint16_t>;
  CHECK(in.values<std::uint16_t>(x) == Values{1, 2, 3, 4, 5, 6});
  CHECK(in.values<std::uint16_t>(narrow(x, 1, 1, 2)) == Values{2, 3, 5, 6});
  CHECK(in.values<std::uint16_t>(narrow(x, 1, 0, 2, 2)) == Values{1, 3, 4, 6});
  CHECK(in.values<std::uint16_t>(index_select(x, 0, {1, 1, 0})) ==
        Values{4, 5, 6, 4, 5, 6, 1, 2, 3});
  CHECK(in.values<std::uint16_t>(permute(x, {1, 0})) == Values{1, 4, 2, 5, 3, 6});
  CHECK(in.values<std::uint16_t>(reshape(permute(x, {1, 0}), {6})) == Values{1, 4, 2, 5, 3, 6});
  CHECK(in.values<std::uint16_t>(expand(narrow(x, 0, 1, 1), {2, 3})) == Values{4, 5, 6, 4, 5, 6});
  CHECK(in.values<std::uint16_t>(cat({x, narrow(x, 1, 0, 1)}, 1)) ==
        Values{1, 2, 3, 1, 4, 5, 6, 4});
  CHECK(in.values<std::uint16_t>(overlay(x, narrow(narrow(x, 0, 1, 1), 1, 2, 1), {0, 1})) ==
        Values{1, 6, 3, 4, 5, 6});
}

TEST_CASE("a padding is the value in the dtype") {
  Inputs in;
  const double inf = std::numeric_limits<double>::infinity();
  const auto padded = [&](DType dtype, Words one, Scalar value) {
    return in.words(pad(in.add(dtype, {1}, std::move(one)), {1}, {3}, value));
  };
  CHECK(padded(DType::float32, bytes_of<float>({2}), 0.1) == bytes_of<float>({0.1f, 2, 0.1f}));
  CHECK(padded(DType::float32, bytes_of<float>({2}), -inf) ==
        bytes_of<float>(
            {-std::numeric_limits<float>::infinity(), 2, -std::numeric_limits<float>::infinity()}));
  CHECK(padded(DType::float64, bytes_of<double>({2}), std::int64_t{3}) ==
        bytes_of<double>({3, 2, 3}));
  CHECK(padded(DType::boolean, bytes_of<std::uint8_t>({0}), std::int64_t{1}) ==
        bytes_of<std::uint8_t>({1, 0, 1}));
  CHECK(padded(DType::complex64, bytes_of<float>({2, 5}), 0.5) ==
        bytes_of<float>({0.5f, 0, 2, 5, 0.5f, 0}));
  CHECK(padded(DType::uint64, bytes_of<std::uint64_t>({~0ull}), std::int64_t{7}) ==
        bytes_of<std::uint64_t>({7, ~0ull, 7}));
  CHECK(padded(DType::int8, bytes_of<std::int8_t>({1}), std::int64_t{-128}) ==
        bytes_of<std::int8_t>({-128, 1, -128}));
  for (const DType dtype : {DType::float16, DType::bfloat16}) {
    const auto value = static_cast<std::uint16_t>(encoded(dtype, 0.3));
    CHECK(padded(dtype, bytes_of<std::uint16_t>({77}), 0.3) ==
          bytes_of<std::uint16_t>({value, 77, value}));
  }
  for (const DType dtype : {DType::float8_e4m3fn, DType::float8_e4m3fnuz, DType::float8_e5m2,
                            DType::float8_e5m2fnuz, DType::float8_e8m0fnu}) {
    const auto value = static_cast<std::uint8_t>(encoded(dtype, 4));
    CHECK(padded(dtype, bytes_of<std::uint8_t>({77}), std::int64_t{4}) ==
          bytes_of<std::uint8_t>({value, 77, value}));
  }
}

TEST_CASE("fills are exact") {
  Inputs in;
  const std::int64_t odd = (std::int64_t{1} << 53) + 1,
                     top = std::numeric_limits<std::int64_t>::max();
  CHECK(in.values<std::int64_t>(fill(odd, DType::int64, {3})) ==
        std::vector<std::int64_t>{odd, odd, odd});
  CHECK(in.values<std::int64_t>(fill(top, DType::int64, {})) == std::vector<std::int64_t>{top});
  CHECK(in.values<double>(fill(0.1, DType::float64, {2})) == std::vector<double>{0.1, 0.1});
  CHECK(in.values<float>(fill(0.1, DType::float32, {1, 1})) == std::vector<float>{0.1f});
  CHECK(std::isnan(
      in.values<float>(fill(std::numeric_limits<double>::quiet_NaN(), DType::float32, {}))[0]));
  CHECK(in.words(fill(1.0, DType::float32, {0, 4})).empty());
  CHECK(in.values<std::uint64_t>(fill(top, DType::uint64, {1})) ==
        std::vector<std::uint64_t>{static_cast<std::uint64_t>(top)});
  CHECK(in.values<std::uint64_t>(fill(1e19, DType::uint64, {1})) ==
        std::vector<std::uint64_t>{10000000000000000000u});
}

TEST_CASE("counting goes along the last dimension, in int64 or float64") {
  Inputs in;
  CHECK(in.values<std::int64_t>(arange(DType::int64, {2, 3})) ==
        std::vector<std::int64_t>{0, 1, 2, 0, 1, 2});
  CHECK(in.values<double>(arange(DType::float64, {3})) == std::vector<double>{0, 1, 2});
  CHECK(in.words(arange(DType::int64, {0})).empty());
  const auto counted = [&](Scalar value, std::int64_t step, DType dtype, Shape shape) {
    return std::make_shared<const Expr>(Expr{Fill{value, step}, {}, dtype, std::move(shape)});
  };
  const std::int64_t far = (std::int64_t{1} << 53) + 1;
  CHECK(in.values<std::int64_t>(counted(far, -3, DType::int64, {3})) ==
        std::vector<std::int64_t>{far, far - 3, far - 6});
  CHECK(in.values<double>(counted(0.5, 2, DType::float64, {3})) ==
        std::vector<double>{0.5, 2.5, 4.5});
  const auto bytes = in.values<std::uint8_t>(arange(DType::uint8, {300}));
  const auto halves = in.values<std::uint16_t>(arange(DType::float16, {3000}));
  for (std::size_t i = 0; i < 300; ++i) CHECK(bytes[i] == static_cast<std::uint8_t>(i));
  for (std::size_t i : {0, 1, 2047, 2048, 2049, 2050, 2051, 2999})
    CHECK(halves[i] == encoded(DType::float16, static_cast<double>(i)));
}

}  // namespace
}  // namespace regraft
