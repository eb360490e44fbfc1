#include "expr/element.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace regraft {
namespace {

// The low `count` bytes.
std::string little_endian(std::uint64_t word, std::uint64_t count) {
  std::string bytes;
  for (std::uint64_t i = 0; i < count; ++i, word >>= 8) bytes += static_cast<char>(word & 255);
  return bytes;
}

// Cuts `count` low bits off, to the nearest and from the middle to the even.
std::uint32_t rounded(std::uint64_t word, int count) {
  const std::uint64_t half = std::uint64_t{1} << (count - 1);
  return static_cast<std::uint32_t>((word + half - 1 + ((word >> count) & 1)) >> count);
}

std::uint32_t bfloat16(float value) { return rounded(std::bit_cast<std::uint32_t>(value), 16); }

std::uint32_t float16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 31 << 15, significand = bits & 0x7F'FFFF;
  const int exponent = static_cast<int>(bits >> 23 & 255) - 127;
  if (exponent > 15) return sign | 0x7C00;  // the dtype holds it: an infinity
  if (exponent >= -14)
    return sign | rounded(static_cast<std::uint64_t>(exponent + 15) << 23 | significand, 13);
  if (exponent < -25) return sign;  // less than half of the smallest
  return sign | rounded(significand | 0x80'0000, -1 - exponent);
}

}  // namespace

std::optional<std::string> element_bytes(DType dtype, const Scalar& number) {
  const std::uint64_t size = itemsize(dtype);
  const auto* whole = std::get_if<std::int64_t>(&number);
  const double real = whole ? static_cast<double>(*whole) : std::get<double>(number);
  if (std::isnan(real)) return std::nullopt;
  if (real == 0 && !std::signbit(real)) return std::string(size, '\0');
  const float single = whole ? static_cast<float>(*whole) : static_cast<float>(real);
  switch (dtype) {
    case DType::float64:
    case DType::complex128:
      return little_endian(std::bit_cast<std::uint64_t>(real), 8) + std::string(size - 8, '\0');
    case DType::float32:
    case DType::complex64:
      return little_endian(std::bit_cast<std::uint32_t>(single), 4) + std::string(size - 4, '\0');
    case DType::float16:
    case DType::complex32:
      return little_endian(float16(single), 2) + std::string(size - 2, '\0');
    case DType::bfloat16:
      return little_endian(bfloat16(single), 2);
    default:
      break;
  }
  if (kind(dtype) == Kind::boolean) return little_endian(real != 0 ? 1 : 0, 1);
  if (kind(dtype) != Kind::integer) return std::nullopt;
  if (!whole && (real >= 0x1p63 || real < -0x1p63)) return std::nullopt;
  const std::int64_t integer = whole ? *whole : static_cast<std::int64_t>(real);
  return little_endian(static_cast<std::uint64_t>(integer), size);
}

}  // namespace regraft
