// Normal numbers that are the same on every machine, in any order: Philox4x32-10 (Salmon et al.,
// "Parallel random numbers: as easy as 1, 2, 3", SC 2011) with Box-Muller in double. Logarithm and
// sine are computed here, since those of C libraries differ in the last bit.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace regraft {

// XXH3-64 over the seed (8 bytes, little-endian) and the name.
std::uint64_t random_key(std::int64_t seed, std::string_view name);

std::array<std::uint32_t, 4> philox4x32_10(std::array<std::uint32_t, 4> counter,
                                           std::array<std::uint32_t, 2> key);

// Elements first, first + 1, ... of the sequence of standard normal numbers that the key names.
// Elements 2j and 2j + 1 come from the counter {low(j), high(j), 0, 0}, the key is {low, high}:
// u1 = (((x0 + 2^32 x1) >> 11) + 1) / 2^53, u2 = ((x2 + 2^32 x3) >> 11) / 2^53,
// sqrt(-2 ln u1) cos(2 pi u2) and sqrt(-2 ln u1) sin(2 pi u2).
void standard_normal(std::uint64_t key, std::uint64_t first, std::span<double> out);

}  // namespace regraft
