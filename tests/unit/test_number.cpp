#include <bit>
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "catch.h"
#include "expr/number.h"

namespace regraft {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Sign, exponent, significand. What an exponent of ones means, and what the negative zero.
struct Layout {
  int exponent_bits, significand_bits, bias;
  bool infinity;           // exponent of ones: infinity and NaN
  bool nan_of_ones;        // all ones is NaN
  bool nan_of_minus_zero;  // no negative zero
};
Layout layout_of(DType dtype) {
  switch (dtype) {
    case DType::float16:
      return {5, 10, 15, true, false, false};
    case DType::bfloat16:
      return {8, 7, 127, true, false, false};
    case DType::float8_e5m2:
      return {5, 2, 15, true, false, false};
    case DType::float8_e4m3fn:
      return {4, 3, 7, false, true, false};
    case DType::float8_e5m2fnuz:
      return {5, 2, 16, false, false, true};
    default:
      return {4, 3, 8, false, false, true};  // float8_e4m3fnuz
  }
}

double value_of(DType dtype, std::uint32_t code) {
  if (dtype == DType::float8_e8m0fnu)
    return code == 255 ? kNan : std::ldexp(1.0, static_cast<int>(code) - 127);
  const Layout layout = layout_of(dtype);
  const std::uint32_t exponents = 1u << layout.exponent_bits, steps = 1u << layout.significand_bits;
  const std::uint32_t significand = code % steps, exponent = code / steps % exponents;
  const double sign = code / steps / exponents ? -1 : 1;
  if (exponent + 1 == exponents && layout.infinity) return significand ? kNan : sign * kInf;
  if (exponent + 1 == exponents && significand + 1 == steps && layout.nan_of_ones) return kNan;
  if (sign < 0 && exponent == 0 && significand == 0 && layout.nan_of_minus_zero) return kNan;
  const int shift = -layout.bias - layout.significand_bits;
  if (exponent == 0) return sign * std::ldexp(significand, 1 + shift);
  return sign * std::ldexp(steps + significand, static_cast<int>(exponent) + shift);
}

// Every number that dtypes of up to two bytes have; those of the wide ones that tell them apart.
// NaN is left out. -0 differs from 0.
std::set<std::uint64_t> numbers_of(DType dtype) {
  std::set<std::uint64_t> all;
  const auto add = [&](double one) {
    if (!std::isnan(one)) all.insert(std::bit_cast<std::uint64_t>(one));
  };
  switch (dtype) {
    case DType::boolean:
      add(0), add(1);
      break;
    case DType::int8:
    case DType::uint8:
    case DType::int16:
    case DType::uint16: {
      const int bits = static_cast<int>(itemsize(dtype)) * 8;
      const bool is_signed = dtype == DType::int8 || dtype == DType::int16;
      const int low = is_signed ? -(1 << (bits - 1)) : 0;
      for (int i = low; i < low + (1 << bits); ++i) add(i);
      break;
    }
    default:
      for (std::uint32_t code = 0; code < 1u << (8 * itemsize(dtype)); ++code)
        add(value_of(dtype, code));
  }
  return all;
}

const std::vector<DType> kNarrow = {
    DType::float16,     DType::bfloat16,        DType::float8_e4m3fn,  DType::float8_e4m3fnuz,
    DType::float8_e5m2, DType::float8_e5m2fnuz, DType::float8_e8m0fnu, DType::boolean,
    DType::int8,        DType::uint8,           DType::int16,          DType::uint16};

bool is_float(DType dtype) { return kind(dtype) == Kind::floating; }

TEST_CASE("a dtype widens to another that has all its numbers") {
  for (const DType from : kNarrow) {
    const std::set<std::uint64_t> numbers = numbers_of(from);
    for (const DType to : kNarrow) {
      if (to == DType::boolean && from != to) {
        CHECK_FALSE(widens(from, to));
        continue;
      }
      INFO(name(from) << " to " << name(to));
      const std::set<std::uint64_t> others = numbers_of(to);
      bool all = true;
      for (const std::uint64_t one : numbers) all = all && others.contains(one);
      if (is_float(from) && !is_float(to)) all = false;  // NaN
      CHECK(widens(from, to) == all);
    }
    // The wide floats have all of these.
    for (const DType to : {DType::float32, DType::float64, DType::complex64, DType::complex128}) {
      INFO(name(from) << " to " << name(to));
      CHECK(widens(from, to));
    }
    CHECK(widens(from, DType::int64) == !is_float(from));
    CHECK(widens(from, DType::int32) == !is_float(from));
  }
}

TEST_CASE("widening among wide dtypes, complex ones and bits") {
  CHECK(widens(DType::int32, DType::float64));
  CHECK_FALSE(widens(DType::int32, DType::float32));
  CHECK_FALSE(widens(DType::int64, DType::float64));
  CHECK_FALSE(widens(DType::uint64, DType::int64));
  CHECK_FALSE(widens(DType::int64, DType::uint64));
  CHECK(widens(DType::uint32, DType::int64));
  CHECK_FALSE(widens(DType::uint32, DType::int32));
  CHECK(widens(DType::float32, DType::float64));
  CHECK_FALSE(widens(DType::float64, DType::float32));
  CHECK_FALSE(widens(DType::float32, DType::bfloat16));
  CHECK(widens(DType::float16, DType::complex32));
  CHECK_FALSE(widens(DType::bfloat16, DType::complex32));
  CHECK(widens(DType::complex32, DType::complex64));
  CHECK_FALSE(widens(DType::complex128, DType::complex64));
  CHECK_FALSE(widens(DType::complex64, DType::float64));
  for (const DTypeInfo& one : all_dtypes()) {
    CHECK(widens(one.dtype, one.dtype));
    if (kind(one.dtype) == Kind::bits) {
      CHECK_FALSE(widens(one.dtype, DType::float64));
      CHECK_FALSE(widens(DType::boolean, one.dtype));
    }
  }
}

TEST_CASE("the largest finite value") {
  for (const DType dtype : kNarrow) {
    double top = 0;
    if (is_float(dtype))
      for (const std::uint64_t one : numbers_of(dtype))
        if (const auto value = std::bit_cast<double>(one); std::isfinite(value))
          top = std::max(top, value);
    INFO(name(dtype));
    CHECK(largest(dtype) == top);
  }
  CHECK(largest(DType::float32) == std::numeric_limits<float>::max());
  CHECK(largest(DType::complex64) == std::numeric_limits<float>::max());
  CHECK(largest(DType::float64) == std::numeric_limits<double>::max());
  CHECK(largest(DType::complex32) == 65504);
  CHECK(largest(DType::int64) == 0);
}

TEST_CASE("floats hold what stays finite when it is rounded") {
  const auto check_end = [](DType dtype, double held, double lost) {
    INFO(name(dtype));
    CHECK(holds(dtype, held));
    CHECK(holds(dtype, -held));
    CHECK_FALSE(holds(dtype, lost));
    CHECK_FALSE(holds(dtype, -lost));
    CHECK(holds(dtype, 0.0));
    CHECK(holds(dtype, 1e-300));
    CHECK(holds(dtype, kNan));
  };
  // Torch goes by way of float32, so the tie itself may come of a double just below it.
  const auto below = [](double x) {
    return static_cast<double>(std::nextafter(static_cast<float>(x), 0.0f));
  };
  check_end(DType::float16, below(65520), 65520);
  check_end(DType::float16, 65504, std::nextafter(65520.0, 0));
  check_end(DType::complex32, below(65520), 65520);
  check_end(DType::bfloat16, below(0x1.ffp127), 0x1.ffp127);
  check_end(DType::float8_e5m2, below(61440), 61440);
  check_end(DType::float8_e5m2fnuz, below(61440), 61440);
  check_end(DType::float8_e4m3fnuz, below(248), 248);
  check_end(DType::float8_e4m3fn, 464, 464.001);  // NaN has the odd neighbour: the tie goes down
  check_end(DType::float32, 0x1.fffffefffffffp127, 0x1.ffffffp127);
  CHECK(holds(DType::float64, std::numeric_limits<double>::max()));
  for (const DTypeInfo& one : all_dtypes()) {
    INFO(one.name);
    bool infinity = one.dtype == DType::float8_e5m2 || one.dtype == DType::complex64 ||
                    one.dtype == DType::complex128 || one.dtype == DType::complex32;
    if (kind(one.dtype) == Kind::floating && one.itemsize > 1) infinity = true;
    CHECK(holds(one.dtype, kInf) == infinity);
    CHECK(holds(one.dtype, -kInf) == infinity);
  }
  const DType powers = DType::float8_e8m0fnu;
  CHECK(holds(powers, 0x1p127));
  CHECK(holds(powers, 1e-300));
  CHECK(holds(powers, std::int64_t{3}));
  CHECK(holds(powers, kNan));
  CHECK_FALSE(holds(powers, 0x1.8p127));
  CHECK_FALSE(holds(powers, 0.0));
  CHECK_FALSE(holds(powers, -1.0));
  CHECK(holds(DType::float16, std::int64_t{65519}));
  CHECK_FALSE(holds(DType::float16, std::int64_t{65520}));
  CHECK(holds(DType::float32, std::numeric_limits<std::int64_t>::min()));
}

TEST_CASE("integers hold whole numbers of their range, bool 0 and 1, bits nothing") {
  const auto check_range = [](DType dtype, std::int64_t low, std::int64_t high) {
    INFO(name(dtype));
    CHECK(holds(dtype, low));
    CHECK(holds(dtype, high));
    if (low != std::numeric_limits<std::int64_t>::min()) CHECK_FALSE(holds(dtype, low - 1));
    if (high != std::numeric_limits<std::int64_t>::max()) CHECK_FALSE(holds(dtype, high + 1));
    CHECK(holds(dtype, 1.0));
    CHECK_FALSE(holds(dtype, 0.5));
    CHECK(holds(dtype, 0x1p63) == (dtype == DType::uint64));
    CHECK_FALSE(holds(dtype, 0x1p64));
    CHECK_FALSE(holds(dtype, std::nextafter(-0x1p63, -1e300)));
    CHECK_FALSE(holds(dtype, kNan));
    CHECK_FALSE(holds(dtype, kInf));
    CHECK_FALSE(holds(dtype, -kInf));
  };
  check_range(DType::int8, -128, 127);
  check_range(DType::int16, -32768, 32767);
  check_range(DType::int32, std::numeric_limits<std::int32_t>::min(),
              std::numeric_limits<std::int32_t>::max());
  check_range(DType::int64, std::numeric_limits<std::int64_t>::min(),
              std::numeric_limits<std::int64_t>::max());
  check_range(DType::uint8, 0, 255);
  check_range(DType::uint16, 0, 65535);
  check_range(DType::uint32, 0, std::numeric_limits<std::uint32_t>::max());
  check_range(DType::uint64, 0, std::numeric_limits<std::int64_t>::max());
  check_range(DType::boolean, 0, 1);
  CHECK(holds(DType::int64, -0x1p63));
  for (const DTypeInfo& one : all_dtypes())
    if (kind(one.dtype) == Kind::bits) CHECK_FALSE(holds(one.dtype, std::int64_t{0}));
}

TEST_CASE("kinds") {
  CHECK(kind(DType::float8_e8m0fnu) == Kind::floating);
  CHECK(kind(DType::float4_e2m1fn_x2) == Kind::bits);
  CHECK(kind(DType::complex32) == Kind::complex);
  CHECK(kind(DType::uint64) == Kind::integer);
  CHECK(kind(DType::boolean) == Kind::boolean);
  CHECK(kind(DType::bits16) == Kind::bits);
}

TEST_CASE("numbers print as a spec writes them") {
  CHECK(to_string(Scalar{std::int64_t{-3}}) == "-3");
  CHECK(to_string(Scalar{0.5}) == "0.5");
  CHECK(to_string(Scalar{0.1}) == "0.1");
  CHECK(to_string(Scalar{kInf}) == ".inf");
  CHECK(to_string(Scalar{-kInf}) == "-.inf");
  CHECK(to_string(Scalar{kNan}) == ".nan");
}

}  // namespace
}  // namespace regraft
