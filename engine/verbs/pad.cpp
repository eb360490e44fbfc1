// pad: '^embed\.weight$'
// after: 6      embed.weight [30522, 8]  ->  embed.weight [30528, 8]
#include <array>

#include "base/checked.h"
#include "verbs/inverse.h"
#include "verbs/one_to_one.h"
#include "verbs/verbs.h"

namespace regraft {
namespace {

constexpr auto kParams = std::to_array<Param>({
    {"dim", ParamType::integer, false, "Default 0."},
    {"before", ParamType::integer, false, "How many are added in front. Default 0."},
    {"after", ParamType::integer, false, "How many are added at the end. Default 0."},
    {"fill", ParamType::scalar, false, "The value of what is added. Default 0."},
});

class Padding final : public OneToOne {
 public:
  Padding(Integer dim, Integer before, Integer after, std::optional<Number> fill)
      : dim_(std::move(dim)),
        before_(std::move(before)),
        after_(std::move(after)),
        fill_(std::move(fill)) {}

 private:
  Result<ExprPtr> make(const Subject& subject) const override {
    const ExprPtr& arg = *subject.first().expr;
    REGRAFT_TRY(const std::int64_t asked, dim_.value(subject));
    REGRAFT_TRY(const std::int64_t dim, dim_from_zero(asked, arg->shape.size(), subject.first()));
    REGRAFT_TRY(const std::int64_t front, count(subject, before_, "before"));
    REGRAFT_TRY(const std::int64_t behind, count(subject, after_, "after"));
    const auto along = static_cast<std::size_t>(dim);
    Shape shape = arg->shape;
    auto size = checked_add(shape[along], front);
    if (size) size = checked_add(*size, behind);
    shape[along] = size.value_or(-1);
    if (!numel(shape)) return too_large(subject.first().name);
    Scalar fill = std::int64_t{0};
    if (fill_) {
      REGRAFT_TRY(fill, fill_->value(subject));
    }
    if (!holds(arg->dtype, fill))
      return dtype_error("`fill` is " + to_string(fill) + ", which no " +
                             std::string(name(arg->dtype)) + " can be, for " +
                             described(subject.first()),
                         "give a number that the dtype holds");
    std::vector<std::int64_t> before(shape.size(), 0);
    before[along] = front;
    return pad(arg, std::move(before), std::move(shape), fill);
  }

  static Result<std::int64_t> count(const Subject& subject, const Integer& number,
                                    const char* what) {
    REGRAFT_TRY(const std::int64_t value, number.value(subject));
    if (value >= 0) return value;
    return shape_error("`" + std::string(what) + "` is " + std::to_string(value) + " for " +
                           described(subject.first()),
                       "it is from 0 up; `slice` takes elements away");
  }

  Integer dim_, before_, after_;
  std::optional<Number> fill_;
};

class PadVerb final : public Verb {
 public:
  std::string_view name() const override { return "pad"; }
  std::string_view doc() const override {
    return "One value before and behind, along a dimension.";
  }
  std::string_view example() const override {
    return "pad: '^embed\\.weight$'\ndim: 0\nafter: 6\nfill: 0";
  }
  std::string_view sample() const override { return "embed.weight float32 [30522, 8]"; }
  std::span<const Param> params() const override { return kParams; }
  BoundParts bind(BindContext& context) const override {
    BoundParts parts{.entries = context.patterns(context.operand())};
    Integer dim = Integer::read_or(context, "dim", 0, parts);
    Integer before = Integer::read_or(context, "before", 0, parts);
    Integer after = Integer::read_or(context, "after", 0, parts);
    std::optional<Number> fill = Number::read(context, "fill", parts);
    parts.verb = std::make_unique<Padding>(std::move(dim), std::move(before), std::move(after),
                                           std::move(fill));
    return parts;
  }
  // The slice without what was added.
  Result<Undoing> undo(const InverseInput& input) const override {
    yaml::Node slice = mapping_node({{"slice", input.operand}});
    const auto given = [&](std::string_view name) {
      const yaml::Node* node = input.param(name);
      return node && yaml::as_int(*node) != 0 ? node : nullptr;
    };
    if (const yaml::Node* dim = given("dim")) slice.entries.push_back({plain_node("dim"), *dim});
    if (const yaml::Node* before = given("before"))
      slice.entries.push_back({plain_node("start"), *before});
    if (const yaml::Node* after = given("after"))
      slice.entries.push_back({plain_node("stop"), yaml::as_int(*after)
                                                       ? plain_node("-" + after->text)
                                                       : text_node("-(" + after->text + ")")});
    return Undoing{
        .rules = {std::move(slice)}, .same_names = true, .same_ndim = true, .same_dtype = true};
  }
};

}  // namespace

const Verb& pad_verb() {
  static const PadVerb verb;
  return verb;
}

}  // namespace regraft
