// UTF-8 as Python's "surrogatepass" reads and writes it: lone surrogates are three bytes.
#pragma once

#include <string>
#include <string_view>

namespace regraft {

// The text is UTF-8, in which lone surrogates may stand too.
bool is_utf8_with_surrogates(std::string_view text);

// `code_point` is at most 0x10FFFF.
void append_utf8(std::string& out, char32_t code_point);

}  // namespace regraft
