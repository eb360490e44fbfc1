#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "catch.h"
#include "expr/convert.h"
#include "expr/overflow.h"

namespace regraft {
namespace {

// The plain loops, and whatever this machine has.
struct Plainly {
  explicit Plainly(bool plainly) { convert_plainly(plainly); }
  ~Plainly() { convert_plainly(false); }
};

struct Layout {
  int digits, least;  // of the fraction; exponent of the smallest normal number
  double largest;
};
Layout layout_of(DType dtype) {
  return dtype == DType::float16 ? Layout{10, -14, 65504} : Layout{7, -126, 0x1.FEp127};
}

// What a 16-bit pattern stands for, from its definition.
double value_of(DType dtype, std::uint16_t bits) {
  const Layout layout = layout_of(dtype);
  const int exponent = (bits & 0x7FFF) >> layout.digits;
  const int fraction = bits & ((1 << layout.digits) - 1);
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == (dtype == DType::float16 ? 31 : 255))
    return fraction == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(fraction, layout.least - layout.digits);
  return sign *
         std::ldexp(fraction + (1 << layout.digits), layout.least + exponent - 1 - layout.digits);
}

// Rounded to nearest, ties to even, in doubles, which hold every float exactly.
double rounded(DType dtype, double value) {
  if (!std::isfinite(value) || value == 0) return value;
  const Layout layout = layout_of(dtype);
  const double unit = std::ldexp(1.0, std::max(std::ilogb(value), layout.least) - layout.digits);
  const double result = std::nearbyint(value / unit) * unit;
  return std::abs(result) > layout.largest ? std::copysign(INFINITY, value) : result;
}

template <typename To, typename From>
std::vector<To> converted(DType from, const std::vector<From>& source, DType to) {
  std::vector<To> result(source.size());
  REQUIRE_FALSE(convert(from, std::as_bytes(std::span(source)), to,
                        std::as_writable_bytes(std::span(result)), false));
  return result;
}

std::vector<std::uint16_t> all_halves() {
  std::vector<std::uint16_t> all(65536);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
  return all;
}

// All exponents and upper digits, with lower digits where rounding changes its mind.
std::vector<std::uint32_t> telling_floats() {
  std::vector<std::uint32_t> all;
  std::mt19937 random(3);
  for (std::uint32_t upper = 0; upper < 65536; ++upper)
    for (const std::uint32_t lower : {0u, 1u, 0xFFFu, 0x1000u, 0x1001u, 0x2000u, 0x3000u, 0x7FFFu,
                                      0x8000u, 0x8001u, 0xEFFFu, 0xF000u, 0xFFFFu})
      all.push_back(upper << 16 | lower);
  for (int i = 0; i < 300'000; ++i) all.push_back(static_cast<std::uint32_t>(random()));
  return all;
}

TEST_CASE("which pairs of dtypes are converted here") {
  for (const DType from :
       {DType::float32, DType::float16, DType::bfloat16, DType::float64, DType::int16})
    for (const DType to :
         {DType::float32, DType::float16, DType::bfloat16, DType::float64, DType::int16}) {
      const auto common = [](DType dtype) {
        return dtype != DType::float64 && dtype != DType::int16;
      };
      CHECK(converts(from, to) == (common(from) && common(to) && from != to));
    }
}

TEST_CASE("16-bit floats widen to what they stand for") {
  const Plainly plainly(GENERATE(false, true));
  for (const DType from : {DType::float16, DType::bfloat16}) {
    const std::vector<std::uint16_t> all = all_halves();
    const auto wide = converted<float>(from, all, DType::float32);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const double wanted = value_of(from, all[i]);
      const auto bits = std::bit_cast<std::uint32_t>(wide[i]);
      if (std::isnan(wanted)) {  // sign and digits stay; float16 becomes quiet
        const std::uint32_t sign = (all[i] & 0x8000u) << 16;
        const std::uint32_t expected = from == DType::float16
                                           ? sign | 0x7FC00000u | (all[i] & 0x3FFu) << 13
                                           : std::uint32_t{all[i]} << 16;
        wrong += bits != expected;
      } else {
        wrong += static_cast<double>(wide[i]) != wanted ||
                 std::signbit(wide[i]) != ((all[i] & 0x8000) != 0);
      }
      wrong += std::bit_cast<std::uint32_t>(as_float(from, std::as_bytes(std::span(&all[i], 1)))) !=
               bits;
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("floats are rounded to nearest, ties to even") {
  const Plainly plainly(GENERATE(false, true));
  const std::vector<std::uint32_t> all = telling_floats();
  for (const DType to : {DType::float16, DType::bfloat16}) {
    const auto narrow = converted<std::uint16_t>(DType::float32, all, to);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto value = static_cast<double>(std::bit_cast<float>(all[i]));
      if (std::isnan(value)) {
        const auto kept =
            static_cast<std::uint16_t>((all[i] >> 16 & 0x8000) | 0x7E00 | (all[i] >> 13 & 0x3FF));
        wrong += narrow[i] != (to == DType::float16 ? kept : 0xFFFF);
      } else {
        wrong += value_of(to, narrow[i]) != rounded(to, value) ||
                 ((narrow[i] & 0x8000) != 0) != (all[i] >> 31 != 0);
      }
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("between the 16-bit floats it is by way of float32") {
  const Plainly plainly(GENERATE(false, true));
  const std::vector<std::uint16_t> all = all_halves();
  for (const auto& [from, to] :
       {std::pair(DType::float16, DType::bfloat16), std::pair(DType::bfloat16, DType::float16)}) {
    const auto direct = converted<std::uint16_t>(from, all, to);
    const auto by_way = converted<std::uint16_t>(
        DType::float32, converted<std::uint32_t>(from, all, DType::float32), to);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const bool is_nan = std::isnan(value_of(from, all[i]));
      wrong += direct[i] != (is_nan && to == DType::bfloat16 ? 0x7FC0 : by_way[i]);
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("any number of elements, at any place") {
  const Plainly plainly(GENERATE(false, true));
  std::mt19937 random(11);
  for (std::size_t count = 1; count < 70; ++count) {
    std::vector<std::uint32_t> source(count);
    for (std::uint32_t& bits : source) bits = static_cast<std::uint32_t>(random());
    const auto whole = converted<std::uint16_t>(DType::float32, source, DType::bfloat16);
    std::vector<std::byte> from(count * 4 + 1), to(count * 2 + 3, std::byte{0x5A});
    std::memcpy(from.data() + 1, source.data(), count * 4);
    REQUIRE_FALSE(convert(DType::float32, Bytes(from).subspan(1), DType::bfloat16,
                          std::span(to).subspan(1, count * 2), false));
    CHECK(std::memcmp(to.data() + 1, whole.data(), count * 2) == 0);
    CHECK((to.front() == std::byte{0x5A} && to[count * 2 + 1] == std::byte{0x5A}));
  }
}

TEST_CASE("a checked cast says which element is lost first") {
  const Plainly plainly(GENERATE(false, true));
  struct Case {
    DType from, to;
    float largest, lost;  // the first that is not held, or 0
  };
  for (const Case& one :
       {Case{DType::float32, DType::float16, std::bit_cast<float>(0x477FEFFFu), 65520.0F},
        Case{DType::float32, DType::bfloat16, std::bit_cast<float>(0x7F7F7FFFu),
             std::bit_cast<float>(0x7F7F8000u)}}) {
    for (const std::size_t at : {std::size_t{0}, std::size_t{17}, std::size_t{4095},
                                 std::size_t{4096}, std::size_t{9999}}) {
      std::vector<float> source(10'000, one.largest);
      source[5000] = NAN;
      source[2] = INFINITY;
      source[3] = -INFINITY;
      std::vector<std::uint16_t> result(source.size());
      const auto run = [&] {
        return convert(one.from, std::as_bytes(std::span(source)), one.to,
                       std::as_writable_bytes(std::span(result)), true);
      };
      CHECK_FALSE(run());
      source[at] = -one.lost;
      source[9999] = one.lost;
      CHECK(run() == at);
    }
  }
  const std::vector<std::uint16_t> large = {0x7F7F};  // of bfloat16
  std::vector<std::uint16_t> result(1);
  CHECK(convert(DType::bfloat16, std::as_bytes(std::span(large)), DType::float16,
                std::as_writable_bytes(std::span(result)), true) == 0u);
  CHECK(cast_overflow("70000", 7, {2, 4}, DType::float16).message ==
        "element [1, 3] is 70000, which float16 cannot hold (largest 65504)");
  CHECK(cast_overflow("70000", 0, {}, DType::float16).message ==
        "the element is 70000, which float16 cannot hold (largest 65504)");
}

}  // namespace
}  // namespace regraft
