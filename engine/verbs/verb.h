// A verb is one file: its parameter table, `bind` (parameters to a bound rule, with diagnostics)
// and `apply` (names and expressions in, names and expressions out). docs/adding-a-verb.md walks
// through it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/diagnostic.h"
#include "expr/expr.h"
#include "text/expression.h"
#include "text/pattern.h"
#include "text/yaml.h"

namespace regraft {

// How a parameter is written in YAML: gives its check, its JSON Schema and its line in the
// reference.
enum class ParamType {
  patterns,           // a pattern, a list of patterns, or {exact: ...}
  patterns_or_table,  // the same, or a mapping of patterns to templates
  text_template,      // `to`
  boolean,
  word,            // one of Param::words
  natural,         // an integer from 0 up
  number,          // a finite number
  magnitude,       // a finite number from 0 up
  number_or_keep,  // a number, `.inf` and `.nan` too, or `keep`
  dims,            // a list of dimensions; negatives count from the end
  grid,            // `[h, w]`, both from 1 up
  axes,            // `1 (h w) c`
  text,            // that the verb reads itself
  dtype,           // torch's name of one
  scalar,          // a number, `.inf` and `.nan` too, or an expression (Number in integers.h)
  // Numbers of a rule may be expressions over captures and variables, as text (verbs/integers.h).
  integer,
  integers,              // a list of integers, or an expression that is one
  named_integers,        // a mapping of names to integers
  templates,             // a list of `to`; `~` drops that part
  operands,              // a mapping of names to patterns
  template_or_formulas,  // one `to`, or a mapping of `to` to formulas
  values,                // a mapping of variables to values
};

struct Param {
  std::string_view name;
  ParamType type;
  bool required;
  std::string_view doc;
  std::span<const std::string_view> words = {};
};

// A name that the rule matches, as it stood when the rule began.
struct Match {
  std::string_view name;
  const ExprPtr* expr;
  std::size_t entry;  // which of the rule's entries was found
  const Pattern* pattern;
  Found found;
};

// What a rule does to the names it matched. Indexes are those of the matches.
struct Put {
  std::string name;
  ExprPtr expr;
  std::vector<std::uint32_t> from;  // stands where the first of these stood
};
struct Effect {
  std::vector<std::uint32_t> consumed;  // these names go; what is not put again is dropped
  std::vector<Put> puts;
  std::vector<Diagnostic> errors;  // Code::evaluation and the verb's own
};

class BoundVerb {
 public:
  virtual ~BoundVerb() = default;
  [[nodiscard]] virtual Effect apply(std::span<const Match> matches,
                                     const Variables& variables) const = 0;
};

// One pattern of a rule and the place that wrote it, for matching and for `unused` reports.
struct RuleEntry {
  Pattern pattern;
  Location where;
};

// What `bind` makes of a rule.
struct BoundParts {
  std::vector<RuleEntry> entries;
  std::unique_ptr<const BoundVerb> verb;
  std::vector<std::string> variables;  // that its parameters use
  bool table = false;                  // the entries are a table's: each is to match something
};

class Parameters;

// What `bind` is given: the verb's value and parameters, already checked against the table.
class BindContext {
 public:
  BindContext(const yaml::Node& rule, const yaml::Node& verb_key, const yaml::Node& operand,
              const Variables& variables, Diagnostics& diagnostics)
      : rule_(rule),
        verb_key_(verb_key),
        operand_(operand),
        variables_(variables),
        diagnostics_(diagnostics) {}

  [[nodiscard]] const yaml::Node& operand() const { return operand_; }
  [[nodiscard]] const yaml::Node& verb_key() const { return verb_key_; }
  [[nodiscard]] const yaml::Node* param(std::string_view name) const { return rule_.find(name); }
  [[nodiscard]] const Variables& variables() const { return variables_; }
  [[nodiscard]] Diagnostics& diagnostics() { return diagnostics_; }

  // `a pattern, a list, or {exact: ..}`; reports and returns what could be read.
  std::vector<RuleEntry> patterns(const yaml::Node& node);
  // `part_index`: it may use `i`.
  std::optional<Template> text_template(const yaml::Node& node, const Pattern& pattern,
                                        bool part_index = false);
  // A parameter of type boolean; `otherwise` when it is not there.
  bool boolean(std::string_view name, bool otherwise);
  // Literal parameters of the rule, by their table (verbs/parameters.h).
  Parameters parameters(std::span<const Param> table);

 private:
  const yaml::Node& rule_;
  const yaml::Node& verb_key_;
  const yaml::Node& operand_;
  const Variables& variables_;
  Diagnostics& diagnostics_;
};

struct InverseInput;
struct Undoing;

class Verb {
 public:
  virtual ~Verb() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  [[nodiscard]] virtual std::string_view doc() const = 0;      // one sentence
  [[nodiscard]] virtual std::string_view example() const = 0;  // YAML of one rule
  // Tensors on which the reference shows the example, a line each: "a.q.weight float32 [8, 4]".
  [[nodiscard]] virtual std::string_view sample() const = 0;
  [[nodiscard]] virtual ParamType operand() const { return ParamType::patterns; }
  [[nodiscard]] virtual std::span<const Param> params() const { return {}; }
  // True for `keep`: what the rule does not match is dropped, and matching nothing is an error.
  [[nodiscard]] virtual bool drops_the_rest() const { return false; }
  // True for `use`: the rules of another spec stand in its place, and it is not bound itself.
  [[nodiscard]] virtual bool brings_rules() const { return false; }
  // Reports mistakes; Parts::verb is null when there were any.
  [[nodiscard]] virtual BoundParts bind(BindContext& context) const = 0;
  // The rules that undo one with this verb (verbs/inverse.h), or why there are none (no-inverse).
  [[nodiscard]] virtual Result<Undoing> undo(const InverseInput& input) const;
};

// In the order of the language reference. A new verb is one line in registry.cpp.
std::span<const Verb* const> all_verbs();
const Verb* verb_by_name(std::string_view name);

// Patterns of a node that is a pattern, a list of patterns or {exact: NAME or [NAMES]}.
std::vector<RuleEntry> read_patterns(const yaml::Node& node, Diagnostics& diagnostics);

// Whether any of the patterns is found in the name.
bool any_found(std::span<const RuleEntry> entries, std::string_view name);

}  // namespace regraft
