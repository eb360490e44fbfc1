#include "catch.h"
#include "text/expression.h"

namespace regraft {
namespace {

struct World {
  explicit World(std::string_view name = "layers.3.blocks.05.attn") {
    Diagnostics diagnostics;
    pattern =
        Pattern::compile(R"(^layers\.(\d+)\.blocks\.(?P<block>\d+)(\.nothing)?)", {}, diagnostics);
    found = *pattern->find(name);
    variables["depths"].value = Value{List{Value{std::int64_t{0}}, Value{std::int64_t{2}},
                                           Value{std::int64_t{4}}, Value{std::int64_t{10}}}};
    variables["minus"].value = Value{std::int64_t{-1}};
    variables["rate"].value = Value{0.5};
    variables["word"].value = Value{std::string("w")};
  }
  Scope scope() const { return {.variables = &variables, .pattern = &*pattern}; }
  Bindings bindings() const { return {.variables = &variables, .found = &found}; }
  std::optional<Pattern> pattern;
  Found found;
  Variables variables;
};

// A spec of one line, and the place of its quoted scalar.
Location quoted_scalar(const std::string& text) {
  Location where;
  where.text = std::make_shared<SourceText>(SourceText{"s.yaml", "to: '" + text + "'"});
  where.line = 1;
  where.column = 5;
  where.length = static_cast<int>(text.size()) + 2;
  return where;
}

std::string show(const Diagnostic& item) {
  std::string out = std::string(info(item.code).name) + " at '" +
                    item.where.text->text.substr(static_cast<std::size_t>(item.where.column - 1),
                                                 static_cast<std::size_t>(item.where.length)) +
                    "': " + item.message;
  return item.hint.empty() ? out : out + " | " + item.hint;
}

std::string expand(const std::string& text) {
  World world;
  Diagnostics diagnostics;
  auto parsed = Template::parse(text, quoted_scalar(text), world.scope(), diagnostics);
  CHECK(parsed.has_value() == diagnostics.items().empty());
  if (!parsed) {
    std::string all;
    for (const Diagnostic& item : diagnostics.items())
      all += (all.empty() ? "" : "\n") + show(item);
    return all;
  }
  Result<std::string> result = parsed->expand(world.bindings());
  return result.ok() ? *result : show(result.error());
}

TEST_CASE("template: text, captures, expressions") {
  const std::pair<const char*, const char*> table[] = {
      {"", ""},
      {"a.b", "a.b"},
      {"\\0", "layers.3.blocks.05"},
      {"x\\1y", "x3y"},
      {"\\12", "32"},
      {"\\2", "05"},
      {"[\\3]", "[]"},
      {"{block}", "05"},
      {"{block + 0}", "5"},
      {"blocks.{depths[\\1] + block}.", "blocks.15."},
      {"{ 1 }{2}", "12"},
      {"{{x}}", "{x}"},
      {"{{{word}}}", "{w}"},
      {"\\\\1", "\\1"},
      {"\\\\\\1", "\\3"},
      {"$1.%s", "$1.%s"},
      {"\u00e9", "\u00e9"},
  };
  for (const auto& [text, expected] : table) {
    CAPTURE(text);
    CHECK(expand(text) == expected);
  }
}

TEST_CASE("template: mistakes show the right spelling") {
  const std::pair<const char*, const char*> table[] = {
      {"a\\.b",
       "bad-template at '\\.': '\\.' is not an escape of `to` | only patterns need the "
       "backslash: write '.'"},
      {"\\d",
       "bad-template at '\\d': '\\d' is not an escape of `to` | captures are \\0 to \\9; a "
       "backslash is written twice: '\\\\d'"},
      {"\\{", "bad-template at '\\{': '\\{' is not an escape of `to` | write '{{' for a brace"},
      {"\\g<1>",
       "bad-template at '\\g': '\\g' is not an escape of `to` | a named capture is {name}"},
      {"\\\u00e9",
       "bad-template at '\\\u00e9': '\\\u00e9' is not an escape of `to` | only patterns "
       "need the backslash: write '\u00e9'"},
      {"a\\",
       "bad-template at '\\': a single backslash at the end | a backslash is written twice: "
       "'\\\\'"},
      {"a}",
       "bad-template at '}': a closing brace without an opening one | '}}' stands for a brace"},
      {"a{b",
       "bad-template at '{': the brace is not closed | '{{' stands for a brace; patterns are "
       "not expanded"},
      {"\\4",
       "bad-template at '\\4': \\4, but the pattern has 3 captures | parentheses in the "
       "pattern capture: (\\d+)"},
      {"{}", "bad-expression at '}': an empty expression"},
      {"{1,3}", "bad-expression at ',': unexpected ','"},
      {"x{blokc}",
       "unknown-name at 'blokc': no capture or variable is named 'blokc' | did you mean "
       "'block'?"},
      {"\\.{x}\\4}",
       "bad-template at '\\.': '\\.' is not an escape of `to` | only patterns need the backslash: "
       "write '.'\n"
       "unknown-name at 'x': no capture or variable is named 'x' | declare it under `vars:`, or "
       "name "
       "a capture: (?P<x>...)\n"
       "bad-template at '\\4': \\4, but the pattern has 3 captures | parentheses in the pattern "
       "capture: (\\d+)\n"
       "bad-template at '}': a closing brace without an opening one | '}}' stands for a brace"},
  };
  for (const auto& [text, expected] : table) {
    CAPTURE(text);
    CHECK(expand(text) == expected);
  }
}

TEST_CASE("template: what fails for a tensor") {
  CHECK(expand("a{minus}") ==
        "evaluation at 'minus': the number -1 in a name | numbers in names are not negative");
  CHECK(expand("{depths}") ==
        "evaluation at 'depths': a list of 4 in a name | a name takes text and integers");
  CHECK(expand("{rate}") ==
        "evaluation at 'rate': the number 0.5 in a name | a name takes text and integers");
  CHECK(expand("a.{depths[\\1 + 1]}").starts_with("evaluation at '[\\1 + 1]': the index 4"));
}

TEST_CASE("template: an error shows its place in the spec") {
  World world;
  Diagnostics diagnostics;
  Location where = quoted_scalar("it''s.{head}");
  CHECK_FALSE(Template::parse("it's.{head}", where, world.scope(), diagnostics));
  CHECK(render(diagnostics.items()[0], false) ==
        "s.yaml:1:13: error[unknown-name]: no capture or variable is named 'head'\n"
        "    to: 'it''s.{head}'\n"
        "                ^~~~\n"
        "  hint: declare it under `vars:`, or name a capture: (?P<head>...)\n");
}

TEST_CASE("template: knows what it uses") {
  World world;
  Diagnostics diagnostics;
  auto parse = [&](std::string text) {
    return *Template::parse(text, quoted_scalar(text), world.scope(), diagnostics);
  };
  Template used = parse("\\2.{depths[\\1] + block}.{word}{depths[0]}");
  CHECK(used.variables() == std::vector<std::string>{"depths", "word"});
  CHECK(used.groups() == std::vector<int>{1, 2});
  CHECK(used.text() == "\\2.{depths[\\1] + block}.{word}{depths[0]}");
  CHECK(used.literal() == std::nullopt);
  CHECK(parse("a{{\\\\").literal() == "a{\\");
  CHECK(parse("").literal() == "");
}

}  // namespace
}  // namespace regraft
