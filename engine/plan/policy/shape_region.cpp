// pad, slice, pad_slice: the part of a result that the target has room for.
//   do: pad          [197, 384]  ->  [257, 384], the last 60 rows filled
#include "plan/policy/shape.h"
#include "verbs/parameters.h"

namespace regraft {
namespace {

enum class Align { start, center, end };
constexpr std::array<std::string_view, 3> kAlignWords = {"start", "center", "end"};

constexpr Param kAlign = {"align", ParamType::word, false,
                          "Where the smaller of the two lies in the larger. Default `start`.",
                          kAlignWords};
constexpr Param kDims = {"dims", ParamType::dims, false,
                         "The dimensions that may differ; negatives count from the end. Default: "
                         "all."};
constexpr Param kFill = {"fill", ParamType::number_or_keep, false,
                         "What stands where the source does not reach; `keep`: the target's own "
                         "values. Default 0."};
constexpr std::array<Param, 2> kSliceParams = {kAlign, kDims};
constexpr std::array<Param, 4> kPadParams = {kAlign, kFill, kDims, kOrParam};

// One of the three words.
struct Way {
  std::string_view name, doc;
  bool pads, slices;
};
constexpr Way kPad = {"pad", "The source may be smaller: it is laid into the target's shape.", true,
                      false};
constexpr Way kSlice = {"slice", "The source may be larger: the target's part of it is taken.",
                        false, true};
constexpr Way kPadSlice = {
    "pad_slice", "Both, dimension by dimension: the source may be smaller or larger.", true, true};

class Region final : public BoundAction {
 public:
  Region(const Way& way, Parameters parameters) : way_(way) {
    if (const auto word = parameters.word("align"))
      align_ = *word == "center" ? Align::center : *word == "end" ? Align::end : Align::start;
    dims_ = parameters.dims("dims");
    if (!way.pads) return;
    fill_ = parameters.number_or_keep("fill").value_or(Scalar(std::int64_t{0}));
    or_omit_ = parameters.word("or").has_value();
  }

  Settled settle(const Situation& situation) const override {
    if (auto refused = misfit(situation)) return std::move(*refused);
    const Shape& target = situation.target->shape;
    CopiedRegion region = copied(situation.result->shape, target);
    // Around a region without elements, in a target without elements, stands nothing.
    const bool fills = region.size != target && numel(target) != 0;
    if (fills && !fill_ && !situation.target_values) return without_values(situation, or_omit_);
    Settled settled;
    settled.decision = Decision::adapted;
    settled.continues = true;
    settled.detail = becomes(situation, way_.name);
    if (align_ != Align::start)
      settled.detail += " align " + std::string(kAlignWords[static_cast<std::size_t>(align_)]);
    if (fills)
      settled.detail += ", filled " + (fill_ ? "with " + to_string(*fill_) : "from the target");
    settled.expr = situation.result;
    for (std::size_t i = 0; i < target.size(); ++i)
      settled.expr =
          narrow(settled.expr, static_cast<std::int64_t>(i), region.from[i], region.size[i]);
    if (fills)
      settled.surround = fill_ ? Surround(*fill_) : Surround(OwnValues{});
    else
      settled.expr = reshape(settled.expr, target);
    settled.copied = std::move(region);
    return settled;
  }

 private:
  // What is wrong with the shapes, if anything.
  std::optional<Settled> misfit(const Situation& situation) const {
    const Shape& from = situation.result->shape;
    const Shape& to = situation.target->shape;
    const std::string word = "`" + std::string(way_.name) + "`";
    const auto wrong = [&](const std::string& what, std::string hint) {
      return refuse(Code::shape_mismatch, against(situation) + ": " + what, std::move(hint));
    };
    if (from.size() != to.size())
      return wrong(word + " keeps the number of dimensions",
                   "`do: skip` leaves the target's own values");
    const auto count = static_cast<std::int64_t>(to.size());
    std::vector<bool> may(to.size(), !dims_);
    for (const std::int64_t dim : dims_.value_or(std::vector<std::int64_t>())) {
      if (dim < -count || dim >= count)
        return wrong("there is no dimension " + std::to_string(dim),
                     "give the tensors of each number of dimensions a case of their own");
      may[static_cast<std::size_t>(dim < 0 ? dim + count : dim)] = true;
    }
    for (std::size_t i = 0; i < to.size(); ++i) {
      const std::string dim = "dimension " + std::to_string(i);
      if (from[i] != to[i] && !may[i])
        return wrong(dim + " differs, and `dims` does not have it",
                     "add it to `dims`, or leave `dims` away: then all may differ");
      const bool larger = from[i] > to[i];
      if (larger ? way_.slices : from[i] == to[i] || way_.pads) continue;
      std::string what = dim;
      what.append(larger ? " is larger, and " : " is smaller, and ").append(word);
      what.append(larger ? " cuts nothing" : " fills nothing");
      return wrong(what, "`do: pad_slice` fills and cuts");
    }
    return std::nullopt;
  }

  std::int64_t offset(std::int64_t difference) const {
    switch (align_) {
      case Align::start:
        return 0;
      case Align::center:
        return difference / 2;
      case Align::end:
        return difference;
    }
    return 0;
  }

  CopiedRegion copied(const Shape& from, const Shape& to) const {
    CopiedRegion region;
    for (std::size_t i = 0; i < to.size(); ++i) {
      region.from.push_back(from[i] > to[i] ? offset(from[i] - to[i]) : 0);
      region.to.push_back(from[i] < to[i] ? offset(to[i] - from[i]) : 0);
      region.size.push_back(std::min(from[i], to[i]));
    }
    return region;
  }

  const Way& way_;
  Align align_ = Align::start;
  std::optional<Scalar> fill_ = std::int64_t{0};  // empty: the target's own values
  std::optional<std::vector<std::int64_t>> dims_;
  bool or_omit_ = false;
};

class RegionAction final : public Action {
 public:
  explicit RegionAction(const Way& way) : way_(way) {}
  std::string_view name() const override { return way_.name; }
  std::string_view doc() const override { return way_.doc; }
  std::span<const Param> params() const override {
    if (way_.pads) return kPadParams;
    return kSliceParams;
  }
  std::unique_ptr<const BoundAction> bind(const yaml::Node* parameters,
                                          Diagnostics& diagnostics) const override {
    return std::make_unique<Region>(way_, Parameters(parameters, params(), diagnostics));
  }

 private:
  const Way& way_;
};

}  // namespace

std::span<const Action* const> region_actions() {
  static const RegionAction pad(kPad), slice(kSlice), pad_slice(kPadSlice);
  static const std::array<const Action*, 3> actions = {&pad, &slice, &pad_slice};
  return actions;
}

}  // namespace regraft
