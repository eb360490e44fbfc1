// Small tensors as inputs of expressions, and what an evaluator makes of them. To be included after
// ATen, which has a CHECK of its own.
#pragma once

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "catch.h"
#include "expr/expr.h"
#include "torch/evaluator.h"

namespace regraft {

using Words = std::vector<unsigned char>;

template <typename T>
Words bytes_of(const std::vector<T>& values) {
  Words bytes(values.size() * sizeof(T));
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

template <typename T>
std::vector<T> values_of(const Words& bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

class Inputs {
 public:
  ExprPtr add(DType dtype, Shape shape, Words bytes) {
    REQUIRE(bytes.size() == static_cast<std::size_t>(*numel(shape)) * itemsize(dtype));
    Tensor metadata;
    metadata.dtype = dtype;
    metadata.strides = contiguous_strides(shape);
    metadata.shape = std::move(shape);
    catalog.tensors.push_back(metadata);
    data_.push_back(std::move(bytes));
    return load(0, static_cast<std::uint32_t>(data_.size() - 1), metadata);
  }
  // Elements as they lie in memory: float16 as uint16_t.
  template <typename T>
  ExprPtr add(DType dtype, Shape shape, const std::vector<T>& values) {
    return add(dtype, std::move(shape), bytes_of(values));
  }

  Status evaluate(const ExprPtr& expr, std::span<std::byte> out) {
    return evaluator().evaluate(
        *expr,
        [&](const Load& at, std::span<std::byte> into) {
          ++loads;
          const Words& bytes = data_[at.tensor];
          const std::size_t first =
              static_cast<std::size_t>(at.first) * itemsize(catalog.tensors[at.tensor].dtype);
          REQUIRE(first + into.size() <= bytes.size());
          std::memcpy(into.data(), bytes.data() + first, into.size());
          return Status(Done{});
        },
        out);
  }

  Words words(const ExprPtr& expr) {
    Words out(static_cast<std::size_t>(*numel(expr->shape)) * itemsize(expr->dtype), 0xA5);
    const Status done = evaluate(expr, std::as_writable_bytes(std::span(out)));
    if (!done) FAIL(done.error().message);
    return out;
  }
  template <typename T>
  std::vector<T> values(const ExprPtr& expr) {
    REQUIRE(sizeof(T) == itemsize(expr->dtype));
    return values_of<T>(words(expr));
  }
  Diagnostic error(const ExprPtr& expr) {
    Words out(static_cast<std::size_t>(*numel(expr->shape)) * itemsize(expr->dtype));
    const Status done = evaluate(expr, std::as_writable_bytes(std::span(out)));
    REQUIRE_FALSE(done.ok());
    CHECK(done.error().message.find('\n') == std::string::npos);
    CHECK_FALSE(done.error().hint.empty());
    return done.error();
  }

  const Words& bytes(std::uint32_t tensor) const { return data_[tensor]; }
  static Evaluator& evaluator() {
    static const std::unique_ptr<Evaluator> one = make_torch_evaluator();
    return *one;
  }

  int loads = 0;
  Catalog catalog;

 private:
  std::vector<Words> data_;
};

// --- narrow floats by their definition
// ------------------------------------------------------------

// Sign, exponent, significand. `top`: what an exponent of ones means.
struct FloatFormat {
  enum class Top { infinity, nan_of_ones, numbers };  // numbers: NaN is the negative zero
  int exponent_bits, significand_bits, bias;
  Top top;
};
inline FloatFormat format_of(DType dtype) {
  using Top = FloatFormat::Top;
  switch (dtype) {
    case DType::float16:
      return {5, 10, 15, Top::infinity};
    case DType::bfloat16:
      return {8, 7, 127, Top::infinity};
    case DType::float8_e5m2:
      return {5, 2, 15, Top::infinity};
    case DType::float8_e4m3fn:
      return {4, 3, 7, Top::nan_of_ones};
    case DType::float8_e5m2fnuz:
      return {5, 2, 16, Top::numbers};
    default:
      return {4, 3, 8, Top::numbers};  // float8_e4m3fnuz
  }
}

inline double decoded(DType dtype, std::uint32_t code) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  if (dtype == DType::float8_e8m0fnu)
    return code == 255 ? nan : std::ldexp(1.0, static_cast<int>(code) - 127);
  const FloatFormat format = format_of(dtype);
  const std::uint32_t ones = (1u << format.exponent_bits) - 1;
  const std::uint32_t sign = code >> (format.exponent_bits + format.significand_bits) & 1;
  const std::uint32_t exponent = code >> format.significand_bits & ones;
  const std::uint32_t significand = code & ((1u << format.significand_bits) - 1);
  if (format.top == FloatFormat::Top::numbers && sign == 1 && exponent == 0 && significand == 0)
    return nan;
  if (exponent == ones && format.top == FloatFormat::Top::infinity)
    return significand ? nan : (sign ? -1 : 1) * std::numeric_limits<double>::infinity();
  if (exponent == ones && format.top == FloatFormat::Top::nan_of_ones &&
      significand == (1u << format.significand_bits) - 1)
    return nan;
  const double value =
      exponent == 0
          ? std::ldexp(significand, 1 - format.bias - format.significand_bits)
          : std::ldexp((1u << format.significand_bits) + significand,
                       static_cast<int>(exponent) - format.bias - format.significand_bits);
  return sign ? -value : value;
}

// The code of the nearest finite value, of two the even one; `value` is within the range. By going
// through all of them.
inline std::uint32_t encoded(DType dtype, double value) {
  const std::uint32_t codes = itemsize(dtype) == 1 ? 256 : 65536;
  std::uint32_t best = 0;
  double distance = std::numeric_limits<double>::infinity();
  for (std::uint32_t code = 0; code < codes; ++code) {
    const double one = decoded(dtype, code);
    if (!std::isfinite(one) || std::signbit(one) != std::signbit(value)) continue;
    const double away = std::abs(one - value);
    if (away < distance || (away == distance && code % 2 == 0)) best = code, distance = away;
  }
  return best;
}

}  // namespace regraft
