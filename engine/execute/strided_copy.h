// Copies elements between two memory layouts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "schedule/gather_way.h"

namespace regraft {

// Copies the box `dims` of elements of 1, 2, 4, 8 or 16 bytes. Empty `dims` are one element. No
// `to` stride is 0; neither side needs to be aligned.
void strided_copy(std::byte* to, const std::byte* from, std::span<const GatherDim> dims,
                  std::uint64_t itemsize);

}  // namespace regraft
