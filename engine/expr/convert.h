// Casts between float32, float16 and bfloat16, as torch makes them: rounded to nearest, ties to
// even, subnormal numbers kept. The same bits on every machine, whatever its vector instructions.
//
// NaN as torch has it: float32 to bfloat16 gives 0xffff and float16 to bfloat16 0x7fc0; the others
// keep the sign and the first digits, and set the quiet bit where float16 is one of the two. From
// float16 to float32 torch has another in the last few elements, of a tensor or of a thread's part.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/hash.h"
#include "catalog/dtype.h"

namespace regraft {

// Whether convert() knows the two dtypes.
bool converts(DType from, DType to);

// `source` and `out` are the same number of elements, in the machine's byte order, without bytes in
// common. Of a checked cast: the first element that is finite and becomes infinite; the elements
// behind it may or may not be written.
std::optional<std::uint64_t> convert(DType from, Bytes source, DType to, std::span<std::byte> out,
                                     bool checked);

// One element of such a dtype.
float as_float(DType dtype, Bytes element);

// Which instructions convert() uses, for tests; true: plain C++ from now on, in all threads.
void convert_plainly(bool plainly);

}  // namespace regraft
