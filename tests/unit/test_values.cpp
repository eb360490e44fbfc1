#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/diagnostic.h"
#include "catch.h"
#include "report/values.h"
#include "temporary_file.h"

namespace regraft {
namespace {

template <typename T>
std::string bytes_of(const std::vector<T>& numbers) {
  std::string bytes;
  for (const T number : numbers) {
    std::array<char, sizeof(T)> raw;
    std::memcpy(raw.data(), &number, sizeof(T));
    if constexpr (std::endian::native == std::endian::big) std::reverse(raw.begin(), raw.end());
    bytes.append(raw.data(), raw.size());
  }
  return bytes;
}

TensorValues values_of(DType dtype, std::string_view bytes) {
  ValueAccumulator accumulator(dtype);
  accumulator.update(as_bytes(bytes));
  return accumulator.finish();
}

NumberStatistics one(DType dtype, std::uint32_t code) {
  const std::string bytes = bytes_of(std::vector<std::uint32_t>{code}).substr(0, itemsize(dtype));
  return values_of(dtype, bytes).real;
}

double real(const std::optional<Number>& number) { return std::get<double>(number.value()); }

// A number of a binary floating-point format by its definition, specials aside.
double by_definition(std::uint32_t code, int exponent_bits, int mantissa_bits, int bias) {
  const int exponent = static_cast<int>(code >> mantissa_bits) & ((1 << exponent_bits) - 1);
  const double fraction = std::ldexp(code & ((1u << mantissa_bits) - 1), -mantissa_bits);
  const double size =
      exponent == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, exponent - bias);
  return (code >> (exponent_bits + mantissa_bits) & 1) != 0 ? -size : size;
}

void check_codes(DType dtype, int exponent_bits, int mantissa_bits, int bias,
                 const std::set<std::uint32_t>& nan, const std::set<std::uint32_t>& inf) {
  const std::uint32_t codes = 1u << (1 + exponent_bits + mantissa_bits);
  std::size_t wrong = 0;
  for (std::uint32_t code = 0; code < codes; ++code) {
    const NumberStatistics read = one(dtype, code);
    const bool is_nan = nan.contains(code), is_inf = inf.contains(code);
    bool good = read.count == 1 && read.nan == is_nan && read.inf == is_inf;
    if (is_nan || is_inf) {
      good = good && !read.min && !read.max && !read.mean && read.l2 == 0 && read.zeros == 0;
    } else {
      const double expected = by_definition(code, exponent_bits, mantissa_bits, bias);
      good = good && real(read.min) == expected && real(read.max) == expected &&
             read.mean.value() == expected && read.l2 == std::abs(expected) &&
             read.zeros == (expected == 0);
    }
    wrong += !good;
  }
  CAPTURE(name(dtype));
  CHECK(wrong == 0);
}

TEST_CASE("every code of the 8 bit floats is read") {
  check_codes(DType::float8_e4m3fn, 4, 3, 7, {0x7f, 0xff}, {});
  check_codes(DType::float8_e4m3fnuz, 4, 3, 8, {0x80}, {});
  check_codes(DType::float8_e5m2, 5, 2, 15, {0x7d, 0x7e, 0x7f, 0xfd, 0xfe, 0xff}, {0x7c, 0xfc});
  check_codes(DType::float8_e5m2fnuz, 5, 2, 16, {0x80}, {});
  for (std::uint32_t code = 0; code < 255; ++code) {
    CHECK(real(one(DType::float8_e8m0fnu, code).min) ==
          std::ldexp(1.0, static_cast<int>(code) - 127));
  }
  CHECK(one(DType::float8_e8m0fnu, 255).nan == 1);
}

TEST_CASE("the largest 8 bit floats are those of their definitions") {
  CHECK(real(one(DType::float8_e4m3fn, 0x7e).max) == 448);
  CHECK(real(one(DType::float8_e4m3fnuz, 0x7f).max) == 240);
  CHECK(real(one(DType::float8_e5m2, 0x7b).max) == 57344);
  CHECK(real(one(DType::float8_e5m2fnuz, 0x7f).max) == 57344);
}

TEST_CASE("every code of the 16 bit floats is read") {
  std::set<std::uint32_t> nan;
  for (std::uint32_t sign : {0u, 0x8000u})
    for (std::uint32_t code = 0x7c01; code < 0x8000; ++code) nan.insert(sign | code);
  check_codes(DType::float16, 5, 10, 15, nan, {0x7c00, 0xfc00});

  std::size_t wrong = 0;
  for (std::uint32_t code = 0; code < 0x10000; ++code) {
    const float expected = std::bit_cast<float>(code << 16);  // its definition
    const NumberStatistics read = one(DType::bfloat16, code);
    if (std::isnan(expected) || std::isinf(expected)) {
      wrong += read.nan != std::isnan(expected) || read.inf != std::isinf(expected);
    } else {
      wrong += read.nan + read.inf != 0 || real(read.min) != static_cast<double>(expected);
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("a byte of float4 is two numbers") {
  constexpr std::array<double, 8> kNumbers = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  for (std::uint32_t code = 0; code < 256; ++code) {
    const auto number = [&](std::uint32_t half) {
      return (half & 8) != 0 ? -kNumbers[half & 7] : kNumbers[half & 7];
    };
    const double low = number(code & 15), high = number(code >> 4);
    const NumberStatistics read = one(DType::float4_e2m1fn_x2, code);
    CHECK(read.count == 2);
    CHECK(real(read.min) == std::min(low, high));
    CHECK(real(read.max) == std::max(low, high));
    CHECK(read.mean.value() == (low + high) / 2);
    CHECK(read.zeros == std::uint64_t{low == 0} + std::uint64_t{high == 0});
  }
}

TEST_CASE("integers are exact at both ends") {
  constexpr auto kMin = std::numeric_limits<std::int64_t>::min();
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  NumberStatistics read =
      values_of(DType::int64, bytes_of(std::vector<std::int64_t>{kMin, 0, kMax - 1, kMax, kMax}))
          .real;
  CHECK(std::get<std::int64_t>(read.min.value()) == kMin);
  CHECK(std::get<std::int64_t>(read.max.value()) == kMax);
  CHECK(read.zeros == 1);
  CHECK(read.mean.value() == Approx(0x1p+64 / 5).epsilon(1e-15));
  CHECK(read.l2 == Approx(0x1p+64).epsilon(1e-15));

  constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
  read = values_of(DType::uint64, bytes_of(std::vector<std::uint64_t>{kMost - 1, kMost})).real;
  CHECK(std::get<std::uint64_t>(read.min.value()) == kMost - 1);
  CHECK(std::get<std::uint64_t>(read.max.value()) == kMost);
  CHECK(read.mean.value() == 0x1p+64);

  read = values_of(DType::int8, bytes_of(std::vector<std::int8_t>{-128, 127})).real;
  CHECK(std::get<std::int64_t>(read.min.value()) == -128);
  CHECK(std::get<std::int64_t>(read.max.value()) == 127);
  read = values_of(DType::uint16, bytes_of(std::vector<std::uint16_t>{1, 65535})).real;
  CHECK(std::get<std::uint64_t>(read.max.value()) == 65535);
}

TEST_CASE("any byte of a bool but 0 is true") {
  const NumberStatistics read = values_of(DType::boolean, std::string("\0\1\xff\0\0", 5)).real;
  CHECK(std::get<std::uint64_t>(read.min.value()) == 0);
  CHECK(std::get<std::uint64_t>(read.max.value()) == 1);
  CHECK(read.mean.value() == 0.4);
  CHECK(read.zeros == 3);
}

TEST_CASE("what is not finite is counted and left out") {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  NumberStatistics read =
      values_of(DType::float64, bytes_of(std::vector<double>{kNan, 3, -kInf, -0.0, kInf, 4, kNan}))
          .real;
  CHECK(read.count == 7);
  CHECK(read.nan == 2);
  CHECK(read.inf == 2);
  CHECK(read.zeros == 1);
  CHECK(real(read.min) == 0);
  CHECK(!std::signbit(real(read.min)));
  CHECK(real(read.max) == 4);
  CHECK(read.mean.value() == Approx(7.0 / 3));
  CHECK(read.l2 == 5);

  read = values_of(DType::float32, {}).real;
  CHECK(read.count == 0);
  CHECK(!read.min);
  CHECK(!read.mean);
}

TEST_CASE("sums do not lose, overflow or vanish") {
  // 2^60 and 4096 ones: each of them is below half a unit of the sum.
  std::vector<double> numbers(4096, 1.0);
  numbers.insert(numbers.begin(), 0x1p+60);
  numbers.push_back(-0x1p+60);
  CHECK(values_of(DType::float64, bytes_of(numbers)).real.mean.value() == 4096.0 / 4098);

  constexpr double kMost = std::numeric_limits<double>::max();
  NumberStatistics read =
      values_of(DType::float64, bytes_of(std::vector<double>(1000, kMost))).real;
  CHECK(read.mean.value() == Approx(kMost).epsilon(1e-15));
  CHECK(std::isinf(read.l2));
  read = values_of(DType::float64, bytes_of(std::vector<double>{3e200, 4e200})).real;
  CHECK(read.l2 == Approx(5e200).epsilon(1e-15));
  read = values_of(DType::float64, bytes_of(std::vector<double>{3e-200, 4e-200, 0})).real;
  CHECK(read.l2 == Approx(5e-200).epsilon(1e-15));
  constexpr double kLeast = std::numeric_limits<double>::denorm_min();
  read = values_of(DType::float64, bytes_of(std::vector<double>(4, kLeast))).real;
  CHECK(read.l2 == 2 * kLeast);
  CHECK(read.mean.value() == kLeast);
  read = values_of(DType::float64, bytes_of(std::vector<double>{3e200, 1, 1e-200})).real;
  CHECK(read.l2 == Approx(3e200).epsilon(1e-15));
  read = values_of(DType::float64, bytes_of(std::vector<double>{1e-200, 3, 4})).real;
  CHECK(read.l2 == Approx(5).epsilon(1e-15));
}

TEST_CASE("complex numbers are read by component") {
  const std::string floats = bytes_of(std::vector<float>{1, -2, 3, 0});
  const TensorValues read = values_of(DType::complex64, floats);
  CHECK(read.complex);
  CHECK(real(read.real.min) == 1);
  CHECK(real(read.real.max) == 3);
  CHECK(real(read.imaginary.min) == -2);
  CHECK(read.imaginary.zeros == 1);
  CHECK(read.imaginary.count == 2);
  const std::string halves = bytes_of(std::vector<std::uint16_t>{0x3c00, 0xc000});  // 1 - 2i
  CHECK(real(values_of(DType::complex32, halves).real.min) == 1);
  CHECK(real(values_of(DType::complex32, halves).imaginary.min) == -2);
}

TEST_CASE("all dtypes but the bits ones have numbers") {
  for (const DTypeInfo& dtype : all_dtypes()) {
    CAPTURE(dtype.name);
    CHECK(ValueAccumulator::has_numbers(dtype.dtype) == !dtype.name.starts_with("bits"));
    if (ValueAccumulator::has_numbers(dtype.dtype)) {
      const TensorValues read = values_of(dtype.dtype, std::string(dtype.itemsize, '\0'));
      CHECK(read.real.count >= 1);
    }
  }
}

// ----------------------------------------------------------------------------------------- views

// One storage in a file without a name.
class OneStorage final : public StorageReader {
 public:
  explicit OneStorage(std::string_view bytes) {
    const test::TemporaryFile file(bytes);
    file_ = file.open();
    REQUIRE(file_);
  }
  Status read(std::uint32_t, std::uint64_t offset, std::span<std::byte> out) const override {
    read_ += out.size();
    return file_->read(offset, out);
  }
  bool direct(std::uint32_t) const override { return true; }
  const InputFile* file() const override { return file_.get(); }
  std::uint64_t bytes_read() const { return read_; }

 private:
  std::shared_ptr<InputFile> file_;
  mutable std::uint64_t read_ = 0;
};

Tensor view(DType dtype, Shape shape, Shape strides, std::int64_t offset) {
  Tensor tensor;
  tensor.dtype = dtype;
  tensor.shape = std::move(shape);
  tensor.strides = std::move(strides);
  tensor.offset = offset;
  return tensor;
}

// The view's elements, one after another.
NumberStatistics by_element(const std::vector<float>& storage, const Tensor& tensor) {
  std::vector<float> elements;
  const std::int64_t count = numel(tensor.shape).value();
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t rest = i, at = tensor.offset;
    for (std::size_t d = tensor.shape.size(); d-- > 0;) {
      at += rest % tensor.shape[d] * tensor.strides[d];
      rest /= tensor.shape[d];
    }
    elements.push_back(storage[static_cast<std::size_t>(at)]);
  }
  return values_of(DType::float32, bytes_of(elements)).real;
}

void check_same(const NumberStatistics& a, const NumberStatistics& b) {
  CHECK(a.count == b.count);
  CHECK(a.nan == b.nan);
  CHECK(a.inf == b.inf);
  CHECK(a.zeros == b.zeros);
  CHECK(a.min == b.min);
  CHECK(a.max == b.max);
  REQUIRE(a.mean.has_value() == b.mean.has_value());
  if (a.mean) CHECK(*a.mean == Approx(*b.mean).epsilon(1e-14).margin(1e-14));
  CHECK(a.l2 == Approx(b.l2).epsilon(1e-14));
}

std::vector<float> random_storage(std::size_t size) {
  std::mt19937 random(7);
  std::vector<float> storage;
  for (std::size_t i = 0; i < size; ++i) {
    const auto draw = static_cast<float>(random() % 20'001) - 10'000;
    storage.push_back(draw == 5000 ? std::numeric_limits<float>::quiet_NaN() : draw / 8192);
  }
  return storage;
}

TEST_CASE("views are read as their elements lie") {
  const std::vector<float> storage = random_storage(3'000'000);  // 12 MB: three windows
  const OneStorage reader(bytes_of(storage));
  const std::vector<Tensor> views = {
      view(DType::float32, {3'000'000}, {1}, 0),
      view(DType::float32, {1500, 2000}, {2000, 1}, 0),
      view(DType::float32, {2000, 1500}, {1, 2000}, 0),           // transposed
      view(DType::float32, {1500}, {2000}, 7),                    // a column
      view(DType::float32, {3}, {999'999}, 1),                    // far apart
      view(DType::float32, {2, 100'000}, {2'000'000, 1}, 5),      // long runs, far apart
      view(DType::float32, {20, 40'000}, {50'000, 1}, 5),         // long runs, near
      view(DType::float32, {100, 200, 100}, {10'000, 50, 1}, 3),  // overlapping
      view(DType::float32, {1'000, 7}, {0, 3}, 11),               // expanded
      view(DType::float32, {10, 1, 20, 3}, {20'000, 9, 300, 7}, 2),
      view(DType::float32, {1, 1}, {12'345, 1}, 2'999'999),
      view(DType::float32, {}, {}, 17),
      view(DType::float32, {50, 2, 1'000}, {2, 1'000'000, 100}, 0),  // interleaved
  };
  for (const Tensor& tensor : views) {
    CAPTURE(to_string(tensor.shape), to_string(tensor.strides), tensor.offset);
    const auto read = tensor_values(reader, tensor);
    REQUIRE(read.ok());
    CHECK(read->absent.empty());
    check_same(read->real, by_element(storage, tensor));
  }
}

TEST_CASE("wide elements of a large storage stay whole at the edge of a window") {
  std::vector<double> numbers;
  for (int i = 0; i < 1'200'001; ++i) numbers.push_back(i % 1000 - 500);
  const OneStorage reader(bytes_of(numbers));
  const auto read = tensor_values(reader, view(DType::complex128, {600'000}, {1}, 0));
  REQUIRE(read.ok());
  CHECK(read->real.count == 600'000);
  CHECK(real(read->real.min) == -500);
  CHECK(real(read->real.max) == 498);
  CHECK(real(read->imaginary.min) == -499);
  CHECK(real(read->imaginary.max) == 499);
}

TEST_CASE("a view reads no more than it spans") {
  const OneStorage reader(std::string(8 << 20, '\0'));
  REQUIRE(tensor_values(reader, view(DType::float32, {10}, {1}, 100)).ok());
  CHECK(reader.bytes_read() == 40);
  REQUIRE(tensor_values(reader, view(DType::float32, {4}, {500'000}, 0)).ok());
  CHECK(reader.bytes_read() == 40 + 16);
}

TEST_CASE("an expanded view of any size takes no time") {
  const OneStorage reader(bytes_of(std::vector<float>{2, 0}));
  const auto read =
      tensor_values(reader, view(DType::float32, {std::int64_t{1} << 40, 2}, {0, 1}, 0));
  REQUIRE(read.ok());
  CHECK(read->real.count == std::uint64_t{1} << 41);
  CHECK(read->real.zeros == std::uint64_t{1} << 40);
  CHECK(read->real.mean.value() == 1);
  CHECK(read->real.l2 == 0x1p+21);
}

TEST_CASE("a view that lies over itself without end is not read") {
  const OneStorage reader(std::string(4 << 20, '\0'));
  const auto read =
      tensor_values(reader, view(DType::float32, {250'000, 250'000, 500'000}, {1, 1, 1}, 0));
  REQUIRE(read.ok());
  CHECK(read->absent.find("over each other") != std::string::npos);
  CHECK(reader.bytes_read() == 0);
}

TEST_CASE("the bits of a view turn its signs") {
  const OneStorage reader(bytes_of(std::vector<float>{1, -2, 3, 4}));
  Tensor tensor = view(DType::complex64, {2}, {1}, 0);
  tensor.conj = true;
  auto read = tensor_values(reader, tensor);
  REQUIRE(read.ok());
  CHECK(real(read->real.min) == 1);
  CHECK(real(read->imaginary.min) == -4);
  CHECK(real(read->imaginary.max) == 2);
  CHECK(read->imaginary.mean.value() == -1);
  tensor.neg = true;
  read = tensor_values(reader, tensor);
  REQUIRE(read.ok());
  CHECK(real(read->real.min) == -3);
  CHECK(real(read->imaginary.max) == 4);
}

TEST_CASE("tensors without numbers say why") {
  const OneStorage reader(std::string(16, '\0'));
  CHECK(tensor_values(reader, view(DType::bits8, {16}, {1}, 0))->absent ==
        "bytes of bits8 are no numbers");
  Tensor tensor = view(DType::int8, {4}, {1}, 0);
  tensor.unsupported = "a quantized tensor (qint8)";
  CHECK(tensor_values(reader, tensor)->absent == "a quantized tensor (qint8)");
  const auto empty = tensor_values(reader, view(DType::float32, {3, 0}, {1, 1}, 900));
  REQUIRE(empty.ok());
  CHECK(empty->absent.empty());
  CHECK(empty->real.count == 0);
}

TEST_CASE("reading values ends when it is cancelled, and when the file ends") {
  const OneStorage reader(std::string(1 << 20, '\0'));
  const Tensor tensor = view(DType::uint8, {1 << 20}, {1}, 0);
  const std::atomic<bool> cancelled{true};
  const auto interrupted = tensor_values(reader, tensor, &cancelled);
  REQUIRE(!interrupted.ok());
  CHECK(interrupted.error().code == Code::interrupted);
  const auto cut = tensor_values(reader, view(DType::uint8, {2 << 20}, {1}, 0));
  REQUIRE(!cut.ok());
  CHECK(cut.error().code == Code::file_read);
}

}  // namespace
}  // namespace regraft
