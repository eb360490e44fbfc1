#include "execute/transpose.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#ifdef __SSE2__
#include <immintrin.h>
#endif

namespace regraft {
namespace {

// Elements of one side of what is done at a time: pages of both sides stay known to the processor.
constexpr std::uint64_t kTile = 64;

struct Plane {
  std::byte* to;
  std::uint64_t to_stride;
  const std::byte* from;
  std::uint64_t from_stride;

  [[nodiscard]] Plane at(std::uint64_t row, std::uint64_t column, std::uint64_t itemsize) const {
    return {to + column * to_stride + row * itemsize, to_stride,
            from + row * from_stride + column * itemsize, from_stride};
  }
};

template <std::size_t kSize>
void plain(const Plane& plane, std::uint64_t rows, std::uint64_t columns) {
  for (std::uint64_t c = 0; c < columns; ++c) {
    std::byte* to = plane.to + c * plane.to_stride;
    const std::byte* from = plane.from + c * kSize;
    for (std::uint64_t r = 0; r < rows; ++r) {
      std::memcpy(to, from, kSize);
      to += kSize;
      from += plane.from_stride;
    }
  }
}

#ifdef __SSE2__
__m128i load(const Plane& plane, std::size_t row) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(plane.from + row * plane.from_stride));
}
void store(const Plane& plane, std::size_t column, __m128i value) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(plane.to + column * plane.to_stride), value);
}

// The lower, or the upper, halves of two rows, element by element in turns.
template <std::size_t kSize>
__m128i lower(__m128i a, __m128i b) {
  if constexpr (kSize == 1) return _mm_unpacklo_epi8(a, b);
  if constexpr (kSize == 2) return _mm_unpacklo_epi16(a, b);
  return _mm_unpacklo_epi32(a, b);
}
template <std::size_t kSize>
__m128i upper(__m128i a, __m128i b) {
  if constexpr (kSize == 1) return _mm_unpackhi_epi8(a, b);
  if constexpr (kSize == 2) return _mm_unpackhi_epi16(a, b);
  return _mm_unpackhi_epi32(a, b);
}

template <std::size_t kSize>
constexpr std::uint64_t kSide = 16 / kSize;

// A square of kSide x kSide elements. Rows that are half of all apart are put together in turns, as
// often as it halves the side: in the number of an element, the bits of its row and of its column
// change places.
template <std::size_t kSize>
void square(const Plane& plane) {
  constexpr std::size_t kRows = kSide<kSize>;
  __m128i rows[kRows], mixed[kRows];
#pragma GCC unroll 16
  for (std::size_t i = 0; i < kRows; ++i) rows[i] = load(plane, i);
#pragma GCC unroll 4
  for (std::size_t half = kRows / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kRows / 2; ++i) {
      mixed[2 * i] = lower<kSize>(rows[i], rows[i + kRows / 2]);
      mixed[2 * i + 1] = upper<kSize>(rows[i], rows[i + kRows / 2]);
    }
#pragma GCC unroll 16
    for (std::size_t i = 0; i < kRows; ++i) rows[i] = mixed[i];
  }
#pragma GCC unroll 16
  for (std::size_t i = 0; i < kRows; ++i) store(plane, i, rows[i]);
}
constexpr std::size_t kLargest = 4;  // with squares
#else
template <std::size_t kSize>
constexpr std::uint64_t kSide = 1;
template <std::size_t kSize>
void square(const Plane&) {}
constexpr std::size_t kLargest = 0;
#endif

template <std::size_t kSize>
void squares(const Plane& plane, std::uint64_t rows, std::uint64_t columns) {
  constexpr std::uint64_t side = kSide<kSize>;
  const std::uint64_t whole_rows = rows / side * side, whole_columns = columns / side * side;
  // A line of the cache at a time: all of what is read of it, and then of what is written.
  constexpr std::uint64_t kLine = 64 / kSize;
  for (std::uint64_t first = 0; first < whole_columns; first += kLine)
    for (std::uint64_t r = 0; r < whole_rows; r += side)
      for (std::uint64_t c = first; c < std::min(first + kLine, whole_columns); c += side)
        square<kSize>(plane.at(r, c, kSize));
  plain<kSize>(plane.at(0, whole_columns, kSize), whole_rows, columns - whole_columns);
  plain<kSize>(plane.at(whole_rows, 0, kSize), rows - whole_rows, columns);
}

template <std::size_t kSize>
void tiles(const Plane& plane, std::uint64_t rows, std::uint64_t columns) {
  for (std::uint64_t r = 0; r < rows; r += kTile)
    for (std::uint64_t c = 0; c < columns; c += kTile) {
      const Plane tile = plane.at(r, c, kSize);
      const std::uint64_t height = std::min(kTile, rows - r), width = std::min(kTile, columns - c);
      if constexpr (kSize <= kLargest)
        squares<kSize>(tile, height, width);
      else
        plain<kSize>(tile, height, width);
    }
}

}  // namespace

void transpose(std::byte* to, std::uint64_t to_stride, const std::byte* from,
               std::uint64_t from_stride, std::uint64_t rows, std::uint64_t columns,
               std::uint64_t itemsize) {
  const Plane plane{to, to_stride, from, from_stride};
  switch (itemsize) {
    case 1:
      return tiles<1>(plane, rows, columns);
    case 2:
      return tiles<2>(plane, rows, columns);
    case 4:
      return tiles<4>(plane, rows, columns);
    case 8:
      return tiles<8>(plane, rows, columns);
    default:
      assert(itemsize == 16);
      return tiles<16>(plane, rows, columns);
  }
}

}  // namespace regraft
