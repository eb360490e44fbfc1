// Two dimensions that change their places.
#pragma once

#include <cstddef>
#include <cstdint>

namespace regraft {

// The element in row r and column c goes from `from + r * from_stride + c * itemsize` to
// `to + c * to_stride + r * itemsize`; strides are in bytes, the two have no bytes in common.
// `itemsize`: 1, 2, 4, 8 or 16.
void transpose(std::byte* to, std::uint64_t to_stride, const std::byte* from,
               std::uint64_t from_stride, std::uint64_t rows, std::uint64_t columns,
               std::uint64_t itemsize);

}  // namespace regraft
