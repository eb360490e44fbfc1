#include "base/utf8.h"
#include "catch.h"
#include "text/place.h"

namespace regraft {
namespace {

Location at(std::string source, int line, int column) {
  Location where;
  where.text = std::make_shared<SourceText>(SourceText{"spec.yaml", std::move(source)});
  where.line = line;
  where.column = column;
  where.length = 3;
  return where;
}

std::pair<int, int> within(const Location& where, std::string_view decoded, std::size_t offset,
                           std::size_t length) {
  Location place = place_within(where, decoded, offset, length);
  return {place.column, place.length};
}

using Place = std::pair<int, int>;

TEST_CASE("places inside a scalar are found behind quotes and escapes") {
  CHECK(within(at("a: b(c", 1, 4), "b(c", 1, 2) == Place(5, 2));         // plain
  CHECK(within(at("a: 'b(c'", 1, 4), "b(c", 1, 2) == Place(6, 2));       // single quotes
  CHECK(within(at("a: 'b(c'", 1, 5), "b(c", 1, 2) == Place(6, 2));       // of its first byte
  CHECK(within(at("a: 'i''s(c'", 1, 4), "i's(c", 3, 1) == Place(9, 1));  // a doubled quote before
  CHECK(within(at("a: 'i''s(c'", 1, 4), "i's(c", 0, 5) == Place(5, 6));  // and inside
  CHECK(within(at("a: \"\\\\d(c\"", 1, 4), "\\d(c", 2, 1) == Place(8, 1));
  CHECK(within(at("a: \"\\x41\\u00e9(\"", 1, 4), "A\u00e9(", 3, 1) == Place(15, 1));
  CHECK(within(at("a: '\u00e9(c'", 1, 4), "\u00e9(c", 2, 1) == Place(7, 1));
  CHECK(within(at("a: 'bc'", 1, 4), "bc", 2, 1) == Place(7, 1));  // the end
  CHECK(within(at("x\na: 'bc'", 2, 4), "bc", 1, 1) == Place(6, 1));
}

TEST_CASE("folded scalars keep their own place") {
  CHECK(within(at("a: 'b\n  c'", 1, 4), "b c", 2, 1) == Place(4, 3));
  CHECK(within(at("a: |\n  b", 1, 4), "b\n", 0, 1) == Place(4, 3));
  CHECK(place_within({}, "abc", 1, 1).line == 0);
}

}  // namespace
}  // namespace regraft
