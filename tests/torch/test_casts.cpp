// Casts against conversions of the test's own: tables of all codes of the narrow floats, and C++.
#include <c10/util/Exception.h>

#include "expr/number.h"
#include "support.h"

namespace regraft {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

const std::vector<DType> kNarrow = {DType::float16,       DType::bfloat16,
                                    DType::float8_e4m3fn, DType::float8_e4m3fnuz,
                                    DType::float8_e5m2,   DType::float8_e5m2fnuz};

Words as_codes(DType dtype, const std::vector<std::uint32_t>& codes) {
  if (itemsize(dtype) == 1) return bytes_of(std::vector<std::uint8_t>(codes.begin(), codes.end()));
  return bytes_of(std::vector<std::uint16_t>(codes.begin(), codes.end()));
}

template <typename T>
ExprPtr vector_of(Inputs& in, DType dtype, const std::vector<T>& values) {
  return in.add<T>(dtype, {std::ssize(values)}, values);
}

TEST_CASE("every value of a narrow float widens to itself") {
  Inputs in;
  std::vector<DType> all = kNarrow;
  all.push_back(DType::float8_e8m0fnu);
  for (const DType dtype : all) {
    INFO(name(dtype));
    std::vector<std::uint32_t> codes(itemsize(dtype) == 1 ? 256 : 65536);
    for (std::uint32_t i = 0; i < codes.size(); ++i) codes[i] = i;
    const ExprPtr narrow = in.add(dtype, {std::ssize(codes)}, as_codes(dtype, codes));
    for (const bool checked : {false, true}) {
      const auto wide = in.values<double>(cast(narrow, DType::float64, checked));
      const auto single = in.values<float>(cast(narrow, DType::float32, checked));
      bool good = true;
      for (std::uint32_t i = 0; i < codes.size(); ++i) {
        const double value = decoded(dtype, i);
        const bool same = std::isnan(value) ? std::isnan(wide[i]) && std::isnan(single[i])
                                            : wide[i] == value && single[i] == value &&
                                                  std::signbit(wide[i]) == std::signbit(value);
        if (!same) UNSCOPED_INFO("code " << i << ": " << wide[i] << ", not " << value);
        good = good && same;
      }
      CHECK(good);
    }
  }
}

TEST_CASE("floats are rounded to the nearest, of two to the even one") {
  Inputs in;
  for (const DType dtype : kNarrow) {
    INFO(name(dtype));
    std::vector<float> values = {0, 0.3f, -0.3f, 1, -1, 1.0f / 3, 3.14159f};
    const double top = largest(dtype);
    for (const double one : {top, top / 2, top / 3, -top, top * 0.9999})
      values.push_back(static_cast<float>(one));
    for (std::uint32_t code = 1; code < 64; ++code) {  // ties between neighbours, also the smallest
      const auto middle = (decoded(dtype, code) + decoded(dtype, code + 1)) / 2;
      values.push_back(static_cast<float>(middle));
      values.push_back(std::nextafter(static_cast<float>(middle), 0.0f));
      values.push_back(-std::nextafter(static_cast<float>(middle), 1e30f));
    }
    std::vector<std::uint32_t> expected;
    for (const float one : values) expected.push_back(encoded(dtype, one));
    const Words codes = as_codes(dtype, expected);
    for (const bool checked : {false, true}) {
      CHECK(in.words(cast(vector_of(in, DType::float32, values), dtype, checked)) == codes);
      const std::vector<double> doubles(values.begin(), values.end());
      CHECK(in.words(cast(vector_of(in, DType::float64, doubles), dtype, checked)) == codes);
    }
  }
}

TEST_CASE("powers of two: the nearest, upwards from the middle") {
  Inputs in;
  const ExprPtr x =
      vector_of<float>(in, DType::float32, {1, 2, 0x1p-127f, 0x1p127f, 2.9f, 3, 3.1f});
  CHECK(in.values<std::uint8_t>(cast(x, DType::float8_e8m0fnu, true)) ==
        std::vector<std::uint8_t>{127, 128, 0, 254, 128, 129, 129});
  for (const double wrong : {0.0, -1.0, -0x1p-140, kInf, -kInf}) {
    const Diagnostic said = in.error(
        cast(vector_of<double>(in, DType::float64, {1, wrong}), DType::float8_e8m0fnu, true));
    CHECK(said.code == Code::cast_overflow);
    CHECK(said.message.find("(powers of two from 2^-127 to 2^127)") != std::string::npos);
  }
}

// --- what is refused
// --------------------------------------------------------------------------------

template <typename T>
void check_limits(DType from, DType to, const std::vector<T>& held, const std::vector<T>& lost) {
  INFO(name(from) << " to " << name(to));
  Inputs in;
  for (const T one : held) {
    INFO(one);
    CHECK(in.words(cast(vector_of<T>(in, from, {one}), to, true)) ==
          in.words(cast(vector_of<T>(in, from, {one}), to, false)));
  }
  for (const T one : lost) {
    INFO(one);
    CHECK(in.error(cast(vector_of<T>(in, from, {T{1}, one}), to, true)).code ==
          Code::cast_overflow);
    in.words(cast(vector_of<T>(in, from, {T{1}, one}), to, false));  // not refused
  }
}

TEST_CASE("checked casts between floats stop at the largest") {
  const auto below = [](double x) { return std::nextafter(static_cast<float>(x), 0.0f); };
  const auto above = [](double x) { return std::nextafter(static_cast<float>(x), 1e38f); };
  check_limits<float>(DType::float32, DType::float16,
                      {65504, -65504, below(65520), 1e-30f, static_cast<float>(kInf),
                       -static_cast<float>(kInf), static_cast<float>(kNan)},
                      {65520, -65520, 70000, 3e38f});
  const float top = std::numeric_limits<float>::max();
  check_limits<float>(DType::float32, DType::bfloat16,
                      {0x1.fep127f, below(0x1.ffp127), static_cast<float>(kInf)},
                      {0x1.ffp127f, top, -top});
  check_limits<float>(DType::float32, DType::float8_e4m3fn,
                      {448, -448, 464, static_cast<float>(kNan)},
                      {above(464), -above(464), 480, 1e30f, static_cast<float>(kInf)});
  check_limits<float>(DType::float32, DType::float8_e4m3fnuz, {240, -240, below(248)},
                      {248, 1e30f, static_cast<float>(kInf)});
  check_limits<float>(DType::float32, DType::float8_e5m2,
                      {57344, below(61440), -below(61440), static_cast<float>(kInf)},
                      {61440, -61440, 1e30f});
  check_limits<float>(DType::float32, DType::float8_e5m2fnuz, {57344, below(61440)},
                      {61440, 1e30f, static_cast<float>(kInf)});
  check_limits<double>(DType::float64, DType::float32,
                       {top, 0x1.fffffefffffffp127, kInf, kNan, 1e-300},
                       {0x1.ffffffp127, -0x1.ffffffp127, 1e300});
  check_limits<double>(DType::float64, DType::float16, {65504, 65519, kInf}, {65520, 1e300});
  check_limits<std::uint16_t>(DType::bfloat16, DType::float16, {0x4700, 0x7F80 /* inf */},
                              {0x4780 /* 65536 */, 0xFF7F});
  check_limits<std::uint16_t>(DType::float16, DType::float8_e5m2,
                              {0x7B00 /* 57344 */, 0x7B7F, 0x7C00 /* inf */}, {0x7B80, 0xFBFF});
  check_limits<std::uint8_t>(DType::float8_e5m2, DType::float8_e5m2fnuz, {0x7B}, {0x7C /* inf */});
}

TEST_CASE("checked casts of integers to floats stop at the largest") {
  check_limits<std::int32_t>(DType::int32, DType::float16, {65504, 65519, -65519}, {65520, -65520});
  check_limits<std::int64_t>(DType::int64, DType::float8_e4m3fn, {464, -464}, {465, -465, 1 << 30});
  check_limits<std::int16_t>(DType::int16, DType::float8_e4m3fnuz, {247, -247}, {248, -32768});
  check_limits<std::uint64_t>(DType::uint64, DType::float32, {~0ull}, {});
  check_limits<std::uint64_t>(DType::uint64, DType::float16, {65519}, {65520, ~0ull});
  check_limits<std::uint32_t>(DType::uint32, DType::float8_e8m0fnu, {1, 3, ~0u}, {0});
}

template <typename To>
void check_integer(DType to) {
  const double low = static_cast<double>(std::numeric_limits<To>::min());
  const double end = std::ldexp(1.0, std::numeric_limits<To>::digits);
  check_limits<double>(
      DType::float64, to,
      {low, std::nextafter(low - 1, 0.0), std::nextafter(end, 0.0), 0.9, -0.9, 1.5, -0.0},
      {end, std::nextafter(low, -kInf) > low - 1 ? low - 1 : std::nextafter(low, -kInf), kInf,
       -kInf, kNan, 1e300});
  check_limits<float>(
      DType::float32, to,
      {static_cast<float>(low), std::nextafter(static_cast<float>(end), 0.0f), 0.9f, -0.9f},
      {static_cast<float>(end), -1e30f, static_cast<float>(kInf), static_cast<float>(kNan)});
  Inputs in;
  const std::vector<double> values = {0.9, -0.9, 1.5, 100.99, low, std::nextafter(end, 0.0)};
  std::vector<To> expected;
  for (const double one : values) expected.push_back(static_cast<To>(one));
  CHECK(in.values<To>(cast(vector_of(in, DType::float64, values), to, true)) == expected);
  CHECK(in.values<To>(cast(vector_of(in, DType::float64, values), to, false)) == expected);
}

TEST_CASE("checked casts of floats to integers stop at both ends") {
  check_integer<std::int8_t>(DType::int8);
  check_integer<std::int16_t>(DType::int16);
  check_integer<std::int32_t>(DType::int32);
  check_integer<std::int64_t>(DType::int64);
  check_integer<std::uint8_t>(DType::uint8);
  check_integer<std::uint16_t>(DType::uint16);
  check_integer<std::uint32_t>(DType::uint32);
  check_integer<std::uint64_t>(DType::uint64);
  check_limits<std::uint16_t>(DType::float16, DType::uint8, {0x5BFF /* 255.9 */},
                              {0x5C00 /* 256 */, 0xBC00 /* -1 */, 0x7C00, 0x7E00});
  check_limits<std::uint8_t>(DType::float8_e8m0fnu, DType::int16, {127, 127 + 14}, {127 + 15, 255});
}

template <typename From, typename To>
void check_between(DType from, DType to) {
  INFO(name(from) << " to " << name(to));
  Inputs in;
  std::vector<From> values = {0, 1, 100};
  for (const auto& end : {std::numeric_limits<From>::min(), std::numeric_limits<From>::max()})
    values.push_back(end);
  for (const int bits : {7, 8, 15, 16, 31, 32, 63})
    for (const int away : {-1, 0, 1}) {
      const std::uint64_t one = (std::uint64_t{1} << bits) + static_cast<std::uint64_t>(away);
      const auto negative = -static_cast<std::int64_t>(one >> (bits == 63 ? 1 : 0));
      if (std::in_range<From>(one)) values.push_back(static_cast<From>(one));
      if (std::in_range<From>(negative)) values.push_back(static_cast<From>(negative));
    }
  std::vector<To> wrapped;
  for (const From one : values) {
    wrapped.push_back(static_cast<To>(one));
    const bool held = std::in_range<To>(one);
    Words out(sizeof(To));
    const Status done = in.evaluate(cast(vector_of<From>(in, from, {one}), to, true),
                                    std::as_writable_bytes(std::span(out)));
    CHECK(done.ok() == held);
    if (held) CHECK(values_of<To>(out)[0] == static_cast<To>(one));
    if (!held) CHECK(done.error().code == Code::cast_overflow);
  }
  CHECK(in.values<To>(cast(vector_of(in, from, values), to, false)) == wrapped);
}

template <typename From>
void check_between_all(DType from) {
  check_between<From, std::int8_t>(from, DType::int8);
  check_between<From, std::int16_t>(from, DType::int16);
  check_between<From, std::int32_t>(from, DType::int32);
  check_between<From, std::int64_t>(from, DType::int64);
  check_between<From, std::uint8_t>(from, DType::uint8);
  check_between<From, std::uint16_t>(from, DType::uint16);
  check_between<From, std::uint32_t>(from, DType::uint32);
  check_between<From, std::uint64_t>(from, DType::uint64);
}

TEST_CASE("integers to integers") {
  check_between_all<std::int8_t>(DType::int8);
  check_between_all<std::int16_t>(DType::int16);
  check_between_all<std::int32_t>(DType::int32);
  check_between_all<std::int64_t>(DType::int64);
  check_between_all<std::uint8_t>(DType::uint8);
  check_between_all<std::uint16_t>(DType::uint16);
  check_between_all<std::uint32_t>(DType::uint32);
  check_between_all<std::uint64_t>(DType::uint64);
}

TEST_CASE("integers to wide floats are rounded once") {
  Inputs in;
  const std::vector<std::int64_t> values = {0,
                                            -5,
                                            (1ll << 53) + 1,
                                            (1ll << 24) + 1,
                                            std::numeric_limits<std::int64_t>::max(),
                                            std::numeric_limits<std::int64_t>::min()};
  std::vector<double> doubles;
  std::vector<float> floats;
  for (const std::int64_t one : values) {
    doubles.push_back(static_cast<double>(one));
    floats.push_back(static_cast<float>(one));
  }
  CHECK(in.values<double>(cast(vector_of(in, DType::int64, values), DType::float64, true)) ==
        doubles);
  CHECK(in.values<float>(cast(vector_of(in, DType::int64, values), DType::float32, true)) ==
        floats);
  CHECK(in.values<double>(cast(vector_of<std::uint64_t>(in, DType::uint64, {~0ull, 1ull << 63}),
                               DType::float64, true)) == std::vector<double>{0x1p64, 0x1p63});
}

TEST_CASE("an unchecked float outside of an integer's range goes by way of int64") {
  Inputs in;
  const std::vector<double> values = {300, -1, 3e9, 1e10, -1e10, 1e19, 1e20, kNan, kInf, -kInf};
  const auto expected = [&]<typename To>(To) {
    std::vector<To> all;
    for (const double one : values)
      all.push_back(static_cast<To>(std::abs(one) < 0x1p63
                                        ? static_cast<std::int64_t>(one)
                                        : std::numeric_limits<std::int64_t>::min()));
    return all;
  };
  const ExprPtr x = vector_of(in, DType::float64, values);
  CHECK(in.values<std::int8_t>(cast(x, DType::int8, false)) == expected(std::int8_t{}));
  CHECK(in.values<std::uint16_t>(cast(x, DType::uint16, false)) == expected(std::uint16_t{}));
  CHECK(in.values<std::int32_t>(cast(x, DType::int32, false)) == expected(std::int32_t{}));
  CHECK(in.values<std::uint32_t>(cast(x, DType::uint32, false)) == expected(std::uint32_t{}));
  CHECK(in.values<std::int64_t>(cast(x, DType::int64, false)) == expected(std::int64_t{}));
  auto wide = expected(std::uint64_t{});
  wide[5] = 10000000000000000000u;  // within the range of uint64
  CHECK(in.values<std::uint64_t>(cast(x, DType::uint64, false)) == wide);
}

TEST_CASE("to bool: what is not zero, NaN too") {
  Inputs in;
  using Bools = std::vector<std::uint8_t>;
  for (const bool checked : {false, true}) {
    const auto as_bool = [&](const ExprPtr& x) {
      return in.values<std::uint8_t>(cast(x, DType::boolean, checked));
    };
    CHECK(as_bool(vector_of<float>(in, DType::float32,
                                   {0, -0.0f, 1e-45f, -3, static_cast<float>(kNan),
                                    static_cast<float>(kInf)})) == Bools{0, 0, 1, 1, 1, 1});
    CHECK(as_bool(vector_of<std::int64_t>(in, DType::int64, {0, 256, -1})) == Bools{0, 1, 1});
    CHECK(as_bool(vector_of<std::uint16_t>(in, DType::float16, {0x8000, 1, 0x7E00})) ==
          Bools{0, 1, 1});
    CHECK(as_bool(vector_of<std::uint8_t>(in, DType::float8_e4m3fn, {0x80, 1, 0x7F})) ==
          Bools{0, 1, 1});
    CHECK(as_bool(in.add<float>(DType::complex64, {3}, {0, 0, 0, 2, 1, 0})) == Bools{0, 1, 1});
    CHECK(in.values<float>(cast(vector_of<std::uint8_t>(in, DType::boolean, {0, 1}), DType::float32,
                                checked)) == std::vector<float>{0, 1});
  }
}

struct CountingHandler final : c10::WarningHandler {
  void process(const c10::Warning&) override { ++warnings; }
  int warnings = 0;
};

TEST_CASE("complex numbers: parts, checked each, the imaginary one dropped without a warning") {
  CountingHandler handler;
  const c10::WarningUtils::WarningHandlerGuard guard(&handler);
  Inputs in;
  const ExprPtr x = in.add<float>(DType::complex64, {2}, {1.5f, 70000, -2.5f, 3});
  for (const bool checked : {false, true}) {
    CHECK(in.values<float>(cast(x, DType::float32, checked)) == std::vector<float>{1.5f, -2.5f});
    CHECK(in.values<std::int16_t>(cast(x, DType::int16, checked)) ==
          std::vector<std::int16_t>{1, -2});
    CHECK(in.words(cast(x, DType::complex128, checked)) == bytes_of<double>({1.5, 70000, -2.5, 3}));
    CHECK(in.words(cast(vector_of<float>(in, DType::float32, {3}), DType::complex64, checked)) ==
          bytes_of<float>({3, 0}));
  }
  CHECK(in.error(cast(x, DType::uint8, true)).message ==
        "element [1] is -2.5, which uint8 cannot hold (0 to 255)");
  CHECK(in.error(cast(x, DType::complex32, true)).message ==
        "element [0] is 1.5+70000j, which complex32 cannot hold (largest 65504 in each part)");
  const auto half = [](double one) {
    return static_cast<std::uint16_t>(encoded(DType::float16, one));
  };
  const ExprPtr small = in.add<float>(DType::complex64, {1}, {1.5f, -2});
  CHECK(in.words(cast(small, DType::complex32, true)) ==
        bytes_of<std::uint16_t>({half(1.5), half(-2)}));
  const ExprPtr halves = in.add<std::uint16_t>(DType::complex32, {1}, {half(1.5), half(-2)});
  CHECK(in.words(cast(halves, DType::complex64, true)) == bytes_of<float>({1.5f, -2}));
  CHECK(in.values<float>(cast(halves, DType::float32, true)) == std::vector<float>{1.5f});
  CHECK(in.error(cast(vector_of<float>(in, DType::float32, {1e6f}), DType::complex32, true)).code ==
        Code::cast_overflow);
  CHECK(handler.warnings == 0);
}

// --- what is said
// -------------------------------------------------------------------------------------

TEST_CASE("a lost value is named with its place and what the dtype can hold") {
  Inputs in;
  std::vector<float> values(24, 1);
  values[3 * 4 + 1] = 70000;
  const ExprPtr x = in.add(DType::float32, {6, 4}, values);
  const Diagnostic said = in.error(cast(x, DType::float16, true));
  CHECK(said.code == Code::cast_overflow);
  CHECK(said.message == "element [3, 1] is 70000, which float16 cannot hold (largest 65504)");
  CHECK(in.error(cast(permute(x, {1, 0}), DType::float16, true)).message ==
        "element [1, 3] is 70000, which float16 cannot hold (largest 65504)");
  CHECK(
      in.error(cast(in.add<double>(DType::float64, {}, {-1e300}), DType::float32, true)).message ==
      "the element is -1e+300, which float32 cannot hold (largest 3.4028235e+38)");
  CHECK(in.error(cast(x, DType::int8, true)).message ==
        "element [3, 1] is 70000, which int8 cannot hold (-128 to 127)");
  CHECK(in.error(cast(in.add<float>(DType::float32, {1}, {static_cast<float>(kNan)}), DType::uint64,
                      true))
            .message == "element [0] is nan, which uint64 cannot hold (0 to 18446744073709551615)");
  CHECK(in.error(cast(in.add<float>(DType::float32, {1}, {static_cast<float>(-kInf)}),
                      DType::float8_e4m3fn, true))
            .message == "element [0] is -inf, which float8_e4m3fn cannot hold (largest 448)");
  CHECK(in.error(cast(in.add<std::uint64_t>(DType::uint64, {1}, {~0ull}), DType::int64, true))
            .message ==
        "element [0] is 18446744073709551615, which int64 cannot hold "
        "(-9223372036854775808 to 9223372036854775807)");
}

TEST_CASE("checked casts of many blocks name the first place of all") {
  Inputs in;
  const std::int64_t rows = 700, columns = 1100;  // three blocks
  std::vector<float> values(static_cast<std::size_t>(rows * columns), 0.5f);
  const ExprPtr fine = in.add(DType::float32, {rows, columns}, values);
  CHECK(in.values<std::uint16_t>(cast(permute(fine, {1, 0}), DType::float16, true)) ==
        std::vector<std::uint16_t>(values.size(), 0x3800));
  values[static_cast<std::size_t>(650 * columns + 3)] = 1e6f;
  values[static_cast<std::size_t>(600 * columns + 1099)] = 2e6f;
  const ExprPtr x = in.add(DType::float32, {rows, columns}, values);
  CHECK(in.error(cast(x, DType::float16, true)).message ==
        "element [600, 1099] is 2e+06, which float16 cannot hold (largest 65504)");
  CHECK(in.error(cast(permute(x, {1, 0}), DType::float16, true)).message ==
        "element [3, 650] is 1e+06, which float16 cannot hold (largest 65504)");
  CHECK(in.error(cast(reshape(x, {1, 1, rows * columns}), DType::int16, true)).message ==
        "element [0, 0, 661099] is 2e+06, which int16 cannot hold (-32768 to 32767)");
  // One row alone is more than a block.
  const ExprPtr wide = expand(reshape(x, {1, rows * columns, 1}), {2, rows * columns, 2});
  CHECK(in.error(cast(wide, DType::float16, true)).message ==
        "element [0, 661099, 0] is 2e+06, which float16 cannot hold (largest 65504)");
}

TEST_CASE("casts of nothing") {
  Inputs in;
  for (const bool checked : {false, true}) {
    CHECK(in.words(cast(in.add<float>(DType::float32, {0, 3}, {}), DType::int8, checked)).empty());
    // Within a tensor that is not empty.
    const ExprPtr none = cast(in.add<float>(DType::float32, {0}, {}), DType::uint8, checked);
    const ExprPtr one = in.add<std::uint8_t>(DType::uint8, {1}, {7});
    CHECK(in.values<std::uint8_t>(cat({none, one, none}, 0)) == std::vector<std::uint8_t>{7});
  }
}

TEST_CASE("torch computes nothing with bits, and the error says so") {
  Inputs in;
  for (const DType dtype : {DType::bits8, DType::float4_e2m1fn_x2})
    for (const bool checked : {false, true}) {
      const ExprPtr x = vector_of<std::uint8_t>(in, dtype, {1});
      CHECK(in.error(cast(x, DType::float32, checked)).code == Code::evaluator);
      CHECK(in.error(cast(vector_of<float>(in, DType::float32, {1}), dtype, checked)).code ==
            Code::evaluator);
    }
}

}  // namespace
}  // namespace regraft
