// unbind: '\.experts\.w1$'
// to: '.experts.{i}.w1'      a.experts.w1 [2, 4, 3]  ->  a.experts.0.w1, a.experts.1.w1 [4, 3]
#include <array>

#include "verbs/inverse.h"
#include "verbs/one_to_one.h"
#include "verbs/rewrite.h"
#include "verbs/verbs.h"

namespace regraft {
namespace {

constexpr auto kParams = std::to_array<Param>({
    {"to", ParamType::text_template, true,
     "What stands in place of the match in each part's name; `{i}` is the part's index."},
    {"dim", ParamType::integer, false, "The dimension that goes away. Default 0."},
});

class Unbinding final : public BoundVerb {
 public:
  Unbinding(std::vector<Template> to, Integer dim) : to_(std::move(to)), dim_(std::move(dim)) {}

  Effect apply(std::span<const Match> matches, const Variables& variables) const override {
    Effect effect;
    for (std::uint32_t i = 0; i < matches.size(); ++i) {
      if (Status done = unbind(matches[i], i, variables, effect))
        effect.consumed.push_back(i);
      else
        effect.errors.push_back(std::move(done).error());
    }
    return effect;
  }

 private:
  Status unbind(const Match& match, std::uint32_t index, const Variables& variables,
                Effect& effect) const {
    const ExprPtr& arg = *match.expr;
    REGRAFT_TRY(const std::int64_t asked, dim_.value(Subject(match, variables)));
    REGRAFT_TRY(const std::int64_t dim, dim_from_zero(asked, arg->shape.size(), match));
    const std::int64_t count = arg->shape[static_cast<std::size_t>(dim)];
    Shape shape = arg->shape;
    shape.erase(shape.begin() + dim);
    if (count == 0)
      return shape_error("dimension " + std::to_string(dim) + " of " + described(match) +
                             " is empty: nothing would be left",
                         "`drop` drops a tensor");
    // Each part is a name: what a tensor claims to have has to end somewhere.
    constexpr std::int64_t kMostParts = 1000000;
    if (count > kMostParts)
      return shape_error("dimension " + std::to_string(dim) + " of " + described(match) +
                             " would become " + std::to_string(count) + " tensors",
                         "`unbind` makes at most " + std::to_string(kMostParts));
    std::vector<Put> puts;
    for (std::int64_t i = 0; i < count; ++i) {
      REGRAFT_TRY(std::string name, rewrite(match, to_[match.entry], false, variables, i));
      puts.push_back({std::move(name), reshape(narrow(arg, dim, i, 1), shape), {index}});
    }
    for (Put& put : puts) effect.puts.push_back(std::move(put));
    return Done{};
  }

  std::vector<Template> to_;  // one for each entry
  Integer dim_;
};

class Unbind final : public Verb {
 public:
  std::string_view name() const override { return "unbind"; }
  std::string_view doc() const override {
    return "One tensor for each index of a dimension, which goes away, as torch.unbind.";
  }
  std::string_view example() const override {
    return "unbind: '\\.experts\\.w1$'\nto: '.experts.{i}.w1.weight'";
  }
  std::string_view sample() const override { return "a.experts.w1 float32 [3, 4, 2]"; }
  std::span<const Param> params() const override { return kParams; }

  BoundParts bind(BindContext& context) const override {
    BoundParts parts{.entries = context.patterns(context.operand())};
    Integer dim = Integer::read_or(context, "dim", 0, parts);
    const yaml::Node* to = context.param("to");
    if (!to) return parts;  // reported by the table's check
    std::vector<Template> templates;
    for (const RuleEntry& entry : parts.entries) {
      auto text = context.text_template(*to, entry.pattern, true);
      if (!text) return parts;
      for (std::string& name : text->variables()) parts.variables.push_back(std::move(name));
      templates.push_back(std::move(*text));
    }
    parts.verb = std::make_unique<Unbinding>(std::move(templates), std::move(dim));
    return parts;
  }
  Result<Undoing> undo(const InverseInput& input) const override {
    REGRAFT_TRY(const yaml::Node* pattern, one_pattern(input));
    REGRAFT_TRY(Reversal back, reverse(input, *pattern, *input.param("to")));
    yaml::Node stack = mapping_node(
        {{"stack", text_node(std::move(back.pattern))}, {"to", text_node(std::move(back.to))}});
    if (const yaml::Node* dim = input.param("dim"))
      stack.entries.push_back({plain_node("dim"), *dim});
    return Undoing{.rules = {std::move(stack)}, .same_dtype = true};
  }
};

}  // namespace

const Verb& unbind_verb() {
  static const Unbind verb;
  return verb;
}

}  // namespace regraft
