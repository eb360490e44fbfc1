// Casts that say which value they lose.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "base/result.h"
#include "catalog/catalog.h"

namespace regraft {

// Of which tensor `from` is a part, for messages.
struct CastPart {
  std::int64_t first;  // number of its first element, in row-major order
  Shape shape;
};

// `to` becomes `from`, of equal shape, as torch's copy_ converts. Where that depends on the
// machine, for floats outside the range of an integer dtype, the integer is what is left of their
// int64 (for what int64 cannot hold, NaN included, its least). `checked`: a value that the dtype
// cannot hold, even rounded, is a cast-overflow and `to` has been written in part. Floats cannot
// hold a finite number that becomes infinite or NaN, nor one that torch replaces by their largest;
// integers what is out of their range when truncated. Bool holds everything, and the imaginary part
// is dropped without a check.
Status cast_into(const at::Tensor& from, DType from_dtype, const at::Tensor& to, DType to_dtype,
                 bool checked, const CastPart& part);

}  // namespace regraft
