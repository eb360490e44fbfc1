#include "report/group.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>
#include <unordered_set>

#include "report/report.h"
#include "text/characters.h"

namespace regraft {
namespace {

// What stands behind the last piece of a longer name is not looked into: it bounds the passes.
constexpr std::size_t kMostPieces = 48;
// Fewer numbers are as short one by one.
constexpr std::size_t kShortestRange = 5;

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '{' || c == '}' || c == ',' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

// Numbers by value; the shorter of 7 and 07 first.
bool number_before(std::string_view a, std::string_view b) {
  const auto value = [](std::string_view digits) {
    const std::size_t first = digits.find_first_not_of('0');
    return first == std::string_view::npos ? std::string_view() : digits.substr(first);
  };
  const std::string_view x = value(a), y = value(b);
  if (x.size() != y.size()) return x.size() < y.size();
  if (x != y) return x < y;
  return a.size() < b.size();
}

// Ascending by one, written without leading zeros.
bool is_range(const std::vector<std::string>& numbers) {
  if (numbers.size() < kShortestRange) return false;
  std::uint64_t previous = 0;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const std::string& text = numbers[i];
    if (text.size() > 15 || (text.size() > 1 && text[0] == '0')) return false;
    std::uint64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    if (i > 0 && number != previous + 1) return false;
    previous = number;
  }
  return true;
}

// Pieces of names: texts, digits, the dots between components, and `{a,b}`. Equal ones have one id.
class Pieces {
 public:
  enum class Kind : std::uint8_t { text, digits, dot, merged };

  std::uint32_t id(Kind kind, std::string text) {
    const auto [entry, fresh] =
        ids_.try_emplace(static_cast<char>('0' + static_cast<int>(kind)) + text, count());
    if (fresh) {
      kinds_.push_back(kind);
      texts_.push_back(std::move(text));
    }
    return entry->second;
  }
  [[nodiscard]] Kind kind(std::uint32_t id) const { return kinds_[id]; }
  [[nodiscard]] const std::string& text(std::uint32_t id) const { return texts_[id]; }

 private:
  [[nodiscard]] std::uint32_t count() const { return static_cast<std::uint32_t>(texts_.size()); }
  std::unordered_map<std::string, std::uint32_t> ids_;
  std::vector<Kind> kinds_;
  std::vector<std::string> texts_;
};

// A pattern under way. Items that are equal but for one part become one item.
struct Item {
  std::vector<std::uint32_t> pieces;
  std::vector<std::uint32_t> members;
};

class Grouper {
 public:
  explicit Grouper(std::span<const std::string_view> names) {
    items_.reserve(names.size());
    for (std::uint32_t i = 0; i < names.size(); ++i) items_.push_back({cut(names[i]), {i}});
  }

  std::vector<NameGroup> run() {
    // Numbers first, from the left: they repeat whole subtrees. Then components, from the right:
    // `weight` and `bias` of one module belong together before two modules do.
    for (std::size_t at = 0; at < kMostPieces; ++at)
      merge([&](const Item& item) { return number_at(item, at); }, true);
    for (std::size_t from_end = 0; from_end < kMostPieces; ++from_end)
      merge([&](const Item& item) { return component(item, from_end); }, false);
    std::vector<NameGroup> groups;
    groups.reserve(items_.size());
    for (Item& item : items_) {
      NameGroup group;
      for (const std::uint32_t piece : item.pieces) group.pattern += pieces_.text(piece);
      std::sort(item.members.begin(), item.members.end());
      group.members = std::move(item.members);
      groups.push_back(std::move(group));
    }
    return groups;
  }

 private:
  using Kind = Pieces::Kind;
  struct Part {  // pieces [begin, end) of an item
    std::size_t begin = 0, end = 0;
    bool there = false;
  };

  std::vector<std::uint32_t> cut(std::string_view name) {
    std::vector<std::uint32_t> cut;
    while (!name.empty()) {
      if (cut.size() + 1 == kMostPieces) {
        cut.push_back(pieces_.id(Kind::text, escaped(name)));
        break;
      }
      std::size_t length = 1;
      Kind kind = Kind::text;
      if (name[0] == '.') {
        kind = Kind::dot;
      } else {
        const bool digits = is_digit(name[0]);
        while (length < name.size() && name[length] != '.' && is_digit(name[length]) == digits)
          ++length;
        if (digits) kind = Kind::digits;
      }
      cut.push_back(pieces_.id(kind, escaped(name.substr(0, length))));
      name.remove_prefix(length);
    }
    return cut;
  }

  Part number_at(const Item& item, std::size_t at) const {
    if (at >= item.pieces.size() || pieces_.kind(item.pieces[at]) != Kind::digits) return {};
    return {at, at + 1, true};
  }

  // The component with so many dots behind it; a component that has braces already is left alone.
  Part component(const Item& item, std::size_t dots) const {
    std::size_t end = item.pieces.size();
    for (; dots > 0; --dots) {
      while (end > 0 && pieces_.kind(item.pieces[end - 1]) != Kind::dot) --end;
      if (end == 0) return {};
      --end;
    }
    std::size_t begin = end;
    for (; begin > 0 && pieces_.kind(item.pieces[begin - 1]) != Kind::dot; --begin)
      if (pieces_.kind(item.pieces[begin - 1]) == Kind::merged) return {};
    return {begin, end, true};
  }

  template <typename PartOf>
  void merge(PartOf part_of, bool numbers) {
    std::vector<Part> parts(items_.size());
    bool any = false;
    for (std::size_t i = 0; i < items_.size(); ++i) {
      parts[i] = part_of(items_[i]);
      any = any || parts[i].there;
    }
    if (!any) return;
    // The item without the part -> those that have it so, in order.
    std::unordered_map<std::string, std::size_t> places;
    std::vector<std::vector<std::size_t>> sets;
    for (std::size_t i = 0; i < items_.size(); ++i) {
      const auto place =
          parts[i].there
              ? places.try_emplace(without(items_[i], parts[i]), sets.size()).first->second
              : sets.size();
      if (place == sets.size()) sets.emplace_back();
      sets[place].push_back(i);
    }
    std::vector<Item> merged;
    merged.reserve(sets.size());
    for (const std::vector<std::size_t>& set : sets) merged.push_back(united(set, parts, numbers));
    items_ = std::move(merged);
  }

  static std::string without(const Item& item, const Part& part) {
    std::string key;
    const auto add = [&](std::uint32_t value) {
      for (int shift = 0; shift < 32; shift += 8) key += static_cast<char>((value >> shift) & 0xFF);
    };
    for (std::size_t i = 0; i < part.begin; ++i) add(item.pieces[i]);
    add(0xFFFFFFFF);
    for (std::size_t i = part.end; i < item.pieces.size(); ++i) add(item.pieces[i]);
    return key;
  }

  Item united(const std::vector<std::size_t>& set, const std::vector<Part>& parts, bool numbers) {
    Item result = std::move(items_[set[0]]);
    if (set.size() == 1) return result;
    const Part part = parts[set[0]];
    std::vector<std::string> texts;
    std::unordered_set<std::string> seen;
    for (const std::size_t index : set) {
      const Item& item = index == set[0] ? result : items_[index];
      std::string text;
      for (std::size_t i = parts[index].begin; i < parts[index].end; ++i)
        text += pieces_.text(item.pieces[i]);
      if (seen.insert(text).second) texts.push_back(std::move(text));
      if (index != set[0])
        result.members.insert(result.members.end(), item.members.begin(), item.members.end());
    }
    if (texts.size() == 1) return result;  // one name twice
    if (numbers) std::sort(texts.begin(), texts.end(), number_before);
    const auto at = result.pieces.begin() + static_cast<std::ptrdiff_t>(part.begin);
    const auto rest =
        result.pieces.erase(at, result.pieces.begin() + static_cast<std::ptrdiff_t>(part.end));
    result.pieces.insert(rest, pieces_.id(Kind::merged, braces(texts, numbers)));
    return result;
  }

  static std::string braces(const std::vector<std::string>& texts, bool numbers) {
    if (numbers && is_range(texts)) return "{" + texts.front() + ".." + texts.back() + "}";
    std::string out = "{" + texts[0];  // which may be empty
    for (std::size_t i = 1; i < texts.size(); ++i) out += "," + texts[i];
    return out + "}";
  }

  Pieces pieces_;
  std::vector<Item> items_;
};

}  // namespace

std::vector<NameGroup> group_names(std::span<const std::string_view> names) {
  return Grouper(names).run();
}

std::string brace_group(const std::vector<std::string>& names) {
  const std::vector<std::string_view> views(names.begin(), names.end());
  const std::vector<NameGroup> groups = group_names(views);
  if (groups.size() == 1) return groups[0].pattern;
  std::string out;
  for (const NameGroup& group : groups) out += (out.empty() ? "{" : ",") + group.pattern;
  return groups.empty() ? out : out + "}";
}

}  // namespace regraft
