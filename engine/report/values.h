// Statistics of a tensor's numbers, read piece by piece: `inspect --values`.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <variant>

#include "base/hash.h"
#include "base/result.h"
#include "catalog/catalog.h"
#include "formats/format.h"

namespace regraft {

using Number = std::variant<double, std::int64_t, std::uint64_t>;

struct NumberStatistics {
  std::uint64_t count = 0;
  std::uint64_t nan = 0, inf = 0, zeros = 0;
  // Of the finite numbers alone, so that one NaN does not hide the rest; empty when there is none.
  std::optional<Number> min, max;  // integers as they are, not as doubles
  std::optional<double> mean;
  double l2 = 0;  // infinite only where the norm itself is no double
};

struct TensorValues {
  std::string absent;  // why there are no statistics; empty: there are
  bool complex = false;
  NumberStatistics real;
  NumberStatistics imaginary;  // of complex dtypes
};

// Adds doubles and keeps what each addition rounds off (Knuth's TwoSum), so the order in which
// they come hardly matters. The terms stay far from the ends of the range.
class CompensatedSum {
 public:
  void add(double term) {
    const double next = sum_ + term;
    const double taken = next - sum_;
    lost_ += (sum_ - (next - taken)) + (term - taken);
    sum_ = next;
  }
  [[nodiscard]] double value() const { return sum_ + lost_; }

 private:
  double sum_ = 0, lost_ = 0;
};

// Sum and sum of squares of finite doubles. Very large and very small ones are scaled and summed
// apart, so that neither a sum nor a square overflows or vanishes.
class Moments {
 public:
  void add(double number);
  [[nodiscard]] double mean(std::uint64_t count) const;
  [[nodiscard]] double l2() const;

 private:
  CompensatedSum sum_, large_sum_;
  CompensatedSum squares_, large_squares_, small_squares_;
  bool large_ = false;
};

template <typename T>
class NumberAccumulator {
 public:
  void add(T number);
  [[nodiscard]] NumberStatistics finish() const;

 private:
  std::uint64_t count_ = 0, nan_ = 0, inf_ = 0, zeros_ = 0;
  T min_ = std::numeric_limits<T>::max(), max_ = std::numeric_limits<T>::lowest();
  Moments moments_;
};

// Takes a tensor's elements as they lie in a storage: little-endian, in any order. A byte of
// float4_e2m1fn_x2 is two numbers; a bool is 0, or 1 for any other byte.
class ValueAccumulator {
 public:
  // has_numbers(dtype) holds.
  explicit ValueAccumulator(DType dtype);
  // False for the bits types, whose bytes have no meaning as numbers.
  static bool has_numbers(DType dtype);
  void update(Bytes elements);  // whole elements
  [[nodiscard]] TensorValues finish() const;

 private:
  using Real = std::variant<NumberAccumulator<double>, NumberAccumulator<std::int64_t>,
                            NumberAccumulator<std::uint64_t>>;
  DType dtype_;
  Real real_;
  NumberAccumulator<double> imaginary_;
};

// Reads every element of the view once, in the order of the storage; an expanded dimension counts
// its elements as often as they are repeated. Takes about 4 MiB of memory, whatever the view.
// `cancelled` is looked at between blocks.
Result<TensorValues> tensor_values(const StorageReader& reader, const Tensor& tensor,
                                   const std::atomic<bool>* cancelled = nullptr);

}  // namespace regraft
