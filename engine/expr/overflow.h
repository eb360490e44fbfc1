// What is said of a value that a cast loses.
#pragma once

#include <cstdint>
#include <string>

#include "base/diagnostic.h"
#include "catalog/catalog.h"

namespace regraft {

struct IntegerRange {
  std::int64_t low = 0;
  int bits = 0;  // below 2^bits
};
IntegerRange range_of(DType integer);

// As few digits as tell it from its neighbours; "nan".
std::string digits_of(float value);
std::string digits_of(double value);
std::string digits_of(std::int64_t value);
std::string digits_of(std::uint64_t value);

// cast-overflow, without the name of the tensor. `value`: in digits; `number`: of the element in
// row-major order.
Diagnostic cast_overflow(const std::string& value, std::uint64_t number, const Shape& shape,
                         DType to);

}  // namespace regraft
