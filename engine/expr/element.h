// A number as a dtype has it in memory.
#pragma once

#include <optional>
#include <string>

#include "expr/number.h"

namespace regraft {

// Little-endian bytes of one element, as torch rounds: the same as an evaluator's Fill. Empty for
// what is left to the evaluator: NaN, the floats of one byte but for zero, and floats that an
// integer has to be made of beyond int64. The dtype holds the number.
std::optional<std::string> element_bytes(DType dtype, const Scalar& number);

}  // namespace regraft
