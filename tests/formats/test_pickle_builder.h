// Pieces of pickles, in the shape that torch.save gives them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "formats/torch/little_endian.h"

namespace regraft::test {

inline std::string text(const std::string& value) {
  std::string out = "X";
  append_le(out, static_cast<std::uint32_t>(value.size()));
  return out + value;
}
inline std::string integer(std::int64_t value) {
  std::string out = "\x8a\x08";
  append_le(out, static_cast<std::uint64_t>(value));
  return out;
}
inline std::string global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
inline std::string tuple(const std::vector<std::string>& items) {
  std::string out = "(";
  for (const std::string& item : items) out += item;
  return out + "t";
}
inline std::string numbers(const std::vector<std::int64_t>& values) {
  std::vector<std::string> items;
  for (std::int64_t value : values) items.push_back(integer(value));
  return tuple(items);
}
inline std::string call(const std::string& function, const std::vector<std::string>& arguments) {
  return function + tuple(arguments) + "R";
}
inline std::string dict(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::string out = "}(";
  for (const auto& [key, value] : pairs) out += key + value;
  return out + "u";
}
inline const std::string kHooks = global("collections", "OrderedDict") + ")R";
inline const std::string kFalse = "\x89", kTrue = "\x88";

inline std::string storage(const std::string& key, std::int64_t count,
                           const std::string& type = global("torch", "FloatStorage")) {
  return tuple({text("storage"), type, text(key), text("cpu"), integer(count)}) + "Q";
}
inline std::string rebuild(const std::string& name) { return global("torch._utils", name); }
inline std::string tensor(const std::string& from, std::int64_t offset,
                          const std::vector<std::int64_t>& sizes,
                          const std::vector<std::int64_t>& strides) {
  return call(rebuild("_rebuild_tensor_v2"),
              {from, integer(offset), numbers(sizes), numbers(strides), kFalse, kHooks});
}
inline std::string four(const std::string& key = "0") {
  return tensor(storage(key, 4), 0, {4}, {1});
}

}  // namespace regraft::test
