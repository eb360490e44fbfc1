#include "base/diagnostic.h"
#include "catch.h"

namespace regraft {
namespace {

Location place(std::string text, int line, int column, int length = 1) {
  Location where;
  where.text = std::make_shared<SourceText>(SourceText{"spec.yaml", std::move(text)});
  where.line = line;
  where.column = column;
  where.length = length;
  return where;
}

std::string shown(Location where, std::string message = "wrong") {
  return render(error(Code::unknown_key, std::move(where), std::move(message)), false);
}

TEST_CASE("an error shows its line, a caret, the hint and the notes") {
  Location where = place("rules:\r\n  - renam: a\r\n", 2, 5, 5);
  Diagnostic diagnostic =
      error(Code::unknown_key, where, "unknown key 'renam'", "did you mean 'rename'?");
  diagnostic.notes.push_back({place("rules:", 1, 1), "in this list"});
  CHECK(render(diagnostic, false) ==
        "spec.yaml:2:5: error[unknown-key]: unknown key 'renam'\n"
        "      - renam: a\n"
        "        ^~~~~\n"
        "  hint: did you mean 'rename'?\n"
        "spec.yaml:1:1: note: in this list\n");
  CHECK(render(diagnostic, true) ==
        "\x1b[1mspec.yaml:2:5:\x1b[m \x1b[1;31merror[unknown-key]:\x1b[m unknown key 'renam'\n"
        "      - renam: a\n"
        "    \x1b[1;32m    ^~~~~\x1b[m\n"
        "  \x1b[36mhint:\x1b[m did you mean 'rename'?\n"
        "\x1b[1mspec.yaml:1:1:\x1b[m \x1b[36mnote:\x1b[m in this list\n");
}

TEST_CASE("a warning says so") {
  CHECK(render(warning(Code::unused_rule, place("a", 1, 1), "nothing matches"), false) ==
        "spec.yaml:1:1: warning[unused-rule]: nothing matches\n    a\n    ^\n");
}

TEST_CASE("a binary file's place is an offset and a key") {
  CHECK(render(error(Code::zip_corrupt, file_location("m.pt", 4096, "archive/data/0"), "no header"),
               false) ==
        "m.pt: error[zip-corrupt]: at offset 4096, in 'archive/data/0': no header\n");
  CHECK(render(error(Code::file_open, file_location("m.pt"), "no such file"), false) ==
        "m.pt: error[file-open]: no such file\n");
  CHECK(render(error(Code::checksum, file_location("m.pt", {}, "a\nb"), "x"), false) ==
        "m.pt: error[checksum]: in 'a\\x0ab': x\n");
  CHECK(render(error(Code::usage, {}, "no spec given"), false) == "error[usage]: no spec given\n");
}

TEST_CASE("a whole file has no line") {
  CHECK(shown(place("a: 1\n", 0, 0)) == "spec.yaml: error[unknown-key]: wrong\n");
}

TEST_CASE("the caret stands under its column") {
  SECTION("after tabs") {
    CHECK(shown(place("\ta:\tb", 1, 5)) ==
          "spec.yaml:1:5: error[unknown-key]: wrong\n    \ta:\tb\n    \t  \t^\n");
  }
  SECTION("after multibyte and wide characters") {
    CHECK(shown(place("\u00e9\u4e2d: b", 1, 8)) ==
          "spec.yaml:1:8: error[unknown-key]: wrong\n    \u00e9\u4e2d: b\n         ^\n");
  }
  SECTION("under a multibyte word") {
    CHECK(shown(place("a: \u00e9\u00e9", 1, 4, 4)) ==
          "spec.yaml:1:4: error[unknown-key]: wrong\n    a: \u00e9\u00e9\n       ^~\n");
  }
  SECTION("past the end of the line") {
    CHECK(shown(place("ab\ncd", 1, 9, 5)) ==
          "spec.yaml:1:9: error[unknown-key]: wrong\n    ab\n      ^\n");
  }
  SECTION("past the end of the text") {
    CHECK(shown(place("ab\n", 7, 3)) == "spec.yaml:7:3: error[unknown-key]: wrong\n    \n    ^\n");
  }
  SECTION("no further than the line") {
    CHECK(shown(place("ab\ncd", 1, 2, 50)) ==
          "spec.yaml:1:2: error[unknown-key]: wrong\n    ab\n     ^\n");
  }
  SECTION("under an escaped control character") {
    CHECK(shown(place("a\x1b[2Jb", 1, 2)) ==
          "spec.yaml:1:2: error[unknown-key]: wrong\n    a\\x1b[2Jb\n     ^~~~\n");
  }
}

TEST_CASE("a byte order mark is neither shown nor counted") {
  CHECK(shown(place("\xef\xbb\xbf"
                    "ab\ncd",
                    1, 2)) == "spec.yaml:1:2: error[unknown-key]: wrong\n    ab\n     ^\n");
}

TEST_CASE("a long line is cut around the caret") {
  std::string line = std::string(300, 'a') + "!" + std::string(300, 'b');
  CHECK(shown(place(line, 1, 301)) ==
        "spec.yaml:1:301: error[unknown-key]: wrong\n"
        "    ..." +
            std::string(60, 'a') + "!" + std::string(59, 'b') +
            "...\n"
            "       " +
            std::string(60, ' ') + "^\n");
  CHECK(shown(place(line, 1, 1)) ==
        "spec.yaml:1:1: error[unknown-key]: wrong\n    " + std::string(120, 'a') + "...\n    ^\n");
  CHECK(shown(place(line, 1, 602)) == "spec.yaml:1:602: error[unknown-key]: wrong\n    ..." +
                                          std::string(120, 'b') + "\n       " +
                                          std::string(120, ' ') + "^\n");
  // Cut between characters, not inside one.
  std::string wide;
  for (int i = 0; i < 200; ++i) wide += "\u00e9";
  CHECK(shown(place("a" + wide, 1, 402)).find("\\x") == std::string::npos);
}

TEST_CASE("printable escapes what a terminal acts on") {
  CHECK(printable("a.b_c-d \\ \u00e9 \u4e2d") == "a.b_c-d \\ \u00e9 \u4e2d");
  CHECK(printable(std::string_view("\0\t\n\r\x1b\x7f", 6)) == "\\x00\\x09\\x0a\\x0d\\x1b\\x7f");
  CHECK(printable("\xc3(\xff") == "\\xc3(\\xff");
  CHECK(printable("\u009b2J") == "\\xc2\\x9b2J");       // a control sequence in one character
  CHECK(printable("a\u202eb") == "a\\xe2\\x80\\xaeb");  // right to left from here
  CHECK(printable("a\u2066b\u200b") == "a\\xe2\\x81\\xa6b\\xe2\\x80\\x8b");
  CHECK(quoted("a\nb") == "'a\\x0ab'");
  std::string twice = printable("\x1b\xff");
  CHECK(printable(twice) == twice);
}

TEST_CASE("messages of untrusted text stay on their line; hints may have several") {
  CHECK(render(error(Code::usage, {}, "a\nerror: b", "one\ntwo\x1b"), false) ==
        "error[usage]: a\\x0aerror: b\n  hint: one\n        two\\x1b\n");
}

TEST_CASE("the exit status is that of the gravest error") {
  Diagnostics diagnostics;
  CHECK(diagnostics.exit_status() == 0);
  diagnostics.add(warning(Code::file_open, {}, "w"));
  CHECK_FALSE(diagnostics.has_errors());
  CHECK(diagnostics.exit_status() == 0);
  diagnostics.add(error(Code::count_unmet, {}, "e"));
  CHECK(diagnostics.exit_status() == 1);
  diagnostics.add(error(Code::zip_corrupt, {}, "e"));
  diagnostics.add(error(Code::bad_pattern, {}, "e"));
  CHECK(diagnostics.exit_status() == 3);
  diagnostics.add(error(Code::interrupted, {}, "e"));
  CHECK(diagnostics.exit_status() == 130);
  CHECK(diagnostics.error_count() == 4);
  CHECK(diagnostics.items().size() == 5);
}

}  // namespace
}  // namespace regraft
