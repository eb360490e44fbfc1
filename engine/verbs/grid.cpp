#include "verbs/grid.h"

#include <algorithm>
#include <cmath>

#include "base/checked.h"

namespace regraft {
namespace {

constexpr std::string_view kDefaultPattern = "1 (h w) c";
// By InterpolateMode.
constexpr std::array<std::string_view, 3> kModes = {"nearest", "bilinear", "bicubic"};

constexpr Param kPattern = {
    "pattern", ParamType::axes, false,
    "Which axes are the grid: `h` and `w`, each an axis or both in one as `(h w)`. Default "
    "`1 (h w) c`."};
constexpr Param kMode = {"mode", ParamType::word, false, "Default `bicubic`.", kModes};
constexpr Param kAntialias = {"antialias", ParamType::boolean, false, "As torch's. Default false."};
constexpr std::string_view kFromDoc = "The source's grid; needed where it is no square.";
constexpr std::string_view kPrefixDoc =
    "Tokens before the grid, which stay as they are. Default 0.";
constexpr std::string_view kSuffixDoc =
    "Tokens behind the grid, which stay as they are. Default 0.";

constexpr auto kCaseParams = std::to_array<Param>({
    {"size", ParamType::grid, false, "The target's grid; needed where it is no square."},
    {"from", ParamType::grid, false, kFromDoc},
    kPattern,
    kMode,
    {"prefix_tokens", ParamType::natural, false, kPrefixDoc},
    {"suffix_tokens", ParamType::natural, false, kSuffixDoc},
    kAntialias,
});
constexpr auto kRuleParams = std::to_array<Param>({
    {"size", ParamType::integers, true, "The new grid, height and width."},
    {"from", ParamType::integers, false, kFromDoc},
    kPattern,
    kMode,
    {"prefix_tokens", ParamType::integer, false, kPrefixDoc},
    {"suffix_tokens", ParamType::integer, false, kSuffixDoc},
    kAntialias,
});

Diagnostic misfit(std::string message, std::string hint = {}) {
  return error(Code::rule_shape, {}, std::move(message), std::move(hint));
}

std::string text(GridSize size) { return std::to_string(size.h) + " x " + std::to_string(size.w); }

std::string tokens(std::int64_t count) {
  return std::to_string(count) + (count == 1 ? " token" : " tokens");
}

std::optional<GridSize> square(std::int64_t count) {
  const auto above = [&](std::int64_t side) {
    const auto area = checked_mul(side, side);
    return !area || *area > count;
  };
  // The root of a large number is rounded, either way.
  auto side = static_cast<std::int64_t>(std::sqrt(static_cast<double>(count)));
  while (above(side)) --side;
  while (!above(side + 1)) ++side;
  if (side * side != count) return std::nullopt;
  return GridSize{side, side};
}

}  // namespace

std::span<const Param> Grid::case_params() { return kCaseParams; }
std::span<const Param> Grid::rule_params() { return kRuleParams; }

std::optional<Grid> Grid::read(Parameters parameters, Diagnostics& diagnostics) {
  const std::size_t before = diagnostics.error_count();
  const yaml::Node* pattern = parameters.find("pattern");
  Diagnostics none;
  const std::optional<Axes> axes =
      pattern ? parameters.axes("pattern") : parse_axes(kDefaultPattern, {}, none);
  std::optional<Grid> known;
  if (axes)
    known = layout(*axes, pattern ? pattern->text : std::string(kDefaultPattern),
                   pattern ? pattern->where : Location{}, diagnostics);
  Grid grid = known.value_or(Grid());
  if (const auto mode = parameters.word("mode"))
    grid.mode_ = static_cast<InterpolateMode>(std::find(kModes.begin(), kModes.end(), *mode) -
                                              kModes.begin());
  for (const std::string_view name : {"prefix_tokens", "suffix_tokens"}) {
    const yaml::Node* tokens = parameters.find(name);
    if (tokens && yaml::as_int(*tokens) != 0 && known && !known->grouped())
      diagnostics.add(error(Code::wrong_type, tokens->where,
                            "`" + std::string(name) + "` stands beside a pattern without `(h w)`",
                            "tokens stand before and behind a grid in one axis"));
  }
  grid.antialias_ = parameters.boolean("antialias").value_or(false);
  if (grid.antialias_ && grid.mode_ == InterpolateMode::nearest)
    diagnostics.add(error(Code::wrong_type, parameters.find("antialias")->where,
                          "`mode: nearest` has no `antialias`",
                          "`bilinear` and `bicubic` have it"));
  if (diagnostics.error_count() > before) return std::nullopt;
  return grid;
}

Grid::Sizes Grid::read_sizes(Parameters parameters) {
  Sizes sizes;
  sizes.to = parameters.grid("size");
  sizes.from = parameters.grid("from");
  sizes.prefix = parameters.natural("prefix_tokens").value_or(0);
  sizes.suffix = parameters.natural("suffix_tokens").value_or(0);
  return sizes;
}

// Each dimension of the pattern, with `h` and `w` once.
std::optional<Grid> Grid::layout(const Axes& axes, std::string text, const Location& where,
                                 Diagnostics& diagnostics) {
  Grid grid;
  grid.text_ = std::move(text);
  const auto fail = [&](const Location& place, std::string message, std::string hint = {}) {
    diagnostics.add(error(Code::wrong_type, place, std::move(message), std::move(hint)));
    return std::nullopt;
  };
  const auto place_of = [](const Axis& axis) {
    if (axis.kind == Axis::Kind::size) return Place::one;
    return axis.name == "h" ? Place::h : axis.name == "w" ? Place::w : Place::other;
  };
  std::size_t found = 0;
  for (const AxisGroup& group : axes) {
    if (group.parentheses) {
      const bool of_two = group.axes.size() == 2;
      const Place a = of_two ? place_of(group.axes[0]) : Place::other;
      const Place b = of_two ? place_of(group.axes[1]) : Place::other;
      if (!(a == Place::h && b == Place::w) && !(a == Place::w && b == Place::h))
        return fail(group.where, "parentheses in a pattern of `interpolate` are `(h w)` or `(w h)`",
                    "an axis that is no part of the grid stands alone, under any other name");
      grid.places_.push_back(Place::group);
      grid.w_first_ = a == Place::w;
      found += 2;
      continue;
    }
    const Axis& axis = group.axes.front();
    if (axis.kind == Axis::Kind::ellipsis)
      return fail(axis.where, "`...` in a pattern of `interpolate`", "name each axis");
    if (axis.kind == Axis::Kind::size && axis.size != 1)
      return fail(axis.where, "a size in a pattern of `interpolate`: " + std::to_string(axis.size),
                  "give the axis a name, or `1`");
    const Place place = place_of(axis);
    found += place == Place::h || place == Place::w ? 1 : 0;
    grid.places_.push_back(place);
  }
  // No name stands there twice: the parser has seen to it.
  if (found != 2)
    return fail(
        where, "a pattern without `h` and `w`: " + quoted(grid.text_),
        "`h` and `w` are the grid, for instance `pattern: " + std::string(kDefaultPattern) + "`");
  return grid;
}

std::size_t Grid::dim(Place place) const {
  return static_cast<std::size_t>(std::find(places_.begin(), places_.end(), place) -
                                  places_.begin());
}

Status Grid::check_axes(const Shape& from, const Shape& to) const {
  const std::string pattern = "`" + text_ + "` has " + std::to_string(places_.size()) +
                              (places_.size() == 1 ? " axis" : " axes");
  for (const Shape* shape : {&from, &to})
    if (shape->size() != places_.size())
      return misfit(pattern, "give a `pattern` with an axis for each dimension");
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const std::string axis = "dimension " + std::to_string(i);
    if (from[i] == 0 || to[i] == 0) return misfit(axis + " is empty");
    if (places_[i] != Place::one && places_[i] != Place::other) continue;
    if (from[i] != to[i])
      return misfit(axis + " differs, and is no part of the grid in `" + text_ + "`",
                    "say which axes are `h` and `w`, with `pattern`");
    if (places_[i] == Place::one && from[i] != 1)
      return misfit(axis + " is not 1, as in `" + text_ + "`", "give the axis a name");
  }
  return Done{};
}

Result<GridSize> Grid::size_in(const Shape& shape, const Sizes& sizes,
                               const std::optional<GridSize>& given, std::string_view parameter,
                               std::string_view whose) const {
  const std::string key = "`" + std::string(parameter) + "`";
  if (!grouped()) {
    const GridSize there{shape[dim(Place::h)], shape[dim(Place::w)]};
    if (given && *given != there)
      return misfit(key + " is " + text(*given) + ", and the " + std::string(whose) +
                        "'s grid is " + text(there),
                    "remove " + key + ": the shape says it");
    return there;
  }
  const std::int64_t all = shape[dim(Place::group)];
  std::optional<std::int64_t> count = checked_sub(all, sizes.prefix);
  if (count) count = checked_sub(*count, sizes.suffix);
  const std::string has = "the " + std::string(whose) + " has " + tokens(all);
  if (!count || *count < 1)
    return misfit(has + ", and `prefix_tokens` and `suffix_tokens` leave none for a grid");
  const std::string left =
      *count == all ? has : has + ", of which the grid has " + std::to_string(*count);
  if (given) {
    if (checked_mul(given->h, given->w) == count) return *given;
    return misfit(left + ", and " + key + " is " + text(*given),
                  "tokens that are not of the grid are `prefix_tokens` and `suffix_tokens`");
  }
  if (const auto sides = square(*count)) return *sides;
  return misfit(left + ", which is no square",
                "say what grid it is with `" + std::string(parameter) +
                    ": [h, w]`; tokens that are not of the grid are `prefix_tokens` and "
                    "`suffix_tokens`");
}

Result<Grid::Resized> Grid::resize(const ExprPtr& arg, const Sizes& sizes) const {
  Shape shape = arg->shape;
  if (shape.size() == places_.size()) {  // else it is said below
    if (grouped()) {
      auto count = checked_mul(sizes.to->h, sizes.to->w);
      if (count) count = checked_add(*count, sizes.prefix);
      if (count) count = checked_add(*count, sizes.suffix);
      shape[dim(Place::group)] = count.value_or(-1);
    } else {
      shape[dim(Place::h)] = sizes.to->h;
      shape[dim(Place::w)] = sizes.to->w;
    }
    if (!numel(shape)) return misfit("the result would have more elements than can be counted");
  }
  return resize(arg, shape, sizes);
}

Result<Grid::Resized> Grid::resize(const ExprPtr& arg, const Shape& shape,
                                   const Sizes& sizes) const {
  if (!is_common_float(arg->dtype))
    return error(Code::rule_dtype, {}, "no " + std::string(name(arg->dtype)) + " is interpolated",
                 "float64, float32, float16 and bfloat16 are");
  REGRAFT_CHECK(check_axes(arg->shape, shape));
  REGRAFT_TRY(const GridSize from, size_in(arg->shape, sizes, sizes.from, "from", "source"));
  REGRAFT_TRY(const GridSize to, size_in(shape, sizes, sizes.to, "size", "target"));
  const std::string detail = text(from) + " -> " + text(to) + ", " +
                             std::string(kModes[static_cast<std::size_t>(mode_)]) +
                             (antialias_ ? ", antialias" : "");
  if (!grouped()) return Resized{computed(arg, from, to), detail};
  const auto at = static_cast<std::int64_t>(dim(Place::group));
  const std::int64_t count = from.h * from.w;
  std::vector<ExprPtr> parts;
  if (sizes.prefix > 0) parts.push_back(narrow(arg, at, 0, sizes.prefix));
  parts.push_back(computed(narrow(arg, at, sizes.prefix, count), from, to));
  if (sizes.suffix > 0) parts.push_back(narrow(arg, at, sizes.prefix + count, sizes.suffix));
  return Resized{cat(std::move(parts), at), detail};
}

// The order of the steps is that of the Python code that models are trained with, so that the
// results are equal bit for bit: for `1 (h w) c` what is interpolated is a permuted view, and no
// copy of it.
ExprPtr Grid::computed(const ExprPtr& grid, GridSize from, GridSize to) const {
  // `h` and `w` as dimensions of their own, and where they are.
  Shape split, rest;
  std::vector<std::int64_t> order;
  std::int64_t h = 0, w = 0;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const auto next = static_cast<std::int64_t>(split.size());
    switch (places_[i]) {
      case Place::group:
        h = w_first_ ? next + 1 : next;
        w = w_first_ ? next : next + 1;
        split.push_back(w_first_ ? from.w : from.h);
        split.push_back(w_first_ ? from.h : from.w);
        break;
      case Place::h:
        h = next;
        split.push_back(from.h);
        break;
      case Place::w:
        w = next;
        split.push_back(from.w);
        break;
      default:
        order.push_back(next);
        split.push_back(grid->shape[i]);
        rest.push_back(grid->shape[i]);
    }
  }
  order.push_back(h);
  order.push_back(w);

  ExprPtr image = cast(grid, DType::float32, !widens(grid->dtype, DType::float32));
  image = permute(reshape(image, split), order);
  Shape channels = rest;  // torch's batch and channels
  if (channels.size() != 2) {
    channels = {1, 1};
    for (std::size_t i = 0; i < rest.size(); ++i)
      channels[i == 0 && rest.size() > 1 ? 0 : 1] *= rest[i];
    image = reshape(image, {channels[0], channels[1], from.h, from.w});
  }
  image = interpolate(image, to.h, to.w, mode_, antialias_);

  Shape permuted = rest;
  permuted.push_back(to.h);
  permuted.push_back(to.w);
  image = reshape(image, permuted);
  std::vector<std::int64_t> back(order.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    back[static_cast<std::size_t>(order[i])] = static_cast<std::int64_t>(i);
  Shape merged = grid->shape;
  if (grouped()) {
    merged[dim(Place::group)] = to.h * to.w;
  } else {
    merged[dim(Place::h)] = to.h;
    merged[dim(Place::w)] = to.w;
  }
  image = reshape(permute(image, back), merged);
  return cast(image, grid->dtype, !widens(DType::float32, grid->dtype));
}

}  // namespace regraft
