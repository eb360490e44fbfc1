#include "verbs/rearrangement.h"

#include <algorithm>
#include <cassert>

#include "base/checked.h"
#include "text/characters.h"
#include "text/place.h"

namespace regraft {
namespace {

bool report(Diagnostics& diagnostics, const Location& where, std::string message,
            std::string hint = {}) {
  diagnostics.add(error(Code::wrong_type, where, std::move(message), std::move(hint)));
  return false;
}

std::string axis_text(const Axis& axis) {
  switch (axis.kind) {
    case Axis::Kind::name:
      return axis.name;
    case Axis::Kind::size:
      return std::to_string(axis.size);
    case Axis::Kind::ellipsis:
      break;
  }
  return "...";
}

std::string group_text(const AxisGroup& group) {
  std::string text;
  for (const Axis& axis : group.axes) text += (text.empty() ? "" : " ") + axis_text(axis);
  return group.parentheses ? "(" + text + ")" : text;
}

bool is_ellipsis(const AxisGroup& group) {
  return !group.parentheses && group.axes.front().kind == Axis::Kind::ellipsis;
}

// Names and sizes that einops does not take either.
bool check_axes(const Axes& axes, Diagnostics& diagnostics) {
  bool good = true;
  for (const AxisGroup& group : axes) {
    for (const Axis& axis : group.axes) {
      if (axis.kind == Axis::Kind::size && axis.size != 1)
        good = report(diagnostics, axis.where,
                      "a size in a pattern of `rearrange`: " + std::to_string(axis.size),
                      "give the axis a name, and its size with `with: {name: " +
                          std::to_string(axis.size) + "}`");
      if (axis.kind == Axis::Kind::name && (axis.name.starts_with('_') || axis.name.ends_with('_')))
        good = report(diagnostics, axis.where,
                      "the axis `" + axis.name + "` begins or ends with an underscore",
                      "einops takes no such name");
    }
  }
  return good;
}

std::vector<const Axis*> named(const Axes& axes) {
  std::vector<const Axis*> names;
  for (const AxisGroup& group : axes)
    for (const Axis& axis : group.axes)
      if (axis.kind == Axis::Kind::name) names.push_back(&axis);
  return names;
}

const Axis* ellipsis_of(const Axes& axes) {
  for (const AxisGroup& group : axes)
    for (const Axis& axis : group.axes)
      if (axis.kind == Axis::Kind::ellipsis) return &axis;
  return nullptr;
}

std::string count(std::size_t number, std::string_view what) {
  return std::to_string(number) + " " + std::string(what) + (number == 1 ? "" : "s");
}

}  // namespace

std::optional<Rearrangement> Rearrangement::parse(std::string_view text, const Location& where,
                                                  std::span<const std::string> sized,
                                                  Diagnostics& diagnostics) {
  const std::size_t arrow = text.find("->");
  if (arrow == text.npos) {
    report(diagnostics, where, "a pattern of `rearrange` without `->`",
           "it has two sides, for instance `(h w) c -> c h w`");
    return std::nullopt;
  }
  if (const std::size_t second = text.find("->", arrow + 2); second != text.npos) {
    report(diagnostics, place_within(where, text, second, 2), "a second `->`");
    return std::nullopt;
  }
  auto left = parse_axes(text, 0, arrow, where, diagnostics);
  auto right = parse_axes(text, arrow + 2, text.size() - arrow - 2, where, diagnostics);
  if (!left || !right) return std::nullopt;
  // einops reads `a...` as one name.
  for (std::size_t at = 0; (at = text.find("...", at)) != text.npos; at += 3) {
    const bool glued =
        (at > 0 && is_word(text[at - 1])) || (at + 3 < text.size() && is_word(text[at + 3]));
    if (!glued) continue;
    report(diagnostics, place_within(where, text, at, 3), "`...` is part of a name",
           "spaces stand between axes");
    return std::nullopt;
  }
  Rearrangement result;
  result.left_text_ = trimmed(text.substr(0, arrow));
  result.left_ = std::move(*left);
  result.right_ = std::move(*right);
  result.where_ = where;
  bool good = check_axes(result.left_, diagnostics);
  good = check_axes(result.right_, diagnostics) && good;
  good = result.check_left(sized, diagnostics) && good;
  good = result.check_right(diagnostics) && good;
  return good ? std::optional(std::move(result)) : std::nullopt;
}

bool Rearrangement::check_left(std::span<const std::string> sized, Diagnostics& diagnostics) {
  bool good = true;
  for (const AxisGroup& group : left_) {
    if (!group.parentheses) {
      ellipsis_ |= is_ellipsis(group);
      continue;
    }
    const Axis* unknown = nullptr;
    for (const Axis& axis : group.axes) {
      if (axis.kind == Axis::Kind::ellipsis)
        good = report(diagnostics, axis.where, "`...` in parentheses on the left side",
                      "it stands for whole dimensions there; on the right side it may be merged");
      if (axis.kind != Axis::Kind::name || std::ranges::find(sized, axis.name) != sized.end())
        continue;
      if (unknown != nullptr) {
        good = report(diagnostics, group.where,
                      "the sizes of `" + unknown->name + "` and `" + axis.name +
                          "` cannot be told from one dimension",
                      "give all sizes but one, for instance `with: {" + unknown->name + ": 2}`");
        break;
      }
      unknown = &axis;
    }
  }
  for (const Axis* axis : named(left_)) names_.push_back(axis->name);
  return good;
}

bool Rearrangement::check_right(Diagnostics& diagnostics) {
  bool good = true;
  const auto one_sided = [&](const std::vector<const Axis*>& axes,
                             const std::vector<const Axis*>& others, std::string_view side) {
    for (const Axis* axis : axes)
      if (std::ranges::find(others, axis->name, &Axis::name) == others.end())
        good = report(diagnostics, axis->where,
                      "the axis `" + axis->name + "` is on the " + std::string(side) + " side only",
                      side == "left" ? "`rearrange` drops no axis; `1` on the left side takes one "
                                       "of size 1 away"
                                     : "`rearrange` repeats no axis; `1` on the right side makes a "
                                       "new one of size 1");
  };
  const auto left = named(left_), right = named(right_);
  one_sided(left, right, "left");
  one_sided(right, left, "right");
  const Axis* here = ellipsis_of(left_);
  const Axis* there = ellipsis_of(right_);
  if ((here == nullptr) != (there == nullptr))
    good =
        report(diagnostics, (here != nullptr ? here : there)->where,
               "`...` is on the " + std::string(here != nullptr ? "left" : "right") + " side only");
  return good;
}

// The sizes of a dimension's named axes, in order.
Status Rearrangement::split(const AxisGroup& group, std::int64_t size, const Sizes& sizes,
                            std::vector<std::int64_t>& known) const {
  std::optional<std::int64_t> product = 1;
  std::optional<std::size_t> unknown;
  std::string given;  // "h = 6, two = 2"
  for (const Axis& axis : group.axes) {
    if (axis.kind != Axis::Kind::name) continue;
    const auto there = sizes.find(axis.name);
    if (there == sizes.end()) {
      unknown = known.size();
      known.push_back(0);
      continue;
    }
    given += (given.empty() ? "" : ", ") + axis.name + " = " + std::to_string(there->second);
    if (product) product = checked_mul(*product, there->second);
    known.push_back(there->second);
  }
  const std::string whole = "`" + group_text(group) + "` has size " + std::to_string(size);
  if (!unknown) {
    if (product == size) return Done{};
    return error(Code::rule_shape, group.where,
                 whole + ", and " +
                     (given.empty() ? "it is to be 1"
                                    : "with " + given +
                                          (product ? " it is " + std::to_string(*product)
                                                   : " it is larger")));
  }
  if (given.empty()) {
    known[*unknown] = size;
  } else if (product && *product != 0 && size % *product == 0) {
    known[*unknown] = size / *product;
  } else {
    return error(Code::rule_shape, group.where,
                 product == 0 ? whole + ", and with " + given + " the rest has no size"
                              : whole + ", which is not divisible with " + given);
  }
  return Done{};
}

Result<ExprPtr> Rearrangement::apply(const ExprPtr& arg, const Sizes& sizes) const {
  const Shape& shape = arg->shape;
  const std::size_t fixed = left_.size() - (ellipsis_ ? 1 : 0);
  if (ellipsis_ ? shape.size() < fixed : shape.size() != fixed)
    return error(Code::rule_shape, where_,
                 "`" + left_text_ + "` has " + (ellipsis_ ? "at least " : "") +
                     count(fixed, "dimension") + ", and the tensor has " +
                     std::to_string(shape.size()));
  // Every axis that has elements as a dimension of its own; those of size 1 without a name go.
  Shape apart;
  std::map<std::string_view, std::int64_t> place;  // in `apart`
  std::vector<std::int64_t> middle;                // the ellipsis'
  std::size_t dim = 0;
  for (const AxisGroup& group : left_) {
    if (is_ellipsis(group)) {
      for (const std::size_t end = dim + shape.size() - fixed; dim < end; ++dim) {
        middle.push_back(static_cast<std::int64_t>(apart.size()));
        apart.push_back(shape[dim]);
      }
      continue;
    }
    std::vector<std::int64_t> known;
    REGRAFT_CHECK(split(group, shape[dim++], sizes, known));
    std::size_t next = 0;
    for (const Axis& axis : group.axes) {
      if (axis.kind != Axis::Kind::name) continue;
      place.emplace(axis.name, static_cast<std::int64_t>(apart.size()));
      apart.push_back(known[next++]);
    }
  }
  std::vector<std::int64_t> order;
  Shape merged;
  for (const AxisGroup& group : right_) {
    std::vector<std::int64_t> dims;
    for (const Axis& axis : group.axes) {
      if (axis.kind == Axis::Kind::ellipsis) dims.insert(dims.end(), middle.begin(), middle.end());
      if (axis.kind == Axis::Kind::name) dims.push_back(place.at(axis.name));
    }
    order.insert(order.end(), dims.begin(), dims.end());
    if (!group.parentheses && group.axes.front().kind == Axis::Kind::ellipsis) {
      for (const std::int64_t one : dims) merged.push_back(apart[static_cast<std::size_t>(one)]);
      continue;
    }
    std::int64_t size = 1;
    for (const std::int64_t one : dims) {
      const auto product = checked_mul(size, apart[static_cast<std::size_t>(one)]);
      if (!product)
        return error(Code::rule_shape, group.where,
                     "`" + group_text(group) + "` would be larger than any dimension");
      size = *product;
    }
    merged.push_back(size);
  }
  if (!numel(apart) || !numel(merged))
    return error(Code::rule_shape, where_, "the result would be larger than any tensor");
  return reshape(permute(reshape(arg, std::move(apart)), std::move(order)), std::move(merged));
}

}  // namespace regraft
