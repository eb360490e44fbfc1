// A strict YAML tree: every scalar knows its place and whether it was quoted. The only user of
// yaml-cpp. What YAML allows and a spec may not (see the language page, "Strictness") is an error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/diagnostic.h"

namespace regraft::yaml {

struct Entry;

struct Node {
  enum class Kind { null, scalar, sequence, mapping };
  Kind kind = Kind::null;
  Location where;
  std::string text;            // scalars: the decoded text
  bool quoted = false;         // scalars: '..', "..", | or >; never read as null, number or bool
  std::vector<Node> items;     // sequences
  std::vector<Entry> entries;  // mappings, in file order; keys unique

  [[nodiscard]] bool is_null() const { return kind == Kind::null; }
  [[nodiscard]] bool is_scalar() const { return kind == Kind::scalar; }
  [[nodiscard]] bool is_sequence() const { return kind == Kind::sequence; }
  [[nodiscard]] bool is_mapping() const { return kind == Kind::mapping; }
  // The value of a key; null pointer when it is not there or this is not a mapping.
  [[nodiscard]] const Node* find(std::string_view key) const;
};

// Keys are scalars (a null, sequence or mapping as key is an error); `~` and `null`, also an empty
// value, are Kind::null.
struct Entry {
  Node key;
  Node value;
};

// Plain scalars by the YAML 1.2 core schema, narrowed: empty when the node is not of that type.
std::optional<bool> as_bool(const Node& node);         // true, false only
std::optional<std::int64_t> as_int(const Node& node);  // [-+]?[0-9]+, decimal, within int64
std::optional<double> as_float(const Node& node);      // also integers, .inf, .nan
// "a mapping", "a list", "null", "true", "the number 3", "the text 'abc'": for wrong-type messages.
std::string describe(const Node& node);

// Parses one document. All mistakes go to `diagnostics` (yaml-syntax, duplicate-key); empty when
// the text cannot be read at all. Duplicate keys keep the first value. Checked before yaml-cpp sees
// it: valid UTF-8 (a BOM is accepted), no control character but \t \n \r, size at most 16 MiB.
// Aliases, anchors, tags and `<<` are errors that say what to write instead.
std::optional<Node> parse(const SourceTextPtr& source, Diagnostics& diagnostics);

// A text as a scalar in single quotes, for hints that can be pasted.
std::string quoted_scalar(std::string_view text);

// Writes a tree as block YAML that parse() reads back to an equal tree: for `--write-spec`.
// A scalar is quoted when it was, or when its plain form would be read otherwise. Ends with a
// newline.
std::string write(const Node& node);

}  // namespace regraft::yaml
