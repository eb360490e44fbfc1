// Spelling suggestions.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace regraft {

// The candidate with the smallest Damerau-Levenshtein distance to `word`, if it is near enough to
// be a slip (at most a third of the word, at least 1); empty otherwise. The first wins a draw.
std::string nearest(std::string_view word, std::span<const std::string_view> candidates);

// The `most` nearest of them, near enough too, by distance and then by their order.
std::vector<std::string_view> nearest(std::string_view word,
                                      std::span<const std::string_view> candidates,
                                      std::size_t most);

}  // namespace regraft
