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

// A square of kSide x kSide elements of kSize bytes.
template <std::size_t kSize>
struct Square;

#ifdef __SSE2__
__m128i load(const Plane& plane, std::size_t row) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(plane.from + row * plane.from_stride));
}
void store(const Plane& plane, std::size_t column, __m128i value) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(plane.to + column * plane.to_stride), value);
}

template <>
struct Square<1> {
  static constexpr std::uint64_t kSide = 16;
  static void run(const Plane& plane) {
    __m128i a[16], b[16];
#pragma GCC unroll 16
    for (std::size_t i = 0; i < 16; ++i) a[i] = load(plane, i);
    // Four rounds of rows that are half of all apart, zipped: a number's bits go round by one.
    const auto round = [](const __m128i* in, __m128i* out) {
#pragma GCC unroll 8
      for (std::size_t i = 0; i < 8; ++i) {
        out[2 * i] = _mm_unpacklo_epi8(in[i], in[i + 8]);
        out[2 * i + 1] = _mm_unpackhi_epi8(in[i], in[i + 8]);
      }
    };
    round(a, b);
    round(b, a);
    round(a, b);
    round(b, a);
#pragma GCC unroll 16
    for (std::size_t i = 0; i < 16; ++i) store(plane, i, a[i]);
  }
};

template <>
struct Square<2> {
  static constexpr std::uint64_t kSide = 8;
  static void run(const Plane& plane) {
    __m128i a[8], b[8];
#pragma GCC unroll 8
    for (std::size_t i = 0; i < 8; ++i) a[i] = load(plane, i);
    const auto round = [](const __m128i* in, __m128i* out) {
#pragma GCC unroll 4
      for (std::size_t i = 0; i < 4; ++i) {
        out[2 * i] = _mm_unpacklo_epi16(in[i], in[i + 4]);
        out[2 * i + 1] = _mm_unpackhi_epi16(in[i], in[i + 4]);
      }
    };
    round(a, b);
    round(b, a);
    round(a, b);
#pragma GCC unroll 8
    for (std::size_t i = 0; i < 8; ++i) store(plane, i, b[i]);
  }
};

template <>
struct Square<4> {
  static constexpr std::uint64_t kSide = 4;
  static void run(const Plane& plane) {
    const __m128i a = load(plane, 0), b = load(plane, 1), c = load(plane, 2), d = load(plane, 3);
    const __m128i ac = _mm_unpacklo_epi32(a, c), bd = _mm_unpacklo_epi32(b, d);
    const __m128i ac2 = _mm_unpackhi_epi32(a, c), bd2 = _mm_unpackhi_epi32(b, d);
    store(plane, 0, _mm_unpacklo_epi32(ac, bd));
    store(plane, 1, _mm_unpackhi_epi32(ac, bd));
    store(plane, 2, _mm_unpacklo_epi32(ac2, bd2));
    store(plane, 3, _mm_unpackhi_epi32(ac2, bd2));
  }
};
constexpr std::size_t kLargest = 4;  // with squares of its own
#else
constexpr std::size_t kLargest = 0;
#endif

template <std::size_t kSize>
void squares(const Plane& plane, std::uint64_t rows, std::uint64_t columns) {
  constexpr std::uint64_t kSide = Square<kSize>::kSide;
  const std::uint64_t whole_rows = rows / kSide * kSide, whole_columns = columns / kSide * kSide;
  // A line of the cache at a time: all of what is read of it, and then of what is written.
  constexpr std::uint64_t kLine = 64 / kSize;
  for (std::uint64_t first = 0; first < whole_columns; first += kLine)
    for (std::uint64_t r = 0; r < whole_rows; r += kSide)
      for (std::uint64_t c = first; c < std::min(first + kLine, whole_columns); c += kSide)
        Square<kSize>::run(plane.at(r, c, kSize));
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
