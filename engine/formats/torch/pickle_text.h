// The text operands of pickle's protocol 0: decimal integers and escaped strings.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace regraft {

// A decimal integer of any size as little-endian two's complement, as short as can be (zero is
// empty). Empty optional: it is not one.
std::optional<std::string> parse_decimal(std::string_view text);

// Little-endian two's complement of any length without the bytes that only repeat the sign.
std::string_view shortest_integer(std::string_view little_endian);

// Of at most eight bytes.
std::int64_t small_integer(std::string_view little_endian);

// Two's complement, little-endian, as decimal.
std::string to_decimal(std::string_view little_endian);

// Python's repr of a byte string, with its quotes, as STRING has it.
std::optional<std::string> unescape_string(std::string_view quoted);

// Python's raw-unicode-escape, as UNICODE has it, in UTF-8 (surrogates kept).
std::optional<std::string> unescape_unicode(std::string_view escaped);

}  // namespace regraft
