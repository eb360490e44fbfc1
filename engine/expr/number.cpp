#include "expr/number.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

namespace regraft {
namespace {

// One component of a float: digits of the significand with the implicit one, the largest finite
// value, and the exponent of the smallest number above zero. IEEE 754 for the wide ones; "FP8
// Formats for Deep Learning" (arXiv 2209.05433) and the OCP microscaling formats for the others.
struct Float {
  DType dtype;
  int digits;
  double largest;
  int least_exponent;
  bool zero = true;  // and negative numbers
};
constexpr std::array kFloats = {
    Float{DType::float64, 53, std::numeric_limits<double>::max(), -1074},
    Float{DType::float32, 24, 0x1.fffffep127, -149},
    Float{DType::float16, 11, 65504, -24},
    Float{DType::bfloat16, 8, 0x1.fep127, -133},
    Float{DType::float8_e4m3fn, 4, 448, -9},
    Float{DType::float8_e4m3fnuz, 4, 240, -10},
    Float{DType::float8_e5m2, 3, 57344, -16},
    Float{DType::float8_e5m2fnuz, 3, 57344, -17},
    Float{DType::float8_e8m0fnu, 1, 0x1p127, -127, false},
    Float{DType::complex128, 53, std::numeric_limits<double>::max(), -1074},
    Float{DType::complex64, 24, 0x1.fffffep127, -149},
    Float{DType::complex32, 11, 65504, -24},
};
const Float* as_float(DType dtype) {
  for (const Float& one : kFloats)
    if (one.dtype == dtype) return &one;
  return nullptr;
}

struct Integer {
  int bits;  // of the magnitude
  bool is_signed;
};
std::optional<Integer> as_integer(DType dtype) {
  switch (dtype) {
    case DType::boolean:
      return Integer{1, false};
    case DType::uint8:
    case DType::uint16:
    case DType::uint32:
    case DType::uint64:
      return Integer{static_cast<int>(itemsize(dtype)) * 8, false};
    case DType::int8:
    case DType::int16:
    case DType::int32:
    case DType::int64:
      return Integer{static_cast<int>(itemsize(dtype)) * 8 - 1, true};
    default:
      return std::nullopt;
  }
}

// The floats of one byte have none, but for one of them.
bool has_infinity(DType dtype) { return itemsize(dtype) > 1 || dtype == DType::float8_e5m2; }

// A finite number stays finite when it is rounded: by way of float32, as torch does it for narrower
// floats. Half a unit above the largest is a tie, which goes up, but for float8_e4m3fn, whose
// largest is even since NaN has the odd one.
bool rounds_to_finite(const Float& one, double value) {
  if (one.digits == 53) return true;
  if (one.digits < 24) value = static_cast<float>(value);
  const double tie = one.largest + std::ldexp(1.0, std::ilogb(one.largest) - one.digits);
  return std::abs(value) < tie || (one.dtype == DType::float8_e4m3fn && std::abs(value) == tie);
}

DType component(DType dtype) {
  switch (dtype) {
    case DType::complex128:
      return DType::float64;
    case DType::complex64:
      return DType::float32;
    case DType::complex32:
      return DType::float16;
    default:
      return dtype;
  }
}

DType complex_of(DType component) {
  if (component == DType::float64) return DType::complex128;
  return component == DType::float16 ? DType::complex32 : DType::complex64;
}

// torch has no promotion among integers for these.
bool is_wide_unsigned(DType dtype) {
  return dtype == DType::uint16 || dtype == DType::uint32 || dtype == DType::uint64;
}

std::optional<DType> promote_integers(DType a, DType b) {
  if (is_wide_unsigned(a) || is_wide_unsigned(b)) return std::nullopt;
  if (a == DType::boolean) return b;
  if (b == DType::boolean) return a;
  const DType larger = itemsize(a) >= itemsize(b) ? a : b;
  const DType smaller = larger == a ? b : a;
  if (larger == DType::uint8 || smaller == DType::uint8)
    return itemsize(larger) == 1 ? DType::int16 : larger;
  return larger;
}

}  // namespace

bool is_common_float(DType dtype) {
  return dtype == DType::float64 || dtype == DType::float32 || dtype == DType::float16 ||
         dtype == DType::bfloat16;
}

std::optional<DType> promote(DType a, DType b) {
  if (a == b) return a;
  const auto takes_part = [](DType dtype) {
    return kind(dtype) != Kind::bits && (kind(dtype) != Kind::floating || is_common_float(dtype));
  };
  if (!takes_part(a) || !takes_part(b)) return std::nullopt;
  const auto is_whole = [](DType dtype) {
    return kind(dtype) == Kind::integer || kind(dtype) == Kind::boolean;
  };
  if (is_whole(a) && is_whole(b)) return promote_integers(a, b);
  if (is_whole(a)) std::swap(a, b);
  if (kind(a) != Kind::complex && kind(b) == Kind::complex) std::swap(a, b);
  if (is_whole(b)) {
    if (kind(a) == Kind::complex && is_wide_unsigned(b)) return std::nullopt;
    return a;
  }
  if (kind(a) == Kind::complex) return complex_of(*promote(component(a), component(b)));
  if (itemsize(a) == itemsize(b)) return DType::float32;  // float16 and bfloat16
  return itemsize(a) > itemsize(b) ? a : b;
}

std::string to_string(const Scalar& number) {
  if (const auto* integer = std::get_if<std::int64_t>(&number)) return std::to_string(*integer);
  const double value = std::get<double>(number);
  if (std::isnan(value)) return ".nan";
  if (std::isinf(value)) return value > 0 ? ".inf" : "-.inf";
  std::array<char, 32> digits{};
  const auto [end, problem] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  return {digits.data(), end};
}

Kind kind(DType dtype) {
  switch (dtype) {
    case DType::complex128:
    case DType::complex64:
    case DType::complex32:
      return Kind::complex;
    case DType::boolean:
      return Kind::boolean;
    case DType::float4_e2m1fn_x2:  // two numbers in a byte: torch computes nothing with them
      return Kind::bits;
    default:
      break;
  }
  if (as_integer(dtype)) return Kind::integer;
  return as_float(dtype) ? Kind::floating : Kind::bits;
}

double largest(DType dtype) {
  const Float* one = as_float(dtype);
  return one ? one->largest : 0;
}

bool holds(DType dtype, const Scalar& number) {
  const auto* integer = std::get_if<std::int64_t>(&number);
  const double value = integer ? static_cast<double>(*integer) : std::get<double>(number);
  if (const Float* one = as_float(dtype)) {
    if (!one->zero && !(value > 0)) return std::isnan(value);
    if (std::isnan(value)) return true;
    if (std::isinf(value)) return has_infinity(dtype);
    return rounds_to_finite(*one, value);
  }
  const std::optional<Integer> range = as_integer(dtype);
  if (!range) return false;
  if (!integer && value != std::floor(value)) return false;  // infinities go on, NaN does not
  if (!integer && (value >= 0x1p63 || value < -0x1p63))
    return range->bits == 64 && value > 0 && value < 0x1p64;
  const std::int64_t whole = integer ? *integer : static_cast<std::int64_t>(value);
  if (whole < 0) return range->is_signed && whole >= -std::ldexp(1.0, range->bits);
  return range->bits >= 63 || whole < std::int64_t{1} << range->bits;
}

bool convertible(DType from, DType to) {
  return from == to || (kind(from) != Kind::bits && kind(to) != Kind::bits);
}

bool widens(DType from, DType to) {
  if (from == to) return true;
  if (!convertible(from, to)) return false;
  if (kind(from) == Kind::complex && kind(to) != Kind::complex) return false;
  const Float* wide = as_float(to);
  if (const Float* narrow = as_float(from))
    return wide && wide->digits >= narrow->digits && wide->largest >= narrow->largest &&
           wide->least_exponent <= narrow->least_exponent && (wide->zero || !narrow->zero) &&
           (has_infinity(to) || !has_infinity(from));
  const Integer range = *as_integer(from);
  if (wide)
    return wide->zero && wide->digits >= range.bits && wide->largest >= std::ldexp(1, range.bits);
  const Integer into = *as_integer(to);
  return into.bits >= range.bits && (into.is_signed || !range.is_signed);
}

}  // namespace regraft
