// Regular expressions over names. The only user of RE2: Latin-1 (names are bytes), leftmost-first.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/diagnostic.h"

namespace regraft {

// Where a pattern was found, and its groups.
struct Found {
  std::size_t begin = 0, end = 0;  // bytes of the name
  // groups[0] is the whole match; a group that took no part is empty. Views into the name.
  std::vector<std::string_view> groups;
};

class Pattern {
 public:
  // Reports bad-pattern with RE2's reason, the place inside the pattern where known, and for
  // lookaround, backreferences and (?<n>..) the way without (`unless:`, (?P<n>..)).
  static std::optional<Pattern> compile(std::string text, const Location& where,
                                        Diagnostics& diagnostics);
  // Matches exactly this name.
  static Pattern literal(std::string name);

  [[nodiscard]] const std::string& text() const;  // as written
  [[nodiscard]] bool is_literal() const;
  [[nodiscard]] int group_count() const;  // without group 0
  // (name, group) in order of groups.
  [[nodiscard]] const std::vector<std::pair<std::string, int>>& group_names() const;

  // What every name in which it is found begins with; may be less than that, or nothing.
  [[nodiscard]] std::string prefix() const;
  [[nodiscard]] bool found_in(std::string_view name) const;
  // The first place at or after `start` where the pattern is found.
  [[nodiscard]] std::optional<Found> find(std::string_view name, std::size_t start = 0) const;

  struct Impl;

 private:
  explicit Pattern(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

// Many patterns at once. Literals by hash, those whose prefix few others have by the hash of that,
// the others by RE2::Set; when a set cannot be built or runs out of memory while matching, one by
// one: the answer is the same. Thread-compatible.
class PatternSet {
 public:
  // `max_memory`: of the set, bytes; tests give it little. Indexes are those of `patterns`.
  explicit PatternSet(std::vector<Pattern> patterns, std::int64_t max_memory = 64 << 20);
  // The smallest index >= `from` whose pattern is found in the name; npos if none.
  [[nodiscard]] std::size_t first_match(std::string_view name, std::size_t from = 0) const;
  static constexpr std::size_t npos = static_cast<std::size_t>(-1);

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace regraft
