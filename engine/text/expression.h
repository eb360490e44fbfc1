// The expressions of the spec: integers, captures, variables. See the language page,
// "Names and patterns". Parsed once, checked against what is in scope, evaluated for each name.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "text/pattern.h"

namespace regraft {

// A variable's value, or an expression's. Lists and maps hold scalars, lists and maps.
struct Value;
using List = std::vector<Value>;
struct MapEntry;
using Map = std::vector<MapEntry>;  // in file order
struct Value {
  std::variant<std::int64_t, double, std::string, List, Map> data;
};
struct MapEntry {
  std::string key;
  Value value;
};
bool operator==(const Value& a, const Value& b);
bool operator==(const MapEntry& a, const MapEntry& b);
std::string describe(const Value& value);  // "the number 3", "the text 'abc'", "a list of 3"

// Variables by name. A value that is not known yet (a `from` without its source, in `check`) is
// declared, and makes every check that would need it pass.
struct Variable {
  std::optional<Value> value;
  Location where;
};
using Variables = std::map<std::string, Variable, std::less<>>;

// What an expression may refer to, known when the spec is compiled.
struct Scope {
  const Variables* variables = nullptr;
  const Pattern* pattern = nullptr;  // its captures, by number and name; null: none (as in `shape`)
  bool part_index = false;           // `i` exists (split, unbind)
};
// All names of captures and variables, for a hint.
std::vector<std::string_view> names_in(const Scope& scope);
// What it refers to when it is evaluated.
struct Bindings {
  const Variables* variables = nullptr;
  const Found* found = nullptr;
  std::optional<std::int64_t> part_index = std::nullopt;
};

class Expression {
 public:
  // Syntax (bad-expression), names (unknown-name, with the nearest; ambiguous-name), captures the
  // pattern does not have (bad-template). `where` is the place of the scalar whose text this is, or
  // of its first byte; errors point into it. Returns empty when anything was reported. Nesting is
  // bounded (200).
  static std::optional<Expression> parse(std::string_view text, const Location& where,
                                         const Scope& scope, Diagnostics& diagnostics);
  // Errors have Code::evaluation and say what was wrong, at the operator's place: the caller adds
  // the tensor's name. Floored // and %; comparisons and logic give 1 or 0, short-circuit; chains
  // as in Python (0 <= i < 3). ==, != on two texts: as numbers when both are digits, else as texts.
  Result<Value> evaluate(const Bindings& bindings) const;
  // True when it is a number other than 0; text that is no number is an error.
  Result<bool> holds(const Bindings& bindings) const;
  Result<std::int64_t> evaluate_int(const Bindings& bindings) const;

  // Names of the variables it uses, for `check`.
  [[nodiscard]] const std::vector<std::string>& variables() const;
  // Groups of the pattern it uses (named ones resolved), for groups' rules.
  [[nodiscard]] const std::vector<int>& groups() const;
  [[nodiscard]] const std::string& text() const;
  struct Ast;

 private:
  friend class Template;
  // The expression that is `length` bytes at `offset` of a scalar's text.
  static std::optional<Expression> parse_part(std::string_view scalar, std::size_t offset,
                                              std::size_t length, const Location& where,
                                              const Scope& scope, Diagnostics& diagnostics);
  explicit Expression(std::shared_ptr<const Ast> ast) : ast_(std::move(ast)) {}
  std::shared_ptr<const Ast> ast_;
};

// The value of `to`: literal text, \0..\9, {expression}, {{ }} \\.
class Template {
 public:
  static std::optional<Template> parse(std::string_view text, const Location& where,
                                       const Scope& scope, Diagnostics& diagnostics);
  // The text; a negative number, a list or a float in it is an error (Code::evaluation).
  Result<std::string> expand(const Bindings& bindings) const;
  // Of a template that is one expression and nothing else, its value; of any other, the text.
  Result<Value> value(const Bindings& bindings) const;
  [[nodiscard]] const std::string& text() const;
  [[nodiscard]] std::vector<std::string> variables() const;
  [[nodiscard]] std::vector<int> groups() const;
  // Literal text and references in order, for what works on names before there are any.
  struct Part {
    std::string literal;
    std::string expression;  // `\1`, or what stands in the braces; empty: literal text
  };
  [[nodiscard]] std::vector<Part> parts() const;
  // The text without any reference; empty when it has one.
  [[nodiscard]] std::optional<std::string> literal() const;

 private:
  struct Piece;
  std::string text_;
  Location where_;
  std::shared_ptr<const std::vector<Piece>> pieces_;
};

}  // namespace regraft
