// Arithmetic on numbers from untrusted files: an empty optional instead of a wrapped result.
#pragma once

#include <concepts>
#include <optional>

namespace regraft {

template <std::integral T>
std::optional<T> checked_add(T a, T b) {
  T result;
  if (__builtin_add_overflow(a, b, &result)) return std::nullopt;
  return result;
}

template <std::integral T>
std::optional<T> checked_sub(T a, T b) {
  T result;
  if (__builtin_sub_overflow(a, b, &result)) return std::nullopt;
  return result;
}

template <std::integral T>
std::optional<T> checked_mul(T a, T b) {
  T result;
  if (__builtin_mul_overflow(a, b, &result)) return std::nullopt;
  return result;
}

// Rounded down, as Python's // and %; `b` is not 0.
template <std::signed_integral T>
std::optional<T> checked_floor_divide(T a, T b) {
  if (b == -1) return checked_sub<T>(0, a);  // the one quotient that may be too large
  return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

template <std::signed_integral T>
T floor_modulo(T a, T b) {
  if (b == -1) return 0;  // C++ has no remainder for the smallest number
  const T rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

}  // namespace regraft
