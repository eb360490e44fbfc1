#include "expr/overflow.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "expr/number.h"

namespace regraft {
namespace {

template <typename Number>
std::string shortest(Number value) {
  std::array<char, 32> digits{};
  return {digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr};
}

std::string limits_of(DType dtype) {
  if (dtype == DType::float8_e8m0fnu) return "powers of two from 2^-127 to 2^127";
  if (kind(dtype) == Kind::integer) {
    const IntegerRange range = range_of(dtype);
    const std::uint64_t top = (std::uint64_t{1} << (range.bits - 1)) * 2 - 1;
    return digits_of(range.low) + " to " + digits_of(top);
  }
  const double top = largest(dtype);
  const auto narrow = static_cast<float>(top);
  std::string text = "largest " + (narrow == top ? digits_of(narrow) : digits_of(top));
  if (kind(dtype) == Kind::complex) text += " in each part";
  return text;
}

std::string place_of(std::uint64_t number, const Shape& shape) {
  if (shape.empty()) return "the element";
  Shape index(shape.size());
  for (std::size_t i = shape.size(); i-- > 0;) {
    const auto size = static_cast<std::uint64_t>(shape[i]);
    index[i] = static_cast<std::int64_t>(number % size);
    number /= size;
  }
  return "element " + to_string(index);
}

}  // namespace

IntegerRange range_of(DType integer) {
  const int width = static_cast<int>(itemsize(integer)) * 8;
  switch (integer) {
    case DType::uint64:
    case DType::uint32:
    case DType::uint16:
    case DType::uint8:
      return {0, width};
    default:
      return {std::numeric_limits<std::int64_t>::min() >> (64 - width), width - 1};
  }
}

std::string digits_of(float value) { return std::isnan(value) ? "nan" : shortest(value); }
std::string digits_of(double value) { return std::isnan(value) ? "nan" : shortest(value); }
std::string digits_of(std::int64_t value) { return shortest(value); }
std::string digits_of(std::uint64_t value) { return shortest(value); }

Diagnostic cast_overflow(const std::string& value, std::uint64_t number, const Shape& shape,
                         DType to) {
  return error(Code::cast_overflow, {},
               place_of(number, shape) + " is " + value + ", which " + std::string(name(to)) +
                   " cannot hold (" + limits_of(to) + ")",
               "cast it to a dtype that holds its values, or leave its dtype as it is");
}

}  // namespace regraft
