// Numbers of a rule's parameters: literal, or expressions over captures and variables as text.
//   sizes: ['heads * dim', 'kv * dim', 'kv * dim']      dim: -1      index: rows
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "verbs/verb.h"

namespace regraft {

// What an expression is evaluated for: one name, or the parts of a group.
class Subject {
 public:
  Subject(const Match& match, const Variables& variables,
          std::optional<std::int64_t> part_index = std::nullopt)
      : matches_(&match, 1), part_index_(part_index), variables_(variables) {}
  // The first part speaks for all: captures that an expression uses must be the same in each.
  Subject(std::span<const Match> parts, const Variables& variables)
      : matches_(parts), variables_(variables) {}

  [[nodiscard]] const Match& first() const { return matches_.front(); }
  [[nodiscard]] std::span<const Match> matches() const { return matches_; }
  [[nodiscard]] const Variables& variables() const { return variables_; }
  [[nodiscard]] Bindings bindings() const;

 private:
  std::span<const Match> matches_;
  std::optional<std::int64_t> part_index_;
  const Variables& variables_;
};

// Whether the parts agree in the captures that a parameter uses: `groups` of the pattern of an
// entry, for the parameter `text` at `where`. An error (bad-group) names two that do not.
Status same_captures(const Subject& subject, std::string_view text, const Location& where,
                     const std::function<const std::vector<int>&(std::size_t entry)>& groups);

// One number, or one expression for each entry of the rule: captures differ between patterns.
class Integer {
 public:
  explicit Integer(std::int64_t literal) : literal_(literal) {}
  // The value of a parameter; reports and gives nothing when it is of another kind. `parts` has the
  // rule's entries and learns which variables are used.
  static std::optional<Integer> read(BindContext& context, std::string_view param,
                                     BoundParts& parts);
  static std::optional<Integer> read(BindContext& context, std::string_view param,
                                     const yaml::Node& node, BoundParts& parts);
  static Integer read_or(BindContext& context, std::string_view param, std::int64_t otherwise,
                         BoundParts& parts);

  // Errors: evaluation, and bad-group when a capture that it uses differs between parts.
  [[nodiscard]] Result<std::int64_t> value(const Subject& subject) const;
  // Where the spec writes it; unknown for a default.
  [[nodiscard]] const Location& where() const { return where_; }

 private:
  friend class Integers;
  friend class Number;
  friend class NamedIntegers;
  Integer() = default;
  static std::optional<Integer> parse(BindContext& context, const yaml::Node& node,
                                      BoundParts& parts);
  [[nodiscard]] Result<Value> evaluate(const Subject& subject) const;

  std::optional<std::int64_t> literal_;
  std::vector<Expression> expressions_;  // by entry
  Location where_;
};

// One number that may have a fraction (`fill: 0.5`): literal, a variable, or an expression.
class Number {
 public:
  static std::optional<Number> read(BindContext& context, std::string_view param,
                                    BoundParts& parts);
  [[nodiscard]] Result<Scalar> value(const Subject& subject) const;

 private:
  std::optional<double> fraction_;
  std::optional<Integer> expression_;  // when there is no fraction
};

// A list of numbers, or an expression whose value is a list (`index: rows`).
class Integers {
 public:
  static std::optional<Integers> read(BindContext& context, std::string_view param,
                                      BoundParts& parts);
  [[nodiscard]] Result<std::vector<std::int64_t>> value(const Subject& subject) const;
  [[nodiscard]] const Location& where() const { return where_; }
  // How many there are, when the spec writes a list.
  [[nodiscard]] std::optional<std::size_t> count() const;

 private:
  std::vector<Integer> items_;
  std::optional<Integer> whole_;
  Location where_;
};

// A mapping of names to numbers, in order.
class NamedIntegers {
 public:
  // The names are words: letters, digits and `_`, no digit first. Nothing when it is not given.
  static std::optional<NamedIntegers> read(BindContext& context, std::string_view param,
                                           BoundParts& parts);
  struct Item {
    std::string name;
    Location where;
    Integer number;
  };
  [[nodiscard]] const std::vector<Item>& items() const { return items_; }

 private:
  std::vector<Item> items_;
};

}  // namespace regraft
