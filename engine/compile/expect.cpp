// `expect`, and the comparisons that it and `count` are written in.
#include <array>
#include <charconv>

#include "compile/program.h"
#include "text/characters.h"

namespace regraft {
namespace {

constexpr std::array<std::string_view, 7> kPromises = {
    "missing", "skipped", "unexpected", "dropped", "adapted", "kept", "initialised"};

struct Operator {
  std::string_view text;
  Comparison::Op op;
};
// Longer spellings first.
constexpr auto kOperators = std::to_array<Operator>({
    {">=", Comparison::Op::greater_equal},
    {"<=", Comparison::Op::less_equal},
    {"==", Comparison::Op::equal},
    {"!=", Comparison::Op::not_equal},
    {">", Comparison::Op::greater},
    {"<", Comparison::Op::less},
});

template <typename T>
bool compare(Comparison::Op op, T left, T right) {
  switch (op) {
    case Comparison::Op::equal:
      return left == right;
    case Comparison::Op::not_equal:
      return left != right;
    case Comparison::Op::less:
      return left < right;
    case Comparison::Op::less_equal:
      return left <= right;
    case Comparison::Op::greater:
      return left > right;
    case Comparison::Op::greater_equal:
      return left >= right;
  }
  return false;
}

template <typename T>
bool read_number(std::string_view text, T& out) {
  if (text.empty() || text.front() < '0' || text.front() > '9') return false;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), out);
  return problem == std::errc{} && end == text.data() + text.size();
}

}  // namespace

std::string_view name(Promise promise) { return kPromises[static_cast<std::size_t>(promise)]; }

bool Comparison::holds(std::uint64_t count) const {
  return compare(op, count, static_cast<std::uint64_t>(number));
}

bool Comparison::holds(std::uint64_t part, std::uint64_t whole) const {
  const double share = whole == 0 ? 1.0 : static_cast<double>(part) / static_cast<double>(whole);
  return compare(op, share, fraction);
}

std::optional<Comparison> read_comparison(const yaml::Node& node, bool percentage,
                                          Diagnostics& diagnostics) {
  Comparison comparison;
  std::string_view text = node.is_scalar() ? trimmed(node.text) : std::string_view{};
  comparison.text = text;
  for (const Operator& candidate : kOperators) {
    if (!text.starts_with(candidate.text)) continue;
    comparison.op = candidate.op;
    text = trimmed(text.substr(candidate.text.size()));
    break;
  }
  bool good = false;
  if (percentage) {
    double percent = 0;
    good = text.ends_with('%') && read_number(trimmed(text.substr(0, text.size() - 1)), percent) &&
           percent <= 100;
    comparison.fraction = percent / 100;
  } else {
    good = read_number(text, comparison.number);
  }
  if (good) return comparison;
  diagnostics.add(
      error(Code::wrong_type, node.where,
            percentage ? "`loaded` is a share such as '>= 98%', not " + yaml::describe(node)
                       : "`count` is a number such as 8 or '>= 1', not " + yaml::describe(node)));
  return std::nullopt;
}

Expectations compile_expect(const Spec& spec, Diagnostics& diagnostics) {
  Expectations expect;
  for (const yaml::Entry& entry : spec.expect) {
    const std::string& key = entry.key.text;
    if (key == "loaded") {
      expect.loaded = read_comparison(entry.value, true, diagnostics);
      expect.loaded_where = entry.key.where;
    } else if (key == "unused_rules") {
      if (!entry.value.is_scalar() || entry.value.text != "error")
        diagnostics.add(error(Code::wrong_type, entry.value.where,
                              "`unused_rules` is `error`, not " + yaml::describe(entry.value)));
      expect.unused_rules_are_errors = true;
      expect.unused_rules_where = entry.key.where;
    }
    for (std::size_t i = 0; i < kPromises.size(); ++i) {
      if (key != kPromises[i]) continue;
      NamePromise promise{static_cast<Promise>(i), {}, entry.key.where};
      // An empty list promises that there is none.
      const bool none = entry.value.is_sequence() && entry.value.items.empty();
      if (!none) promise.patterns = read_patterns(entry.value, diagnostics);
      expect.names.push_back(std::move(promise));
    }
  }
  return expect;
}

}  // namespace regraft
