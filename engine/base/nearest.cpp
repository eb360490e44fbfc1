#include "base/nearest.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace regraft {
namespace {

// Nobody's slip is longer, and the table grows with the square.
constexpr std::size_t kLongestWord = 200;

// Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`; when they
// are more than `limit`, any number above it.
std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t limit) {
  std::vector<std::size_t> before_last(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  std::size_t least_of_last = 0;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before_last.swap(last);
    last.swap(row);
    row[0] = i;
    std::size_t least = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      std::size_t change = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({change, last[j] + 1, row[j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      least = std::min(least, row[j]);
    }
    // A swap reaches back two rows.
    if (least > limit && least_of_last > limit) return limit + 1;
    least_of_last = least;
  }
  return row[b.size()];
}

}  // namespace

std::vector<std::string_view> nearest(std::string_view word,
                                      std::span<const std::string_view> candidates,
                                      std::size_t most) {
  if (word.empty() || word.size() > kLongestWord || most == 0) return {};
  std::size_t limit = std::max<std::size_t>(1, word.size() / 3);
  std::vector<std::pair<std::size_t, std::string_view>> best;  // nearest first
  for (std::string_view candidate : candidates) {
    std::size_t longer = std::max(word.size(), candidate.size());
    std::size_t shorter = std::min(word.size(), candidate.size());
    if (best.size() == most) {
      if (best.back().first == 0) break;
      limit = best.back().first - 1;
    }
    if (longer - shorter > limit) continue;
    std::size_t distance = edit_distance(word, candidate, limit);
    // Words that have nothing in common are no slips of each other, however short.
    if (distance > limit || distance >= longer) continue;
    const auto place =
        std::upper_bound(best.begin(), best.end(), distance,
                         [](std::size_t one, const auto& other) { return one < other.first; });
    best.insert(place, {distance, candidate});
    if (best.size() > most) best.pop_back();
  }
  std::vector<std::string_view> names;
  for (const auto& [distance, name] : best) names.push_back(name);
  return names;
}

std::string nearest(std::string_view word, std::span<const std::string_view> candidates) {
  const std::vector<std::string_view> found = nearest(word, candidates, 1);
  return found.empty() ? std::string() : std::string(found.front());
}

}  // namespace regraft
