#include "schedule/parts.h"

#include <algorithm>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "expr/element.h"
#include "schedule/gather_way.h"

namespace regraft {
namespace {

using Dims = std::vector<std::int64_t>;

// Parts in a row. What continues the part before it is joined to it.
class Run {
 public:
  void append(Part part) {
    const std::uint64_t length = regraft::nbytes(part);
    if (length == 0) return;
    if (!parts_.empty() && joined(parts_.back(), part)) {
      ends_.back() += length;
      return;
    }
    ends_.push_back(nbytes() + length);
    parts_.push_back(std::move(part));
  }
  void append(const Run& run) {
    for (const Part& part : run.parts_) append(part);
  }

  // The bytes [begin, end) of `run`, which cut through no Gather.
  void append(const Run& run, std::uint64_t begin, std::uint64_t end) {
    auto i = static_cast<std::size_t>(std::upper_bound(run.ends_.begin(), run.ends_.end(), begin) -
                                      run.ends_.begin());
    for (; begin < end; ++i) {
      const std::uint64_t start = i == 0 ? 0 : run.ends_[i - 1];
      const std::uint64_t stop = std::min(end, run.ends_[i]);
      Part part = run.parts_[i];
      if (auto* range = std::get_if<CopyRange>(&part)) {
        range->offset += begin - start;
        range->length = stop - begin;
      } else if (auto* repeat = std::get_if<Repeat>(&part)) {
        repeat->nbytes = stop - begin;
      }
      append(std::move(part));
      begin = stop;
    }
  }

  [[nodiscard]] const std::vector<Part>& parts() const { return parts_; }
  [[nodiscard]] std::uint64_t nbytes() const { return ends_.empty() ? 0 : ends_.back(); }

 private:
  static bool joined(Part& last, const Part& next) {
    if (last.index() != next.index()) return false;
    if (auto* a = std::get_if<CopyRange>(&last)) {
      const auto& b = std::get<CopyRange>(next);
      if (a->input != b.input || a->storage != b.storage || a->offset + a->length != b.offset)
        return false;
      a->length += b.length;
      return true;
    }
    auto* a = std::get_if<Repeat>(&last);
    if (!a || a->element != std::get<Repeat>(next).element) return false;
    a->nbytes += std::get<Repeat>(next).nbytes;
    return true;
  }

  std::vector<Part> parts_;
  std::vector<std::uint64_t> ends_;  // of the parts, from the start of the run
};
using RunPtr = std::shared_ptr<const Run>;  // null: it has to be computed

std::uint64_t product(const Shape& shape, std::size_t begin, std::size_t end) {
  std::uint64_t count = 1;
  for (std::size_t i = begin; i < end; ++i) count *= static_cast<std::uint64_t>(shape[i]);
  return count;
}

// A region of a tensor, as stretches of bytes of equal length.
struct Stretches {
  std::vector<std::uint64_t> begins;
  std::uint64_t length;
};
// Empty where there are more than `most`. The region has elements.
std::optional<Stretches> stretches(const Shape& outer, const Dims& start, const Shape& size,
                                   std::uint64_t itemsize, std::uint64_t most) {
  std::size_t inner = outer.size();  // dimensions from here on are the region's as a whole
  while (inner > 0 && size[inner - 1] == outer[inner - 1]) --inner;
  const std::size_t rows = inner == 0 ? 0 : inner - 1;
  if (product(size, 0, rows) > most) return std::nullopt;
  Stretches found{{0}, product(size, rows, size.size()) * itemsize};
  for (std::size_t i = 0; i < outer.size(); ++i) {
    const std::uint64_t stride = product(outer, i + 1, outer.size()) * itemsize;
    const auto first = static_cast<std::uint64_t>(start[i]);
    const std::uint64_t count = i < rows ? static_cast<std::uint64_t>(size[i]) : 1;
    std::vector<std::uint64_t> next;
    next.reserve(found.begins.size() * count);
    for (const std::uint64_t begin : found.begins)
      for (std::uint64_t k = 0; k < count; ++k) next.push_back(begin + (first + k) * stride);
    found.begins = std::move(next);
  }
  return found;
}

// What is cut from a tensor may be small, and the tensor larger than any file.
bool addressable(const Expr& expr) {
  const auto count = static_cast<std::uint64_t>(numel(expr.shape).value_or(INT64_MAX));
  return checked_mul(count, itemsize(expr.dtype)).value_or(UINT64_MAX) <= INT64_MAX;
}

class Builder {
 public:
  explicit Builder(std::span<const Catalog* const> catalogs) : catalogs_(catalogs) {}

  RunPtr run(const Expr& expr) {
    const auto known = runs_.find(&expr);
    if (known != runs_.end()) return known->second;
    RunPtr made = addressable(expr) ? make(expr) : nullptr;
    if (made && made->parts().size() > most_parts(nbytes(expr))) made = nullptr;
    runs_.emplace(&expr, made);
    return made;
  }

 private:
  RunPtr make(const Expr& expr) {
    if (nbytes(expr) == 0) return std::make_shared<const Run>();
    if (const auto view = as_view(expr, catalogs_)) return of_view(*view);
    return std::visit([&](const auto& op) { return of(op, expr); }, expr.op);
  }

  static RunPtr of_view(const View& view) {
    if (view.conj || view.neg) return nullptr;
    Run run;
    if (is_contiguous(view.shape, view.strides))
      run.append(CopyRange{view.input, view.storage, byte_extent(view).first, nbytes(view)});
    else
      run.append(Gather{view});
    return std::make_shared<const Run>(std::move(run));
  }

  // The same bytes without a Gather, so that they can be cut.
  RunPtr cut(const Expr& expr) {
    RunPtr whole = run(expr);
    if (!whole) return nullptr;
    const auto gathers = [](const Part& part) { return std::holds_alternative<Gather>(part); };
    if (std::none_of(whole->parts().begin(), whole->parts().end(), gathers)) return whole;
    Run rows;
    for (const Part& part : whole->parts()) {
      const auto* gather = std::get_if<Gather>(&part);
      if (!gather)
        rows.append(part);
      else if (!append_rows(gather->view, rows))
        return nullptr;
    }
    return std::make_shared<const Run>(std::move(rows));
  }

  static bool append_rows(const View& view, Run& rows) {
    std::vector<GatherDim> dims = gather_dims(view);
    std::uint64_t length = itemsize(view.dtype);
    if (!dims.empty() && dims.back().from == length) {
      length *= dims.back().size;
      dims.pop_back();
    }
    std::uint64_t count = 1;
    for (const GatherDim& dim : dims) count *= dim.size;
    if (count > most_parts(nbytes(view))) return false;
    const std::uint64_t first = byte_extent(view).first;
    for (std::uint64_t i = 0; i < count; ++i) {
      std::uint64_t rest = i, at = first;
      for (std::size_t k = dims.size(); k-- > 0; rest /= dims[k].size)
        at += rest % dims[k].size * dims[k].from;
      rows.append(CopyRange{view.input, view.storage, at, length});
    }
    return true;
  }

  RunPtr of(const Fill& op, const Expr& expr) {
    if (op.step != 0) return nullptr;
    const auto element = element_bytes(expr.dtype, op.value);
    if (!element) return nullptr;
    Run run;
    run.append(Repeat{*element, nbytes(expr)});
    return std::make_shared<const Run>(std::move(run));
  }

  RunPtr of(const Reshape&, const Expr& expr) { return run(*expr.args[0]); }

  // Where only dimensions of size 1 move, or all elements are one, the order stays.
  RunPtr of(const Permute& op, const Expr& expr) {
    const Shape& shape = expr.args[0]->shape;
    std::int64_t last = -1;
    bool in_order = true;
    for (const std::int64_t dim : op.dims) {
      if (shape[static_cast<std::size_t>(dim)] == 1) continue;
      in_order = in_order && dim > last;
      last = dim;
    }
    const RunPtr arg = run(*expr.args[0]);
    return in_order || (arg && repeats(*arg)) ? arg : nullptr;
  }

  // Blocks that follow each other: what is repeated stands before all other dimensions.
  RunPtr of(const Expand&, const Expr& expr) {
    const RunPtr arg = run(*expr.args[0]);
    if (!arg) return nullptr;
    Run result;
    if (repeats(*arg)) {
      result.append(Repeat{std::get<Repeat>(arg->parts().front()).element, nbytes(expr)});
      return std::make_shared<const Run>(std::move(result));
    }
    const Shape& inner = expr.args[0]->shape;
    const std::size_t front = expr.shape.size() - inner.size();
    bool inside = false;
    for (std::size_t i = 0; i < inner.size(); ++i) {
      if (inner[i] != 1) inside = true;
      if (inside && inner[i] != expr.shape[front + i]) return nullptr;
    }
    const std::uint64_t count = nbytes(expr) / arg->nbytes();
    if (count * arg->parts().size() > most_parts(nbytes(expr))) return nullptr;
    for (std::uint64_t i = 0; i < count; ++i) result.append(*arg);
    return std::make_shared<const Run>(std::move(result));
  }

  RunPtr of(const Cat& op, const Expr& expr) {
    const std::uint64_t rows = product(expr.shape, 0, static_cast<std::size_t>(op.dim));
    if (rows > most_parts(nbytes(expr))) return nullptr;
    std::vector<RunPtr> args;
    for (const ExprPtr& arg : expr.args) {
      args.push_back(rows == 1 ? run(*arg) : cut(*arg));
      if (!args.back()) return nullptr;
    }
    Run result;
    for (std::uint64_t row = 0; row < rows; ++row) {
      for (const RunPtr& arg : args) {
        const std::uint64_t length = arg->nbytes() / rows;
        if (rows == 1)
          result.append(*arg);
        else
          result.append(*arg, row * length, (row + 1) * length);
      }
      if (too_many(result, expr)) return nullptr;
    }
    return std::make_shared<const Run>(std::move(result));
  }

  RunPtr of(const Pad& op, const Expr& expr) {
    const auto element = element_bytes(expr.dtype, op.value);
    if (!element) return nullptr;
    Run base;
    base.append(Repeat{*element, nbytes(expr)});
    return laid_over(base, *expr.args[0], op.before, expr);
  }

  RunPtr of(const Overlay& op, const Expr& expr) {
    const RunPtr base = cut(*expr.args[0]);
    return base ? laid_over(*base, *expr.args[1], op.start, expr) : nullptr;
  }

  RunPtr laid_over(const Run& base, const Expr& patch, const Dims& start, const Expr& expr) {
    if (nbytes(patch) == 0) return std::make_shared<const Run>(base);
    const auto places =
        stretches(expr.shape, start, patch.shape, itemsize(expr.dtype), most_parts(nbytes(expr)));
    if (!places) return nullptr;
    const bool whole = places->begins.size() == 1;
    const RunPtr above = whole ? run(patch) : cut(patch);
    if (!above) return nullptr;
    Run result;
    std::uint64_t at = 0, taken = 0;
    for (const std::uint64_t begin : places->begins) {
      result.append(base, at, begin);
      if (whole)
        result.append(*above);
      else
        result.append(*above, taken, taken + places->length);
      at = begin + places->length;
      taken += places->length;
      if (too_many(result, expr)) return nullptr;
    }
    result.append(base, at, nbytes(expr));
    return std::make_shared<const Run>(std::move(result));
  }

  RunPtr of(const Narrow& op, const Expr& expr) {
    if (op.step == 1) return selected(op.dim, {{op.start, op.length}}, expr);
    if (static_cast<std::uint64_t>(op.length) > most_parts(nbytes(expr))) return nullptr;
    std::vector<std::pair<std::int64_t, std::int64_t>> spans;
    for (std::int64_t i = 0; i < op.length; ++i) spans.emplace_back(op.start + i * op.step, 1);
    return selected(op.dim, spans, expr);
  }

  RunPtr of(const Index& op, const Expr& expr) {
    std::vector<std::pair<std::int64_t, std::int64_t>> spans;
    for (const std::int64_t one : op.index) {
      if (!spans.empty() && spans.back().first + spans.back().second == one)
        ++spans.back().second;
      else
        spans.emplace_back(one, 1);
      if (spans.size() > most_parts(nbytes(expr))) return nullptr;
    }
    return selected(op.dim, spans, expr);
  }

  // Parts of one dimension: first element and number of elements of each.
  RunPtr selected(std::int64_t dimension,
                  const std::vector<std::pair<std::int64_t, std::int64_t>>& spans,
                  const Expr& expr) {
    const auto dim = static_cast<std::size_t>(dimension);
    const Expr& arg = *expr.args[0];
    const std::uint64_t rows = product(arg.shape, 0, dim);
    const std::uint64_t inner =
        product(arg.shape, dim + 1, arg.shape.size()) * itemsize(expr.dtype);
    const auto row = inner * static_cast<std::uint64_t>(arg.shape[dim]);
    const auto count = checked_mul(rows, static_cast<std::uint64_t>(spans.size()));
    if (!count || *count > most_parts(nbytes(expr))) return nullptr;
    const RunPtr bytes = cut(arg);
    if (!bytes) return nullptr;
    Run result;
    for (std::uint64_t i = 0; i < rows; ++i)
      for (const auto& [first, length] : spans) {
        const std::uint64_t begin = i * row + static_cast<std::uint64_t>(first) * inner;
        result.append(*bytes, begin, begin + static_cast<std::uint64_t>(length) * inner);
        if (too_many(result, expr)) return nullptr;
      }
    return std::make_shared<const Run>(std::move(result));
  }

  // What has values of its own. A Load gets here when it is no view.
  template <typename Other>
  RunPtr of(const Other&, const Expr&) {
    return nullptr;
  }

  static bool repeats(const Run& run) {
    return run.parts().size() == 1 && std::holds_alternative<Repeat>(run.parts().front());
  }
  static bool too_many(const Run& run, const Expr& expr) {
    return run.parts().size() > most_parts(nbytes(expr));
  }

  std::span<const Catalog* const> catalogs_;
  std::unordered_map<const Expr*, RunPtr> runs_;
};

}  // namespace

std::uint64_t most_parts(std::uint64_t nbytes) {
  constexpr std::uint64_t kFew = 64, kMany = 4096, kShort = 256, kLong = 1 << 20;
  return std::max(std::clamp(nbytes / kShort, kFew, kMany), nbytes / kLong);
}

std::optional<Parts> parts_of(const Expr& expr, std::span<const Catalog* const> catalogs) {
  const RunPtr run = Builder(catalogs).run(expr);
  if (!run) return std::nullopt;
  return Parts{run->parts()};
}

}  // namespace regraft
