#include "verbs/parameters.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

#include "base/nearest.h"

namespace regraft {
namespace {

struct Wording {
  std::string_view written;  // "an integer from 0 up"
  std::string_view example;
};
Wording wording(ParamType type) {
  switch (type) {
    case ParamType::patterns:
      return {"a pattern or a list of patterns", "'^head\\.'"};
    case ParamType::patterns_or_table:
      return {"a pattern, a list of patterns or a table", "'^head\\.'"};
    case ParamType::text_template:
      return {"a text", "'head.'"};
    case ParamType::boolean:
      return {"true or false", "true"};
    case ParamType::word:
      break;
    case ParamType::natural:
      return {"an integer from 0 up", "1"};
    case ParamType::number:
      return {"a finite number", "0.5"};
    case ParamType::magnitude:
      return {"a finite number from 0 up", "0.02"};
    case ParamType::number_or_keep:
      return {"a number or `keep`", "0"};
    case ParamType::dims:
      return {"a list of dimensions", "[0, -1]"};
    case ParamType::grid:
      return {"a list of two sizes from 1 up, height and width", "[14, 14]"};
    case ParamType::axes:
      return {"a text of axes", "1 (h w) c"};
    case ParamType::text:
      return {"a text", "'a'"};
    case ParamType::dtype:
      return {"torch's name of a dtype", "float32"};
    case ParamType::scalar:
      return {"a number, or an expression as text", "0"};
    case ParamType::integer:
      return {"an integer, or an expression as text", "1"};
    case ParamType::integers:
      return {"a list of integers or expressions", "[0, 1]"};
    case ParamType::named_integers:
      return {"a mapping of names to integers or expressions", "{h: 12}"};
    case ParamType::templates:
      return {"a list of texts; `~` drops that part", "['.q.', '.k.', '.v.']"};
    case ParamType::operands:
      return {"a mapping of names to patterns", "{a: '\\.a$', b: '\\.b$'}"};
    case ParamType::template_or_formulas:
      return {"a text, or a mapping of texts to formulas", "'.weight'"};
    case ParamType::values:
      return {"a mapping of variables to values", "{prefix: 'encoder.'}"};
  }
  return {"a word", ""};
}

}  // namespace

std::string written_as(const Param& param) {
  if (param.type != ParamType::word) return std::string(wording(param.type).written);
  std::string list;
  for (std::size_t i = 0; i < param.words.size(); ++i) {
    if (i > 0) list += i + 1 == param.words.size() ? " or " : ", ";
    list.append("`").append(param.words[i]).append("`");
  }
  return list;
}

std::string example(const Param& param) {
  if (param.type == ParamType::word) return {};
  return "for instance `" + std::string(param.name) + ": " +
         std::string(wording(param.type).example) + "`";
}

std::optional<DType> read_dtype(const yaml::Node& node, std::string_view name,
                                Diagnostics& diagnostics) {
  const auto value = node.is_scalar() ? dtype_by_name(node.text) : std::nullopt;
  if (!value) {
    std::vector<std::string_view> names;
    for (const DTypeInfo& known : all_dtypes()) names.push_back(known.name);
    const std::string near = node.is_scalar() ? nearest(node.text, names) : "";
    diagnostics.add(
        error(Code::wrong_type, node.where,
              "`" + std::string(name) + "` is torch's name of one, not " + yaml::describe(node),
              near.empty() ? "for instance float32 or bfloat16" : "did you mean `" + near + "`?"));
  }
  return value;
}

const Param& Parameters::param(std::string_view name) const {
  const auto found = std::find_if(table_.begin(), table_.end(),
                                  [&](const Param& one) { return one.name == name; });
  assert(found != table_.end());
  return *found;
}

void Parameters::wrong(std::string_view name, const Location& where, const std::string& what) {
  const Param& asked = param(name);
  diagnostics_.add(error(Code::wrong_type, where,
                         "`" + std::string(name) + "` is " + written_as(asked) + ", " + what,
                         example(asked)));
}

void Parameters::wrong(std::string_view name, const yaml::Node& node) {
  wrong(name, node.where, "not " + yaml::describe(node));
}

std::optional<std::vector<std::int64_t>> Parameters::integers(std::string_view name,
                                                              std::size_t count,
                                                              std::int64_t least) {
  const yaml::Node* node = find(name);
  if (!node) return std::nullopt;
  if (!node->is_sequence()) {
    wrong(name, *node);
    return std::nullopt;
  }
  std::vector<std::int64_t> numbers;
  for (const yaml::Node& item : node->items) {
    const std::optional<std::int64_t> number = yaml::as_int(item);
    if (!number || *number < least) {
      wrong(name, item.where, "and has " + yaml::describe(item) + " in it");
      return std::nullopt;
    }
    numbers.push_back(*number);
  }
  if (count == 0 ? !numbers.empty() : numbers.size() == count) return numbers;
  wrong(name, node->where,
        numbers.empty() ? "and this one is empty"
                        : "and this one has " + std::to_string(numbers.size()));
  return std::nullopt;
}

std::optional<bool> Parameters::boolean(std::string_view name) {
  const yaml::Node* node = find(name);
  if (!node) return std::nullopt;
  const std::optional<bool> value = yaml::as_bool(*node);
  if (!value) wrong(name, *node);
  return value;
}

std::optional<std::string_view> Parameters::word(std::string_view name) {
  const yaml::Node* node = find(name);
  if (!node) return std::nullopt;
  if (node->is_scalar())
    for (const std::string_view word : param(name).words)
      if (node->text == word) return word;
  wrong(name, *node);
  return std::nullopt;
}

std::optional<std::int64_t> Parameters::natural(std::string_view name) {
  const yaml::Node* node = find(name);
  if (!node) return std::nullopt;
  const std::optional<std::int64_t> value = yaml::as_int(*node);
  if (value && *value >= 0) return value;
  wrong(name, *node);
  return std::nullopt;
}

std::optional<double> Parameters::number(std::string_view name) {
  const yaml::Node* node = find(name);
  if (!node) return std::nullopt;
  const std::optional<double> value = yaml::as_float(*node);
  const bool any_sign = param(name).type == ParamType::number;
  if (value && std::isfinite(*value) && (any_sign || *value >= 0)) return value;
  wrong(name, *node);
  return std::nullopt;
}

std::optional<std::optional<Scalar>> Parameters::number_or_keep(std::string_view name) {
  using Read = std::optional<Scalar>;
  const yaml::Node* node = find(name);
  if (!node) return std::nullopt;
  if (node->is_scalar() && node->text == "keep") return Read();
  if (const auto integer = yaml::as_int(*node)) return Read(*integer);
  if (const auto number = yaml::as_float(*node)) return Read(*number);
  wrong(name, *node);
  return std::nullopt;
}

std::optional<DType> Parameters::dtype(std::string_view name) {
  const yaml::Node* node = find(name);
  return node ? read_dtype(*node, name, diagnostics_) : std::nullopt;
}

std::optional<std::vector<std::int64_t>> Parameters::dims(std::string_view name) {
  return integers(name, 0, std::numeric_limits<std::int64_t>::min());
}

std::optional<GridSize> Parameters::grid(std::string_view name) {
  const auto sizes = integers(name, 2, 1);
  if (!sizes) return std::nullopt;
  return GridSize{sizes->front(), sizes->back()};
}

std::optional<Axes> Parameters::axes(std::string_view name) {
  const yaml::Node* node = find(name);
  if (!node) return std::nullopt;
  if (node->is_scalar()) return parse_axes(node->text, node->where, diagnostics_);
  wrong(name, *node);
  return std::nullopt;
}

}  // namespace regraft
