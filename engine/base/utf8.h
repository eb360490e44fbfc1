// Reading UTF-8 that may be broken.
#pragma once

#include <cstddef>
#include <string_view>

namespace regraft {

struct Utf8 {
  char32_t code_point = 0;
  std::size_t length =
      0;  // bytes; 0: no valid sequence (overlong, surrogate, cut off, past 10FFFF)
};

// The code point that begins at `position`, which is less than the text's size.
Utf8 utf8_at(std::string_view text, std::size_t position);

// The offset of the first byte that begins no valid sequence; npos when all is valid.
std::size_t find_invalid_utf8(std::string_view text);

}  // namespace regraft
