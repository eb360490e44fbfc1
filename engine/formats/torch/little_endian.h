// Little-endian numbers in byte strings. The caller has proven that the bytes are there.
#pragma once

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>

namespace regraft {

template <std::unsigned_integral T>
T load_le(std::string_view bytes, std::size_t position = 0) {
  T value = 0;
  for (std::size_t i = sizeof(T); i-- > 0;)
    value = static_cast<T>(value << 8 | static_cast<unsigned char>(bytes[position + i]));
  return value;
}

template <std::unsigned_integral T>
void append_le(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    out += static_cast<char>(value & 0xFF);
    value = static_cast<T>(value >> 8);
  }
}

}  // namespace regraft
