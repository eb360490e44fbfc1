#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "catch.h"
#include "expr/random.h"

namespace regraft {
namespace {

TEST_CASE("philox4x32-10 has the known answers of Random123") {
  using Four = std::array<std::uint32_t, 4>;
  const std::uint32_t ones = 0xFFFFFFFF;
  CHECK(philox4x32_10({0, 0, 0, 0}, {0, 0}) ==
        Four{0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8});
  CHECK(philox4x32_10({ones, ones, ones, ones}, {ones, ones}) ==
        Four{0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD});
  CHECK(philox4x32_10({0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344}, {0xA4093822, 0x299F31D0}) ==
        Four{0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1});
}

std::vector<double> drawn(std::uint64_t key, std::uint64_t first, std::size_t count) {
  std::vector<double> numbers(count);
  standard_normal(key, first, numbers);
  return numbers;
}

// The header's formula with the logarithm, sine and cosine of the C library.
double by_formula(std::uint64_t key, std::uint64_t element) {
  const std::uint64_t pair = element / 2;
  const auto x = philox4x32_10(
      {static_cast<std::uint32_t>(pair), static_cast<std::uint32_t>(pair >> 32), 0, 0},
      {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)});
  const std::uint64_t a = x[0] | std::uint64_t{x[1]} << 32, b = x[2] | std::uint64_t{x[3]} << 32;
  const long double u1 = (static_cast<long double>(a >> 11) + 1) / 0x1p53L;
  const long double turn =
      2 * std::numbers::pi_v<long double> * static_cast<long double>(b >> 11) / 0x1p53L;
  const long double radius = std::sqrt(-2 * std::log(u1));
  return static_cast<double>(radius * (element % 2 == 0 ? std::cos(turn) : std::sin(turn)));
}

TEST_CASE("normal numbers follow their formula to the last bits") {
  for (const std::uint64_t key :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{0x123456789ABCDEF0}, ~std::uint64_t{0}})
    for (const std::uint64_t first :
         {std::uint64_t{0}, std::uint64_t{1} << 33, ~std::uint64_t{0} - 60000}) {
      const std::vector<double> numbers = drawn(key, first, 50000);
      double worst = 0;
      for (std::size_t i = 0; i < numbers.size(); ++i) {
        const double expected = by_formula(key, first + i);
        worst =
            std::max(worst, std::abs(numbers[i] - expected) / std::max(1.0, std::abs(expected)));
      }
      CHECK(worst < 1e-14);
    }
}

// To the bit: what is drawn once is drawn on every machine and by every later version.
TEST_CASE("the first numbers of a key, and the last of the last one") {
  CHECK(drawn(0, 0, 4) == std::vector<double>{-0x1.973628c131c04p-2, -0x1.3dd84ff91e709p-2,
                                              0x1.63083c830bea5p+0, 0x1.511d43e0f2703p-2});
  const std::uint64_t last = ~std::uint64_t{0};
  CHECK(drawn(last, last - 3, 4) == std::vector<double>{0x1.0f5626e013c9ep-2, -0x1.f08d9fdd20864p+0,
                                                        0x1.d3f220e9979cep-5, 0x1.2da40cb26d3ap-1});
}

TEST_CASE("normal numbers do not depend on how they are asked for") {
  const std::uint64_t key = 42;
  const std::vector<double> whole = drawn(key, 0, 1000);
  for (const std::size_t chunk : {1, 2, 3, 7, 64, 999}) {
    std::vector<double> parts;
    for (std::size_t first = 0; first < whole.size(); first += chunk)
      for (const double one : drawn(key, first, std::min(chunk, whole.size() - first)))
        parts.push_back(one);
    CHECK(parts == whole);
  }
  CHECK(drawn(key, 5, 0).empty());
  CHECK(drawn(key + 1, 0, 10) != drawn(key, 0, 10));
  CHECK(drawn(key, 10, 10) != drawn(key, 0, 10));
}

TEST_CASE("normal numbers have the moments and the tails of their distribution") {
  const std::size_t count = 1 << 20;
  const std::vector<double> numbers = drawn(2024, 0, count);
  double sums[5] = {};
  std::size_t within[4] = {};  // 1, 2, 3, 4 standard deviations
  for (const double x : numbers) {
    double power = 1;
    for (double& sum : sums) sum += power, power *= x;
    for (int i = 0; i < 4; ++i)
      if (std::abs(x) < i + 1) ++within[i];
  }
  CHECK(std::all_of(numbers.begin(), numbers.end(), [](double x) { return std::isfinite(x); }));
  const auto n = static_cast<double>(count);
  // Five standard errors each.
  CHECK(std::abs(sums[1] / n) < 5 / std::sqrt(n));
  CHECK(std::abs(sums[2] / n - 1) < 5 * std::sqrt(2 / n));
  CHECK(std::abs(sums[3] / n) < 5 * std::sqrt(15 / n));
  CHECK(std::abs(sums[4] / n - 3) < 5 * std::sqrt(96 / n));
  for (int i = 0; i < 4; ++i) {
    const double p = std::erf((i + 1) / std::numbers::sqrt2);
    CHECK(std::abs(static_cast<double>(within[i]) / n - p) < 5 * std::sqrt(p * (1 - p) / n));
  }
  // Neighbours, which come of one pair, are not related.
  double product = 0;
  for (std::size_t i = 0; i + 1 < count; ++i) product += numbers[i] * numbers[i + 1];
  CHECK(std::abs(product / n) < 5 / std::sqrt(n));
}

TEST_CASE("keys tell seeds and names apart") {
  CHECK(random_key(0, "a.weight") == random_key(0, "a.weight"));
  CHECK(random_key(0, "a.weight") != random_key(1, "a.weight"));
  CHECK(random_key(0, "a.weight") != random_key(0, "a.bias"));
  CHECK(random_key(-1, "") != random_key(0, ""));
}

}  // namespace
}  // namespace regraft
