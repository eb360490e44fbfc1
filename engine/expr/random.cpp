#include "expr/random.h"

#include <cmath>
#include <numbers>
#include <string>

#include "base/hash.h"

namespace regraft {
namespace {

// The natural logarithm of a number in (0, 1]: 2 artanh(s) with s = (m - 1) / (m + 1), m within
// [sqrt(1/2), sqrt(2)), and the series up to s^23, which leaves less than the last bit.
double log_of(double x) {
  int exponent = 0;
  double m = std::frexp(x, &exponent);
  if (m < std::numbers::sqrt2 / 2) {
    m *= 2;
    --exponent;
  }
  const double s = (m - 1) / (m + 1), square = s * s;
  double sum = 0;
  for (int odd = 23; odd >= 3; odd -= 2) sum = (sum + 1.0 / odd) * square;
  return exponent * std::numbers::ln2 + 2 * (s + s * sum);
}

struct SinCos {
  double sin, cos;
};
// Of 2 pi u, u in [0, 1): Taylor series within an eighth of the circle of the nearest quarter.
SinCos sincos_of_turns(double u) {
  const double quarters = 4 * u;
  const double nearest = std::floor(quarters + 0.5);
  const double x = (quarters - nearest) * (std::numbers::pi / 2), square = x * x;
  double sin = 1, cos = 1;
  for (int i = 18; i >= 2; i -= 2) {
    sin = 1 - square / (i * (i + 1)) * sin;
    cos = 1 - square / (i * (i - 1)) * cos;
  }
  sin *= x;
  switch (static_cast<int>(nearest) % 4) {
    case 0:
      return {sin, cos};
    case 1:
      return {cos, -sin};
    case 2:
      return {-sin, -cos};
    default:
      return {-cos, sin};
  }
}

}  // namespace

std::uint64_t random_key(std::int64_t seed, std::string_view name) {
  std::string bytes;
  for (int i = 0; i < 8; ++i)
    bytes.push_back(static_cast<char>(static_cast<std::uint64_t>(seed) >> (8 * i) & 0xFF));
  bytes += name;
  return xxh3_64(as_bytes(bytes));
}

std::array<std::uint32_t, 4> philox4x32_10(std::array<std::uint32_t, 4> counter,
                                           std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {
        static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
        static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

void standard_normal(std::uint64_t key, std::uint64_t first, std::span<double> out) {
  const std::array<std::uint32_t, 2> words = {static_cast<std::uint32_t>(key),
                                              static_cast<std::uint32_t>(key >> 32)};
  std::size_t i = 0;
  while (i < out.size()) {
    const std::uint64_t element = first + i, pair = element / 2;
    const auto x = philox4x32_10(
        {static_cast<std::uint32_t>(pair), static_cast<std::uint32_t>(pair >> 32), 0, 0}, words);
    const std::uint64_t a = x[0] | std::uint64_t{x[1]} << 32, b = x[2] | std::uint64_t{x[3]} << 32;
    const double radius = std::sqrt(-2 * log_of(static_cast<double>((a >> 11) + 1) * 0x1p-53));
    const SinCos angle = sincos_of_turns(static_cast<double>(b >> 11) * 0x1p-53);
    if (element % 2 == 0) out[i++] = radius * angle.cos;
    if (i < out.size()) out[i++] = radius * angle.sin;
  }
}

}  // namespace regraft
