// Numbers that a spec writes, and which of them a dtype can hold.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "catalog/dtype.h"

namespace regraft {

using Scalar = std::variant<std::int64_t, double>;
std::string to_string(const Scalar& number);  // "3", "0.5"; infinities and nan as YAML: ".inf"

enum class Kind { floating, complex, integer, boolean, bits };
Kind kind(DType dtype);

// The largest finite value, of one component for complex; 0 for dtypes that are no floats.
double largest(DType dtype);
// Integers: exactly. Floats: after rounding, a finite number stays finite. Bool: 0 and 1.
bool holds(DType dtype, const Scalar& number);
// Whether torch casts between the two; to itself every dtype does.
bool convertible(DType from, DType to);
// Every value of `from` is a value of `to`: nothing is lost by the cast. NaN payloads do not count.
bool widens(DType from, DType to);
// torch.promote_types; empty where torch has none (float8, and uint16 to uint64 with integers), and
// where its answer is an accident (float4 with those).
std::optional<DType> promote(DType a, DType b);
// float64, float32, float16, bfloat16: one is as good as another, but for digits and range.
bool is_common_float(DType dtype);

}  // namespace regraft
