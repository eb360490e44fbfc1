#include "text/place.h"

#include <algorithm>
#include <optional>

namespace regraft {
namespace {

// One step through a quoted scalar: bytes of source, and bytes of text that they stand for.
struct Step {
  std::size_t source = 1;
  std::size_t decoded = 1;
};

std::size_t utf8_length(unsigned long code_point) {
  return code_point < 0x80 ? 1 : code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
}

Step escape_at(std::string_view source) {
  if (source.size() < 2) return {};
  std::size_t digits = source[1] == 'x' ? 2 : source[1] == 'u' ? 4 : source[1] == 'U' ? 8 : 0;
  if (digits > 0) {
    unsigned long code_point = 0;
    for (char c : source.substr(2, digits)) {
      int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
      code_point = code_point * 16 + static_cast<unsigned long>(digit);
    }
    return {2 + digits, utf8_length(code_point)};
  }
  std::size_t decoded = 1;
  if (source[1] == 'N' || source[1] == '_') decoded = 2;  // U+0085, U+00A0
  if (source[1] == 'L' || source[1] == 'P') decoded = 3;  // U+2028, U+2029
  return {2, decoded};
}

// Where byte `offset` of the text stands in `source`, which begins with a quote.
std::optional<std::size_t> find_in_quotes(std::string_view source, std::string_view decoded,
                                          std::size_t offset) {
  char quote = source[0];
  std::size_t at = 1;
  std::size_t done = 0;
  while (done < offset) {
    if (at >= source.size()) return std::nullopt;
    Step step;
    if (quote == '"' && source[at] == '\\') {
      step = escape_at(source.substr(at));
    } else if (quote == '\'' && source.substr(at).starts_with("''")) {
      step = {2, 1};
    } else if (source[at] == quote || source[at] != decoded[done]) {
      return std::nullopt;
    }
    at += step.source;
    done += step.decoded;
  }
  return at;
}

}  // namespace

Location place_within(const Location& where, std::string_view decoded, std::size_t offset,
                      std::size_t length) {
  if (!where.text || where.line < 1 || where.column < 1) return where;
  std::string_view source = source_line(where.text->text, where.line);
  source.remove_prefix(std::min(source.size(), static_cast<std::size_t>(where.column) - 1));
  offset = std::min(offset, decoded.size());
  length = std::min(length, decoded.size() - offset);

  std::optional<std::size_t> begin, end;
  if (source.starts_with(decoded)) {
    begin = offset;
    end = offset + length;
  } else if (source.starts_with('\'') || source.starts_with('"')) {
    begin = find_in_quotes(source, decoded, offset);
    end = find_in_quotes(source, decoded, offset + length);
  }
  if (!begin || !end) return where;
  Location place = where;
  place.column += static_cast<int>(*begin);
  place.length = std::max(1, static_cast<int>(*end - *begin));
  return place;
}

}  // namespace regraft
