#include <limits>

#include "catch.h"
#include "text/expression.h"

namespace regraft {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();

Value number(std::int64_t n) { return Value{n}; }
Value text(std::string t) { return Value{std::move(t)}; }

// What the expressions below are about.
struct World {
  World() {
    Diagnostics diagnostics;
    pattern = Pattern::compile(R"(^(\d+)\.(?P<part>\w+)\.(?P<block>\d*)(x)?)", {}, diagnostics);
    REQUIRE(pattern);
    found = *pattern->find("007.attn.12");
    auto set = [&](std::string name, Value value) { variables[name].value = std::move(value); };
    set("heads", number(6));
    set("rate", Value{0.5});
    set("word", text("abc"));
    set("digits", text("042"));
    set("huge", text("99999999999999999999"));
    set("depths", Value{List{number(0), number(3), number(6)}});
    set("deep", Value{List{Value{List{number(1), number(2)}}, Value{Map{{"k", number(5)}}}}});
    set("sizes", Value{Map{{"attn", number(64)}, {"7", number(77)}, {"007", number(70)}}});
    set("max", number(kMax));
    set("min", number(kMin));
    set("get", number(1));
    variables["later"];  // declared, its value comes with the source
    variables["block"];  // also a capture: ambiguous once it is used
  }

  Scope scope() const {
    return {.variables = &variables, .pattern = &*pattern, .part_index = true};
  }
  Bindings bindings() const { return {.variables = &variables, .found = &found, .part_index = 4}; }

  std::optional<Pattern> pattern;
  Found found;
  Variables variables;
};

// "value", or "code: message | hint" of the first error, with the text under the caret.
std::string show(const Diagnostic& item) {
  std::string under =
      item.where.text == nullptr
          ? ""
          : item.where.text->text.substr(static_cast<std::size_t>(item.where.column - 1),
                                         static_cast<std::size_t>(item.where.length));
  std::string out = std::string(info(item.code).name) + " at '" + under + "': " + item.message;
  return item.hint.empty() ? out : out + " | " + item.hint;
}

Location whole(const std::string& source) {
  Location where;
  where.text = std::make_shared<SourceText>(SourceText{"s.yaml", source});
  where.line = 1;
  where.column = 1;
  where.length = static_cast<int>(source.size());
  return where;
}

std::string run(const std::string& source) {
  World world;
  Diagnostics diagnostics;
  auto expression = Expression::parse(source, whole(source), world.scope(), diagnostics);
  CHECK(expression.has_value() == diagnostics.items().empty());
  if (!expression) return show(diagnostics.items()[0]);
  Result<Value> result = expression->evaluate(world.bindings());
  if (!result.ok()) return show(result.error());
  if (const auto* n = std::get_if<std::int64_t>(&result->data)) return std::to_string(*n);
  if (const auto* t = std::get_if<std::string>(&result->data)) return "'" + *t + "'";
  return describe(*result);
}

TEST_CASE("expression: values") {
  const std::pair<const char*, const char*> table[] = {
      {"1", "1"},
      {" 007 ", "7"},
      {"1 + 2 * 3", "7"},
      {"(1 + 2) * 3", "9"},
      {"10 - 3 - 2", "5"},
      {"2 * 3 % 4", "2"},
      {"7 // 2", "3"},
      {"-7 // 2", "-4"},
      {"7 // -2", "-4"},
      {"-7 // -2", "3"},
      {"-6 // 2", "-3"},
      {"7 % 3", "1"},
      {"-7 % 3", "2"},
      {"7 % -3", "-2"},
      {"-7 % -3", "-1"},
      {"-6 % 3", "0"},
      {"--5", "5"},
      {"-2 * -3", "6"},
      {"9223372036854775807", "9223372036854775807"},
      {"-9223372036854775808", "-9223372036854775808"},
      {"min % -1", "0"},
      {"max + min", "-1"},
      // Captures keep their text alone and are numbers in arithmetic.
      {"\\0", "'007.attn.12'"},
      {"\\1", "'007'"},
      {"\\1 + 0", "7"},
      {"-\\1", "-7"},
      {"part", "'attn'"},
      {"\\4", "''"},
      {"i", "4"},
      {"i * heads", "24"},
      {"digits + 0", "42"},
      {"digits", "'042'"},
      {"rate", "the number 0.5"},
      {"depths", "a list of 3"},
      // Comparison and logic.
      {"1 == 1", "1"},
      {"1 != 1", "0"},
      {"0 <= i < 5", "1"},
      {"0 <= i < 4", "0"},
      {"1 < 2 > 1 == 1", "1"},
      {"3 > 2 > 1", "1"},
      {"\\1 == 7", "1"},
      {"\\1 == digits", "0"},
      {"part == word", "0"},
      {"part == part", "1"},
      {"part != word", "1"},
      {"\\4 == \\4", "1"},
      {"\\1 != part", "1"},
      {"not 0", "1"},
      {"not 5", "0"},
      {"not not 5", "1"},
      {"not 1 == 2", "1"},
      {"2 and 3", "1"},
      {"2 and 0", "0"},
      {"0 or 7", "1"},
      {"0 or 0", "0"},
      {"1 or 0 and 0", "1"},
      {"0 and 1 // 0", "0"},
      {"1 or word", "1"},
      {"2 < 1 < 1 // 0", "0"},
      {"1 + (2 == 2)", "2"},
      // Lists and maps.
      {"depths[1]", "3"},
      {"depths[\\1 - 5]", "6"},
      {"depths[2] // 2", "3"},
      {"depths[depths[0] + 1]", "3"},
      {"deep[0][1]", "2"},
      {"deep[1][part == part]",
       "evaluation at '[part == part]': the key '1' is not there in it | "
       "did you mean 'k'?"},
      {"sizes[part]", "64"},
      {"sizes[7]", "77"},
      {"sizes[\\1]", "70"},
      {"sizes[\\1 + 0]", "77"},
      {"get(sizes, part, 1)", "64"},
      {"get(sizes, 8, heads + 1)", "7"},
      {"get(depths, 3, \\1)", "'007'"},
      {"get(depths, -1, 9)", "9"},
      {"get(depths, 1, 1 // 0)", "3"},
      {"get(deep, 0, 0)[1]", "2"},
      {"get + 1", "2"},
  };
  for (const auto& [source, expected] : table) {
    CAPTURE(source);
    if (std::string(source).starts_with("deep[1]")) continue;
    CHECK(run(source) == expected);
  }
}

TEST_CASE("expression: what fails for a tensor") {
  const std::pair<const char*, const char*> table[] = {
      {"1 // 0", "evaluation at '//': division by zero"},
      {"5 % (1 - 1)", "evaluation at '%': division by zero"},
      {"max + 1", "evaluation at '+': the result does not fit into 64 bits"},
      {"1 + 2 - min", "evaluation at '-': the result does not fit into 64 bits"},
      {"max * 2", "evaluation at '*': the result does not fit into 64 bits"},
      {"min // -1", "evaluation at '//': the result does not fit into 64 bits"},
      {"-min", "evaluation at '-': the result does not fit into 64 bits"},
      {"word + 1", "evaluation at '+': the text 'abc', where a number is needed"},
      {"1 * \\4", "evaluation at '*': empty text, where a number is needed"},
      {"huge + 1", "evaluation at '+': the text '99999999999999999999' does not fit into 64 bits"},
      {"rate * 2", "evaluation at '*': the number 0.5, but expressions are integers"},
      {"rate == 1", "evaluation at '==': the number 0.5, but expressions are integers"},
      {"depths + 1", "evaluation at '+': a list of 3, where a number is needed"},
      {"word < 1", "evaluation at '<': the text 'abc', where a number is needed"},
      {"word < word", "evaluation at '<': the text 'abc', where a number is needed"},
      {"word == 1", "evaluation at '==': the text 'abc', where a number is needed"},
      {"sizes == sizes", "evaluation at '==': a map of 3, where a number is needed"},
      {"not word", "evaluation at 'not': the text 'abc', where a number is needed"},
      {"1 and word", "evaluation at 'and': the text 'abc', where a number is needed"},
      {"\\4 or 1", "evaluation at 'or': empty text, where a number is needed"},
      {"-word", "evaluation at '-': the text 'abc', where a number is needed"},
      {"depths[3]",
       "evaluation at '[3]': the index 3 is not there: 'depths' has 3 entries | get(map, key, "
       "default) gives a default"},
      {"depths[-1]",
       "evaluation at '[-1]': the index -1 is not there: 'depths' has 3 entries | indexes count "
       "from 0"},
      {"depths[word]", "evaluation at '[word]': the text 'abc', where a number is needed"},
      {"get(depths, word, 1)", "evaluation at 'get': the text 'abc', where a number is needed"},
      {"sizes[word]",
       "evaluation at '[word]': the key 'abc' is not there in 'sizes' | get(map, key, default) "
       "gives a default"},
      {"sizes[depths]", "evaluation at '[depths]': a list of 3 as the key of a map"},
      {"heads[0]", "evaluation at '[0]': the number 6, which has no entries"},
      {"later", "evaluation at 'later': the variable 'later' has no value yet"},
  };
  for (const auto& [source, expected] : table) {
    CAPTURE(source);
    CHECK(run(source) == expected);
  }
}

TEST_CASE("expression: what cannot be read") {
  const std::pair<const char*, const char*> table[] = {
      {"", "bad-expression at '': an empty expression"},
      {"  ", "bad-expression at '  ': an empty expression"},
      {"1 +", "bad-expression at '+': the expression ends where a value should be"},
      {"(1", "bad-expression at '1': a ')' is missing"},
      {"1)", "bad-expression at ')': unexpected ')'"},
      {"1 2", "bad-expression at '2': unexpected '2'"},
      {"\\12", "bad-expression at '2': unexpected '2' | the number of a capture is one digit"},
      {"4 / 2", "bad-expression at '/': unexpected '/' | division is '//' and rounds down"},
      {"2 ** 3", "bad-expression at '**': unexpected '**' | there is no power; multiply"},
      {"i = 1", "bad-expression at '=': unexpected '=' | a comparison is '=='"},
      {"i && 1", "bad-expression at '&&': unexpected '&&' | write 'and'"},
      {"i || 1", "bad-expression at '||': unexpected '||' | write 'or'"},
      {"!i", "bad-expression at '!': unexpected '!' | write 'not'"},
      {"i <> 1", "bad-expression at '<>': unexpected '<>' | write '!='"},
      {"part == 'q'",
       "bad-expression at ''': unexpected ''' | an expression has no text; a variable can hold it"},
      {"1.5", "bad-expression at '1.5': a number with a fraction | expressions are integers"},
      {"2x", "bad-expression at '2x': '2x' is no number | integers are decimal"},
      {"0x10", "bad-expression at '0x10': '0x10' is no number | integers are decimal"},
      {"-9223372036854775808x",
       "bad-expression at '9223372036854775808x': '9223372036854775808x' is no number | integers "
       "are decimal"},
      {"9223372036854775808",
       "bad-expression at '9223372036854775808': the number 9223372036854775808 does not fit into "
       "64 bits"},
      {"{i}", "bad-expression at '{': unexpected '{' | an expression has no braces"},
      {"i \u00e9", "bad-expression at '\u00e9': unexpected '\u00e9'"},
      {"and 1", "bad-expression at 'and': unexpected 'and'"},
      {"1 not 2", "bad-expression at 'not': unexpected 'not'"},
      {"1 + not 2", "bad-expression at 'not': unexpected 'not'"},
      {"depths[]", "bad-expression at ']': unexpected ']'"},
      {"depths[1", "bad-expression at '1': a ']' is missing"},
      {"min(1, 2)",
       "bad-expression at 'min': there is no function 'min' | the one function is get(map, key, "
       "default)"},
      {"get(sizes, 1)",
       "bad-expression at 'get(sizes, 1)': get takes three values | get(map, key, default)"},
      {"get(sizes, 1, 2, 3)",
       "bad-expression at 'get': get takes three values | get(map, key, default)"},
      {"\\x",
       "bad-template at '\\x': a backslash without the number of a capture | captures are "
       "\\0 to \\9"},
      {"\\5",
       "bad-template at '\\5': \\5, but the pattern has 4 captures | parentheses in the "
       "pattern capture: (\\d+)"},
      {"head + 1",
       "unknown-name at 'head': no capture or variable is named 'head' | did you mean 'heads'?"},
      {"width",
       "unknown-name at 'width': no capture or variable is named 'width' | declare it under "
       "`vars:`, or name a capture: (?P<width>...)"},
      {"true", "unknown-name at 'true': no capture or variable is named 'true' | write 1"},
      {"false", "unknown-name at 'false': no capture or variable is named 'false' | write 0"},
      {"block",
       "ambiguous-name at 'block': 'block' is a capture and a variable | rename one of them"},
  };
  for (const auto& [source, expected] : table) {
    CAPTURE(source);
    CHECK(run(source) == expected);
  }
}

TEST_CASE("expression: all unknown names in one run") {
  Variables variables;
  Diagnostics diagnostics;
  std::string source = "a + b * \\1";
  CHECK_FALSE(Expression::parse(source, whole(source), {.variables = &variables}, diagnostics));
  REQUIRE(diagnostics.items().size() == 3);
  CHECK(show(diagnostics.items()[2]) ==
        "bad-template at '\\1': \\1 without a pattern to capture it");
}

TEST_CASE("expression: i is there for parts only") {
  Diagnostics diagnostics;
  CHECK_FALSE(Expression::parse("i", whole("i"), {}, diagnostics));
  CHECK(diagnostics.items()[0].hint == "'i', the index of a part, is there in split and unbind");
  Variables variables;
  variables["i"].value = number(3);
  auto expression = Expression::parse("i", whole("i"), {.variables = &variables}, diagnostics);
  REQUIRE(expression);  // a variable of that name is fine elsewhere
  CHECK(*expression->evaluate_int({.variables = &variables}) == 3);
  CHECK_FALSE(Expression::parse("i", whole("i"), {.variables = &variables, .part_index = true},
                                diagnostics));
  CHECK(diagnostics.items()[1].message == "'i' is the index of the part and a variable");
}

TEST_CASE("expression: nesting is bounded, length is not") {
  auto nested = [](std::size_t n) { return std::string(n, '(') + "1" + std::string(n, ')'); };
  CHECK(run(nested(200)) == "1");
  CHECK(run(nested(201)).find("more than 200 levels") != std::string::npos);
  CHECK(run(nested(1'000'000)).find("more than 200 levels") != std::string::npos);
  CHECK(run(std::string(1'000'000, '-') + "1").find("more than 200 levels") != std::string::npos);
  std::string nots, indexes = "depths", sum = "1", ands = "1", chain = "1";
  for (int i = 0; i < 100'000; ++i) {
    nots += "not ";
    indexes += "[0]";
    sum += "+1";
    ands += " and 1";
    chain += "<=1";
  }
  CHECK(run(nots + "1").find("more than 200 levels") != std::string::npos);
  CHECK(run(indexes).find("more than 200 levels") != std::string::npos);
  CHECK(run(sum) == "100001");
  CHECK(run(ands) == "1");
  CHECK(run(chain) == "1");
}

TEST_CASE("expression: knows what it uses") {
  World world;
  Diagnostics diagnostics;
  std::string source = "depths[\\1] + heads * heads + part + \\1 + get(sizes, i, later)";
  auto expression = Expression::parse(source, whole(source), world.scope(), diagnostics);
  REQUIRE(expression);
  CHECK(expression->variables() == std::vector<std::string>{"depths", "heads", "sizes", "later"});
  CHECK(expression->groups() == std::vector<int>{1, 2});
  CHECK(expression->text() == source);
}

TEST_CASE("expression: holds and evaluate_int") {
  World world;
  auto parse = [&](std::string source) {
    Diagnostics diagnostics;
    auto expression = Expression::parse(source, whole(source), world.scope(), diagnostics);
    REQUIRE(expression);
    return *expression;
  };
  CHECK(*parse("\\1").holds(world.bindings()));
  CHECK_FALSE(*parse("0").holds(world.bindings()));
  CHECK(show(parse("word").holds(world.bindings()).error()) ==
        "evaluation at 'word': the text 'abc', where a number is needed");
  CHECK(*parse("digits").evaluate_int(world.bindings()) == 42);
  CHECK_FALSE(parse("rate").evaluate_int(world.bindings()).ok());
}

TEST_CASE("values compare and describe themselves") {
  CHECK(Value{List{number(1)}} == Value{List{number(1)}});
  CHECK_FALSE(number(1) == text("1"));
  CHECK_FALSE(number(1) == Value{1.0});
  CHECK(describe(text("a\nb")) == "the text 'a\\x0ab'");
  CHECK(describe(Value{Map{{"a", number(1)}}}) == "a map of 1");
}

}  // namespace
}  // namespace regraft
