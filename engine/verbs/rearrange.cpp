// rearrange: '\.q_proj\.weight$'
// pattern: '(h two d) c -> (h d two) c'
// with: {h: heads, two: 2}      a.q_proj.weight [24, 8]  ->  the same shape, rows interleaved
#include <algorithm>
#include <array>

#include "base/nearest.h"
#include "text/axes.h"
#include "text/characters.h"
#include "verbs/inverse.h"
#include "verbs/one_to_one.h"
#include "verbs/rearrangement.h"
#include "verbs/verbs.h"

namespace regraft {
namespace {

constexpr auto kParams = std::to_array<Param>({
    {"pattern", ParamType::text, true,
     "The axes before and after, as einops writes them: names, parentheses, `1` and `...`."},
    {"with", ParamType::named_integers, false,
     "Sizes of axes that cannot be told from the shape: of each dimension all but one."},
});

class Rearranging final : public OneToOne {
 public:
  Rearranging(Rearrangement rearrangement, std::vector<NamedIntegers::Item> sizes)
      : rearrangement_(std::move(rearrangement)), sizes_(std::move(sizes)) {}

 private:
  Result<ExprPtr> make(const Subject& subject) const override {
    const Match& match = subject.first();
    Rearrangement::Sizes sizes;
    for (const NamedIntegers::Item& item : sizes_) {
      REGRAFT_TRY(const std::int64_t size, item.number.value(subject));
      if (size < 0)
        return error(Code::rule_shape, item.where,
                     "the size of `" + item.name + "` is " + std::to_string(size) +
                         ", for tensor " + described(match));
      sizes.emplace(item.name, size);
    }
    Result<ExprPtr> result = rearrangement_.apply(*match.expr, sizes);
    if (!result) result.error().message += ", for tensor " + described(match);
    return result;
  }

  Rearrangement rearrangement_;
  std::vector<NamedIntegers::Item> sizes_;
};

class Rearrange final : public Verb {
 public:
  std::string_view name() const override { return "rearrange"; }
  std::string_view doc() const override {
    return "einops notation for one tensor: dimensions taken apart, reordered and merged.";
  }
  std::string_view example() const override {
    return "rearrange: '\\.q_proj\\.weight$'\npattern: '(h two d) c -> (h d two) c'\nwith: {h: 12, "
           "two: 2}";
  }
  std::string_view sample() const override { return "a.q_proj.weight float32 [48, 8]"; }
  std::span<const Param> params() const override { return kParams; }

  // The sides change places. Axes that share a dimension then are told apart by `with`.
  Result<Undoing> undo(const InverseInput& input) const override {
    const std::string& pattern = input.param("pattern")->text;
    const std::size_t arrow = pattern.find("->");
    const std::string before(trimmed(std::string_view(pattern).substr(0, arrow)));
    const std::string after(trimmed(std::string_view(pattern).substr(arrow + 2)));
    Diagnostics none;
    const auto axes = parse_axes(after, {}, none);
    if (!axes) return no_inverse(input, "its pattern cannot be turned around");
    const yaml::Node* with = input.param("with");
    for (const AxisGroup& group : *axes) {
      std::vector<std::string> open;
      for (const Axis& axis : group.axes) {
        if (axis.kind == Axis::Kind::ellipsis && group.parentheses)
          return no_inverse(input, "`...` becomes a part of one dimension");
        if (axis.kind == Axis::Kind::name && !(with && with->find(axis.name)))
          open.push_back(axis.name);
      }
      if (group.parentheses && open.size() > 1)
        return no_inverse(input,
                          "the sizes of `" + open[0] + "` and `" + open[1] +
                              "` cannot be told from their one dimension",
                          "give one of them in `with`");
    }
    yaml::Node rule = mapping_node(
        {{"rearrange", input.operand}, {"pattern", text_node(after + " -> " + before)}});
    if (with) rule.entries.push_back({plain_node("with"), *with});
    return Undoing{.rules = {std::move(rule)}, .same_names = true, .same_dtype = true};
  }

  BoundParts bind(BindContext& context) const override {
    BoundParts parts{.entries = context.patterns(context.operand())};
    const std::size_t before = context.diagnostics().error_count();
    const auto with = NamedIntegers::read(context, "with", parts);
    const yaml::Node* pattern = context.param("pattern");
    if (!pattern) return parts;  // reported by the table's check
    if (!pattern->is_scalar()) {
      context.diagnostics().add(error(Code::wrong_type, pattern->where,
                                      "`pattern` is a text, not " + yaml::describe(*pattern),
                                      "for instance `pattern: (h w) c -> c h w`"));
      return parts;
    }
    const yaml::Node* given = context.param("with");
    if (given && !given->is_mapping()) return parts;  // reported above
    std::vector<std::string> sized;                   // also by what is no number
    if (given)
      for (const yaml::Entry& entry : given->entries) sized.push_back(entry.key.text);
    auto rearrangement =
        Rearrangement::parse(pattern->text, pattern->where, sized, context.diagnostics());
    if (!rearrangement) return parts;
    std::vector<NamedIntegers::Item> sizes;
    if (with) sizes = with->items();
    for (const NamedIntegers::Item& item : sizes) check(item, *rearrangement, context);
    if (context.diagnostics().error_count() == before)
      parts.verb = std::make_unique<Rearranging>(std::move(*rearrangement), std::move(sizes));
    return parts;
  }

 private:
  static void check(const NamedIntegers::Item& item, const Rearrangement& rearrangement,
                    BindContext& context) {
    const std::vector<std::string>& axes = rearrangement.axes();
    if (std::ranges::find(axes, item.name) != axes.end()) return;
    const std::vector<std::string_view> names(axes.begin(), axes.end());
    const std::string near = nearest(item.name, names);
    context.diagnostics().add(error(Code::unknown_key, item.where,
                                    "the pattern has no axis `" + item.name + "`",
                                    near.empty() ? "" : "did you mean `" + near + "`?"));
  }
};

}  // namespace

const Verb& rearrange_verb() {
  static const Rearrange verb;
  return verb;
}

}  // namespace regraft
