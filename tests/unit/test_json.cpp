#include <cmath>

#include "catch.h"
#include "text/json.h"

namespace regraft {
namespace {

json::Options options() {
  json::Options result;
  result.file = "x.json";
  return result;
}

std::string error_of(std::string_view text, const json::Options& with = options()) {
  Result<json::Value> result = json::parse(text, with);
  if (result.ok()) return "";
  CHECK(result.error().code == with.code);
  std::string shown = render(result.error(), false);
  std::string prefix = "x.json: error[json-corrupt]: ";
  return shown.starts_with(prefix) ? shown.substr(prefix.size(), shown.size() - prefix.size() - 1)
                                   : shown;
}

TEST_CASE("json: a tree in file order with exact numbers") {
  using Kind = json::Value::Kind;
  Result<json::Value> result = json::parse(
      R"( {"b": [1, -2, 18446744073709551615, -9223372036854775808, 1.5, 1e2, 18446744073709551616],
 "a": {"x": null, "y": true, "z": false}, "s": "\u00e9\n"} )",
      options());
  REQUIRE(result.ok());
  const json::Value& root = *result;
  CHECK(root.kind == Kind::object);
  CHECK(root.offset == 1);
  REQUIRE(root.entries.size() == 3);
  CHECK(root.entries[0].key == "b");
  const auto& items = root.entries[0].value.items;
  REQUIRE(items.size() == 7);
  CHECK(items[0].kind == Kind::unsigned_integer);
  CHECK(items[0].unsigned_integer == 1);
  CHECK(items[0].offset == 8);
  CHECK(items[1].kind == Kind::integer);
  CHECK(items[1].integer == -2);
  CHECK(items[1].offset == 11);
  CHECK(items[2].unsigned_integer == UINT64_MAX);
  CHECK(items[3].integer == INT64_MIN);
  CHECK(items[4].kind == Kind::real);
  CHECK(items[4].real == 1.5);
  CHECK(items[5].real == 100);
  CHECK(items[6].kind == Kind::real);
  const json::Value* a = root.find("a");
  REQUIRE(a != nullptr);
  CHECK(a->find("x")->kind == Kind::null);
  CHECK(a->find("y")->boolean);
  CHECK_FALSE(a->find("z")->boolean);
  CHECK(a->find("w") == nullptr);
  CHECK(root.find("s")->string == "\u00e9\n");
}

TEST_CASE("json: offsets are where a value begins") {
  std::string text = R"(["a\"\\", "\\\\", 12 , true, null, {}, [0.5]])";
  Result<json::Value> result = json::parse(text, options());
  REQUIRE(result.ok());
  std::vector<std::uint64_t> offsets;
  for (const json::Value& item : result->items) offsets.push_back(item.offset);
  CHECK(offsets == std::vector<std::uint64_t>{1, 10, 18, 23, 29, 35, 39});
  CHECK(result->items[6].items[0].offset == 40);
  json::Options shifted = options();
  shifted.base_offset = 8;
  CHECK(json::parse("17", shifted)->offset == 8);
  CHECK(json::parse("  \"s\"", shifted)->offset == 10);
}

TEST_CASE("json: a key twice, also after unescaping") {
  CHECK(error_of(R"({"a": 1, "a": 2})") == "at offset 9: the key 'a' is there twice");
  CHECK(error_of(R"({"a": 1, "\u0061": 2})") == "at offset 9: the key 'a' is there twice");
  CHECK(error_of(R"({"": 1, "": 2})") == "at offset 8: the key '' is there twice");
  CHECK(error_of(R"({"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]})").empty());
  // Past the few members that are compared one by one.
  std::string many = "{";
  for (int i = 0; i < 100; ++i) many += "\"k" + std::to_string(i) + "\": 0, ";
  CHECK(error_of(many + "\"z\": 0}").empty());
  CHECK(error_of(many + "\"k3\": 0}").ends_with("the key 'k3' is there twice"));
  CHECK(error_of(many + "\"z\": 0, \"z\": 0}").ends_with("the key 'z' is there twice"));
}

TEST_CASE("json: depth and number of values are bounded") {
  auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  CHECK(error_of(nested(64)).empty());
  CHECK(error_of(nested(65)) == "at offset 64: more than 64 levels of nesting");
  CHECK(error_of(std::string(1'000'000, '[')) == "at offset 64: more than 64 levels of nesting");
  json::Options few = options();
  few.max_values = 3;
  CHECK(error_of("[1, 2]", few).empty());
  CHECK(error_of("[1, 2, 3]", few) == "at offset 0: more than 3 values");
}

TEST_CASE("json: byte order marks, padding and trailing bytes") {
  CHECK(error_of("\xEF\xBB\xBF{}") == "at offset 0: a byte order mark before the value");
  CHECK(error_of(std::string_view("{}\0\0", 4)) == "at offset 2: a NUL byte");
  CHECK(error_of("{}  \n").empty());
  CHECK(error_of("{} x").starts_with("at offset 3: not JSON: "));
  CHECK(error_of("{}{}").starts_with("at offset 2: not JSON: "));
}

TEST_CASE("json: broken text") {
  CHECK(error_of("") ==
        "at offset 0: not JSON: unexpected end of input; expected '[', '{', or a literal");
  CHECK(error_of("[1, ]") ==
        "at offset 4: not JSON: unexpected ']'; expected '[', '{', or a literal");
  CHECK(error_of("{\"a\" 1}").starts_with("at offset 5: not JSON: unexpected number literal"));
  CHECK(error_of("[1").find("unexpected end of input") != std::string::npos);
  CHECK(error_of("[01]").starts_with("at offset 2: not JSON: "));
  CHECK(error_of("[NaN]").starts_with("at offset 1: not JSON: invalid literal"));
  CHECK(error_of("// c\n1").starts_with("at offset 0: not JSON: invalid literal"));
  CHECK(error_of("[1e999]").find("number overflow") != std::string::npos);
  CHECK(error_of("\"\xff\"") == "at offset 1: not JSON: invalid string: ill-formed UTF-8 byte");
  CHECK(error_of("\"\xed\xa0\x80\"").find("ill-formed UTF-8") != std::string::npos);
  CHECK(error_of("\"\\ud800\"").find("surrogate") != std::string::npos);
  CHECK(error_of("\"a\nb\"").find("control character") != std::string::npos);
  CHECK(error_of("\"" + std::string(100'000, 'x')).size() < 200);  // not quoted at length
  json::Options named = options();
  named.code = Code::safetensors_corrupt;
  named.base_offset = 8;
  CHECK(error_of("x", named).starts_with("x.json: error[safetensors-corrupt]: at offset 8: "));
}

TEST_CASE("json: every cut of a text is an error") {
  std::string text = R"({"a": [1, -2.5e3, "x\u00e9\\"], "b": {"c": null, "d": true}})";
  CHECK(error_of(text).empty());
  for (std::size_t cut = 0; cut < text.size(); ++cut)
    CHECK_FALSE(error_of(std::string_view(text).substr(0, cut)).empty());
}

}  // namespace
}  // namespace regraft
