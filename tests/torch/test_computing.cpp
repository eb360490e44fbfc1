// Primitives that compute, against loops written out here. Where a sum's order matters the numbers
// are small integers, so that every order gives the same.
#include <ATen/Parallel.h>
#include <ATen/ops/_upsample_bicubic2d_aa.h>
#include <ATen/ops/_upsample_bilinear2d_aa.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/upsample_bicubic2d.h>
#include <ATen/ops/upsample_bilinear2d.h>

#include <algorithm>
#include <functional>

#include "expr/number.h"
#include "expr/random.h"
#include "support.h"

namespace regraft {
namespace {

// Elements of any dtype from doubles that it holds.
Words words_of(DType dtype, const std::vector<double>& values) {
  Words bytes;
  const auto add = [&](auto one) {
    const Words more = bytes_of(std::vector{one});
    bytes.insert(bytes.end(), more.begin(), more.end());
  };
  for (const double one : values) switch (dtype) {
      case DType::float64:
        add(one);
        break;
      case DType::float32:
        add(static_cast<float>(one));
        break;
      case DType::complex64:
        add(static_cast<float>(one));
        add(0.0f);
        break;
      case DType::int64:
        add(static_cast<std::int64_t>(one));
        break;
      case DType::int32:
        add(static_cast<std::int32_t>(one));
        break;
      case DType::int8:
        add(static_cast<std::int8_t>(one));
        break;
      case DType::uint8:
        add(static_cast<std::uint8_t>(one));
        break;
      default:
        add(static_cast<std::uint16_t>(encoded(dtype, one)));
    }
  return bytes;
}

const std::vector<DType> kFloats = {DType::float64, DType::float32, DType::float16,
                                    DType::bfloat16};
const std::vector<DType> kNumbers = {DType::float64,  DType::float32, DType::float16,
                                     DType::bfloat16, DType::int64,   DType::int32,
                                     DType::complex64};

TEST_CASE("neg, abs, sqrt, exp") {
  Inputs in;
  for (const DType dtype : kNumbers) {
    INFO(name(dtype));
    const ExprPtr x = in.add(dtype, {4}, words_of(dtype, {-2, 0.0, 9, 100}));
    if (dtype != DType::complex64)  // -0 as an imaginary part
      CHECK(in.words(unary(UnaryOp::neg, narrow(x, 0, 2, 2))) == words_of(dtype, {-9, -100}));
    CHECK(in.words(unary(UnaryOp::abs, x)) == words_of(dtype, {2, 0, 9, 100}));
    if (kind(dtype) == Kind::integer) continue;
    CHECK(in.words(unary(UnaryOp::sqrt, narrow(x, 0, 1, 3))) == words_of(dtype, {0, 3, 10}));
    CHECK(in.words(unary(UnaryOp::exp, narrow(x, 0, 1, 1))) == words_of(dtype, {1}));
  }
  const auto e = in.values<double>(
      unary(UnaryOp::exp,
            in.add<double>(DType::float64, {2}, {1, -std::numeric_limits<double>::infinity()})));
  CHECK(e[0] == Approx(std::exp(1.0)).epsilon(1e-15));
  CHECK(e[1] == 0);
  CHECK(std::isnan(
      in.values<float>(unary(UnaryOp::sqrt, in.add<float>(DType::float32, {}, {-1})))[0]));
  CHECK(in.values<std::int8_t>(unary(UnaryOp::neg, in.add<std::int8_t>(DType::int8, {1}, {5}))) ==
        std::vector<std::int8_t>{-5});
  CHECK(in.words(unary(UnaryOp::neg, in.add<float>(DType::float32, {0, 2}, {}))).empty());
}

TEST_CASE("add, sub, mul, div broadcast") {
  Inputs in;
  for (const DType dtype : kNumbers) {
    INFO(name(dtype));
    const ExprPtr a = in.add(dtype, {2, 1, 2}, words_of(dtype, {8, 6, 4, 2}));
    const ExprPtr b = in.add(dtype, {3, 1}, words_of(dtype, {1, 2, 4}));
    const auto by_hand = [&](const std::function<double(double, double)>& op) {
      std::vector<double> all;
      for (int i = 0; i < 2; ++i)
        for (const double right : {1.0, 2.0, 4.0})
          for (int j = 0; j < 2; ++j) all.push_back(op(8 - 4 * i - 2 * j, right));
      return words_of(dtype, all);
    };
    const ExprPtr sum = binary(BinaryOp::add, a, b);
    CHECK(sum->shape == Shape{2, 3, 2});
    CHECK(in.words(sum) == by_hand(std::plus<>()));
    CHECK(in.words(binary(BinaryOp::sub, a, b)) == by_hand(std::minus<>()));
    CHECK(in.words(binary(BinaryOp::mul, a, b)) == by_hand(std::multiplies<>()));
    if (kind(dtype) == Kind::integer)  // torch's gives floats
      CHECK(in.error(binary(BinaryOp::div, a, b)).code == Code::evaluator);
    else
      CHECK(in.words(binary(BinaryOp::div, a, b)) == by_hand(std::divides<>()));
  }
  // Rounded once, to the dtype.
  const ExprPtr third = binary(BinaryOp::div, in.add<float>(DType::float32, {}, {1}),
                               in.add<float>(DType::float32, {2}, {3, 7}));
  CHECK(in.values<float>(third) == std::vector<float>{1.0f / 3, 1.0f / 7});
  CHECK(in.values<std::uint8_t>(
            binary(BinaryOp::add, in.add<std::uint8_t>(DType::uint8, {1}, {250}),
                   in.add<std::uint8_t>(DType::uint8, {1}, {10}))) == std::vector<std::uint8_t>{4});
  CHECK(in.words(binary(BinaryOp::mul, in.add<float>(DType::float32, {0, 1}, {}),
                        in.add<float>(DType::float32, {3}, {1, 2, 3})))
            .empty());
}

TEST_CASE("products of matrices") {
  Inputs in;
  const int rows = 3, inner = 5, columns = 4, batch = 2;
  std::vector<double> a, b, c, batched;
  for (int i = 0; i < batch * rows * inner; ++i) a.push_back(i % 7 - 3);
  for (int i = 0; i < batch * inner * columns; ++i) b.push_back(i % 5 - 2);
  for (int n = 0; n < batch; ++n)
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < columns; ++j) {
        double sum = 0;
        for (int k = 0; k < inner; ++k)
          sum += a[static_cast<std::size_t>((n * rows + i) * inner + k)] *
                 b[static_cast<std::size_t>((n * inner + k) * columns + j)];
        batched.push_back(sum);
        if (n == 0) c.push_back(sum);
      }
  for (const DType dtype : kNumbers) {
    INFO(name(dtype));
    const ExprPtr x = in.add(dtype, {batch, rows, inner}, words_of(dtype, a));
    const ExprPtr y = in.add(dtype, {batch, inner, columns}, words_of(dtype, b));
    CHECK(in.words(matmul(x, y)) == words_of(dtype, batched));
    const auto first = [](const ExprPtr& all) {
      return reshape(narrow(all, 0, 0, 1), {all->shape[1], all->shape[2]});
    };
    CHECK(in.words(matmul(first(x), first(y))) == words_of(dtype, c));
    // Transposed views, as a fused projection gives them.
    CHECK(in.words(permute(matmul(permute(first(y), {1, 0}), permute(first(x), {1, 0})), {1, 0})) ==
          words_of(dtype, c));
    CHECK(in.words(matmul(narrow(x, 2, 0, 0), narrow(y, 1, 0, 0))) ==
          words_of(dtype, std::vector<double>(batch * rows * columns, 0)));
  }
}

TEST_CASE("sum, mean, norm over one dimension, which stays") {
  Inputs in;
  for (const DType dtype : kNumbers) {
    INFO(name(dtype));
    const ExprPtr x = in.add(dtype, {2, 2, 2}, words_of(dtype, {3, 6, 4, 8, 0, 5, 0, 12}));
    const ExprPtr sum = reduce(ReduceOp::sum, x, 1);
    CHECK(sum->shape == Shape{2, 1, 2});
    CHECK(in.words(sum) == words_of(dtype, {7, 14, 0, 17}));
    CHECK(in.words(reduce(ReduceOp::sum, x, 2)) == words_of(dtype, {9, 12, 5, 12}));
    CHECK(in.words(reduce(ReduceOp::sum, narrow(x, 0, 0, 0), 0)) == words_of(dtype, {0, 0, 0, 0}));
    if (kind(dtype) == Kind::integer) {
      CHECK(in.error(reduce(ReduceOp::mean, x, 1)).code == Code::evaluator);
      CHECK(in.error(reduce(ReduceOp::norm, x, 1)).code == Code::evaluator);
      continue;
    }
    CHECK(in.words(reduce(ReduceOp::mean, x, 1)) == words_of(dtype, {3.5, 7, 0, 8.5}));
    CHECK(in.words(reduce(ReduceOp::norm, x, 1)) == words_of(dtype, {5, 10, 0, 13}));
  }
  // An integer's sum is of its dtype, as torch.sum(dtype=) makes it.
  CHECK(in.values<std::int8_t>(
            reduce(ReduceOp::sum, in.add<std::int8_t>(DType::int8, {2}, {100, 100}), 0)) ==
        std::vector<std::int8_t>{-56});
}

// --- resizing
// -----------------------------------------------------------------------------------------

// One output coordinate as a weighted sum of input coordinates.
using Weights = std::vector<std::pair<std::int64_t, double>>;

double cubic(double x, double a) {
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

Weights weights_of(InterpolateMode mode, bool antialias, std::int64_t in, std::int64_t out,
                   std::int64_t at) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const auto place = static_cast<double>(at);
  if (mode == InterpolateMode::nearest)
    return {{std::min(static_cast<std::int64_t>(std::floor(place * scale)), in - 1), 1}};
  const bool bilinear = mode == InterpolateMode::bilinear;
  const double centre = (place + 0.5) * scale;
  Weights all;
  if (antialias) {
    const double stretch = std::max(scale, 1.0), support = (bilinear ? 1 : 2) * stretch;
    double total = 0;
    for (std::int64_t i =
             std::max<std::int64_t>(0, std::llround(std::floor(centre - support + 0.5)));
         i < std::min(in, static_cast<std::int64_t>(std::floor(centre + support + 0.5))); ++i) {
      const double x = (static_cast<double>(i) - centre + 0.5) / stretch;
      all.emplace_back(i, bilinear ? std::max(0.0, 1 - std::abs(x)) : cubic(x, -0.5));
      total += all.back().second;
    }
    for (auto& [i, weight] : all) weight /= total;
    return all;
  }
  const double real = bilinear ? std::max(0.0, centre - 0.5) : centre - 0.5;
  const auto left = static_cast<std::int64_t>(std::floor(real));
  const double t = real - static_cast<double>(left);
  for (std::int64_t i = bilinear ? 0 : -1; i <= (bilinear ? 1 : 2); ++i)
    all.emplace_back(std::clamp<std::int64_t>(left + i, 0, in - 1),
                     bilinear ? (i == 0 ? 1 - t : t) : cubic(t - static_cast<double>(i), -0.75));
  return all;
}

TEST_CASE("resizing has torch's coordinates and weights") {
  Inputs in;
  const std::int64_t height = 5, width = 7, channels = 3;
  std::vector<float> values;
  for (std::int64_t i = 0; i < 2 * channels * height * width; ++i)
    values.push_back(static_cast<float>((i * 37) % 101) / 10);
  const ExprPtr x = in.add(DType::float32, {2, channels, height, width}, values);
  for (const auto mode :
       {InterpolateMode::nearest, InterpolateMode::bilinear, InterpolateMode::bicubic})
    for (const bool antialias : {false, true})
      for (const auto& [h, w] :
           {std::pair<std::int64_t, std::int64_t>{9, 4}, {3, 20}, {5, 7}, {1, 1}, {4, 1}, {1, 4}}) {
        if (antialias && mode == InterpolateMode::nearest) continue;
        INFO("mode " << static_cast<int>(mode) << ", antialias " << antialias << ", to " << h
                     << " x " << w);
        const auto made = in.values<float>(interpolate(x, h, w, mode, antialias));
        double worst = 0;
        std::size_t at = 0;
        for (std::int64_t plane = 0; plane < 2 * channels; ++plane)
          for (std::int64_t i = 0; i < h; ++i)
            for (std::int64_t j = 0; j < w; ++j) {
              double sum = 0;
              for (const auto& [y, wy] : weights_of(mode, antialias, height, h, i))
                for (const auto& [z, wz] : weights_of(mode, antialias, width, w, j))
                  sum +=
                      wy * wz * values[static_cast<std::size_t>((plane * height + y) * width + z)];
              worst = std::max(worst, std::abs(sum - made[at++]));
            }
        CHECK(worst < (mode == InterpolateMode::nearest ? 1e-30 : 1e-5));
      }
  CHECK(in.words(interpolate(narrow(x, 0, 0, 0), 9, 4, InterpolateMode::bicubic, false)).empty());
  CHECK(in.words(interpolate(narrow(x, 1, 0, 0), 9, 4, InterpolateMode::bilinear, true)).empty());
}

TEST_CASE("a permuted view is resized as a view, bit for bit") {
  // A table of positions with a class token in front, as vision transformers have it:
  // x[:, 1:].reshape(1, h, w, c).permute(0, 3, 1, 2).
  Inputs in;
  const std::int64_t side = 14, channels = 48;
  std::vector<float> values;
  for (std::int64_t i = 0; i < (1 + side * side) * channels; ++i)
    values.push_back(std::sin(static_cast<float>(i * i % 9973)));
  const ExprPtr table = in.add(DType::float32, {1, 1 + side * side, channels}, values);
  const ExprPtr grid =
      permute(reshape(narrow(table, 1, 1, side * side), {1, side, side, channels}), {0, 3, 1, 2});
  const at::Tensor view = at::from_blob(values.data(), {1, 1 + side * side, channels}, c10::kFloat)
                              .narrow(1, 1, side * side)
                              .reshape({1, side, side, channels})
                              .permute({0, 3, 1, 2});
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const auto same = [&](const ExprPtr& expr, const at::Tensor& expected) {
    const at::Tensor rows = expected.contiguous();
    const auto* bytes = static_cast<const unsigned char*>(rows.const_data_ptr());
    return in.words(expr) == Words(bytes, bytes + rows.nbytes());
  };
  for (const std::int64_t to : {16, 24, 7}) {
    const std::vector<std::int64_t> size = {to, to};
    CHECK(same(interpolate(grid, to, to, InterpolateMode::bicubic, false),
               at::upsample_bicubic2d(view, size, false)));
    CHECK(same(interpolate(grid, to, to, InterpolateMode::bilinear, false),
               at::upsample_bilinear2d(view, size, false)));
    CHECK(same(interpolate(grid, to, to, InterpolateMode::bicubic, true),
               at::_upsample_bicubic2d_aa(view, size, false)));
    CHECK(same(interpolate(grid, to, to, InterpolateMode::bilinear, true),
               at::_upsample_bilinear2d_aa(view, size, false)));
    // And on, to where the token is put in front again.
    const ExprPtr back =
        reshape(permute(interpolate(grid, to, to, InterpolateMode::bicubic, false), {0, 2, 3, 1}),
                {1, to * to, channels});
    CHECK(same(back, at::upsample_bicubic2d(view, size, false)
                         .permute({0, 2, 3, 1})
                         .reshape({1, to * to, channels})));
  }
  at::set_num_threads(threads);
}

// --- drawing
// ------------------------------------------------------------------------------------------

TEST_CASE("drawn numbers are those of the sequence, converted from float64") {
  Inputs in;
  const std::int64_t count = 3 * 65536 + 11;
  const double mean = 0.25, deviation = 0.02;
  std::vector<double> expected(static_cast<std::size_t>(count));
  standard_normal(7, 0, expected);
  for (double& one : expected) {
    const double scaled = deviation * one;
    one = mean + scaled;
  }
  CHECK(in.values<double>(normal(mean, deviation, 7, DType::float64, {count})) == expected);
  const std::vector<float> singles(expected.begin(), expected.end());
  CHECK(in.values<float>(normal(mean, deviation, 7, DType::float32, {1, count})) == singles);
  for (const DType dtype : {DType::float16, DType::bfloat16}) {
    const auto codes = in.values<std::uint16_t>(normal(mean, deviation, 7, dtype, {count}));
    for (std::size_t i = 0; i < codes.size(); i += 4999)
      CHECK(codes[i] == encoded(dtype, singles[i]));
    CHECK(codes.back() == encoded(dtype, singles.back()));
  }
  // Into a part of a larger tensor: the same numbers.
  const ExprPtr part = normal(mean, deviation, 7, DType::float32, {count / 11, 11});
  const ExprPtr column = in.add<float>(DType::float32, {count / 11, 1},
                                       std::vector<float>(static_cast<std::size_t>(count / 11), 1));
  const ExprPtr beside = narrow(cat({column, part}, 1), 1, 1, 11);
  CHECK(in.words(beside) == in.words(part));
  CHECK(in.values<float>(narrow(cat({column, part}, 1), 1, 0, 2))[3] == singles[11]);
  CHECK(in.words(normal(0, 1, 7, DType::float32, {0})).empty());
  CHECK(in.values<float>(normal(0.5, 0, 7, DType::float32, {})) == std::vector<float>{0.5f});
}

}  // namespace
}  // namespace regraft
