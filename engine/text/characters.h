// What a character is to the small languages of a spec: ASCII alone, whatever the locale.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace regraft {

inline constexpr std::string_view kSpaces = " \t\r\n";

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
// A letter, a digit or `_`.
constexpr bool is_word(char c) { return is_letter(c) || is_digit(c) || c == '_'; }

constexpr bool all_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_digit);
}

// What variables, captures and operands may be called.
constexpr bool is_name(std::string_view text) {
  return !text.empty() && !is_digit(text.front()) && std::ranges::all_of(text, is_word);
}

// Without the blanks around it.
constexpr std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

// How many bytes the character at the start of `text` has; `text` is not empty.
constexpr std::size_t character_length(std::string_view text) {
  std::size_t length = 1;
  while (length < text.size() && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80)
    ++length;
  return length;
}

}  // namespace regraft
