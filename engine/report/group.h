// Many names under few patterns, each of which stands for exactly its members:
//   blocks.0.fc.weight, blocks.2.fc.weight, head.bias  ->  blocks.{0,2}.fc.weight | head.bias
// In a pattern `{a,b}` is one of its parts, which may have braces themselves, `{0..11}` all numbers
// from 0 to 11, and a backslash stands before a brace, comma or backslash of a name.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace regraft {

struct NameGroup {
  std::string pattern;
  std::vector<std::uint32_t> members;  // indexes of the names, in order
};

// Every name is in one group; groups in the order of their first members. Takes about as long as
// the names are, whatever they are.
std::vector<NameGroup> group_names(std::span<const std::string_view> names);

}  // namespace regraft
