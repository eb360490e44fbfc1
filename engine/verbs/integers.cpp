#include "verbs/integers.h"

#include "text/characters.h"
#include "verbs/parameters.h"
#include "verbs/rewrite.h"

namespace regraft {
namespace {

void wrong(BindContext& context, std::string_view param, ParamType type, const Location& where,
           const std::string& what) {
  const Param known{.name = param, .type = type, .required = false, .doc = {}};
  context.diagnostics().add(
      error(Code::wrong_type, where,
            "`" + std::string(param) + "` is " + written_as(known) + ", " + what, example(known)));
}

Status same_captures(const Subject& subject, const std::vector<Expression>& expressions,
                     const Location& where) {
  return same_captures(
      subject, expressions[subject.first().entry].text(), where,
      [&](std::size_t entry) -> const std::vector<int>& { return expressions[entry].groups(); });
}

Diagnostic for_subject(Diagnostic problem, const Subject& subject) {
  return for_tensor(std::move(problem), subject.first().name);
}

}  // namespace

Status same_captures(const Subject& subject, std::string_view text, const Location& where,
                     const std::function<const std::vector<int>&(std::size_t)>& groups) {
  const Match& first = subject.first();
  const std::vector<int>& mine = groups(first.entry);
  for (const Match& other : subject.matches().subspan(1)) {
    const std::vector<int>& its = groups(other.entry);
    for (std::size_t i = 0; i < mine.size() && i < its.size(); ++i) {
      const std::string_view one = first.found.groups[static_cast<std::size_t>(mine[i])];
      const std::string_view two = other.found.groups[static_cast<std::size_t>(its[i])];
      if (one == two) continue;
      return error(Code::bad_group, where,
                   "the parts of one group ask for different parameters: " + quoted(text) +
                       " uses " + quoted(one) + " of " + quoted(first.name) + " and " +
                       quoted(two) + " of " + quoted(other.name),
                   "a parameter may use the captures in which the parts of a group agree");
    }
  }
  return Done{};
}

Bindings Subject::bindings() const {
  return {.variables = &variables_, .found = &first().found, .part_index = part_index_};
}

std::optional<Integer> Integer::parse(BindContext& context, const yaml::Node& node,
                                      BoundParts& parts) {
  Integer number;
  number.where_ = node.where;
  if (const auto literal = yaml::as_int(node)) {
    number.literal_ = literal;
    return number;
  }
  for (const RuleEntry& entry : parts.entries) {
    const Scope scope{.variables = &context.variables(), .pattern = &entry.pattern};
    auto expression = Expression::parse(node.text, node.where, scope, context.diagnostics());
    if (!expression) return std::nullopt;  // the same text would fail the same way for each entry
    parts.variables.insert(parts.variables.end(), expression->variables().begin(),
                           expression->variables().end());
    number.expressions_.push_back(std::move(*expression));
  }
  return number;
}

std::optional<Integer> Integer::read(BindContext& context, std::string_view param,
                                     BoundParts& parts) {
  const yaml::Node* node = context.param(param);
  return node ? read(context, param, *node, parts) : std::nullopt;
}

std::optional<Integer> Integer::read(BindContext& context, std::string_view param,
                                     const yaml::Node& node, BoundParts& parts) {
  if (node.is_scalar()) return parse(context, node, parts);
  wrong(context, param, ParamType::integer, node.where, "not " + yaml::describe(node));
  return std::nullopt;
}

Integer Integer::read_or(BindContext& context, std::string_view param, std::int64_t otherwise,
                         BoundParts& parts) {
  return read(context, param, parts).value_or(Integer(otherwise));
}

Result<Value> Integer::evaluate(const Subject& subject) const {
  if (literal_) return Value{*literal_};
  REGRAFT_CHECK(same_captures(subject, expressions_, where_));
  auto value = expressions_[subject.first().entry].evaluate(subject.bindings());
  if (!value) return for_subject(std::move(value).error(), subject);
  return value;
}

Result<std::int64_t> Integer::value(const Subject& subject) const {
  if (literal_) return *literal_;
  REGRAFT_CHECK(same_captures(subject, expressions_, where_));
  auto value = expressions_[subject.first().entry].evaluate_int(subject.bindings());
  if (!value) return for_subject(std::move(value).error(), subject);
  return value;
}

std::optional<Number> Number::read(BindContext& context, std::string_view param,
                                   BoundParts& parts) {
  const yaml::Node* node = context.param(param);
  if (!node) return std::nullopt;
  Number number;
  if (!node->is_scalar()) {
    wrong(context, param, ParamType::scalar, node->where, "not " + yaml::describe(*node));
    return std::nullopt;
  }
  if (!yaml::as_int(*node)) number.fraction_ = yaml::as_float(*node);
  if (!number.fraction_) {
    number.expression_ = Integer::parse(context, *node, parts);
    if (!number.expression_) return std::nullopt;
  }
  return number;
}

Result<Scalar> Number::value(const Subject& subject) const {
  if (fraction_) return Scalar{*fraction_};
  REGRAFT_TRY(const Value value, expression_->evaluate(subject));
  if (const auto* fraction = std::get_if<double>(&value.data)) return Scalar{*fraction};
  REGRAFT_TRY(const std::int64_t integer, expression_->value(subject));
  return Scalar{integer};
}

std::optional<Integers> Integers::read(BindContext& context, std::string_view param,
                                       BoundParts& parts) {
  const yaml::Node* node = context.param(param);
  if (!node) return std::nullopt;
  Integers numbers;
  numbers.where_ = node->where;
  if (node->is_scalar() && !yaml::as_int(*node)) {
    numbers.whole_ = Integer::parse(context, *node, parts);
    return numbers.whole_ ? std::optional(std::move(numbers)) : std::nullopt;
  }
  if (!node->is_sequence()) {
    wrong(context, param, ParamType::integers, node->where, "not " + yaml::describe(*node));
    return std::nullopt;
  }
  bool all = true;
  for (const yaml::Node& item : node->items) {
    if (!item.is_scalar()) {
      wrong(context, param, ParamType::integers, item.where,
            "and has " + yaml::describe(item) + " in it");
      all = false;
    } else if (auto number = Integer::parse(context, item, parts)) {
      numbers.items_.push_back(std::move(*number));
    } else {
      all = false;
    }
  }
  return all ? std::optional(std::move(numbers)) : std::nullopt;
}

Result<std::vector<std::int64_t>> Integers::value(const Subject& subject) const {
  std::vector<std::int64_t> numbers;
  if (!whole_) {
    for (const Integer& item : items_) {
      REGRAFT_TRY(const std::int64_t number, item.value(subject));
      numbers.push_back(number);
    }
    return numbers;
  }
  REGRAFT_TRY(const Value value, whole_->evaluate(subject));
  const auto fail = [&](const std::string& what) {
    return for_subject(
        error(Code::evaluation, where_, what, "a list of integers, each a number or an expression"),
        subject);
  };
  const auto* list = std::get_if<List>(&value.data);
  if (list == nullptr) return fail(describe(value) + " where a list should be");
  for (const Value& item : *list) {
    const auto* number = std::get_if<std::int64_t>(&item.data);
    if (number == nullptr) return fail(describe(item) + " in a list of integers");
    numbers.push_back(*number);
  }
  return numbers;
}

std::optional<std::size_t> Integers::count() const {
  return whole_ ? std::nullopt : std::optional(items_.size());
}

std::optional<NamedIntegers> NamedIntegers::read(BindContext& context, std::string_view param,
                                                 BoundParts& parts) {
  const yaml::Node* node = context.param(param);
  if (!node) return std::nullopt;
  if (!node->is_mapping()) {
    wrong(context, param, ParamType::named_integers, node->where, "not " + yaml::describe(*node));
    return std::nullopt;
  }
  NamedIntegers numbers;
  bool all = true;
  for (const yaml::Entry& entry : node->entries) {
    if (!is_name(entry.key.text)) {
      wrong(context, param, ParamType::named_integers, entry.key.where,
            "and " + quoted(entry.key.text) + " is no name");
      all = false;
    } else if (auto number = Integer::read(context, param, entry.value, parts)) {
      numbers.items_.push_back({entry.key.text, entry.key.where, std::move(*number)});
    } else {
      all = false;
    }
  }
  return all ? std::optional(std::move(numbers)) : std::nullopt;
}

}  // namespace regraft
