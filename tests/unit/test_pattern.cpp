#include <random>

#include "catch.h"
#include "text/pattern.h"

namespace regraft {
namespace {

Pattern pattern(std::string text) {
  Diagnostics diagnostics;
  std::optional<Pattern> compiled = Pattern::compile(std::move(text), {}, diagnostics);
  REQUIRE(compiled);
  CHECK(diagnostics.items().empty());
  return *compiled;
}

// The error for a pattern in single quotes in the first line of a spec.
std::string error_of(std::string text) {
  Location where;
  where.text = std::make_shared<SourceText>(SourceText{"s.yaml", "keep: '" + text + "'\n"});
  where.line = 1;
  where.column = 7;
  where.length = static_cast<int>(text.size()) + 2;
  Diagnostics diagnostics;
  CHECK_FALSE(Pattern::compile(text, where, diagnostics));
  REQUIRE(diagnostics.items().size() == 1);
  CHECK(diagnostics.items()[0].code == Code::bad_pattern);
  return render(diagnostics.items()[0], false);
}

std::string found(const Pattern& p, std::string_view name, std::size_t start = 0) {
  std::optional<Found> at = p.find(name, start);
  if (!at) return "none";
  CHECK(at->groups.size() == static_cast<std::size_t>(p.group_count()) + 1);
  CHECK(at->groups[0] == name.substr(at->begin, at->end - at->begin));
  std::string out = std::to_string(at->begin) + "-" + std::to_string(at->end);
  for (std::size_t i = 1; i < at->groups.size(); ++i) out += " " + std::string(at->groups[i]);
  return out;
}

TEST_CASE("pattern: found anywhere, with its groups") {
  Pattern p = pattern(R"(\.(\d+)\.(?P<part>q|k)(x)?)");
  CHECK(p.group_count() == 3);
  CHECK(p.group_names() == std::vector<std::pair<std::string, int>>{{"part", 2}});
  CHECK(p.text() == R"(\.(\d+)\.(?P<part>q|k)(x)?)");
  CHECK_FALSE(p.is_literal());
  CHECK(p.found_in("a.12.q"));
  CHECK_FALSE(p.found_in("a.12.v"));
  CHECK(found(p, "a.12.q.3.kx") == "1-6 12 q ");
  CHECK(found(p, "a.12.q.3.kx", 2) == "6-11 3 k x");
  CHECK(found(p, "a.12.q", 99) == "none");
}

TEST_CASE("pattern: anchors mean the name, from any start") {
  CHECK(found(pattern("^a"), "aa", 1) == "none");
  CHECK(found(pattern("a$"), "aa") == "1-2");
  CHECK(found(pattern("a$"), "a\n") == "none");  // the very end
  CHECK(found(pattern(R"(\ba)"), "ba", 1) == "none");
  CHECK(found(pattern("x*"), "ab", 2) == "2-2");
  CHECK(found(pattern("^"), "") == "0-0");
  CHECK(found(pattern("a|ab"), "ab") == "0-1");  // leftmost, then the first written
}

TEST_CASE("pattern: names are bytes") {
  CHECK(found(pattern("^.$"), "\xff") == "0-1");
  CHECK(found(pattern("^..$"), "\u00e9") == "0-2");
  CHECK(found(pattern("\u00e9$"), "caf\u00e9") == "3-5");
  CHECK(found(pattern(R"(\xff\x00)"), std::string_view("a\xff\0b", 4)) == "1-3");
}

TEST_CASE("pattern: a literal matches its name only") {
  Pattern p = Pattern::literal("a.b(");
  CHECK(p.is_literal());
  CHECK(p.group_count() == 0);
  CHECK(p.found_in("a.b("));
  CHECK_FALSE(p.found_in("xa.b("));
  CHECK_FALSE(p.found_in("axb("));
  CHECK(found(p, "a.b(") == "0-4");
  CHECK(found(p, "a.b(", 1) == "none");
  CHECK(found(Pattern::literal(""), "") == "0-0");
}

TEST_CASE("pattern: errors point into the pattern and name the way without") {
  CHECK(
      error_of(R"(^a(?!\.b)c)") ==
      "s.yaml:1:10: error[bad-pattern]: RE2 cannot read the pattern: invalid perl operator '(?!'\n"
      "    keep: '^a(?!\\.b)c'\n"
      "             ^~~\n"
      "  hint: RE2 has no lookahead; `unless:` takes the names out that this would\n");
  CHECK(error_of(R"((a)\\\1)") ==
        "s.yaml:1:13: error[bad-pattern]: RE2 cannot read the pattern: invalid escape sequence "
        "'\\1'\n"
        "    keep: '(a)\\\\\\1'\n"
        "                ^~\n"
        "  hint: RE2 has no backreferences; capture both and compare them: `when: '\\1 == \\2'`\n");
  CHECK(error_of("(?<n>a)").find("hint: a named group is (?P<name>...)") != std::string::npos);
  CHECK(error_of("a(?=b)").find("RE2 has no lookahead") != std::string::npos);
  CHECK(error_of("(?<=a)b").find("RE2 has no lookbehind") != std::string::npos);
  CHECK(error_of("(?<!a)b").find("RE2 has no lookbehind") != std::string::npos);
  CHECK(error_of("a{1001}").find("a count is at most 1000") != std::string::npos);
  CHECK(error_of("((((.{100}){100}){100}){100})").find("a count is at most 1000") !=
        std::string::npos);
  std::string large;
  for (int i = 0; i < 300; ++i) large += "[^a]{1000}";
  CHECK(error_of(large).find("pattern too large") != std::string::npos);
  CHECK(error_of("a(b").find("missing )") != std::string::npos);
  CHECK(error_of("a[b").starts_with("s.yaml:1:9: "));
  CHECK(error_of("*a").starts_with("s.yaml:1:8: "));
  CHECK(error_of("(?P<n>a)(?P<n>b)").find("'n'") != std::string::npos);
  // RE2 quotes Latin-1 as UTF-8; the caret and the text are those of the file.
  CHECK(error_of("\u00e9[\u00e9").find("'[\u00e9'") != std::string::npos);
}

std::size_t one_by_one(const std::vector<Pattern>& patterns, std::string_view name,
                       std::size_t from) {
  for (std::size_t i = from; i < patterns.size(); ++i)
    if (patterns[i].found_in(name)) return i;
  return PatternSet::npos;
}

TEST_CASE("pattern set: the first in written order, from any index") {
  PatternSet set({pattern("b"), Pattern::literal("ab"), pattern("a"), Pattern::literal("ab"),
                  pattern("^ab$")});
  CHECK(set.first_match("ab") == 0);
  CHECK(set.first_match("ab", 1) == 1);
  CHECK(set.first_match("ab", 2) == 2);
  CHECK(set.first_match("ab", 3) == 3);
  CHECK(set.first_match("ab", 4) == 4);
  CHECK(set.first_match("ab", 5) == PatternSet::npos);
  CHECK(set.first_match("ca") == 2);
  CHECK(set.first_match("x") == PatternSet::npos);
  CHECK(PatternSet({}).first_match("x") == PatternSet::npos);
  CHECK(PatternSet({Pattern::literal("x")}).first_match("x") == 0);
}

TEST_CASE("pattern set: equal answers with any memory") {
  std::mt19937 random(3);
  std::vector<Pattern> patterns;
  for (int i = 0; i < 400; ++i) {
    std::string n = std::to_string(random() % 60), m = std::to_string(random() % 9);
    switch (random() % 9) {
      case 0:
        patterns.push_back(pattern("^layers\\." + n + "\\."));
        break;
      case 5:
        patterns.push_back(pattern("^layers\\." + n + "\\.m" + m));
        break;
      case 6:
        patterns.push_back(pattern("^layers\\." + n + "\\.m" + m + "7|q1" + m + "$"));
        break;
      case 7:
        patterns.push_back(pattern("(?i)^LAYERS\\." + n + "\\.M" + m));
        break;
      case 1:
        patterns.push_back(pattern("\\.m" + n + ".*" + m + "$"));
        break;
      case 2:
        patterns.push_back(pattern("(\\d+)\\.m" + n + "\\.(?P<x>[0-9]*" + m + ")?q"));
        break;
      case 3:
        patterns.push_back(pattern(m + ".*" + n + ".*q.*" + m));
        break;
      case 4:
        patterns.push_back(pattern("\\b" + n + "\\b.*\\bq" + m));
        break;
      default:
        patterns.push_back(Pattern::literal("layers." + n + ".m" + m + ".q1"));
        break;
    }
  }
  PatternSet roomy(patterns), tight(patterns, 300'000), tiny(patterns, 20'000), none(patterns, 1);
  for (int i = 0; i < 4000; ++i) {
    std::string name = "layers." + std::to_string(random() % 70) + ".m" +
                       std::to_string(random() % 70) + ".q" + std::to_string(random() % 20);
    std::size_t from = i % 2 == 0 ? 0 : random() % 410;
    std::size_t expected = one_by_one(patterns, name, from);
    CAPTURE(name, from);
    REQUIRE(roomy.first_match(name, from) == expected);
    REQUIRE(tight.first_match(name, from) == expected);
    REQUIRE(tiny.first_match(name, from) == expected);
    REQUIRE(none.first_match(name, from) == expected);
  }
}

TEST_CASE("what every name begins with in which a pattern is found") {
  CHECK(pattern("^layers\\.1\\.").prefix() == "layers.1.");
  CHECK(pattern("^layers\\.1\\.x?").prefix() == "layers.1.");
  CHECK(pattern("^abc$").prefix() == "abc");
  CHECK(Pattern::literal("a.b").prefix() == "a.b");
  for (const char* text :
       {"abc", "^abc|d", "^(?:abc)?", "(?m)^abc", "(?i)^abc", "^", "^.*abc", "$", "^[a-z]bc",
        "^*abc", "^?abc", "^{0,1}abc", "^abc|^abcd", "a^abc", "^ab(c|d)"})
    CHECK(pattern(text).prefix() == "");
  const std::string many(200, 'a');
  CHECK(many.starts_with(pattern("^" + many).prefix()));
  CHECK(pattern("^\\xff\\xffa").prefix() ==
        "\xff\xff"
        "a");
}

TEST_CASE("pattern set: prefixes that few, many and too many lengths have") {
  std::vector<Pattern> patterns;
  for (int i = 0; i < 40; ++i) {
    patterns.push_back(pattern("^" + std::string(static_cast<std::size_t>(i % 20) + 1, 'a') + "b" +
                               std::to_string(i)));
    patterns.push_back(pattern("^same\\." + std::string(i % 2 ? "" : ".*") + std::to_string(i)));
    patterns.push_back(pattern(i % 3 ? "^few\\." : "w\\." + std::to_string(i)));
  }
  const PatternSet set(patterns);
  for (std::size_t from = 0; from <= patterns.size(); ++from)
    for (int i = 0; i < 40; ++i)
      for (const std::string& name :
           {std::string(static_cast<std::size_t>(i % 20) + 1, 'a') + "b" + std::to_string(i),
            "same." + std::to_string(i), "same.x" + std::to_string(i), "few." + std::to_string(i),
            std::string()})
        if (set.first_match(name, from) != one_by_one(patterns, name, from))
          FAIL(name << " from " << from);
}

TEST_CASE("pattern set: a hundred thousand literals") {
  std::vector<Pattern> patterns;
  for (int i = 0; i < 100'000; ++i) patterns.push_back(Pattern::literal("t" + std::to_string(i)));
  PatternSet set(std::move(patterns));
  for (int i = 0; i < 100'000; ++i)
    if (set.first_match("t" + std::to_string(i)) != static_cast<std::size_t>(i)) FAIL(i);
}

}  // namespace
}  // namespace regraft
