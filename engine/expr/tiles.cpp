#include "expr/tiles.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "expr/convert.h"

namespace regraft {
namespace {

// torch's loops work on two vectors of up to 64 bytes at a time and do what is left one by one,
// where a complex number or a NaN may come out otherwise.
constexpr std::int64_t kLanes = 128;
// What every tile loads and computes anew, such as a scale of each column, is no larger in bytes.
constexpr std::uint64_t kRepeated = 256 << 10;

std::int64_t rows_of(const Expr& node) { return node.shape.front(); }
std::int64_t row_numel(const Expr& node) {
  return rows_of(node) == 0 ? 0 : numel(node.shape).value_or(0) / rows_of(node);
}
Shape with_rows(const Expr& node, std::int64_t rows) {
  Shape shape = node.shape;
  shape.front() = rows;
  return shape;
}
ExprPtr part(const Expr& node, Op op, std::int64_t rows) {
  return std::make_shared<const Expr>(Expr{std::move(op), {}, node.dtype, with_rows(node, rows)});
}

// A row of the node is made of the same row of the argument, and not of the argument as a whole.
bool has_rows_of(const Expr& node, const Expr& arg) {
  return arg.shape.size() == node.shape.size() && rows_of(arg) == rows_of(node);
}

// --- whether and where --------------------------------------------------------------------------

// Where an expression may be cut.
class Survey {
 public:
  // `strict`: cuts are where vectors begin also for loops of which vectors and single elements
  // differ in nothing but the NaN that two NaNs give.
  Survey(std::span<const Catalog* const> catalogs, bool strict)
      : catalogs_(catalogs), strict_(strict) {}

  // Tiles begin at multiples of this row; 0: the node is not made row by row.
  std::int64_t unit(const Expr& node) {
    if (node.shape.empty() || numel(node.shape).value_or(0) == 0) return 0;
    const auto known = units_.find(&node);
    if (known != units_.end()) return known->second;
    const std::int64_t unit =
        std::visit([&](const auto& op) { return unit_of(op, node); }, node.op);
    units_.emplace(&node, unit);
    return unit;
  }

  // Bytes that are loaded for so many rows.
  std::uint64_t loaded(const Expr& node, std::int64_t rows) {
    if (!seen_.insert(&node).second) return 0;
    if (std::holds_alternative<Load>(node.op)) {
      const auto row = static_cast<std::uint64_t>(row_numel(node)) * itemsize(node.dtype);
      return std::min(nbytes(node), static_cast<std::uint64_t>(rows) * row);
    }
    std::uint64_t bytes = 0;
    for (const ExprPtr& arg : node.args) {
      if (std::holds_alternative<Reshape>(node.op))
        bytes += loaded(*arg, rows * row_numel(node) / row_numel(*arg));
      else if (units_.contains(arg.get()))
        bytes += loaded(*arg, rows);
      else  // as a whole
        bytes += kRepeated;
    }
    return bytes;
  }

 private:
  // Where both may be cut; 0 where one of them may not.
  static std::int64_t both(std::int64_t a, std::int64_t b) {
    if (a == 0 || b == 0) return 0;
    return checked_mul(a / std::gcd(a, b), b).value_or(0);
  }
  // The rows from `start` on are the argument's.
  std::int64_t shifted(const Expr& arg, std::int64_t start) {
    const std::int64_t own = unit(arg);
    return own == 0 || start % own != 0 ? 0 : own;
  }
  // For every row the argument as a whole: what it is made of is small.
  static bool repeats(const Expr& arg) {
    std::uint64_t bytes = 0;
    std::unordered_set<const Expr*> seen;
    std::vector<const Expr*> open{&arg};
    while (!open.empty()) {
      const Expr* node = open.back();
      open.pop_back();
      if (!seen.insert(node).second) continue;
      bytes += nbytes(*node);
      if (bytes > kRepeated) return false;
      for (const ExprPtr& below : node->args) open.push_back(below.get());
    }
    return true;
  }
  // The argument of something that broadcasts.
  std::int64_t broadcast_unit(const Expr& node, const Expr& arg) {
    if (has_rows_of(node, arg)) return unit(arg);
    return repeats(arg) ? 1 : 0;
  }
  // Of a loop over numbers of the dtype.
  [[nodiscard]] std::int64_t vectors(const Expr& node, DType dtype) const {
    const bool differ =
        kind(dtype) == Kind::complex || (kind(dtype) == Kind::floating && itemsize(dtype) < 4);
    return differ || strict_ ? kLanes / std::gcd(kLanes, row_numel(node)) : 1;
  }

  std::int64_t unit_of(const Load& op, const Expr&) const {
    const Tensor& tensor = catalogs_[op.input]->tensors[op.tensor];
    return tensor.unsupported.empty() && is_contiguous(tensor.shape, tensor.strides) ? 1 : 0;
  }
  std::int64_t unit_of(const Fill& op, const Expr& node) const {
    return op.step == 0 || node.shape.size() > 1 ? 1 : 0;
  }
  std::int64_t unit_of(const Random&, const Expr& node) const { return vectors(node, node.dtype); }
  // Rows that are left out would not be loaded, and a tensor that is not read as a whole has no
  // digest.
  std::int64_t unit_of(const Narrow& op, const Expr& node) {
    return op.dim == 0 ? 0 : unit(*node.args[0]);
  }
  std::int64_t unit_of(const Index& op, const Expr& node) {
    return op.dim == 0 ? 0 : unit(*node.args[0]);
  }
  std::int64_t unit_of(const Permute& op, const Expr& node) {
    return op.dims.front() != 0 ? 0 : unit(*node.args[0]);
  }
  std::int64_t unit_of(const Reshape&, const Expr& node) {
    const std::int64_t own = unit(*node.args[0]);
    const auto elements = checked_mul(own, own == 0 ? 0 : row_numel(*node.args[0]));
    if (own == 0 || !elements) return 0;
    return *elements / std::gcd(*elements, row_numel(node));
  }
  std::int64_t unit_of(const Expand&, const Expr& node) {
    return broadcast_unit(node, *node.args[0]);
  }
  std::int64_t unit_of(const Cat& op, const Expr& node) {
    std::int64_t unit_of_all = 1, start = 0;
    for (const ExprPtr& arg : node.args) {
      if (op.dim == 0 && rows_of(*arg) == 0) continue;
      unit_of_all = both(unit_of_all, op.dim == 0 ? shifted(*arg, start) : unit(*arg));
      start += rows_of(*arg);
    }
    return unit_of_all;
  }
  std::int64_t unit_of(const Pad& op, const Expr& node) {
    return shifted(*node.args[0], op.before.front());
  }
  std::int64_t unit_of(const Overlay& op, const Expr& node) {
    return both(unit(*node.args[0]), shifted(*node.args[1], op.start.front()));
  }
  std::int64_t unit_of(const Cast&, const Expr& node) {
    const Expr& arg = *node.args[0];
    if (converts(arg.dtype, node.dtype)) return unit(arg);
    return both(unit(arg), both(vectors(node, arg.dtype), vectors(node, node.dtype)));
  }
  // The others are a library's, which says nothing of where an element may stand.
  std::int64_t unit_of(const Unary& op, const Expr& node) {
    if (op.op != UnaryOp::neg && op.op != UnaryOp::abs) return 0;
    return both(unit(*node.args[0]), vectors(node, node.args[0]->dtype));
  }
  std::int64_t unit_of(const Binary&, const Expr& node) {
    const std::int64_t of_args =
        both(broadcast_unit(node, *node.args[0]), broadcast_unit(node, *node.args[1]));
    return both(of_args, vectors(node, node.dtype));
  }
  template <typename Other>
  std::int64_t unit_of(const Other&, const Expr&) const {
    return 0;
  }

  const std::span<const Catalog* const> catalogs_;
  const bool strict_;
  std::unordered_map<const Expr*, std::int64_t> units_;
  std::unordered_set<const Expr*> seen_;  // by loaded()
};

// --- the tile -----------------------------------------------------------------------------------

// Subtrees that are shared stay shared.
class Cut {
 public:
  ExprPtr rows(const ExprPtr& node, std::int64_t first, std::int64_t rows) {
    const auto [found, is_new] = done_.try_emplace({node.get(), first, rows});
    if (!is_new) return found->second;
    ExprPtr made =
        std::visit([&](const auto& op) { return make(op, node, first, rows); }, node->op);
    return done_[{node.get(), first, rows}] = std::move(made);
  }

 private:
  // What of `length` rows from `start` on lies within the tile.
  struct Overlap {
    std::int64_t from, to;
    [[nodiscard]] bool empty() const { return from >= to; }
  };
  static Overlap overlap(std::int64_t first, std::int64_t rows, std::int64_t start,
                         std::int64_t length) {
    return {std::max(first, start), std::min(first + rows, start + length)};
  }
  ExprPtr broadcast_rows(const Expr& node, const ExprPtr& arg, std::int64_t first,
                         std::int64_t count) {
    return has_rows_of(node, *arg) ? rows(arg, first, count) : arg;
  }

  static ExprPtr make(const Load& op, const ExprPtr& node, std::int64_t first, std::int64_t count) {
    return part(*node, Load{op.input, op.tensor, first * row_numel(*node)}, count);
  }
  static ExprPtr make(const Fill& op, const ExprPtr& node, std::int64_t, std::int64_t count) {
    return part(*node, op, count);
  }
  static ExprPtr make(const Random& op, const ExprPtr& node, std::int64_t first,
                      std::int64_t count) {
    return part(*node, Random{op.mean, op.std, op.key, first * row_numel(*node)}, count);
  }
  ExprPtr make(const Narrow& op, const ExprPtr& node, std::int64_t first, std::int64_t count) {
    return narrow(rows(node->args[0], first, count), op.dim, op.start, op.length, op.step);
  }
  ExprPtr make(const Index& op, const ExprPtr& node, std::int64_t first, std::int64_t count) {
    return index_select(rows(node->args[0], first, count), op.dim, op.index);
  }
  ExprPtr make(const Permute& op, const ExprPtr& node, std::int64_t first, std::int64_t count) {
    return permute(rows(node->args[0], first, count), op.dims);
  }
  ExprPtr make(const Reshape&, const ExprPtr& node, std::int64_t first, std::int64_t count) {
    const std::int64_t here = row_numel(*node), below = row_numel(*node->args[0]);
    return reshape(rows(node->args[0], first * here / below, count * here / below),
                   with_rows(*node, count));
  }
  ExprPtr make(const Expand&, const ExprPtr& node, std::int64_t first, std::int64_t count) {
    return expand(broadcast_rows(*node, node->args[0], first, count), with_rows(*node, count));
  }
  ExprPtr make(const Cat& op, const ExprPtr& node, std::int64_t first, std::int64_t count) {
    std::vector<ExprPtr> args;
    std::int64_t start = 0;
    for (const ExprPtr& arg : node->args) {
      if (op.dim != 0) {
        args.push_back(rows(arg, first, count));
        continue;
      }
      const Overlap within = overlap(first, count, start, rows_of(*arg));
      if (!within.empty()) args.push_back(rows(arg, within.from - start, within.to - within.from));
      start += rows_of(*arg);
    }
    return cat(std::move(args), op.dim);
  }
  ExprPtr make(const Pad& op, const ExprPtr& node, std::int64_t first, std::int64_t count) {
    const ExprPtr& arg = node->args[0];
    const std::int64_t start = op.before.front();
    const Overlap within = overlap(first, count, start, rows_of(*arg));
    if (within.empty()) return fill(op.value, node->dtype, with_rows(*node, count));
    std::vector<std::int64_t> before = op.before;
    before.front() = within.from - first;
    return pad(rows(arg, within.from - start, within.to - within.from), std::move(before),
               with_rows(*node, count), op.value);
  }
  // The base is loaded also where nothing of it is seen, as of the whole.
  ExprPtr make(const Overlay& op, const ExprPtr& node, std::int64_t first, std::int64_t count) {
    ExprPtr base = rows(node->args[0], first, count);
    const ExprPtr& patch = node->args[1];
    const std::int64_t start = op.start.front();
    const Overlap within = overlap(first, count, start, rows_of(*patch));
    if (within.empty()) return base;
    std::vector<std::int64_t> at = op.start;
    at.front() = within.from - first;
    return std::make_shared<const Expr>(
        Expr{Overlay{std::move(at)},
             {base, rows(patch, within.from - start, within.to - within.from)},
             node->dtype,
             base->shape});
  }
  ExprPtr make(const Cast& op, const ExprPtr& node, std::int64_t first, std::int64_t count) {
    return std::make_shared<const Expr>(Expr{Cast{op.checked, first * row_numel(*node), node},
                                             {rows(node->args[0], first, count)},
                                             node->dtype,
                                             with_rows(*node, count)});
  }
  ExprPtr make(const Unary& op, const ExprPtr& node, std::int64_t first, std::int64_t count) {
    return unary(op.op, rows(node->args[0], first, count));
  }
  ExprPtr make(const Binary& op, const ExprPtr& node, std::int64_t first, std::int64_t count) {
    return binary(op.op, broadcast_rows(*node, node->args[0], first, count),
                  broadcast_rows(*node, node->args[1], first, count));
  }
  template <typename Other>
  static ExprPtr make(const Other&, const ExprPtr& node, std::int64_t, std::int64_t) {
    return node;  // has no tiling
  }

  std::map<std::tuple<const Expr*, std::int64_t, std::int64_t>, ExprPtr> done_;
};

}  // namespace

std::optional<Tiling> tiling(const Expr& expr, std::span<const Catalog* const> catalogs,
                             std::uint64_t size) {
  if (nbytes(expr) == 0 || expr.shape.empty()) return std::nullopt;
  for (const bool strict : {true, false}) {
    Survey survey(catalogs, strict);
    const std::int64_t unit = survey.unit(expr);
    if (unit == 0) continue;
    const std::uint64_t row = nbytes(expr) / static_cast<std::uint64_t>(rows_of(expr));
    const std::int64_t wanted =
        static_cast<std::int64_t>(std::min<std::uint64_t>(size / row, INT64_MAX)) / unit * unit;
    if (strict && wanted == 0) continue;
    const std::int64_t rows = std::max(wanted, unit);
    if (rows >= rows_of(expr)) return std::nullopt;
    return Tiling{rows, static_cast<std::uint64_t>(rows) * row + survey.loaded(expr, rows)};
  }
  return std::nullopt;
}

ExprPtr tile(const ExprPtr& expr, std::int64_t first, std::int64_t rows) {
  return Cut().rows(expr, first, rows);
}

}  // namespace regraft
