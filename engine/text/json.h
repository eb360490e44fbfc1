// Strict reading of untrusted JSON through nlohmann's SAX interface with a handler of ours: no DOM,
// no duplicate keys after unescaping, bounded depth, integers kept exact, byte offsets in errors.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace regraft::json {

struct Entry;

// A value tree; object entries in file order.
struct Value {
  enum class Kind { null, boolean, integer, unsigned_integer, real, string, array, object };
  Kind kind = Kind::null;
  bool boolean = false;
  std::int64_t integer = 0;            // Kind::integer: negative numbers
  std::uint64_t unsigned_integer = 0;  // Kind::unsigned_integer: zero and up
  double real = 0;                     // written with a fraction or exponent, or beyond 64 bits
  std::string string;
  std::vector<Value> items;
  std::vector<Entry> entries;
  std::uint64_t offset = 0;  // byte position, near enough for a message

  [[nodiscard]] const Value* find(std::string_view key) const;
};

struct Entry {
  std::string key;
  Value value;
};

struct Options {
  Code code = Code::json_corrupt;  // of the errors
  std::string file;                // named in errors
  std::uint64_t base_offset = 0;   // added to byte positions
  int max_depth = 64;
  std::uint64_t max_values = 12'000'000;  // a gigabyte or two; a header of 100 MB has fewer
  // Takes the members of the object that the text is, each as soon as it was read: none of them is
  // kept. Its error ends the parsing.
  std::function<Status(const std::string& key, const Value& value)> member;
};

Result<Value> parse(std::string_view text, const Options& options);

}  // namespace regraft::json
