// copy: '^embed\.weight$'
// to: 'head.weight'      embed.weight  ->  embed.weight, head.weight (tied)
#include <array>

#include "verbs/inverse.h"
#include "verbs/rewrite.h"
#include "verbs/verbs.h"

namespace regraft {
namespace {

constexpr auto kParams = std::to_array<Param>({
    {"to", ParamType::text_template, true, "What stands in place of the match in the second name."},
});

class Copying final : public BoundVerb {
 public:
  explicit Copying(std::vector<Template> to) : to_(std::move(to)) {}

  Effect apply(std::span<const Match> matches, const Variables& variables) const override {
    Effect effect;
    effect.puts.reserve(matches.size());
    for (std::uint32_t i = 0; i < matches.size(); ++i) {
      Result<std::string> name = rewrite(matches[i], to_[matches[i].entry], false, variables);
      if (name)
        effect.puts.push_back({std::move(*name), *matches[i].expr, {i}});
      else
        effect.errors.push_back(std::move(name).error());
    }
    return effect;
  }

 private:
  std::vector<Template> to_;  // one for each entry
};

class Copy final : public Verb {
 public:
  std::string_view name() const override { return "copy"; }
  std::string_view doc() const override {
    return "A second name for the same tensor: tied in the output, a result like any other.";
  }
  std::string_view example() const override {
    return "copy: '^embed\\.weight$'\nto: 'head.weight'";
  }
  std::string_view sample() const override {
    return "embed.weight float32 [100, 8]\n"
           "norm.weight float32 [8]";
  }
  std::span<const Param> params() const override { return kParams; }

  BoundParts bind(BindContext& context) const override {
    BoundParts parts;
    parts.entries = context.patterns(context.operand());
    const yaml::Node* to = context.param("to");
    if (!to) return parts;  // reported by the table's check
    std::vector<Template> templates;
    for (const RuleEntry& entry : parts.entries) {
      auto text = context.text_template(*to, entry.pattern);
      if (!text) return parts;
      for (std::string& variable : text->variables())
        parts.variables.push_back(std::move(variable));
      templates.push_back(std::move(*text));
    }
    parts.verb = std::make_unique<Copying>(std::move(templates));
    return parts;
  }
  // Without the second name.
  Result<Undoing> undo(const InverseInput& input) const override {
    REGRAFT_TRY(const yaml::Node* pattern, one_pattern(input));
    REGRAFT_TRY(Reversal back, reverse(input, *pattern, *input.param("to")));
    return Undoing{.rules = {mapping_node({{"drop", text_node(std::move(back.pattern))}})},
                   .same_ndim = true,
                   .same_dtype = true};
  }
};

}  // namespace

const Verb& copy_verb() {
  static const Copy verb;
  return verb;
}

}  // namespace regraft
