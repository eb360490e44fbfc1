#include "expr/convert.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cassert>
#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__)
#define REGRAFT_AVX2 1
#include <immintrin.h>
#endif

namespace regraft {
namespace {

// Elements after which a checked cast looks whether one was lost.
constexpr std::size_t kBlock = 4096;
constexpr std::uint32_t kSign = 0x80000000, kInfinity = 0x7F800000;

// --- one element, by its bits -------------------------------------------------------------------

std::uint32_t widened_bfloat16(std::uint16_t bits) { return std::uint32_t{bits} << 16; }

std::uint32_t widened_float16(std::uint16_t bits) {
  const std::uint32_t sign = std::uint32_t{bits & 0x8000u} << 16, magnitude = bits & 0x7FFFu;
  if (magnitude > 0x7C00) return sign | kInfinity | 0x400000 | (magnitude & 0x3FF) << 13;
  if (magnitude == 0x7C00) return sign | kInfinity;
  if (magnitude >= 0x400) return sign | ((magnitude << 13) + ((127 - 15) << 23));
  // 2^-24 is the unit of subnormal numbers; the product is exact.
  return sign | std::bit_cast<std::uint32_t>(static_cast<float>(magnitude) * 0x1p-24F);
}

template <std::uint16_t kNan>  // what every NaN becomes
std::uint16_t rounded_to_bfloat16(std::uint32_t bits) {
  if ((bits & ~kSign) > kInfinity) return kNan;
  return static_cast<std::uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

std::uint16_t rounded_to_float16(std::uint32_t bits) {
  const auto sign = static_cast<std::uint16_t>((bits & kSign) >> 16);
  const std::uint32_t magnitude = bits & ~kSign;
  if (magnitude > kInfinity)
    return static_cast<std::uint16_t>(sign | 0x7E00 | ((magnitude >> 13) & 0x3FF));
  std::uint32_t result = 0;
  if (magnitude >= 0x47800000) {  // 2^16, or infinity
    result = 0x7C00;
  } else if (magnitude >= 0x38800000) {  // 2^-14: a carry out of the fraction is right as it is
    const std::uint32_t rebiased = magnitude - ((127 - 15) << 23);
    result = (rebiased + 0xFFF + ((rebiased >> 13) & 1)) >> 13;
  } else if (magnitude >= 0x33000000) {  // 2^-25, half of the smallest
    const std::uint32_t shift = 126 - (magnitude >> 23);
    const std::uint32_t fraction = (magnitude & 0x7FFFFF) | 0x800000;
    const std::uint32_t half = std::uint32_t{1} << (shift - 1);
    result = (fraction + half - 1 + ((fraction >> shift) & 1)) >> shift;
  }
  return static_cast<std::uint16_t>(sign | result);
}

std::uint16_t float16_to_bfloat16(std::uint16_t bits) {
  return rounded_to_bfloat16<0x7FC0>(widened_float16(bits));
}
std::uint16_t bfloat16_to_float16(std::uint16_t bits) {
  return rounded_to_float16(widened_bfloat16(bits));
}

template <typename FromBits, typename ToBits, ToBits (*kOne)(FromBits)>
struct Step {
  using From = FromBits;
  using To = ToBits;
  static To one(From bits) { return kOne(bits); }
};
using ToBFloat16 = Step<std::uint32_t, std::uint16_t, rounded_to_bfloat16<0xFFFF>>;
using ToFloat16 = Step<std::uint32_t, std::uint16_t, rounded_to_float16>;
using OfFloat16 = Step<std::uint16_t, std::uint32_t, widened_float16>;
using OfBFloat16 = Step<std::uint16_t, std::uint32_t, widened_bfloat16>;
using Float16ToBFloat16 = Step<std::uint16_t, std::uint16_t, float16_to_bfloat16>;
using BFloat16ToFloat16 = Step<std::uint16_t, std::uint16_t, bfloat16_to_float16>;

template <typename Cast>
void plain(const std::byte* from, std::byte* to, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    typename Cast::From bits{};
    std::memcpy(&bits, from + i * sizeof bits, sizeof bits);
    const typename Cast::To result = Cast::one(bits);
    std::memcpy(to + i * sizeof result, &result, sizeof result);
  }
}

// --- many elements ------------------------------------------------------------------------------

#ifdef REGRAFT_AVX2
#define REGRAFT_TARGET __attribute__((target("avx2,f16c")))

using Vector = __m256i;  // 8 of 32 bits, or 16 of 16

REGRAFT_TARGET Vector load(const std::byte* from) {
  return _mm256_loadu_si256(reinterpret_cast<const Vector*>(from));
}
REGRAFT_TARGET void store(std::byte* to, Vector value) {
  _mm256_storeu_si256(reinterpret_cast<Vector*>(to), value);
}

REGRAFT_TARGET Vector to_bfloat16(Vector bits, int nan) {
  const Vector odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const Vector half = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF));
  const Vector rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, half), 16);
  const Vector magnitude = _mm256_and_si256(bits, _mm256_set1_epi32(0x7FFFFFFF));
  const Vector is_nan =
      _mm256_cmpgt_epi32(magnitude, _mm256_set1_epi32(static_cast<int>(kInfinity)));
  return _mm256_blendv_epi8(rounded, _mm256_set1_epi32(nan), is_nan);
}
// The lower halves of eight and eight, in order.
REGRAFT_TARGET Vector packed(Vector a, Vector b) {
  return _mm256_permute4x64_epi64(_mm256_packus_epi32(a, b), 0xD8);
}
REGRAFT_TARGET Vector widened(__m128i halves) {
  return _mm256_castps_si256(_mm256_cvtph_ps(halves));
}
REGRAFT_TARGET __m128i half(Vector bits) {
  return _mm256_cvtps_ph(_mm256_castsi256_ps(bits), _MM_FROUND_TO_NEAREST_INT);
}
REGRAFT_TARGET __m128i load_half(const std::byte* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}
REGRAFT_TARGET void store_half(std::byte* to, __m128i value) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), value);
}
REGRAFT_TARGET Vector shifted(__m128i halves) {
  return _mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16);
}

// Each takes a multiple of 16 elements.
REGRAFT_TARGET void vectors(ToBFloat16, const std::byte* from, std::byte* to, std::size_t count) {
  for (std::size_t i = 0; i < count; i += 16)
    store(to + i * 2, packed(to_bfloat16(load(from + i * 4), 0xFFFF),
                             to_bfloat16(load(from + i * 4 + 32), 0xFFFF)));
}
REGRAFT_TARGET void vectors(ToFloat16, const std::byte* from, std::byte* to, std::size_t count) {
  for (std::size_t i = 0; i < count; i += 8) store_half(to + i * 2, half(load(from + i * 4)));
}
REGRAFT_TARGET void vectors(OfFloat16, const std::byte* from, std::byte* to, std::size_t count) {
  for (std::size_t i = 0; i < count; i += 8) store(to + i * 4, widened(load_half(from + i * 2)));
}
REGRAFT_TARGET void vectors(OfBFloat16, const std::byte* from, std::byte* to, std::size_t count) {
  for (std::size_t i = 0; i < count; i += 8) store(to + i * 4, shifted(load_half(from + i * 2)));
}
REGRAFT_TARGET void vectors(Float16ToBFloat16, const std::byte* from, std::byte* to,
                            std::size_t count) {
  for (std::size_t i = 0; i < count; i += 16)
    store(to + i * 2, packed(to_bfloat16(widened(load_half(from + i * 2)), 0x7FC0),
                             to_bfloat16(widened(load_half(from + i * 2 + 16)), 0x7FC0)));
}
REGRAFT_TARGET void vectors(BFloat16ToFloat16, const std::byte* from, std::byte* to,
                            std::size_t count) {
  for (std::size_t i = 0; i < count; i += 8)
    store_half(to + i * 2, half(shifted(load_half(from + i * 2))));
}

// Whether any has all bits of `infinity` and no other beside its sign.
REGRAFT_TARGET bool any_is(const std::byte* halves, std::size_t count, std::uint16_t infinity) {
  const Vector magnitude = _mm256_set1_epi16(0x7FFF);
  const Vector wanted = _mm256_set1_epi16(static_cast<short>(infinity));
  Vector any = _mm256_setzero_si256();
  for (std::size_t i = 0; i < count; i += 16)
    any = _mm256_or_si256(
        any, _mm256_cmpeq_epi16(_mm256_and_si256(load(halves + i * 2), magnitude), wanted));
  return _mm256_testz_si256(any, any) == 0;
}

bool has_vectors() {
  static const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c");
  return has;
}
#else
template <typename Cast>
void vectors(Cast, const std::byte* from, std::byte* to, std::size_t count) {
  plain<Cast>(from, to, count);
}
bool any_is(const std::byte*, std::size_t, std::uint16_t) { return false; }
bool has_vectors() { return false; }
#endif

std::atomic<bool> g_plainly{false};

// How many of `count` elements are left to vectors.
std::size_t in_vectors(std::size_t count) {
  return has_vectors() && !g_plainly ? count / 16 * 16 : 0;
}

template <typename Cast>
void all(const std::byte* from, std::byte* to, std::size_t count) {
  const std::size_t done = in_vectors(count);
  vectors(Cast{}, from, to, done);
  plain<Cast>(from + done * sizeof(typename Cast::From), to + done * sizeof(typename Cast::To),
              count - done);
}

// --- what is lost -------------------------------------------------------------------------------

std::uint16_t infinity(DType dtype) { return dtype == DType::float16 ? 0x7C00 : 0x7F80; }

bool is_infinite(DType dtype, const std::byte* element) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, element, sizeof bits);
  return (bits & 0x7FFF) == infinity(dtype);
}

bool any_infinite(DType dtype, const std::byte* halves, std::size_t count) {
  const std::size_t done = in_vectors(count);
  if (any_is(halves, done, infinity(dtype))) return true;
  for (std::size_t i = done; i < count; ++i)
    if (is_infinite(dtype, halves + i * 2)) return true;
  return false;
}

using Function = void (*)(const std::byte*, std::byte*, std::size_t);

Function function(DType from, DType to) {
  if (from == DType::float32 && to == DType::bfloat16) return all<ToBFloat16>;
  if (from == DType::float32 && to == DType::float16) return all<ToFloat16>;
  if (from == DType::float16 && to == DType::float32) return all<OfFloat16>;
  if (from == DType::bfloat16 && to == DType::float32) return all<OfBFloat16>;
  if (from == DType::float16 && to == DType::bfloat16) return all<Float16ToBFloat16>;
  if (from == DType::bfloat16 && to == DType::float16) return all<BFloat16ToFloat16>;
  return nullptr;
}

}  // namespace

bool converts(DType from, DType to) { return function(from, to) != nullptr; }

float as_float(DType dtype, Bytes element) {
  if (dtype == DType::float32) {
    float value = 0;
    std::memcpy(&value, element.data(), sizeof value);
    return value;
  }
  std::uint16_t bits = 0;
  std::memcpy(&bits, element.data(), sizeof bits);
  return std::bit_cast<float>(dtype == DType::float16 ? widened_float16(bits)
                                                      : widened_bfloat16(bits));
}

void convert_plainly(bool plainly) { g_plainly = plainly; }

std::optional<std::uint64_t> convert(DType from, Bytes source, DType to, std::span<std::byte> out,
                                     bool checked) {
  const Function convert_all = function(from, to);
  const std::size_t wide = itemsize(from), narrow = itemsize(to), count = source.size() / wide;
  assert(convert_all && out.size() == count * narrow);
  // The others hold everything.
  if (!checked || to == DType::float32 || (from == DType::float16 && to == DType::bfloat16)) {
    convert_all(source.data(), out.data(), count);
    return std::nullopt;
  }
  for (std::size_t at = 0; at < count; at += kBlock) {
    const std::size_t length = std::min(kBlock, count - at);
    const std::byte* here = source.data() + at * wide;
    std::byte* there = out.data() + at * narrow;
    convert_all(here, there, length);
    if (!any_infinite(to, there, length)) continue;
    for (std::size_t i = 0; i < length; ++i) {
      if (!is_infinite(to, there + i * narrow)) continue;
      const auto value = std::bit_cast<std::uint32_t>(as_float(from, {here + i * wide, wide}));
      if ((value & ~kSign) < kInfinity) return at + i;
    }
  }
  return std::nullopt;
}

}  // namespace regraft
