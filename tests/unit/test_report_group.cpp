#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "catch.h"
#include "report/group.h"
#include "report/report.h"

namespace regraft {
namespace {

// What a pattern stands for, as report/group.h says it: an independent reading of the notation.
class Expansion {
 public:
  explicit Expansion(std::string_view pattern) : text_(pattern) {}
  std::vector<std::string> all() {
    std::vector<std::string> names = sequence();
    REQUIRE(at_ == text_.size());
    return names;
  }

 private:
  std::vector<std::string> sequence() {
    std::vector<std::string> names = {""};
    while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != '}') {
      std::vector<std::string> next;
      if (text_[at_] == '{') {
        next = braces();
      } else {
        if (text_[at_] == '\\') ++at_;
        next = {std::string(1, text_[at_++])};
      }
      std::vector<std::string> product;
      for (const std::string& name : names)
        for (const std::string& part : next) product.push_back(name + part);
      names = std::move(product);
    }
    return names;
  }

  std::vector<std::string> braces() {
    std::vector<std::vector<std::string>> parts;
    do {
      ++at_;
      parts.push_back(sequence());
    } while (text_[at_] == ',');
    REQUIRE(text_[at_] == '}');
    ++at_;
    std::vector<std::string> names;
    for (const auto& part : parts) names.insert(names.end(), part.begin(), part.end());
    if (parts.size() > 1) return names;
    const std::size_t dots = names[0].find("..");
    REQUIRE(dots != std::string::npos);
    std::vector<std::string> numbers;
    for (long i = std::stol(names[0].substr(0, dots)); i <= std::stol(names[0].substr(dots + 2));
         ++i)
      numbers.push_back(std::to_string(i));
    return numbers;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

using Set = std::multiset<std::string>;
Set expand(const std::string& pattern) {
  const std::vector<std::string> names = Expansion(pattern).all();
  return {names.begin(), names.end()};
}

std::vector<std::string> patterns(const std::vector<std::string>& names) {
  const std::vector<std::string_view> views(names.begin(), names.end());
  std::vector<std::string> out;
  for (const NameGroup& group : group_names(views)) out.push_back(group.pattern);
  return out;
}

using Names = std::vector<std::string>;

TEST_CASE("a group of names is written with braces") {
  CHECK(brace_group({}) == "");
  CHECK(brace_group({"a.b"}) == "a.b");
  CHECK(brace_group({"a.0.w", "a.2.w"}) == "a.{0,2}.w");
  CHECK(brace_group({"head.weight", "head.bias"}) == "head.{weight,bias}");
  CHECK(brace_group({"a1.w", "a1.b", "a2.w", "a2.b"}) == "a{1,2}.{w,b}");
  CHECK(brace_group({"a.10.w", "a.9.w", "a.09.w"}) == "a.{9,09,10}.w");
  CHECK(brace_group({"a.0", "a.1", "a.2", "a.3"}) == "a.{0,1,2,3}");
  CHECK(brace_group({"a.0", "a.1", "a.2", "a.3", "a.4"}) == "a.{0..4}");
  CHECK(brace_group({"a.0", "a.1", "a.2", "a.3", "a.5"}) == "a.{0,1,2,3,5}");
  CHECK(brace_group({"a.00", "a.01", "a.02", "a.03", "a.04"}) == "a.{00,01,02,03,04}");
  CHECK(brace_group({"a.b", "c.d.e"}) == "{a.b,c.d.e}");
  CHECK(brace_group({"", "a"}) == "{,a}");
  CHECK(brace_group({"a{0,1}\\"}) == "a\\{0\\,1\\}\\\\");
}

TEST_CASE("names that make no full product stand in several groups") {
  CHECK(patterns({"a.0.w", "a.0.b", "a.1.w"}) == Names{"a.{0,1}.w", "a.0.b"});
  CHECK(patterns({"a.0.x", "b", "a.1.x", "c.d"}) == Names{"a.{0,1}.x", "b", "c.d"});
  CHECK(patterns({"same", "same"}) == Names{"same"});
}

TEST_CASE("a pattern stands for exactly its members") {
  // A generator of our own: the same names on every machine.
  std::uint32_t state = 12345;
  const auto draw = [&](std::uint32_t below) {
    state = state * 1664525u + 1013904223u;
    return (state >> 16) % below;
  };
  const Names words = {"a", "b", "w1", "w2", "w10", "0", "1",  "2", "3",
                       "4", "5", "07", "",   "x{",  ",", "\\", "}", "0..3"};
  for (int round = 0; round < 600; ++round) {
    std::set<std::string> unique;
    const std::uint32_t kinds = 2 + draw(static_cast<std::uint32_t>(words.size()) - 1);
    for (std::uint32_t i = 0, count = draw(25); i < count; ++i) {
      std::string name = words[draw(kinds)];
      for (std::uint32_t parts = draw(4); parts > 0; --parts) name += "." + words[draw(kinds)];
      unique.insert(name);
    }
    Names names(unique.begin(), unique.end());
    for (std::size_t i = names.size(); i > 1; --i)
      std::swap(names[i - 1], names[draw(static_cast<std::uint32_t>(i))]);
    const std::vector<std::string_view> views(names.begin(), names.end());
    std::set<std::uint32_t> seen;
    for (const NameGroup& group : group_names(views)) {
      Set members;
      for (const std::uint32_t member : group.members) {
        CHECK(seen.insert(member).second);
        members.insert(names[member]);
      }
      CHECK(std::is_sorted(group.members.begin(), group.members.end()));
      CHECK(expand(group.pattern) == members);
    }
    CHECK(seen.size() == names.size());
    if (!names.empty()) CHECK(expand(brace_group(names)) == Set(names.begin(), names.end()));
  }
}

TEST_CASE("grouping takes about as long as the names are") {
  Names names;
  for (int layer = 0; layer < 200; ++layer)
    for (int head = 0; head < 50; ++head)
      for (const char* last : {"weight", "bias"})
        names.push_back("layers." + std::to_string(layer) + ".heads." + std::to_string(head) + "." +
                        last);
  // Hostile: no two alike, and one of a great many components.
  for (int i = 0; i < 20000; ++i)
    names.push_back("n" + std::to_string(i * 7919) +
                    std::string(static_cast<std::size_t>(i % 7), 'x') + ".a");
  std::string dots;
  for (int i = 0; i < 300000; ++i) dots += "1.";
  names.push_back(dots);
  const std::vector<std::string_view> views(names.begin(), names.end());
  const std::vector<NameGroup> groups = group_names(views);
  CHECK(groups[0].pattern == "layers.{0..199}.heads.{0..49}.{weight,bias}");
  CHECK(groups[0].members.size() == 20000);
}

}  // namespace
}  // namespace regraft
