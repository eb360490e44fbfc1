#include <set>

#include "base/code.h"
#include "base/name_table.h"
#include "base/nearest.h"
#include "base/result.h"
#include "base/utf8.h"
#include "catch.h"

namespace regraft {
namespace {

TEST_CASE("codes have unique names and a known exit status") {
  std::set<std::string_view> names;
  for (const CodeInfo& code : all_codes()) {
    CAPTURE(std::string(code.name));
    CHECK(names.insert(code.name).second);
    CHECK(&info(code.code) == &code);
    CHECK((code.exit_status >= 1 && (code.exit_status <= 3 || code.exit_status == 130)));
    CHECK(code.meaning.ends_with('.'));
    CHECK(code.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz-") == std::string_view::npos);
  }
}

TEST_CASE("nearest finds slips only") {
  constexpr std::string_view kVerbs[] = {"rename", "reshape", "rearrange", "drop", "cat", "cast"};
  CHECK(nearest("renmae", kVerbs) == "rename");  // a swap of neighbours is one edit
  CHECK(nearest("renam", kVerbs) == "rename");
  CHECK(nearest("drops", kVerbs) == "drop");
  CHECK(nearest("caat", kVerbs) == "cat");  // "cast" is as near; the first wins
  CHECK(nearest("delete", kVerbs).empty());
  CHECK(nearest("", kVerbs).empty());
  CHECK(nearest("x", kVerbs).empty());
  CHECK(nearest(std::string(100'000, 'r'), kVerbs).empty());
  constexpr std::string_view kLetters[] = {"w", "ab"};
  CHECK(nearest("h", kLetters).empty());  // nothing in common
  CHECK(nearest("a", kLetters) == "ab");
}

TEST_CASE("nearest gives several, by distance and then by their order") {
  using Names = std::vector<std::string_view>;
  constexpr std::string_view kNames[] = {"layer.2.weight", "layer.10.weight",
                                         "layer.1.bias",   "layer.1.weight",
                                         "head",           "layer.3.weight"};
  CHECK(nearest("layer.1.wieght", kNames, 3) ==
        Names{"layer.1.weight", "layer.2.weight", "layer.10.weight"});
  CHECK(nearest("layer.1.weight", kNames, 1) == Names{"layer.1.weight"});
  CHECK(nearest("layer.1.weight", kNames, 9).size() == 4);  // bias is too far
  CHECK(nearest("layer.1.weight", kNames, 0).empty());
  CHECK(nearest("nothing like it", kNames, 3).empty());
}

TEST_CASE("utf8 is read strictly") {
  CHECK(utf8_at("a", 0).code_point == U'a');
  CHECK(utf8_at("x\u00e9", 1).code_point == 0xE9);
  CHECK(utf8_at("\U0001F600", 0).length == 4);
  CHECK(utf8_at("\xF4\x8F\xBF\xBF", 0).code_point == 0x10FFFF);
  for (std::string_view broken :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82", "\xC3", "\xC3\x28", "\xFF"})
    CHECK(utf8_at(broken, 0).length == 0);
  CHECK(find_invalid_utf8("na\u00efve") == std::string_view::npos);
  CHECK(find_invalid_utf8("ab\xC3") == 2);
}

Result<int> half(int number) {
  if (number % 2 != 0) return error(Code::evaluation, {}, "odd");
  return number / 2;
}

Result<int> quarter(int number) {
  REGRAFT_TRY(int first, half(number));
  return half(first);
}

TEST_CASE("results pass errors on") {
  CHECK(*quarter(8) == 2);
  CHECK(quarter(6).error().message == "odd");
  CHECK(quarter(3).error().code == Code::evaluation);
}

TEST_CASE("names by their hash") {
  std::vector<std::string> names;
  for (int i = 0; i < 5000; ++i)
    names.push_back(std::string(static_cast<std::size_t>(i % 40), 'x') + std::to_string(i));
  const auto name_of = [&](std::uint32_t one) -> std::string_view { return names[one]; };
  for (NameTable table : {NameTable(), NameTable(names.size())}) {
    CHECK(table.find("x", name_of) == NameTable::kNone);
    for (std::uint32_t i = 0; i < names.size(); ++i) REQUIRE(table.put(names[i], i, name_of) == i);
    for (std::uint32_t i = 0; i < names.size(); ++i) {
      REQUIRE(table.put(names[i], 7, name_of) == i);
      REQUIRE(table.find(names[i], name_of) == i);
    }
    CHECK(table.find("no such name", name_of) == NameTable::kNone);
    names.push_back(names[3]);  // another tensor of that name takes its place
    table.put(names[3], 0, name_of) = 5000;
    CHECK(table.find(names[3], name_of) == 5000);
    names.pop_back();
  }
  NameSet seen;
  CHECK(seen.empty());
  for (const std::string& name : names) REQUIRE(seen.insert(name));
  for (const std::string& name : names) REQUIRE_FALSE(seen.insert(name));
  CHECK(seen.insert(""));
  CHECK_FALSE(seen.insert(""));
}

}  // namespace
}  // namespace regraft
