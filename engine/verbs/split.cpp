// split: '\.qkv\.'
// to: ['.q.', '.k.', '.v.']      a.qkv.weight [12, 4]  ->  a.q.weight, a.k.weight, a.v.weight [4,
// 4]
#include <array>

#include "base/checked.h"
#include "verbs/inverse.h"
#include "verbs/one_to_one.h"
#include "verbs/rewrite.h"
#include "verbs/verbs.h"

namespace regraft {
namespace {

constexpr auto kParams = std::to_array<Param>({
    {"to", ParamType::templates, true,
     "What stands in place of the match in each part's name, in order; `~` drops a part. `i` is "
     "the part's index."},
    {"dim", ParamType::integer, false, "Default 0."},
    {"sizes", ParamType::integers, false,
     "The parts' sizes, one for each `to`. Without it they are equal."},
});

// One for each entry of the rule; empty: the part is dropped.
using Part = std::vector<Template>;

class Splitting final : public BoundVerb {
 public:
  Splitting(std::vector<Part> parts, Integer dim, std::optional<Integers> sizes)
      : parts_(std::move(parts)), dim_(std::move(dim)), sizes_(std::move(sizes)) {}

  Effect apply(std::span<const Match> matches, const Variables& variables) const override {
    Effect effect;
    for (std::uint32_t i = 0; i < matches.size(); ++i) {
      if (Status done = split(matches[i], i, variables, effect))
        effect.consumed.push_back(i);
      else
        effect.errors.push_back(std::move(done).error());
    }
    return effect;
  }

 private:
  Status split(const Match& match, std::uint32_t index, const Variables& variables,
               Effect& effect) const {
    const ExprPtr& arg = *match.expr;
    const Subject subject(match, variables);
    REGRAFT_TRY(const std::int64_t asked, dim_.value(subject));
    REGRAFT_TRY(const std::int64_t dim, dim_from_zero(asked, arg->shape.size(), match));
    REGRAFT_TRY(const std::vector<std::int64_t> sizes, sizes_of(subject, dim));
    std::vector<Put> puts;
    std::int64_t start = 0;
    for (std::size_t part = 0; part < parts_.size(); ++part) {
      if (!parts_[part].empty()) {
        REGRAFT_TRY(std::string name, rewrite(match, parts_[part][match.entry], false, variables,
                                              static_cast<std::int64_t>(part)));
        puts.push_back({std::move(name), narrow(arg, dim, start, sizes[part]), {index}});
      }
      start += sizes[part];
    }
    for (Put& put : puts) effect.puts.push_back(std::move(put));
    return Done{};
  }

  Result<std::vector<std::int64_t>> sizes_of(const Subject& subject, std::int64_t dim) const {
    const Match& match = subject.first();
    const std::int64_t whole = (*match.expr)->shape[static_cast<std::size_t>(dim)];
    const auto count = static_cast<std::int64_t>(parts_.size());
    const std::string where = "dimension " + std::to_string(dim) + " of " + described(match);
    if (!sizes_) {
      if (whole % count == 0)
        return std::vector<std::int64_t>(static_cast<std::size_t>(count), whole / count);
      return shape_error(where + " cannot be split into " + std::to_string(count) + " equal parts",
                         "`sizes` says how large each part is");
    }
    REGRAFT_TRY(std::vector<std::int64_t> sizes, sizes_->value(subject));
    if (sizes.size() != parts_.size())
      return shape_error("`sizes` " + to_string(sizes) + " for " + std::to_string(count) +
                             " parts of " + described(match),
                         "there is one size for each `to`");
    std::optional<std::int64_t> sum = 0;
    for (const std::int64_t size : sizes) {
      if (size < 0)
        return shape_error("`sizes` " + to_string(sizes) + " has a negative one for " +
                           described(match));
      if (sum) sum = checked_add(*sum, size);
    }
    if (sum == whole) return sizes;
    return shape_error("`sizes` " + to_string(sizes) +
                           (sum ? " add up to " + std::to_string(*sum) : " do not add up") +
                           ", and " + where + " has " + std::to_string(whole),
                       "what no part takes has a size of its own, with `~` as its `to`");
  }

  std::vector<Part> parts_;
  Integer dim_;
  std::optional<Integers> sizes_;
};

class Split final : public Verb {
 public:
  std::string_view name() const override { return "split"; }
  std::string_view doc() const override {
    return "Parts along a dimension, each with a name, as torch.split.";
  }
  std::string_view example() const override {
    return "split: '\\.qkv\\.'\nto: ['.q.', '.k.', '.v.']\ndim: 0";
  }
  std::string_view sample() const override {
    return "a.qkv.weight float32 [12, 4]\n"
           "a.qkv.bias float32 [12]";
  }
  std::span<const Param> params() const override { return kParams; }

  BoundParts bind(BindContext& context) const override {
    BoundParts parts{.entries = context.patterns(context.operand())};
    Integer dim = Integer::read_or(context, "dim", 0, parts);
    std::optional<Integers> sizes = Integers::read(context, "sizes", parts);
    const yaml::Node* to = context.param("to");
    std::optional<std::vector<Part>> named = to ? read_parts(context, *to, parts) : std::nullopt;
    if (!named) return parts;
    if (sizes && sizes->count() && *sizes->count() != named->size()) {
      context.diagnostics().add(error(Code::wrong_type, sizes->where(),
                                      "`sizes` has " + std::to_string(*sizes->count()) +
                                          " sizes, and `to` has " + std::to_string(named->size()) +
                                          " parts",
                                      "there is one size for each `to`"));
      return parts;
    }
    parts.verb = std::make_unique<Splitting>(std::move(*named), std::move(dim), std::move(sizes));
    return parts;
  }
  // The parts one behind the other.
  Result<Undoing> undo(const InverseInput& input) const override {
    REGRAFT_TRY(const yaml::Node* pattern, one_pattern(input));
    std::vector<yaml::Node> parts;
    std::optional<std::string> whole;
    for (const yaml::Node& to : input.param("to")->items) {
      const auto index = static_cast<std::int64_t>(parts.size());
      if (to.is_null()) return no_inverse(input, "part " + std::to_string(index) + " is dropped");
      REGRAFT_TRY(Reversal back, reverse(input, *pattern, to, index));
      if (whole && *whole != back.to)
        return no_inverse(input, "its parts have their captures in different order");
      whole = std::move(back.to);
      parts.push_back(text_node(std::move(back.pattern)));
    }
    yaml::Node joined =
        mapping_node({{"cat", list_node(std::move(parts))}, {"to", text_node(std::move(*whole))}});
    if (const yaml::Node* dim = input.param("dim"))
      joined.entries.push_back({plain_node("dim"), *dim});
    return Undoing{.rules = {std::move(joined)}, .same_ndim = true, .same_dtype = true};
  }

 private:
  static std::optional<std::vector<Part>> read_parts(BindContext& context, const yaml::Node& to,
                                                     BoundParts& parts) {
    if (!to.is_sequence() || to.items.empty()) {
      context.diagnostics().add(
          error(Code::wrong_type, to.where,
                "`to` of `split` is a list of texts, " +
                    (to.is_sequence() ? "and this one is empty" : "not " + yaml::describe(to)),
                "for instance `to: ['.q.', '.k.', '.v.']`; `~` drops a part"));
      return std::nullopt;
    }
    std::vector<Part> named;
    bool good = true;
    for (const yaml::Node& item : to.items) {
      Part& part = named.emplace_back();
      if (item.is_null()) continue;
      for (const RuleEntry& entry : parts.entries) {
        auto text = context.text_template(item, entry.pattern, true);
        good = good && text;
        if (!text) break;
        for (std::string& name : text->variables()) parts.variables.push_back(std::move(name));
        part.push_back(std::move(*text));
      }
    }
    return good ? std::optional(std::move(named)) : std::nullopt;
  }
};

}  // namespace

const Verb& split_verb() {
  static const Split verb;
  return verb;
}

}  // namespace regraft
