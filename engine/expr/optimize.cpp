#include "expr/optimize.h"

#include <algorithm>
#include <array>
#include <utility>

#include "expr/invariants.h"

namespace regraft {
namespace {

// Arguments of a Cat that was flattened: names that are put together again and again would become
// lists without end.
constexpr std::size_t kMostArguments = 1 << 16;

std::int64_t at(const Shape& shape, std::int64_t dim) {
  return shape[static_cast<std::size_t>(dim)];
}

template <typename Op>
const Op* as(const Expr& node) {
  return std::get_if<Op>(&node.op);
}
template <typename Op>
const Op* as(const ExprPtr& node) {
  return std::get_if<Op>(&node->op);
}

ExprPtr part_of(ExprPtr arg, const Narrow& part) {
  // With one element there is no step.
  const std::int64_t step = part.length > 1 ? part.step : 1;
  return narrow(std::move(arg), part.dim, part.start, part.length, step);
}

// What of a narrow lies in [begin, begin + size) of its dimension.
struct Overlap {
  std::int64_t first;  // element of the narrow that is the first there
  Narrow part;         // of the region
};
Overlap overlap(const Narrow& narrow, std::int64_t begin, std::int64_t size) {
  // The number of elements of the narrow before `place`.
  const auto before = [&](std::int64_t place) {
    if (place <= narrow.start) return std::int64_t{0};
    return std::min(narrow.length, (place - narrow.start - 1) / narrow.step + 1);
  };
  const std::int64_t first = before(begin), end = before(begin + size);
  if (first == end) return {first, {narrow.dim, 0, 0, 1}};
  const std::int64_t start = narrow.start + first * narrow.step - begin;
  return {first, {narrow.dim, start, end - first, narrow.step}};
}

// Both of one dimension become one; of two dimensions, the lower one goes below, so that those of
// one dimension meet.
ExprPtr narrow_of_narrow(const Expr& node) {
  const auto* outer = as<Narrow>(node);
  const auto* inner = outer ? as<Narrow>(node.args[0]) : nullptr;
  if (!inner || outer->dim > inner->dim) return nullptr;
  const ExprPtr& arg = node.args[0]->args[0];
  if (outer->dim < inner->dim) return part_of(part_of(arg, *outer), *inner);
  if (outer->length == 0) return narrow(arg, inner->dim, inner->start, 0);
  const std::int64_t start = inner->start + outer->start * inner->step;
  const std::int64_t step = outer->length > 1 ? inner->step * outer->step : 1;
  return narrow(arg, inner->dim, start, outer->length, step);
}

ExprPtr narrow_of_permute(const Expr& node) {
  const auto* part = as<Narrow>(node);
  const auto* moved = part ? as<Permute>(node.args[0]) : nullptr;
  if (!moved) return nullptr;
  Narrow below = *part;
  below.dim = moved->dims[static_cast<std::size_t>(part->dim)];
  return permute(part_of(node.args[0]->args[0], below), moved->dims);
}

ExprPtr narrow_of_cat(const Expr& node) {
  const auto* part = as<Narrow>(node);
  const auto* joined = part ? as<Cat>(node.args[0]) : nullptr;
  if (!joined || joined->dim != part->dim) return nullptr;
  std::vector<ExprPtr> parts;
  std::int64_t begin = 0;
  for (const ExprPtr& arg : node.args[0]->args) {
    const std::int64_t size = at(arg->shape, part->dim);
    const Overlap common = overlap(*part, begin, size);
    begin += size;
    if (common.part.length > 0)
      parts.push_back(part_of(arg, common.part));
    else if (checks_values(*arg))
      return nullptr;
  }
  if (parts.empty()) return narrow(node.args[0]->args[0], part->dim, 0, 0);
  return cat(std::move(parts), part->dim);
}

ExprPtr narrow_of_pad(const Expr& node) {
  const auto* part = as<Narrow>(node);
  const auto* padded = part ? as<Pad>(node.args[0]) : nullptr;
  if (!padded) return nullptr;
  const ExprPtr& arg = node.args[0]->args[0];
  const auto dim = static_cast<std::size_t>(part->dim);
  const Overlap common = overlap(*part, padded->before[dim], arg->shape[dim]);
  if (common.part.length == 0)
    return checks_values(*arg) ? nullptr : fill(padded->value, node.dtype, node.shape);
  std::vector<std::int64_t> before = padded->before;
  before[dim] = common.first;
  return pad(part_of(arg, common.part), std::move(before), node.shape, padded->value);
}

ExprPtr narrow_of_fill(const Expr& node) {
  const auto* part = as<Narrow>(node);
  const auto* filled = part ? as<Fill>(node.args[0]) : nullptr;
  if (!filled) return nullptr;
  const bool counts = part->dim + 1 == static_cast<std::int64_t>(node.shape.size());
  if (filled->step != 0 && counts) return nullptr;
  return std::make_shared<const Expr>(Expr{*filled, {}, node.dtype, node.shape});
}

ExprPtr permute_of_permute(const Expr& node) {
  const auto* outer = as<Permute>(node);
  const auto* inner = outer ? as<Permute>(node.args[0]) : nullptr;
  if (!inner) return nullptr;
  std::vector<std::int64_t> dims;
  for (const std::int64_t dim : outer->dims)
    dims.push_back(inner->dims[static_cast<std::size_t>(dim)]);
  return permute(node.args[0]->args[0], std::move(dims));
}

ExprPtr reshape_of_reshape(const Expr& node) {
  if (!as<Reshape>(node) || !as<Reshape>(node.args[0])) return nullptr;
  return reshape(node.args[0]->args[0], node.shape);
}

// Floats are left alone: a NaN may change its bits on the way.
ExprPtr cast_of_cast(const Expr& node) {
  const auto* outer = as<Cast>(node);
  if (!outer || !as<Cast>(node.args[0])) return nullptr;
  const ExprPtr& arg = node.args[0]->args[0];
  const bool exact = kind(arg->dtype) == Kind::integer || kind(arg->dtype) == Kind::boolean;
  if (!exact || !widens(arg->dtype, node.args[0]->dtype)) return nullptr;
  return cast(arg, node.dtype, outer->checked);
}

ExprPtr cat_of_cat(const Expr& node) {
  const auto* outer = as<Cat>(node);
  if (!outer) return nullptr;
  const auto joins = [&](const ExprPtr& arg) {
    const auto* inner = as<Cat>(arg);
    return inner && inner->dim == outer->dim;
  };
  std::size_t count = 0;
  bool found = false;
  for (const ExprPtr& arg : node.args) {
    found = found || joins(arg);
    count += joins(arg) ? arg->args.size() : 1;
  }
  if (!found || count > kMostArguments) return nullptr;
  std::vector<ExprPtr> args;
  args.reserve(count);
  for (const ExprPtr& arg : node.args) {
    if (joins(arg))
      args.insert(args.end(), arg->args.begin(), arg->args.end());
    else
      args.push_back(arg);
  }
  return cat(std::move(args), outer->dim);
}

bool same_tensor(const ExprPtr& a, const ExprPtr& b) {
  if (a == b) return true;
  const auto *left = as<Load>(a), *right = as<Load>(b);
  return left && right && left->input == right->input && left->tensor == right->tensor;
}

// What was split is put together again.
ExprPtr cat_of_narrows(const Expr& node) {
  const auto* joined = as<Cat>(node);
  if (!joined) return nullptr;
  // The elements of an argument are a part of `of`, in a row.
  struct Run {
    ExprPtr of;
    std::int64_t start, length;
  };
  const auto run_of = [&](const ExprPtr& arg) -> Run {
    const auto* part = as<Narrow>(arg);
    if (part && part->dim == joined->dim && (part->step == 1 || part->length < 2))
      return {arg->args[0], part->start, part->length};
    return {arg, 0, at(arg->shape, joined->dim)};
  };
  std::vector<Run> runs;
  for (const ExprPtr& arg : node.args) {
    Run run = run_of(arg);
    if (!runs.empty() && same_tensor(runs.back().of, run.of) &&
        runs.back().start + runs.back().length == run.start)
      runs.back().length += run.length;
    else
      runs.push_back(std::move(run));
  }
  if (runs.size() == node.args.size()) return nullptr;
  std::vector<ExprPtr> args;
  args.reserve(runs.size());
  for (Run& run : runs)
    args.push_back(narrow(std::move(run.of), joined->dim, run.start, run.length));
  return cat(std::move(args), joined->dim);
}

ExprPtr index_to_narrow(const Expr& node) {
  const auto* selected = as<Index>(node);
  if (!selected) return nullptr;
  const std::vector<std::int64_t>& index = selected->index;
  if (index.empty()) return narrow(node.args[0], selected->dim, 0, 0);
  const std::int64_t step = index.size() > 1 ? index[1] - index[0] : 1;
  for (std::size_t i = 1; i < index.size(); ++i)
    if (step < 1 || index[i] - index[i - 1] != step) return nullptr;
  return narrow(node.args[0], selected->dim, index[0], static_cast<std::int64_t>(index.size()),
                step);
}

ExprPtr index_of_index(const Expr& node) {
  const auto numbers = [](const Expr& of, std::int64_t& dim) {
    std::vector<std::int64_t> result;
    if (const auto* selected = as<Index>(of)) {
      dim = selected->dim;
      return selected->index;
    }
    if (const auto* part = as<Narrow>(of)) {
      dim = part->dim;
      for (std::int64_t i = 0; i < part->length; ++i)
        result.push_back(part->start + i * part->step);
    }
    return result;
  };
  const bool outer = as<Index>(node) != nullptr;
  if (!outer && !as<Narrow>(node)) return nullptr;
  const Expr& below = *node.args[0];
  // Two narrows are another pass's.
  if (!as<Index>(below) && !(outer && as<Narrow>(below))) return nullptr;
  std::int64_t dim = 0, dim_below = 0;
  std::vector<std::int64_t> index = numbers(node, dim);
  const std::vector<std::int64_t> first = numbers(below, dim_below);
  if (dim != dim_below) return nullptr;
  for (std::int64_t& one : index) one = first[static_cast<std::size_t>(one)];
  return index_select(below.args[0], dim, std::move(index));
}

constexpr auto kPasses = std::to_array<Pass>({
    {"reshape-of-reshape", "reshape(reshape(x, ...), s) -> reshape(x, s)", reshape_of_reshape},
    {"permute-of-permute", "permute(permute(x, ...), ...) -> permute(x, ...)", permute_of_permute},
    {"cast-of-cast", "cast(cast(x, wider), d) -> cast(x, d), of integers", cast_of_cast},
    {"index-to-narrow", "index_select(x, d, [2, 3, 4]) -> narrow(x, d, 2, 3)", index_to_narrow},
    {"index-of-index", "index_select(index_select(x, d, ...), d, ...) -> index_select(x, d, ...)",
     index_of_index},
    {"narrow-of-narrow", "narrow(narrow(x, d, ...), d, ...) -> narrow(x, d, ...)",
     narrow_of_narrow},
    {"narrow-of-permute", "narrow(permute(x, ...), ...) -> permute(narrow(x, ...), ...)",
     narrow_of_permute},
    {"narrow-of-cat", "narrow(cat(x, y, z, d), d, ...) -> y, of what lies in it", narrow_of_cat},
    {"narrow-of-pad", "narrow(pad(x, ...), ...) -> narrow(x, ...), of what lies in it",
     narrow_of_pad},
    {"narrow-of-fill", "narrow(fill(v, [9]), 0, 0, 3) -> fill(v, [3])", narrow_of_fill},
    {"cat-of-cat", "cat(cat(x, y, d), z, d) -> cat(x, y, z, d)", cat_of_cat},
    {"cat-of-narrows", "cat(narrow(x, d, 0, 2), narrow(x, d, 2, 3), d) -> narrow(x, d, 0, 5)",
     cat_of_narrows},
});

// Its last bits depend on how its arguments lie in memory.
bool computes(const Expr& node) {
  return as<Unary>(node) || as<Binary>(node) || as<MatMul>(node) || as<Reduce>(node) ||
         as<Interpolate>(node);
}

}  // namespace

std::span<const Pass> all_passes() { return kPasses; }

Optimizer::Optimizer(std::span<const Pass> passes) : passes_(passes), done_(passes.size()) {}

ExprPtr Optimizer::optimize(const ExprPtr& expr) {
  ExprPtr now = expr;
  // Until all of them in a row found nothing.
  for (std::size_t pass = 0, idle = 0; idle < passes_.size() && !now->args.empty(); ++pass) {
    const std::size_t current = pass % passes_.size();
    const ExprPtr before = now;
    now = rewrite(current, before, false);
    ++idle;
    if (now == before) continue;
    idle = 0;
    const std::optional<std::string> broken = broken_by_rewrite(*before, *now);
    if (!broken) continue;
    fault_ = "the pass " + std::string(passes_[current].name) + ": " + *broken;
    return nullptr;
  }
  return now;
}

ExprPtr Optimizer::rewrite(std::size_t pass, const ExprPtr& node) {
  // A node with one user is met once, as often as its user is.
  return rewrite(pass, node, node.use_count() > 1);
}

ExprPtr Optimizer::rewrite(std::size_t pass, const ExprPtr& node, bool shared) {
  if (node->args.empty() || computes(*node)) return node;
  if (shared) {
    const auto known = done_[pass].find(node.get());
    if (known != done_[pass].end()) return known->second.after;
  }
  std::vector<ExprPtr> args;  // once one of them is another
  for (std::size_t i = 0; i < node->args.size(); ++i) {
    ExprPtr arg = rewrite(pass, node->args[i]);
    if (arg == node->args[i]) continue;
    if (args.empty()) args = node->args;
    args[i] = std::move(arg);
  }
  ExprPtr now = node;
  if (!args.empty())
    now = std::make_shared<const Expr>(Expr{node->op, std::move(args), node->dtype, node->shape});
  if (const ExprPtr better = passes_[pass].rewrite(*now)) now = rewrite(pass, better);
  if (shared) done_[pass].emplace(node.get(), Done{node, now});
  return now;
}

}  // namespace regraft
