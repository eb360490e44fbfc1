// rename: '^module\.'
// to: ''                 module.conv.weight  ->  conv.weight
#include <array>

#include "verbs/inverse.h"
#include "verbs/rewrite.h"
#include "verbs/verbs.h"

namespace regraft {
namespace {

constexpr auto kParams = std::to_array<Param>({
    {"to", ParamType::text_template, false,
     "What stands in place of the match; required unless the value is a table."},
    {"all", ParamType::boolean, false,
     "Rewrite every place where the pattern is found, not the first."},
});

class Renaming final : public BoundVerb {
 public:
  Renaming(std::vector<Template> to, bool all) : to_(std::move(to)), all_(all) {}

  Effect apply(std::span<const Match> matches, const Variables& variables) const override {
    Effect effect;
    effect.consumed.reserve(matches.size());
    effect.puts.reserve(matches.size());
    for (std::uint32_t i = 0; i < matches.size(); ++i) {
      const Match& match = matches[i];
      Result<std::string> name = rewrite(match, to_[match.entry], all_, variables);
      if (!name) {
        effect.errors.push_back(std::move(name).error());
        continue;
      }
      effect.consumed.push_back(i);
      effect.puts.push_back({std::move(*name), *match.expr, {i}});
    }
    return effect;
  }

 private:
  std::vector<Template> to_;  // one for each entry
  bool all_;
};

// {exact: {NAME: NEW}}: NEW is literal, whatever braces and backslashes it has.
const yaml::Node* literal_table(const yaml::Node& operand) {
  const yaml::Node* exact = operand.find("exact");
  return exact && operand.entries.size() == 1 && exact->is_mapping() ? exact : nullptr;
}

std::string escaped(std::string_view literal) {
  std::string out;
  for (const char c : literal) {
    if (c == '\\' || c == '{' || c == '}') out += c;
    out += c;
  }
  return out;
}

class Rename final : public Verb {
 public:
  std::string_view name() const override { return "rename"; }
  std::string_view doc() const override {
    return "A new name: `to` stands where the pattern was found, the rest stays. In a table the "
           "first "
           "pattern that is found rewrites the name, once.";
  }
  std::string_view example() const override { return "rename: '^module\\.'\nto: ''"; }
  std::string_view sample() const override {
    return "module.fc.weight float32 [10, 8]\n"
           "head.weight float32 [10, 8]";
  }
  ParamType operand() const override { return ParamType::patterns_or_table; }
  std::span<const Param> params() const override { return kParams; }

  BoundParts bind(BindContext& context) const override {
    const yaml::Node& operand = context.operand();
    const bool all = context.boolean("all", false);
    const bool exact_names = operand.find("exact") && operand.entries.size() == 1;
    const bool table = operand.is_mapping() && (!exact_names || literal_table(operand));
    return table ? bind_table(context, all) : bind_patterns(context, all);
  }
  Result<Undoing> undo(const InverseInput& input) const override {
    const yaml::Node* to = input.param("to");
    yaml::Node rule;
    if (const yaml::Node* exact = literal_table(input.operand)) {
      rule = mapping_node({});
      for (const yaml::Entry& row : exact->entries)
        rule.entries.push_back({text_node(row.value.text), text_node(row.key.text)});
      rule = mapping_node({{"rename", mapping_node({{"exact", std::move(rule)}})}});
    } else if (to) {
      REGRAFT_TRY(const yaml::Node* pattern, one_pattern(input));
      REGRAFT_TRY(Reversal back, reverse(input, *pattern, *to));
      rule = mapping_node(
          {{"rename", text_node(std::move(back.pattern))}, {"to", text_node(std::move(back.to))}});
    } else {
      rule = mapping_node({});
      for (const yaml::Entry& row : input.operand.entries) {
        REGRAFT_TRY(Reversal back, reverse(input, row.key, row.value));
        for (const yaml::Entry& other : rule.entries)
          if (other.key.text == back.pattern)
            return no_inverse(input, "two rows of the table make the same names");
        rule.entries.push_back({text_node(std::move(back.pattern)), text_node(std::move(back.to))});
      }
      rule = mapping_node({{"rename", std::move(rule)}});
    }
    if (const yaml::Node* all = input.param("all"))
      rule.entries.push_back({plain_node("all"), *all});
    return Undoing{
        .rules = {std::move(rule)}, .same_shape = true, .same_ndim = true, .same_dtype = true};
  }

 private:
  static BoundParts bind_patterns(BindContext& context, bool all) {
    BoundParts parts;
    parts.entries = context.patterns(context.operand());
    const yaml::Node* to = context.param("to");
    if (!to) {
      context.diagnostics().add(error(Code::missing_key, context.verb_key().where,
                                      "`rename` with a pattern has no `to`",
                                      "add `to: ''` for removing what the pattern matches"));
      return parts;
    }
    std::vector<Template> templates;
    for (const RuleEntry& entry : parts.entries)
      if (!add(context.text_template(*to, entry.pattern), templates, parts)) return parts;
    parts.verb = std::make_unique<Renaming>(std::move(templates), all);
    return parts;
  }

  static BoundParts bind_table(BindContext& context, bool all) {
    BoundParts parts;
    parts.table = true;
    const yaml::Node* literal = literal_table(context.operand());
    const yaml::Node& table = literal ? *literal : context.operand();
    if (const yaml::Node* to = context.param("to"))
      context.diagnostics().add(error(Code::wrong_type, to->where,
                                      "`to` stands beside a table that has its own new names",
                                      "remove `to`, or give one pattern in place of the table"));
    if (table.entries.empty())
      context.diagnostics().add(
          error(Code::wrong_type, table.where, "the table of `rename` is empty"));
    std::vector<Template> templates;
    for (const yaml::Entry& row : table.entries) {
      if (!literal && row.key.text == "exact" && !row.value.is_scalar()) {
        context.diagnostics().add(error(Code::wrong_type, row.key.where,
                                        "`exact` stands beside other entries of a table",
                                        "give the literal names a rule of their own"));
        continue;
      }
      std::optional<Pattern> pattern =
          literal ? Pattern::literal(row.key.text)
                  : Pattern::compile(row.key.text, row.key.where, context.diagnostics());
      if (!pattern) continue;
      yaml::Node to = row.value;
      if (literal && to.is_scalar()) to.text = escaped(to.text);
      parts.entries.push_back({*pattern, row.key.where});
      add(context.text_template(to, *pattern), templates, parts);
    }
    if (templates.size() == parts.entries.size())
      parts.verb = std::make_unique<Renaming>(std::move(templates), all);
    return parts;
  }

  static bool add(std::optional<Template> to, std::vector<Template>& templates, BoundParts& parts) {
    if (!to) return false;
    for (std::string& variable : to->variables()) parts.variables.push_back(std::move(variable));
    templates.push_back(std::move(*to));
    return true;
  }
};

}  // namespace

const Verb& rename_verb() {
  static const Rename verb;
  return verb;
}

}  // namespace regraft
