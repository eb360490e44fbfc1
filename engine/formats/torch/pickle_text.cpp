#include "formats/torch/pickle_text.h"

#include <algorithm>
#include <vector>

#include "formats/torch/utf8_surrogates.h"

namespace regraft {
namespace {

constexpr std::uint32_t kBase = 1'000'000'000;  // decimal digits are taken nine at a time

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Exactly `count` hexadecimal digits at the front of `text`, which are taken off it.
std::optional<char32_t> take_hex(std::string_view& text, std::size_t count) {
  if (text.size() < count) return std::nullopt;
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    int digit = hex_digit(text[i]);
    if (digit < 0) return std::nullopt;
    value = value << 4 | static_cast<std::uint64_t>(digit);
  }
  text.remove_prefix(count);
  if (value > 0x10FFFF) return std::nullopt;
  return static_cast<char32_t>(value);
}

void negate(std::string& little_endian) {
  unsigned carry = 1;
  for (char& c : little_endian) {
    unsigned byte = static_cast<unsigned char>(~c) + carry;
    c = static_cast<char>(byte);
    carry = byte >> 8;
  }
}

}  // namespace

std::optional<std::string> parse_decimal(std::string_view text) {
  bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  std::vector<std::uint32_t> words;
  while (!text.empty()) {
    std::size_t count = text.size() % 9 == 0 ? 9 : text.size() % 9;
    std::uint64_t carry = 0;
    for (char c : text.substr(0, count)) {
      if (c < '0' || c > '9') return std::nullopt;
      carry = carry * 10 + static_cast<std::uint64_t>(c - '0');
    }
    text.remove_prefix(count);
    for (std::uint32_t& word : words) {
      carry += std::uint64_t{word} * kBase;
      word = static_cast<std::uint32_t>(carry);
      carry >>= 32;
    }
    if (carry != 0) words.push_back(static_cast<std::uint32_t>(carry));
  }
  std::string bytes;
  for (std::uint32_t word : words)
    for (int i = 0; i < 4; ++i, word >>= 8) bytes += static_cast<char>(word & 0xFF);
  bytes += '\0';  // the sign
  if (negative) negate(bytes);
  return std::string(shortest_integer(bytes));
}

std::string_view shortest_integer(std::string_view little_endian) {
  while (!little_endian.empty()) {
    char last = little_endian.back();
    bool sign_below = little_endian.size() > 1 && (little_endian[little_endian.size() - 2] & 0x80);
    bool repeats = (last == 0 && !sign_below) || (last == '\xff' && sign_below);
    if (!repeats) break;
    little_endian.remove_suffix(1);
  }
  return little_endian;
}

std::int64_t small_integer(std::string_view little_endian) {
  std::uint64_t value = !little_endian.empty() && (little_endian.back() & 0x80) ? ~0ull : 0;
  for (std::size_t i = little_endian.size(); i-- > 0;)
    value = value << 8 | static_cast<unsigned char>(little_endian[i]);
  return static_cast<std::int64_t>(value);
}

std::string to_decimal(std::string_view little_endian) {
  std::string bytes(little_endian);
  bool negative = !bytes.empty() && (bytes.back() & 0x80);
  if (negative) {
    bytes += '\xff';  // room for the one number that has no negative of its size
    negate(bytes);
  }
  std::string digits;  // last one first
  while (std::ranges::any_of(bytes, [](char c) { return c != 0; })) {
    std::uint64_t rest = 0;
    for (std::size_t i = bytes.size(); i-- > 0;) {
      rest = rest << 8 | static_cast<unsigned char>(bytes[i]);
      bytes[i] = static_cast<char>(rest / kBase);
      rest %= kBase;
    }
    for (int i = 0; i < 9; ++i, rest /= 10) digits += static_cast<char>('0' + rest % 10);
  }
  while (digits.size() > 1 && digits.back() == '0') digits.pop_back();
  if (digits.empty()) digits += '0';
  if (negative) digits += '-';
  std::ranges::reverse(digits);
  return digits;
}

std::optional<std::string> unescape_string(std::string_view quoted) {
  if (quoted.size() < 2 || (quoted.front() != '\'' && quoted.front() != '"') ||
      quoted.front() != quoted.back())
    return std::nullopt;
  quoted = quoted.substr(1, quoted.size() - 2);
  std::string out;
  while (!quoted.empty()) {
    char c = quoted.front();
    quoted.remove_prefix(1);
    if (c != '\\') {
      out += c;
      continue;
    }
    if (quoted.empty()) return std::nullopt;
    c = quoted.front();
    quoted.remove_prefix(1);
    constexpr std::string_view kLetters = "\\'\"abfnrtv";
    constexpr std::string_view kMeanings = "\\'\"\a\b\f\n\r\t\v";
    if (std::size_t letter = kLetters.find(c); letter != std::string_view::npos) {
      out += kMeanings[letter];
    } else if (c == 'x') {
      std::optional<char32_t> value = take_hex(quoted, 2);
      if (!value) return std::nullopt;
      out += static_cast<char>(*value);
    } else if (c >= '0' && c <= '7') {
      int value = c - '0';
      for (int i = 0; i < 2 && !quoted.empty() && quoted.front() >= '0' && quoted.front() <= '7';
           ++i) {
        value = value * 8 + (quoted.front() - '0');
        quoted.remove_prefix(1);
      }
      out += static_cast<char>(value & 0xFF);
    } else {
      out += '\\';  // as Python: an unknown escape stands for itself
      out += c;
    }
  }
  return out;
}

std::optional<std::string> unescape_unicode(std::string_view escaped) {
  std::string out;
  while (!escaped.empty()) {
    char c = escaped.front();
    escaped.remove_prefix(1);
    if (c == '\\' && !escaped.empty()) {
      char next = escaped.front();
      escaped.remove_prefix(1);
      if (next == 'u' || next == 'U') {
        std::optional<char32_t> value = take_hex(escaped, next == 'u' ? 4 : 8);
        if (!value) return std::nullopt;
        append_utf8(out, *value);
        continue;
      }
      out += c;
      c = next;
    }
    append_utf8(out, static_cast<unsigned char>(c));  // Latin-1
  }
  return out;
}

}  // namespace regraft
