#include "catch.h"
#include "text/axes.h"

namespace regraft {
namespace {

// A scalar in single quotes in the first line of a spec.
Location place_of(std::string_view text) {
  Location where;
  where.text =
      std::make_shared<SourceText>(SourceText{"s.yaml", "pattern: '" + std::string(text) + "'\n"});
  where.line = 1;
  where.column = 10;
  where.length = static_cast<int>(text.size()) + 2;
  return where;
}

std::string shown(const Axes& axes) {
  std::string out;
  for (const AxisGroup& group : axes) {
    out += out.empty() ? "" : " ";
    if (group.parentheses) out += "(";
    for (std::size_t i = 0; i < group.axes.size(); ++i) {
      const Axis& axis = group.axes[i];
      out += i > 0 ? " " : "";
      out += axis.kind == Axis::Kind::name   ? axis.name
             : axis.kind == Axis::Kind::size ? std::to_string(axis.size)
                                             : "...";
    }
    if (group.parentheses) out += ")";
  }
  return out;
}

std::string parsed(std::string_view text) {
  Diagnostics diagnostics;
  const std::optional<Axes> axes = parse_axes(text, place_of(text), diagnostics);
  REQUIRE(axes);
  CHECK(diagnostics.items().empty());
  return shown(*axes);
}

// "column: message"
std::string error_of(std::string_view text) {
  Diagnostics diagnostics;
  CHECK_FALSE(parse_axes(text, place_of(text), diagnostics));
  REQUIRE(diagnostics.items().size() == 1);
  const Diagnostic& one = diagnostics.items()[0];
  CHECK(one.code == Code::wrong_type);
  // Columns of the text, from 1.
  return std::to_string(one.where.column - 10) + "+" + std::to_string(one.where.length) + ": " +
         one.message;
}

TEST_CASE("axes: names, sizes, groups and an ellipsis") {
  CHECK(parsed("1 (h w) c") == "1 (h w) c");
  CHECK(parsed("  b  ( head  dim )  ") == "b (head dim)");
  CHECK(parsed("(two d)c(h)") == "(two d) c (h)");
  CHECK(parsed("... c") == "... c");
  CHECK(parsed("a (... b)") == "a (... b)");
  CHECK(parsed("(a...)b") == "(a ...) b");
  CHECK(parsed("() 1 1 () 12") == "() 1 1 () 12");
  CHECK(parsed("_a B9 c_d") == "_a B9 c_d");
  CHECK(parsed("").empty());
  CHECK(parsed("9223372036854775807") == "9223372036854775807");
}

TEST_CASE("axes: what stands in a group knows its place") {
  Diagnostics diagnostics;
  const std::string_view text = "1 (h w) c";
  const std::optional<Axes> axes = parse_axes(text, place_of(text), diagnostics);
  REQUIRE(axes);
  REQUIRE(axes->size() == 3);
  const AxisGroup& group = (*axes)[1];
  CHECK(group.where.column == 13);
  CHECK(group.where.length == 5);
  REQUIRE(group.axes.size() == 2);
  CHECK(group.axes[1].where.column == 16);
  CHECK((*axes)[2].where.column == 19);
  CHECK((*axes)[2].axes[0].where.length == 1);
}

TEST_CASE("axes: one side of a longer text") {
  const std::string_view text = "(h w) c -> h w";
  Diagnostics diagnostics;
  const auto left = parse_axes(text, 0, 7, place_of(text), diagnostics);
  const auto right = parse_axes(text, 10, 4, place_of(text), diagnostics);
  REQUIRE((left && right));
  CHECK(shown(*left) == "(h w) c");
  CHECK(shown(*right) == "h w");
  CHECK((*right)[1].where.column == 10 + 1 + 13);
}

TEST_CASE("axes: mistakes have a column and say what is wrong") {
  CHECK(error_of("h w h") == "5+1: the axis `h` is there twice");
  CHECK(error_of("(a b) (c a)") == "10+1: the axis `a` is there twice");
  CHECK(error_of("a ((b c) d)") == "4+1: a parenthesis inside parentheses");
  CHECK(error_of("a (b c") == "3+1: a parenthesis that is never closed");
  CHECK(error_of("a b) c") == "4+1: a parenthesis that was never opened");
  CHECK(error_of("... a ...") == "7+3: `...` is there twice");
  CHECK(error_of("a .. b") == "3+2: an ellipsis has three dots: `...`");
  CHECK(error_of("a .... b") == "3+4: an ellipsis has three dots: `...`");
  CHECK(error_of("a.b") == "2+1: an ellipsis has three dots: `...`");
  CHECK(error_of("2d h") == "1+2: '2d' is neither a name nor a number");
  CHECK(error_of("a 0") == "3+1: a dimension of size 0");
  CHECK(error_of("9223372036854775808") == "1+19: a dimension of size 9223372036854775808");
  CHECK(error_of("a b -> b a") == "5+2: `->` stands between two sides, and this is one");
  CHECK(error_of("a - b") == "3+1: no axis begins with '-'");
  CHECK(error_of("a, b") == "2+1: no axis begins with ','");
  CHECK(error_of("a\tb") == "2+1: no axis begins with '\\x09'");
}

}  // namespace
}  // namespace regraft
