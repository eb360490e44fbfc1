// slice: '^embed\.weight$'
// stop: 30522      embed.weight [30528, 8]  ->  embed.weight [30522, 8]
#include <array>

#include "verbs/one_to_one.h"
#include "verbs/verbs.h"

namespace regraft {
namespace {

constexpr auto kParams = std::to_array<Param>({
    {"dim", ParamType::integer, false, "Default 0."},
    {"start", ParamType::integer, false,
     "The first index that stays; negatives count from the end. Default: the first there is."},
    {"stop", ParamType::integer, false,
     "The index behind the last; negatives count from the end. Default: the end."},
    {"step", ParamType::integer, false, "Every how manyth stays, from 1 up. Default 1."},
});

class Slicing final : public OneToOne {
 public:
  Slicing(Integer dim, std::optional<Integer> start, std::optional<Integer> stop, Integer step)
      : dim_(std::move(dim)),
        start_(std::move(start)),
        stop_(std::move(stop)),
        step_(std::move(step)) {}

 private:
  Result<ExprPtr> make(const Subject& subject) const override {
    const ExprPtr& arg = *subject.first().expr;
    REGRAFT_TRY(const std::int64_t asked, dim_.value(subject));
    REGRAFT_TRY(const std::int64_t dim, dim_from_zero(asked, arg->shape.size(), subject.first()));
    const std::int64_t size = arg->shape[static_cast<std::size_t>(dim)];
    REGRAFT_TRY(const std::int64_t start, index(subject, start_, "start", 0, dim, size));
    REGRAFT_TRY(const std::int64_t stop, index(subject, stop_, "stop", size, dim, size));
    REGRAFT_TRY(const std::int64_t step, step_.value(subject));
    if (step < 1)
      return shape_error("`step` is " + std::to_string(step) + " for " + described(subject.first()),
                         "it is at least 1");
    if (stop < start)
      return shape_error("`start` " + std::to_string(start) + " is behind `stop` " +
                         std::to_string(stop) + " in dimension " + std::to_string(dim) + " of " +
                         described(subject.first()));
    // Rounded up, without adding: a step may be as large as it likes.
    const std::int64_t length = stop == start ? 0 : (stop - start - 1) / step + 1;
    return narrow(arg, dim, start, length, length > 1 ? step : 1);
  }

  static Result<std::int64_t> index(const Subject& subject, const std::optional<Integer>& number,
                                    const char* what, std::int64_t otherwise, std::int64_t dim,
                                    std::int64_t size) {
    if (!number) return otherwise;
    REGRAFT_TRY(const std::int64_t value, number->value(subject));
    if (value >= -size && value <= size) return value < 0 ? value + size : value;
    return shape_error("`" + std::string(what) + "` " + std::to_string(value) +
                           " is out of dimension " + std::to_string(dim) + " of " +
                           described(subject.first()),
                       "it is from " + std::to_string(-size) + " to " + std::to_string(size));
  }

  Integer dim_;
  std::optional<Integer> start_, stop_;
  Integer step_;
};

class Slice final : public Verb {
 public:
  std::string_view name() const override { return "slice"; }
  std::string_view doc() const override {
    return "A part along a dimension, as tensor[start:stop:step]; an index that is not there is an "
           "error.";
  }
  std::string_view example() const override {
    return "slice: '^embed\\.weight$'\ndim: 0\nstop: 30522";
  }
  std::string_view sample() const override { return "embed.weight float32 [30528, 8]"; }
  std::span<const Param> params() const override { return kParams; }
  BoundParts bind(BindContext& context) const override {
    BoundParts parts{.entries = context.patterns(context.operand())};
    Integer dim = Integer::read_or(context, "dim", 0, parts);
    auto start = Integer::read(context, "start", parts);
    auto stop = Integer::read(context, "stop", parts);
    Integer step = Integer::read_or(context, "step", 1, parts);
    parts.verb = std::make_unique<Slicing>(std::move(dim), std::move(start), std::move(stop),
                                           std::move(step));
    return parts;
  }
};

}  // namespace

const Verb& slice_verb() {
  static const Slice verb;
  return verb;
}

}  // namespace regraft
