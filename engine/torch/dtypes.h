// The dtypes of the catalog as ATen's.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include "catalog/dtype.h"

namespace regraft {

inline c10::ScalarType scalar_type(DType dtype) {
  switch (dtype) {
    case DType::float64:
      return c10::ScalarType::Double;
    case DType::float32:
      return c10::ScalarType::Float;
    case DType::float16:
      return c10::ScalarType::Half;
    case DType::bfloat16:
      return c10::ScalarType::BFloat16;
    case DType::float8_e4m3fn:
      return c10::ScalarType::Float8_e4m3fn;
    case DType::float8_e4m3fnuz:
      return c10::ScalarType::Float8_e4m3fnuz;
    case DType::float8_e5m2:
      return c10::ScalarType::Float8_e5m2;
    case DType::float8_e5m2fnuz:
      return c10::ScalarType::Float8_e5m2fnuz;
    case DType::float8_e8m0fnu:
      return c10::ScalarType::Float8_e8m0fnu;
    case DType::float4_e2m1fn_x2:
      return c10::ScalarType::Float4_e2m1fn_x2;
    case DType::complex128:
      return c10::ScalarType::ComplexDouble;
    case DType::complex64:
      return c10::ScalarType::ComplexFloat;
    case DType::complex32:
      return c10::ScalarType::ComplexHalf;
    case DType::int64:
      return c10::ScalarType::Long;
    case DType::int32:
      return c10::ScalarType::Int;
    case DType::int16:
      return c10::ScalarType::Short;
    case DType::int8:
      return c10::ScalarType::Char;
    case DType::uint64:
      return c10::ScalarType::UInt64;
    case DType::uint32:
      return c10::ScalarType::UInt32;
    case DType::uint16:
      return c10::ScalarType::UInt16;
    case DType::uint8:
      return c10::ScalarType::Byte;
    case DType::boolean:
      return c10::ScalarType::Bool;
    case DType::bits8:
      return c10::ScalarType::Bits8;
    case DType::bits16:
      return c10::ScalarType::Bits16;
    case DType::bits1x8:
      return c10::ScalarType::Bits1x8;
    case DType::bits2x4:
      return c10::ScalarType::Bits2x4;
    case DType::bits4x2:
      return c10::ScalarType::Bits4x2;
  }
  return c10::ScalarType::Undefined;
}

// ATen moves elements of few dtypes, and it changes bits of none of these: words of the same size.
inline c10::ScalarType word_type(DType dtype) {
  switch (itemsize(dtype)) {
    case 1:
      return c10::ScalarType::Byte;
    case 2:
      return c10::ScalarType::Short;
    case 4:
      return c10::ScalarType::Int;
    case 8:
      return c10::ScalarType::Long;
    default:
      return c10::ScalarType::ComplexDouble;
  }
}

// The same memory under either dtype.
inline at::Tensor as_numbers(const at::Tensor& words, DType dtype) {
  return words.view(scalar_type(dtype));
}
inline at::Tensor as_words(const at::Tensor& numbers, DType dtype) {
  return numbers.view(word_type(dtype));
}

}  // namespace regraft
