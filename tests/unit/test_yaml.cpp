#include <cmath>
#include <random>

#include "catch.h"
#include "text/yaml.h"

namespace regraft {
namespace {

struct Parsed {
  std::optional<yaml::Node> root;
  Diagnostics diagnostics;

  std::string errors() const {
    std::string out;
    for (const Diagnostic& item : diagnostics.items()) out += render(item, false);
    return out;
  }
};

Parsed parse(std::string text) {
  Parsed parsed;
  auto source = std::make_shared<SourceText>(SourceText{"s.yaml", std::move(text)});
  parsed.root = yaml::parse(source, parsed.diagnostics);
  return parsed;
}

std::string errors(std::string text) { return parse(std::move(text)).errors(); }

// One error of yaml-syntax, without its source line: "2:1: message | hint".
std::string only_error(std::string text) {
  Parsed parsed = parse(std::move(text));
  if (parsed.diagnostics.items().size() != 1) return parsed.errors();
  const Diagnostic& item = parsed.diagnostics.items()[0];
  CHECK(item.code == Code::yaml_syntax);
  std::string shown = std::to_string(item.where.line) + ":" + std::to_string(item.where.column) +
                      ": " + item.message;
  return item.hint.empty() ? shown : shown + " | " + item.hint;
}

yaml::Node value(std::string text) {
  Parsed parsed = parse("v: " + std::move(text));
  CHECK(parsed.errors().empty());
  REQUIRE(parsed.root);
  REQUIRE(parsed.root->find("v") != nullptr);
  return *parsed.root->find("v");
}

bool same(const yaml::Node& a, const yaml::Node& b) {
  if (a.kind != b.kind || a.text != b.text || a.quoted != b.quoted ||
      a.items.size() != b.items.size() || a.entries.size() != b.entries.size())
    return false;
  for (std::size_t i = 0; i < a.items.size(); ++i)
    if (!same(a.items[i], b.items[i])) return false;
  for (std::size_t i = 0; i < a.entries.size(); ++i)
    if (!same(a.entries[i].key, b.entries[i].key) || !same(a.entries[i].value, b.entries[i].value))
      return false;
  return true;
}

std::array<int, 3> place(const yaml::Node& node) {
  return {node.where.line, node.where.column, node.where.length};
}
using Place = std::array<int, 3>;

TEST_CASE("yaml: a tree in file order") {
  Parsed parsed = parse("b: [x, 'y', {k: ~}]\na:\n  - 1\n  - \"two\"\nc:\n");
  CHECK(parsed.errors().empty());
  REQUIRE(parsed.root);
  const yaml::Node& root = *parsed.root;
  REQUIRE(root.is_mapping());
  REQUIRE(root.entries.size() == 3);
  CHECK(root.entries[0].key.text == "b");
  CHECK(root.entries[0].value.items[0].text == "x");
  CHECK_FALSE(root.entries[0].value.items[0].quoted);
  CHECK(root.entries[0].value.items[1].quoted);
  CHECK(root.entries[0].value.items[2].find("k")->is_null());
  CHECK(root.find("a")->items[1].text == "two");
  CHECK(root.find("a")->items[1].quoted);
  CHECK(root.find("c")->is_null());
  CHECK(root.find("d") == nullptr);
}

TEST_CASE("yaml: scalars know their places") {
  Parsed parsed = parse(
      "\u00e9: \"\u00fc\" # \u00fc\n\u4e2d: [a, \u00e9, 'it''s']\nk: >-\n  folded\n  text\n"
      "l: plain\n  on\nm: \"a \\\" b\"\r\nn: null\no:\np: ~\nq:\n-\n- z\n-\n");
  CHECK(parsed.errors().empty());
  REQUIRE(parsed.root);
  const auto& entries = parsed.root->entries;
  CHECK(place(entries[0].key) == Place{1, 1, 2});  // columns and lengths are bytes
  CHECK(place(entries[0].value) == Place{1, 5, 4});
  CHECK(place(entries[1].key) == Place{2, 1, 3});
  CHECK(place(entries[1].value) == Place{2, 6, 1});
  CHECK(place(entries[1].value.items[1]) == Place{2, 10, 2});
  CHECK(place(entries[1].value.items[2]) == Place{2, 14, 7});
  CHECK(place(entries[2].value) == Place{3, 4, 2});
  CHECK(entries[2].value.text == "folded text");
  CHECK(place(entries[3].value) == Place{6, 4, 5});
  CHECK(entries[3].value.text == "plain on");
  CHECK(place(entries[4].value) == Place{8, 4, 8});
  CHECK(place(entries[5].value) == Place{9, 4, 4});
  CHECK(place(entries[6].value) == Place{10, 1, 1});  // nothing there: its key
  CHECK(place(entries[7].value) == Place{11, 4, 1});
  CHECK(place(entries[8].value.items[0]) == Place{13, 1, 1});  // its dash
  CHECK(place(entries[8].value.items[1]) == Place{14, 3, 1});
  CHECK(place(entries[8].value.items[2]) == Place{15, 1, 1});
}

TEST_CASE("yaml: a byte order mark is accepted and not counted") {
  Parsed parsed = parse(
      "\xEF\xBB\xBF"
      "a: b\n");
  CHECK(parsed.errors().empty());
  REQUIRE(parsed.root);
  CHECK(place(parsed.root->entries[0].value) == Place{1, 4, 1});
}

TEST_CASE("yaml: types are narrow") {
  for (std::string word : {"yes", "no", "on", "off", "True", "TRUE", "'true'", "y"})
    CHECK_FALSE(as_bool(value(word)));
  CHECK(as_bool(value("true")) == true);
  CHECK(as_bool(value("false")) == false);

  CHECK(as_int(value("010")) == 10);
  CHECK(as_int(value("-7")) == -7);
  CHECK(as_int(value("+7")) == 7);
  CHECK(as_int(value("9223372036854775807")) == INT64_MAX);
  CHECK(as_int(value("-9223372036854775808")) == INT64_MIN);
  for (std::string text : {"9223372036854775808", "0x10", "0o7", "1_000", "1.0", "1e3", "'1'",
                           "+-1", "-+1", "1 2", "12:30", "\"7\""})
    CHECK_FALSE(as_int(value(text)));

  CHECK(as_float(value("0.5")) == 0.5);
  CHECK(as_float(value("-.5")) == -0.5);
  CHECK(as_float(value("5.")) == 5.0);
  CHECK(as_float(value("1e-3")) == 1e-3);
  CHECK(as_float(value("3")) == 3.0);
  CHECK(as_float(value("-.inf")) == -INFINITY);
  CHECK(std::isnan(*as_float(value(".nan"))));
  for (std::string text :
       {"1e999", "0x1p3", "inf", "nan", "'0.5'", ".", "e5", "1e", "1.2.3", "--1"})
    CHECK_FALSE(as_float(value(text)));
}

TEST_CASE("yaml: null is ~ or null") {
  for (std::string text : {"~", "null", ""}) CHECK(value(text).is_null());
  for (std::string text : {"'~'", "\"null\"", "''", "nul", "nothing"})
    CHECK(value(text).is_scalar());
}

TEST_CASE("yaml: nodes describe themselves") {
  CHECK(describe(value("{a: b}")) == "a mapping");
  CHECK(describe(value("[a]")) == "a list");
  CHECK(describe(value("~")) == "null");
  CHECK(describe(value("true")) == "true");
  CHECK(describe(value("0.50")) == "the number 0.50");
  CHECK(describe(value("yes")) == "the text 'yes'");
  CHECK(describe(value("'3'")) == "the text '3'");
  CHECK(describe(value(std::string(100, 'x'))) == "the text '" + std::string(60, 'x') + "...'");
}

TEST_CASE("yaml: an empty file is null") {
  for (std::string text : {"", "# only a comment\n", "---\n", "\n\n", "---\n...\n"}) {
    Parsed parsed = parse(text);
    CHECK(parsed.errors().empty());
    REQUIRE(parsed.root);
    CHECK(parsed.root->is_null());
    CHECK(parsed.root->where.line >= 1);
  }
}

TEST_CASE("yaml: a duplicate key names the first") {
  Parsed parsed = parse("rules: 1\nb:\n  x: 1\n  'x': 2\nrules: 3\n");
  CHECK(parsed.errors() ==
        "s.yaml:4:3: error[duplicate-key]: the key 'x' is there twice\n"
        "      'x': 2\n"
        "      ^~~\n"
        "  hint: remove one, or give it another name\n"
        "s.yaml:3:3: note: it is first here\n"
        "s.yaml:5:1: error[duplicate-key]: the key 'rules' is there twice\n"
        "    rules: 3\n"
        "    ^~~~~\n"
        "  hint: remove one, or give it another name\n"
        "s.yaml:1:1: note: it is first here\n");
  REQUIRE(parsed.root);
  CHECK(parsed.root->find("rules")->text == "1");
  CHECK(parsed.root->entries.size() == 2);
  CHECK(parse("? a\n: 1\n\"\\x61\": 2\n").diagnostics.error_count() == 1);
}

TEST_CASE("yaml: what a spec may not have, all of it in one run") {
  Parsed parsed = parse("a: &x [1]\nb: *x\nc: !!str 5\nd: {<<: {k: v}, e: f}\ng: [*x, 2]\n");
  CHECK(parsed.errors() ==
        "s.yaml:1:4: error[yaml-syntax]: an anchor, which a spec may not use\n"
        "    a: &x [1]\n"
        "       ^~\n"
        "  hint: write the value out where it is used; text that begins with '&' goes in single"
        " quotes\n"
        "s.yaml:2:4: error[yaml-syntax]: an alias, which a spec may not use\n"
        "    b: *x\n"
        "       ^~\n"
        "  hint: write the value out; text that begins with '*' goes in single quotes\n"
        "s.yaml:3:4: error[yaml-syntax]: a tag, which a spec may not use\n"
        "    c: !!str 5\n"
        "       ^~~~~\n"
        "  hint: remove it; text that begins with '!' goes in single quotes\n"
        "s.yaml:4:5: error[yaml-syntax]: a merge key, which a spec may not use\n"
        "    d: {<<: {k: v}, e: f}\n"
        "        ^~\n"
        "  hint: write the entries out\n"
        "s.yaml:5:5: error[yaml-syntax]: an alias, which a spec may not use\n"
        "    g: [*x, 2]\n"
        "        ^~\n"
        "  hint: write the value out; text that begins with '*' goes in single quotes\n");
  REQUIRE(parsed.root);  // the rest is there for further checks
  CHECK(parsed.root->find("a")->items.size() == 1);
  CHECK(parsed.root->find("b") == nullptr);
  CHECK(parsed.root->find("d")->entries.size() == 1);
  CHECK(parsed.root->find("g")->items.size() == 1);
}

TEST_CASE("yaml: each kind of mistake has its words") {
  const std::string quotes =
      " | put text that begins with a special character, or has ': ' or ' #' in it, in single "
      "quotes";
  CHECK(only_error("a: ! b\n").starts_with("1:4: a tag"));
  CHECK(only_error("&k a: b\n").starts_with("1:1: an anchor"));
  CHECK(only_error("a: &x\nb: c\n").starts_with("1:1: an anchor") == false);
  CHECK(only_error("a: *nowhere\n").starts_with("1:4: an alias"));
  CHECK(only_error("'<<': a\n").empty());
  CHECK(
      only_error("a: 1\n---\nb: 2\n") ==
      "2:1: a second document begins here | a spec is one document: remove the line or indent it");
  CHECK(only_error("a: 1\n...\nb: 2\n") ==
        "3:1: a second document begins here | a spec is one document: remove the line '...' before "
        "it");
  CHECK(only_error("---\n---\n").starts_with("2:1: a second document"));
  CHECK(only_error("--- # first\na: 1\n...\n# end\n").empty());
  CHECK(only_error("%YAML 1.2\n---\na: 1\n") ==
        "1:1: a YAML directive, which a spec may not use | remove the line; text that begins with "
        "'%' goes in single quotes");
  CHECK(only_error("? [a]\n: b\n") ==
        "1:3: a list as a key | keys are text; text that begins with '{' or '[' goes in single "
        "quotes");
  CHECK(only_error("{a: b}: c\n").starts_with("1:1: a mapping as a key"));
  CHECK(only_error("null: b\n") == "1:1: null as a key | text goes in quotes: 'null'");
  CHECK(only_error("~: b\n").starts_with("1:1: null as a key"));
  CHECK(only_error(": b\n").starts_with("1:1: null as a key"));
  CHECK(only_error("a: [b, , c]\n") ==
        "1:8: nothing between two commas of a list | write '~' for an empty entry, or remove a "
        "comma");
  CHECK(
      only_error("a: \"\\d+\"\n") ==
      "1:5: an escape that double quotes do not have: '\\d' | in single quotes a backslash stands "
      "for itself: '\\d'");
  CHECK(only_error("a: \"\\ud800\"\n").find("an escape that is no character") != std::string::npos);
  CHECK(only_error("a: b: c\n") == "1:5: a ':' where no value can begin" + quotes);
  CHECK(only_error("a: 'b' c\n").find("this does not continue the mapping around it") !=
        std::string::npos);
  CHECK(only_error("a:\n  b: 1\n c: 2\n").starts_with("3:2: this does not continue the mapping"));
  CHECK(only_error("- a\nb: 1\n").starts_with("2:1: this is behind the end of the document"));
  CHECK(only_error("[a] b\n").starts_with("1:5: this is behind the end of the document"));
  CHECK(only_error("a: 'b").find("the file ends inside quotes") != std::string::npos);
  CHECK(only_error("a: 'b\n") ==
        "1:4: the quotes are not closed | end the text with the quote that it begins with; in "
        "single quotes, '' is a quote");
  CHECK(only_error("a: \"b\\\"\n\n").find("quotes") != std::string::npos);
  CHECK(only_error("a: 'b''\n c\n").starts_with("1:4: the quotes are not closed"));
  CHECK(only_error("a: 'b\n\n  c'\nd: \"x\\\n  y\"\n").empty());
  CHECK(only_error("a: [b, c\n").find("a ',' or the closing ']' is missing") != std::string::npos);
  CHECK(only_error("a: [b}\n").starts_with("1:6: a closing bracket that does not fit"));
  CHECK(only_error("a: @b\n") == "1:4: a character that cannot begin a value" + quotes);
  CHECK(only_error("a: - b\n").starts_with("1:4: a '-' where no list can begin"));
  CHECK(only_error("a:\n\tb: 1\n").find("indent with spaces") != std::string::npos);
  CHECK(only_error("a:\n  b: 1\n\tc: 2\n").find("indent with spaces") != std::string::npos);
}

TEST_CASE("yaml: bytes that no spec has") {
  CHECK(only_error(std::string("a: b\nc: 'd\0e'\n", 14)) ==
        "2:6: the control character U+0000 | remove it; a pattern finds it as \\xNN in single "
        "quotes");
  CHECK(only_error("a: \x1b[0m\n").starts_with("1:4: the control character U+001B"));
  CHECK(only_error("a: \x7f\n").starts_with("1:4: the control character U+007F"));
  CHECK(only_error("a: \u0085\n").starts_with("1:4: the control character U+0085"));
  CHECK(only_error("a: \u2028\n").starts_with("1:4: the line separator U+2028"));
  CHECK(only_error("\u00e9: \xff\n").starts_with("1:5: a byte that is not UTF-8"));
  CHECK(only_error("a: \xed\xa0\x80\n").starts_with("1:4: a byte that is not UTF-8"));
  CHECK(only_error("a: b\rc: d\r").starts_with("1:5: a carriage return that ends no line"));
  CHECK(
      only_error("a: \"\\0\"\n").starts_with("1:4: an escape gives the control character U+0000"));
  CHECK(only_error("a: \"\\e[2J\"\n").starts_with("1:4: an escape gives the control"));
  CHECK(value("\"a\\tb\\nc\"").text == "a\tb\nc");
}

TEST_CASE("yaml: 500 levels and no more") {
  // The document is a level, and the innermost value.
  auto nested = [](int lists) {
    return std::string(static_cast<std::size_t>(lists), '[') + "x" +
           std::string(static_cast<std::size_t>(lists), ']');
  };
  CHECK(errors(nested(498)).empty());
  CHECK(only_error(nested(499)).find("more than 500 levels of lists and mappings") !=
        std::string::npos);
  CHECK(only_error(nested(100'000)).find("more than 500 levels") != std::string::npos);
  std::string dashes;
  for (int i = 0; i < 100'000; ++i) dashes += "- ";
  CHECK(only_error(dashes + "x").find("more than 500 levels") != std::string::npos);
}

TEST_CASE("yaml: an alias bomb is a list of errors") {
  std::string text = "a: &a [x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c <= 'z'; ++c) {
    std::string last = std::string("*") + static_cast<char>(c - 1);
    text += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 9; ++i) text += (i > 0 ? ", " : "") + last;
    text += "]\n";
  }
  CHECK(parse(text).diagnostics.error_count() == 26 + 25 * 9);
}

TEST_CASE("yaml: a file over 16 MiB is refused unread") {
  CHECK(errors(std::string((16 << 20) + 1, 'x')) ==
        "s.yaml: error[yaml-syntax]: the file is larger than 16 MiB\n");
}

TEST_CASE("yaml: write gives what parse reads back") {
  std::string text =
      "a: b\n'on': \"\\t\"\nlist:\n- x\n- - y\n  - 'z'\n- {}\n- []\n- ~\n- k: v\n  l:\n  - m\n"
      "num: 010\nyes: 'yes'\n\"null\": null\n'~': '~'\ntext: |\n  two\n  lines\nfold: >\n  a\n  b\n"
      "re: '^layers\\.(\\d+)\\.''x'' {2}: # not'\nplain: a#b:c -d ?e\nempty: ''\n? long\n: w\n"
      "u: \u00e9\u4e2d\nbs: \"\\\\ \\\" \\u2028 \\uFEFF\"\nneg: -1\ncolon: 'a:'\n'#c': '#d'\n"
      "'- q': '? r'\nsp: ' lead'\ntr: 'trail '\nmark: '---'\n'<<': '<<'\n"
      "flow: {a: [1, {b: c}], d: 'e, f'}\n" +
      std::string(2000, 'k') + "x: 1\n";
  // YAML finds keys within 1024 bytes only, so the long one is marked.
  text.replace(text.rfind('\n' + std::string(2000, 'k')) + 1, 0, "? ");
  text.replace(text.rfind("x: 1"), 4, "x\n: 1");
  Parsed first = parse(text);
  CHECK(first.errors().empty());
  REQUIRE(first.root);
  std::string written = yaml::write(*first.root);
  Parsed second = parse(written);
  CHECK(second.errors().empty());
  REQUIRE(second.root);
  CHECK(same(*first.root, *second.root));
  CHECK(yaml::write(*second.root) == written);
}

TEST_CASE("yaml: write is block style") {
  Parsed parsed =
      parse("{regraft: 1, rules: [{drop: ['a\\.b', c]}, {rename: {'^m\\.': ''}}], v: [[1], {}]}");
  REQUIRE(parsed.root);
  CHECK(yaml::write(*parsed.root) ==
        "regraft: 1\n"
        "rules:\n"
        "  - drop:\n"
        "      - 'a\\.b'\n"
        "      - c\n"
        "  - rename:\n"
        "      '^m\\.': ''\n"
        "v:\n"
        "  - - 1\n"
        "  - {}\n");
}

TEST_CASE("yaml: any text survives write and parse") {
  std::mt19937 random(7);
  const std::string letters = " \t\n:#-?,[]{}&*!|>'\"%@`~a1.\\<=n";
  for (int round = 0; round < 3000; ++round) {
    yaml::Node root;
    root.kind = yaml::Node::Kind::mapping;
    yaml::Node key, list;
    key.kind = yaml::Node::Kind::scalar;
    list.kind = yaml::Node::Kind::sequence;
    key.quoted = random() % 2 == 0;
    for (int i = 0; i < 3; ++i) {
      yaml::Node item;
      item.kind = yaml::Node::Kind::scalar;
      item.quoted = random() % 2 == 0;
      for (std::size_t length = random() % 6; length > 0; --length)
        item.text += letters[random() % letters.size()];
      list.items.push_back(item);
      key.text += item.text;
    }
    root.entries.push_back({key, list});
    std::string written = yaml::write(root);
    CAPTURE(written);
    Parsed parsed = parse(written);
    REQUIRE(parsed.errors().empty());
    REQUIRE(parsed.root->entries.size() == 1);
    REQUIRE(parsed.root->entries[0].key.text == key.text);
    REQUIRE(parsed.root->entries[0].value.items.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
      const yaml::Node& read = parsed.root->entries[0].value.items[i];
      REQUIRE(read.is_scalar());
      REQUIRE(read.text == list.items[i].text);
      if (list.items[i].quoted) REQUIRE(read.quoted);
    }
  }
}

}  // namespace
}  // namespace regraft
