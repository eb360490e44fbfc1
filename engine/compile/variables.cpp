// Variables: --set over the file; literal values, a value of a JSON file beside the source, or the
// target's names.
#include <algorithm>
#include <fstream>
#include <sstream>

#include "base/nearest.h"
#include "compile/program.h"
#include "text/characters.h"
#include "text/json.h"

namespace regraft {
namespace {

std::optional<Value> plain_text(const yaml::Node& node) { return Value{node.text}; }

// `read_text`: what a text stands for; empty when it is wrong or not known.
template <typename ReadText>
std::optional<Value> literal(const yaml::Node& node, Diagnostics& diagnostics,
                             const ReadText& read_text) {
  if (node.is_sequence()) {
    List list;
    for (const yaml::Node& item : node.items)
      if (auto value = literal(item, diagnostics, read_text)) list.push_back(std::move(*value));
    return Value{std::move(list)};
  }
  if (node.is_mapping()) {
    Map map;
    for (const yaml::Entry& entry : node.entries)
      if (auto value = literal(entry.value, diagnostics, read_text))
        map.push_back({entry.key.text, std::move(*value)});
    return Value{std::move(map)};
  }
  if (node.is_null() || yaml::as_bool(node)) {
    diagnostics.add(
        error(Code::bad_var, node.where,
              "a variable is an integer, float, text, list or map, not " + yaml::describe(node),
              node.is_null() ? "an empty text is written as ''" : ""));
    return std::nullopt;
  }
  if (const auto number = yaml::as_int(node)) return Value{*number};
  if (const auto number = yaml::as_float(node)) return Value{*number};
  return read_text(node);
}

std::optional<Value> literal(const yaml::Node& node, Diagnostics& diagnostics) {
  return literal(node, diagnostics, plain_text);
}

// Null has no place in expressions: empty. A boolean is what a comparison gives.
std::optional<Value> from_json(const json::Value& value) {
  using Kind = json::Value::Kind;
  switch (value.kind) {
    case Kind::integer:
      return Value{value.integer};
    case Kind::unsigned_integer:
      if (value.unsigned_integer > static_cast<std::uint64_t>(INT64_MAX)) return std::nullopt;
      return Value{static_cast<std::int64_t>(value.unsigned_integer)};
    case Kind::real:
      return Value{value.real};
    case Kind::string:
      return Value{value.string};
    case Kind::array: {
      List list;
      for (const json::Value& item : value.items) {
        auto inner = from_json(item);
        if (!inner) return std::nullopt;
        list.push_back(std::move(*inner));
      }
      return Value{std::move(list)};
    }
    case Kind::object: {
      Map map;
      for (const auto& [key, item] : value.entries) {
        auto inner = from_json(item);
        if (!inner) return std::nullopt;
        map.push_back({key, std::move(*inner)});
      }
      return Value{std::move(map)};
    }
    case Kind::boolean:
      return Value{std::int64_t{value.boolean}};
    case Kind::null:
      break;
  }
  return std::nullopt;
}

const json::Value* look_up(const json::Value& root, std::string_view key) {
  const json::Value* at = &root;
  while (at && !key.empty()) {
    const std::size_t dot = key.find('.');
    at = at->find(key.substr(0, dot));
    key = dot == std::string_view::npos ? std::string_view{} : key.substr(dot + 1);
  }
  return at;
}

bool stays_inside(std::string_view path) {
  if (path.empty() || path.front() == '/' || path.find('\\') != std::string_view::npos ||
      path.find('\0') != std::string_view::npos)
    return false;
  std::stringstream parts{std::string(path)};
  for (std::string part; std::getline(parts, part, '/');)
    if (part == "..") return false;
  return true;
}

constexpr auto kFromKeys = std::to_array<Key>({
    {"from",
     "A JSON file beside the source; `alias::F` beside that source, `./F` beside the spec."},
    {"key", "The dotted path of the value inside it."},
    {"default", "The value when the file or the key is not there."},
});

class FromFile {
 public:
  FromFile(const yaml::Node& node, const CompileInputs& inputs, Diagnostics& diagnostics)
      : node_(node), inputs_(inputs), diagnostics_(diagnostics) {}

  std::optional<Value> read() {
    for (const yaml::Entry& entry : node_.entries)
      if (!check_key(entry.key, kFromKeys, "a `from` variable", diagnostics_)) return std::nullopt;
    const yaml::Node& from = *node_.find("from");
    const yaml::Node* key = node_.find("key");
    if (!from.is_scalar() || !stays_inside(from.text))
      return fail(from, "`from` is a relative path without `..`, not " + yaml::describe(from));
    if (!key || !key->is_scalar())
      return fail(node_, "a `from` variable has no `key`",
                  "add `key: a.b`, the value's dotted path");
    const auto place = find(from);
    if (!place) return std::nullopt;
    const auto& [directory, file] = *place;
    if (!directory)
      return otherwise(from, "no source has the alias " + quoted(alias_in(from.text)));
    const std::string path = (directory->empty() ? "" : *directory + "/") + file;
    std::ifstream stream(path, std::ios::binary);
    if (!stream) return otherwise(from, "cannot open " + quoted(path));
    std::stringstream text;
    text << stream.rdbuf();
    auto root = json::parse(text.str(), {.file = path});
    if (!root) {
      diagnostics_.add(std::move(root).error());
      return std::nullopt;
    }
    const json::Value* value = look_up(*root, key->text);
    if (!value) return otherwise(*key, "no " + quoted(key->text) + " in " + quoted(path));
    auto result = from_json(*value);
    if (!result)
      return fail(*key, quoted(key->text) + " in " + quoted(path) +
                            " is or holds null or a number beyond 64 bits");
    return result;
  }

 private:
  // `other` of `other::config.json`; empty without one.
  static std::string_view alias_in(std::string_view from) {
    const std::size_t colons = from.find("::");
    const std::string_view alias = from.substr(0, colons);
    return colons != std::string_view::npos && is_alias(alias) ? alias : std::string_view{};
  }

  // The folder, null when there is no source of that alias, and the file in it. Empty when sources
  // are not known yet, or what stands there is no such path.
  std::optional<std::pair<const std::string*, std::string>> find(const yaml::Node& from) {
    if (from.text.starts_with("./")) return std::pair(&inputs_.spec_directory, from.text.substr(2));
    const std::string_view alias = alias_in(from.text);
    const std::string file = alias.empty() ? from.text : from.text.substr(alias.size() + 2);
    if (!stays_inside(file)) {
      fail(from, "behind the alias stands a relative path without `..`, not " + quoted(file));
      return std::nullopt;
    }
    if (!inputs_.source_directories) return std::nullopt;
    const auto found = inputs_.source_directories->find(alias);
    return std::pair(found == inputs_.source_directories->end() ? nullptr : &found->second, file);
  }

  std::optional<Value> fail(const yaml::Node& at, std::string message, std::string hint = {}) {
    diagnostics_.add(error(Code::bad_var, at.where, std::move(message), std::move(hint)));
    return std::nullopt;
  }
  std::optional<Value> otherwise(const yaml::Node& at, std::string message) {
    if (const yaml::Node* value = node_.find("default")) return literal(*value, diagnostics_);
    return fail(at, std::move(message), "set it with `--set`, or give a `default`");
  }

  const yaml::Node& node_;
  const CompileInputs& inputs_;
  Diagnostics& diagnostics_;
};

constexpr auto kNamesKeys = std::to_array<Key>({
    {"names", "`target`."},
    {"match", "Pattern: names in which it is found."},
    {"unless", "Pattern: names in which it is found are left out."},
});

bool is_names_of_target(const yaml::Node& node) {
  const yaml::Node* names = node.find("names");
  return names && names->is_scalar() && names->text == "target";
}

// `{names: target, match: P, unless: Q}`: a list of texts.
std::optional<Value> names_of_target(const yaml::Node& node, const CompileInputs& inputs,
                                     Diagnostics& diagnostics) {
  const std::size_t before = diagnostics.error_count();
  std::vector<RuleEntry> match, unless;
  for (const yaml::Entry& entry : node.entries) {
    if (!check_key(entry.key, kNamesKeys, "a variable of the target's names", diagnostics))
      continue;
    if (entry.key.text == "match") match = read_patterns(entry.value, diagnostics);
    if (entry.key.text == "unless") unless = read_patterns(entry.value, diagnostics);
  }
  if (inputs.no_target)
    diagnostics.add(error(Code::bad_var, node.find("names")->where,
                          "there is no target whose names it could be",
                          "give one with -t, or set the variable with `--set`"));
  if (diagnostics.error_count() != before || !inputs.target_names) return std::nullopt;
  List list;
  for (const std::string& name : *inputs.target_names)
    if ((match.empty() || any_found(match, name)) && !any_found(unless, name))
      list.push_back(Value{name});
  return Value{std::move(list)};
}

// What stands under `vars`; empty when it is not known yet or wrong.
std::optional<Value> value_of(const yaml::Node& node, const CompileInputs& inputs,
                              Diagnostics& diagnostics) {
  if (is_names_of_target(node)) return names_of_target(node, inputs, diagnostics);
  if (node.find("from")) return FromFile(node, inputs, diagnostics).read();
  return literal(node, diagnostics);
}

bool is_word_of_the_language(std::string_view text) {
  return text == "and" || text == "or" || text == "not" || text == "get";
}

void set_variables(const CompileInputs& inputs, Variables& variables, Diagnostics& diagnostics) {
  for (const auto& [name, text] : inputs.set) {
    const auto source = std::make_shared<SourceText>(SourceText{"--set " + name, text});
    const auto variable = variables.find(name);
    if (variable == variables.end()) {
      std::vector<std::string_view> known;
      for (const auto& [declared, unused] : variables) known.push_back(declared);
      const std::string near = nearest(name, known);
      diagnostics.add(
          error(Code::bad_var, {.text = source}, "the spec declares no variable " + quoted(name),
                near.empty() ? "declare it under `vars`" : "did you mean `" + near + "`?"));
      continue;
    }
    // YAML reads the value: 3, text, [0, 3], {a: 1}.
    const auto node = yaml::parse(source, diagnostics);
    if (node) variable->second.value = literal(*node, diagnostics);
  }
}

}  // namespace

bool asks_for_target_names(const Spec& spec) {
  return std::any_of(spec.vars.begin(), spec.vars.end(),
                     [](const yaml::Entry& entry) { return is_names_of_target(entry.value); }) ||
         std::any_of(spec.used.begin(), spec.used.end(),
                     [](const auto& used) { return used && asks_for_target_names(*used); });
}

std::optional<Value> read_given(const yaml::Node& node, const Variables& outer,
                                std::vector<std::string>& used_variables,
                                Diagnostics& diagnostics) {
  bool known = true;
  const auto read_text = [&](const yaml::Node& text) -> std::optional<Value> {
    const Scope scope{.variables = &outer};
    const auto parsed = Template::parse(text.text, text.where, scope, diagnostics);
    if (!parsed) return std::nullopt;
    for (const std::string& name : parsed->variables()) {
      used_variables.push_back(name);
      known = known && outer.find(name)->second.value;
    }
    if (!known) return std::nullopt;
    Result<Value> value = parsed->value({.variables = &outer});
    if (value) return std::move(value).value();
    Diagnostic problem = value.error();
    if (!problem.where.known()) problem.where = text.where;
    diagnostics.add(std::move(problem));
    return std::nullopt;
  };
  std::optional<Value> value = literal(node, diagnostics, read_text);
  return known ? value : std::nullopt;
}

Variables read_variables(const Spec& spec, const CompileInputs& inputs, Diagnostics& diagnostics,
                         const GivenValues& given) {
  Variables variables;
  for (const yaml::Entry& entry : spec.vars) {
    const std::string& name = entry.key.text;
    if (!is_name(name) || is_word_of_the_language(name)) {
      diagnostics.add(error(Code::bad_var, entry.key.where,
                            quoted(name) + " is no name for a variable",
                            "letters, digits and `_`, not `and`, `or`, `not` or `get`"));
      continue;
    }
    const bool set = std::any_of(inputs.set.begin(), inputs.set.end(),
                                 [&](const auto& pair) { return pair.first == name; });
    std::optional<Value> value;
    if (const auto there = given.find(name); there != given.end())
      value = there->second;
    else if (!set)
      value = value_of(entry.value, inputs, diagnostics);
    variables.emplace(name, Variable{std::move(value), entry.key.where});
  }
  set_variables(inputs, variables, diagnostics);
  return variables;
}

}  // namespace regraft
