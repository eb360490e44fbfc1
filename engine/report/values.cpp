#include "report/values.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

namespace regraft {
namespace {

constexpr std::uint64_t kBlock = 4ull << 20;     // of one read
constexpr std::uint64_t kBatch = 64ull << 10;    // of scattered elements that are taken together
constexpr std::uint64_t kNearGap = 64ull << 10;  // gaps up to this are read along
// A view whose elements lie over each other is read unless that is hopelessly more than its bytes.
constexpr std::uint64_t kOverlap = 16;
constexpr std::uint64_t kOverlapFree = 1ull << 26;  // elements

// Numbers from here up are scaled down before they are summed: 2^64 of them stay below 2^1024.
constexpr double kLargeTerm = 0x1p+900;
constexpr double kTermScale = 0x1p-128;
// The same for squares; 2^600 brings both ends back to where squares have room.
constexpr double kLargeFactor = 0x1p+400;
constexpr double kSmallFactor = 0x1p-400;
constexpr double kFactorScale = 0x1p+600;
constexpr double kSquareScale = 0x1p-600;  // twice: 2^-1200 itself is no double

// What a format does with the codes that IEEE 754 spends on infinities and NaN.
enum class Specials {
  ieee,  // as it does: the highest exponent
  fn,    // finite; all bits set is NaN
  fnuz,  // finite; the code of -0 is NaN
  none,  // all codes are numbers
};

struct SmallFloat {
  int exponent_bits, mantissa_bits, bias;
  Specials specials;
};

constexpr SmallFloat kFloat16{5, 10, 15, Specials::ieee};
constexpr SmallFloat kBfloat16{8, 7, 127, Specials::ieee};
constexpr SmallFloat kFloat8E4m3fn{4, 3, 7, Specials::fn};
constexpr SmallFloat kFloat8E4m3fnuz{4, 3, 8, Specials::fnuz};
constexpr SmallFloat kFloat8E5m2{5, 2, 15, Specials::ieee};
constexpr SmallFloat kFloat8E5m2fnuz{5, 2, 16, Specials::fnuz};
constexpr SmallFloat kFloat4E2m1{2, 1, 1, Specials::none};

constexpr double power_of_two(int exponent) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
}

template <SmallFloat kFormat>
double decode(std::uint32_t code) {
  constexpr std::uint32_t kMantissa = (1u << kFormat.mantissa_bits) - 1;
  constexpr std::uint32_t kExponent = (1u << kFormat.exponent_bits) - 1;
  constexpr std::uint32_t kSign = 1u << (kFormat.exponent_bits + kFormat.mantissa_bits);
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const std::uint32_t mantissa = code & kMantissa;
  const std::uint32_t exponent = code >> kFormat.mantissa_bits & kExponent;
  const double sign = (code & kSign) != 0 ? -1.0 : 1.0;
  if constexpr (kFormat.specials == Specials::ieee) {
    if (exponent == kExponent) return mantissa != 0 ? kNan : sign * kInf;
  } else if constexpr (kFormat.specials == Specials::fn) {
    if ((code & (kSign - 1)) == kSign - 1) return kNan;
  } else if constexpr (kFormat.specials == Specials::fnuz) {
    if (code == kSign) return kNan;
  }
  if (exponent == 0) {
    return sign * mantissa * power_of_two(1 - kFormat.bias - kFormat.mantissa_bits);
  }
  // Every one of these formats is narrower than a double, so its fields only move.
  const std::uint64_t fields = (static_cast<std::uint64_t>(exponent) + 1023 - kFormat.bias) << 52 |
                               static_cast<std::uint64_t>(mantissa) << (52 - kFormat.mantissa_bits);
  return sign * std::bit_cast<double>(fields);
}

// float8_e8m0fnu: an exponent and nothing else.
double decode_e8m0(std::uint8_t code) {
  if (code == 0xff) return std::numeric_limits<double>::quiet_NaN();
  return power_of_two(static_cast<int>(code) - 127);
}

template <typename T>
T load(const std::byte* bytes) {
  std::make_unsigned_t<T> value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<std::make_unsigned_t<T>>(
        value | static_cast<std::make_unsigned_t<T>>(bytes[i]) << (8 * i));
  }
  return static_cast<T>(value);
}
double load_half(const std::byte* bytes) { return decode<kFloat16>(load<std::uint16_t>(bytes)); }
double load_bfloat(const std::byte* bytes) { return decode<kBfloat16>(load<std::uint16_t>(bytes)); }
double load_float(const std::byte* bytes) {
  return std::bit_cast<float>(load<std::uint32_t>(bytes));
}
double load_double(const std::byte* bytes) {
  return std::bit_cast<double>(load<std::uint64_t>(bytes));
}
template <SmallFloat kFormat>
double load_byte(const std::byte* bytes) {
  return decode<kFormat>(std::to_integer<std::uint32_t>(*bytes));
}

// The accumulators are copied to and fro: bytes may alias anything, so one behind a reference would
// be stored and loaded for each element.
template <typename Accumulator, typename Load>
void add_each(Accumulator& accumulator, Bytes elements, std::size_t size, Load load_one) {
  Accumulator local = accumulator;
  for (std::size_t i = 0; i + size <= elements.size(); i += size) {
    local.add(load_one(elements.data() + i));
  }
  accumulator = local;
}
template <typename Load>
void add_pairs(NumberAccumulator<double>& real, NumberAccumulator<double>& imaginary,
               Bytes elements, std::size_t size, Load load_one) {
  NumberAccumulator<double> local_real = real, local_imaginary = imaginary;
  for (std::size_t i = 0; i + size <= elements.size(); i += size) {
    local_real.add(load_one(elements.data() + i));
    local_imaginary.add(load_one(elements.data() + i + size / 2));
  }
  real = local_real;
  imaginary = local_imaginary;
}

bool is_complex(DType dtype) {
  return dtype == DType::complex128 || dtype == DType::complex64 || dtype == DType::complex32;
}
bool is_signed_integer(DType dtype) {
  return dtype == DType::int64 || dtype == DType::int32 || dtype == DType::int16 ||
         dtype == DType::int8;
}
bool is_unsigned_integer(DType dtype) {
  return dtype == DType::uint64 || dtype == DType::uint32 || dtype == DType::uint16 ||
         dtype == DType::uint8 || dtype == DType::boolean;
}

// The statistics of the same numbers with their signs turned.
void negate(NumberStatistics& statistics) {
  const auto negated = [](const std::optional<Number>& number) {
    std::optional<Number> result;
    if (number) result = 0.0 - std::get<double>(*number);
    return result;
  };
  const std::optional<Number> min = negated(statistics.max);
  statistics.max = negated(statistics.min);
  statistics.min = min;
  if (statistics.mean) statistics.mean = 0.0 - *statistics.mean;
}

// The statistics of the same numbers, each `times` times.
void repeat(NumberStatistics& statistics, std::uint64_t times) {
  statistics.count *= times;
  statistics.nan *= times;
  statistics.inf *= times;
  statistics.zeros *= times;
  statistics.l2 *= std::sqrt(static_cast<double>(times));
}

struct Dim {
  std::uint64_t size, stride;  // bytes
};

// The dimensions of a view from the widest stride to the narrowest: walking them so reads the
// storage from front to back where that is possible. Stride 0 is left to `repeats`.
struct Walk {
  std::vector<Dim> dims;
  std::uint64_t run = 0;  // bytes that lie together at each place
  std::uint64_t repeats = 1;
  std::uint64_t elements = 1;  // without repeats
};

Walk walk_of(const Tensor& tensor) {
  Walk walk;
  walk.run = itemsize(tensor.dtype);
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    const auto size = static_cast<std::uint64_t>(tensor.shape[i]);
    const auto stride = static_cast<std::uint64_t>(tensor.strides[i]);
    if (size == 1) continue;
    if (stride == 0) {
      walk.repeats *= size;
    } else {
      walk.elements *= size;
      walk.dims.push_back({size, stride * walk.run});
    }
  }
  std::stable_sort(walk.dims.begin(), walk.dims.end(),
                   [](const Dim& a, const Dim& b) { return a.stride > b.stride; });
  while (!walk.dims.empty() && walk.dims.back().stride == walk.run) {
    walk.run *= walk.dims.back().size;
    walk.dims.pop_back();
  }
  return walk;
}

// A part of a storage in memory, that moves to where it is asked for.
class Window {
 public:
  // Reads at most `most` bytes at once, and none from `end` on.
  Window(const StorageReader& reader, std::uint32_t storage, std::uint64_t end, std::uint64_t most)
      : reader_(reader), storage_(storage), end_(end), most_(most) {}

  // Bytes from `offset` on: at least `least`, at most `wanted`, which lie before `end`.
  Result<Bytes> at(std::uint64_t offset, std::uint64_t least, std::uint64_t wanted) {
    if (offset < begin_ || offset - begin_ + least > buffer_.size()) {
      buffer_.resize(std::max(std::min(most_, end_ - offset), least));
      begin_ = offset;
      REGRAFT_CHECK(reader_.read(storage_, offset, buffer_));
    }
    const Bytes rest = Bytes(buffer_).subspan(offset - begin_);
    return rest.first(std::min<std::uint64_t>(wanted, rest.size()));
  }

 private:
  const StorageReader& reader_;
  std::uint32_t storage_;
  std::uint64_t end_, most_;
  std::uint64_t begin_ = 0;
  std::vector<std::byte> buffer_;
};

class ViewReader {
 public:
  ViewReader(const StorageReader& reader, const Tensor& tensor, const Walk& walk,
             const std::atomic<bool>* cancelled)
      : walk_(walk),
        size_(itemsize(tensor.dtype)),
        first_(byte_extent(tensor).first),
        cancelled_(cancelled),
        path_(reader.file() ? reader.file()->path() : std::string()),
        window_(reader, tensor.storage, byte_extent(tensor).second, window_bytes(walk, size_)) {}

  Status run(ValueAccumulator& accumulator) {
    std::vector<std::uint64_t> at(walk_.dims.size());
    std::uint64_t offset = first_;
    while (true) {
      REGRAFT_CHECK(walk_.run >= kBatch ? long_run(offset, accumulator)
                                        : short_run(offset, accumulator));
      // The next place, as an odometer turns.
      std::size_t dim = walk_.dims.size();
      for (; dim > 0; --dim) {
        const Dim& wheel = walk_.dims[dim - 1];
        if (++at[dim - 1] < wheel.size) {
          offset += wheel.stride;
          break;
        }
        at[dim - 1] = 0;
        offset -= (wheel.size - 1) * wheel.stride;
      }
      if (dim == 0) break;
    }
    accumulator.update(batch_);
    return Done{};
  }

 private:
  // Places that are far apart are read one by one; else the gaps are read along.
  static std::uint64_t window_bytes(const Walk& walk, std::uint64_t size) {
    const bool far = !walk.dims.empty() && walk.dims.back().stride > walk.run + kNearGap;
    return far ? std::min(walk.run, kBlock) / size * size : kBlock / size * size;
  }

  Status long_run(std::uint64_t offset, ValueAccumulator& accumulator) {
    for (std::uint64_t left = walk_.run; left > 0;) {
      REGRAFT_CHECK(go_on());
      REGRAFT_TRY(Bytes bytes, window_.at(offset, size_, left));
      // The window may begin in the middle of what this run needs, but elements stay whole.
      bytes = bytes.first(bytes.size() / size_ * size_);
      accumulator.update(bytes);
      offset += bytes.size();
      left -= bytes.size();
    }
    return Done{};
  }

  Status short_run(std::uint64_t offset, ValueAccumulator& accumulator) {
    REGRAFT_TRY(const Bytes bytes, window_.at(offset, walk_.run, walk_.run));
    batch_.insert(batch_.end(), bytes.begin(), bytes.end());
    if (batch_.size() < kBatch) return Done{};
    accumulator.update(batch_);
    batch_.clear();
    return go_on();
  }

  Status go_on() const {
    if (cancelled_ == nullptr || !cancelled_->load(std::memory_order_relaxed)) return Done{};
    return error(Code::interrupted, file_location(path_), "interrupted while values were read");
  }

  const Walk& walk_;
  std::uint64_t size_;
  std::uint64_t first_;
  const std::atomic<bool>* cancelled_;
  const std::string path_;
  Window window_;
  std::vector<std::byte> batch_;
};

TensorValues absent(std::string reason) {
  TensorValues values;
  values.absent = std::move(reason);
  return values;
}

}  // namespace

void Moments::add(double number) {
  const double size = std::abs(number);
  if (size < kLargeTerm) {
    sum_.add(number);
  } else {
    large_sum_.add(number * kTermScale);
  }
  if (size > kLargeFactor) {
    large_ = true;
    const double scaled = number * kSquareScale;
    large_squares_.add(scaled * scaled);
  } else if (size < kSmallFactor) {
    const double scaled = number * kFactorScale;
    small_squares_.add(scaled * scaled);
  } else {
    squares_.add(number * number);
  }
}

double Moments::mean(std::uint64_t count) const {
  const auto n = static_cast<double>(count);
  return large_sum_.value() / n / kTermScale + sum_.value() / n;
}

double Moments::l2() const {
  const double squares = squares_.value();
  if (large_) {
    return std::sqrt(large_squares_.value() + squares * kSquareScale * kSquareScale) * kFactorScale;
  }
  const double small = small_squares_.value();
  if (squares == 0) return std::sqrt(small) * kSquareScale;
  return std::sqrt(squares + small * kSquareScale * kSquareScale);
}

template <typename T>
void NumberAccumulator<T>::add(T number) {
  ++count_;
  if constexpr (std::is_floating_point_v<T>) {
    if (!std::isfinite(number)) {
      ++(std::isnan(number) ? nan_ : inf_);
      return;
    }
  }
  if (number == 0) ++zeros_;
  min_ = std::min(min_, number);
  max_ = std::max(max_, number);
  moments_.add(static_cast<double>(number));
}

template <typename T>
NumberStatistics NumberAccumulator<T>::finish() const {
  NumberStatistics statistics;
  statistics.count = count_;
  statistics.nan = nan_;
  statistics.inf = inf_;
  statistics.zeros = zeros_;
  const std::uint64_t finite = count_ - nan_ - inf_;
  if (finite > 0) {
    // + 0: of two zeros it is chance which one was met first, so a zero is 0.
    statistics.min = static_cast<T>(min_ + 0);
    statistics.max = static_cast<T>(max_ + 0);
    statistics.mean = moments_.mean(finite) + 0;
    statistics.l2 = moments_.l2();
  }
  return statistics;
}

bool ValueAccumulator::has_numbers(DType dtype) {
  return dtype != DType::bits8 && dtype != DType::bits16 && dtype != DType::bits1x8 &&
         dtype != DType::bits2x4 && dtype != DType::bits4x2;
}

ValueAccumulator::ValueAccumulator(DType dtype) : dtype_(dtype) {
  assert(has_numbers(dtype));
  if (is_signed_integer(dtype)) real_ = NumberAccumulator<std::int64_t>();
  if (is_unsigned_integer(dtype)) real_ = NumberAccumulator<std::uint64_t>();
}

void ValueAccumulator::update(Bytes elements) {
  const std::size_t size = itemsize(dtype_);
  assert(elements.size() % size == 0);
  auto* real = std::get_if<NumberAccumulator<double>>(&real_);
  auto* integers = std::get_if<NumberAccumulator<std::int64_t>>(&real_);
  auto* naturals = std::get_if<NumberAccumulator<std::uint64_t>>(&real_);
  switch (dtype_) {
    case DType::float64:
      return add_each(*real, elements, size, load_double);
    case DType::float32:
      return add_each(*real, elements, size, load_float);
    case DType::float16:
      return add_each(*real, elements, size, load_half);
    case DType::bfloat16:
      return add_each(*real, elements, size, load_bfloat);
    case DType::float8_e4m3fn:
      return add_each(*real, elements, size, load_byte<kFloat8E4m3fn>);
    case DType::float8_e4m3fnuz:
      return add_each(*real, elements, size, load_byte<kFloat8E4m3fnuz>);
    case DType::float8_e5m2:
      return add_each(*real, elements, size, load_byte<kFloat8E5m2>);
    case DType::float8_e5m2fnuz:
      return add_each(*real, elements, size, load_byte<kFloat8E5m2fnuz>);
    case DType::float8_e8m0fnu:
      return add_each(*real, elements, size, [](const std::byte* byte) {
        return decode_e8m0(std::to_integer<std::uint8_t>(*byte));
      });
    case DType::float4_e2m1fn_x2:
      for (const std::byte byte : elements) {
        real->add(decode<kFloat4E2m1>(std::to_integer<std::uint32_t>(byte & std::byte{15})));
        real->add(decode<kFloat4E2m1>(std::to_integer<std::uint32_t>(byte >> 4)));
      }
      return;
    case DType::complex128:
      return add_pairs(*real, imaginary_, elements, size, load_double);
    case DType::complex64:
      return add_pairs(*real, imaginary_, elements, size, load_float);
    case DType::complex32:
      return add_pairs(*real, imaginary_, elements, size, load_half);
    case DType::int64:
      return add_each(*integers, elements, size, load<std::int64_t>);
    case DType::int32:
      return add_each(*integers, elements, size, load<std::int32_t>);
    case DType::int16:
      return add_each(*integers, elements, size, load<std::int16_t>);
    case DType::int8:
      return add_each(*integers, elements, size, load<std::int8_t>);
    case DType::uint64:
      return add_each(*naturals, elements, size, load<std::uint64_t>);
    case DType::uint32:
      return add_each(*naturals, elements, size, load<std::uint32_t>);
    case DType::uint16:
      return add_each(*naturals, elements, size, load<std::uint16_t>);
    case DType::uint8:
      return add_each(*naturals, elements, size, load<std::uint8_t>);
    case DType::boolean:
      return add_each(*naturals, elements, size, [](const std::byte* byte) {
        return static_cast<std::uint64_t>(*byte != std::byte{0});
      });
    case DType::bits8:
    case DType::bits16:
    case DType::bits1x8:
    case DType::bits2x4:
    case DType::bits4x2:
      return;
  }
}

TensorValues ValueAccumulator::finish() const {
  TensorValues values;
  values.complex = is_complex(dtype_);
  values.real = std::visit([](const auto& accumulator) { return accumulator.finish(); }, real_);
  if (values.complex) values.imaginary = imaginary_.finish();
  return values;
}

Result<TensorValues> tensor_values(const StorageReader& reader, const Tensor& tensor,
                                   const std::atomic<bool>* cancelled) {
  if (!tensor.unsupported.empty()) return absent(tensor.unsupported);
  if (!ValueAccumulator::has_numbers(tensor.dtype)) {
    return absent("bytes of " + std::string(name(tensor.dtype)) + " are no numbers");
  }
  if (tensor.neg && (is_signed_integer(tensor.dtype) || is_unsigned_integer(tensor.dtype))) {
    return absent("integers with the negative bit");
  }
  ValueAccumulator accumulator(tensor.dtype);
  if (numel(tensor.shape).value_or(0) == 0) return accumulator.finish();

  const Walk walk = walk_of(tensor);
  const auto [begin, end] = byte_extent(tensor);
  const std::uint64_t spanned = (end - begin) / itemsize(tensor.dtype);
  if (walk.elements > kOverlapFree && walk.elements / kOverlap > spanned) {
    return absent("its " + std::to_string(walk.elements) + " elements lie over each other on " +
                  std::to_string(end - begin) + " bytes");
  }
  REGRAFT_CHECK(ViewReader(reader, tensor, walk, cancelled).run(accumulator));
  TensorValues values = accumulator.finish();
  repeat(values.real, walk.repeats);
  repeat(values.imaginary, walk.repeats);
  if (tensor.neg) {
    negate(values.real);
    negate(values.imaginary);
  }
  if (tensor.conj) negate(values.imaginary);
  return values;
}

}  // namespace regraft
