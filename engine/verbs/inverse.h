// What undoes a rule: other rules, as YAML.
//   rename: '^layers\.(\d+)\.' to 'blocks.\1.'   ->   rename: '^blocks\.(\d+)\.' to 'layers.\1.'
//   split into q, k, v                           ->   cat of q, k, v
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "verbs/verb.h"

namespace regraft {

// What a rule met when the spec was planned for a source: what a spec does not say of itself, such
// as the sizes of the parts of a `cat`.
struct Seen {
  struct Tensor {
    Shape shape;
    DType dtype;
  };
  struct Made {
    Tensor result;
    std::vector<Tensor> from;  // in the order of the parts
  };
  std::vector<Made> made;
};

// A rule of a spec that was compiled without mistakes.
struct InverseInput {
  const yaml::Node& rule;
  const yaml::Node& verb_key;
  const yaml::Node& operand;
  const Variables& variables;
  const Seen* seen;  // null: the spec was not planned
  [[nodiscard]] const yaml::Node* param(std::string_view name) const { return rule.find(name); }
};

struct Undoing {
  std::vector<yaml::Node> rules;  // in the order in which they run
  // What a name and its tensor have after the rule as before it: decides whether `unless` and
  // `where` can be said of the way back too.
  bool same_names = false, same_shape = false, same_ndim = false, same_dtype = false;
  // Names that the rule dropped, as a case of `missing` without its `do`: nothing brings them back.
  std::optional<yaml::Node> missing;
};

Diagnostic no_inverse(const InverseInput& input, std::string reason, std::string hint = {});
// What the spec does not say and a source would.
Diagnostic needs_source(const InverseInput& input, std::string what);

// YAML that is put together.
yaml::Node text_node(std::string text);   // written in quotes
yaml::Node plain_node(std::string text);  // written as it is: a number, a word
yaml::Node list_node(std::vector<yaml::Node> items);
yaml::Node mapping_node(std::vector<std::pair<std::string, yaml::Node>> entries);

// A pattern whose match can be told from its captures, and the text in its place: turned around.
struct Reversal {
  std::string pattern;  // finds what `to` makes
  std::string to;       // makes what the pattern found
};

// `pattern`: a regular expression of literal text, captures and ends. `to`: of literal text, each
// capture once, and numbers that are shifted (`{\1 + 2}`); `i`, the index of a part, becomes a
// capture that the new `to` leaves out, or a number where `part` says which. An error says what of
// them cannot be told back.
Result<Reversal> reverse(const InverseInput& input, const yaml::Node& pattern, const yaml::Node& to,
                         std::optional<std::int64_t> part = std::nullopt);
// The same where a capture numbers the parts of a group: the new `to` has `{i}` for it.
Result<Reversal> reverse_numbered(const InverseInput& input, const yaml::Node& pattern,
                                  const yaml::Node& to);

// The patterns of an operand, one by one; an error for literal names.
Result<std::vector<const yaml::Node*>> operand_patterns(const InverseInput& input);
Result<const yaml::Node*> one_pattern(const InverseInput& input);
// A parameter that is a literal integer; an error for an expression.
Result<std::int64_t> literal(const InverseInput& input, std::string_view param,
                             std::int64_t otherwise);

}  // namespace regraft
