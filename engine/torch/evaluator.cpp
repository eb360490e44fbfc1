#include "torch/evaluator.h"

#include <ATen/Version.h>
#include <ATen/ops/_upsample_bicubic2d_aa.h>
#include <ATen/ops/_upsample_bilinear2d_aa.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/add.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/div.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/neg.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/upsample_bicubic2d.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/upsample_nearest2d.h>

#include <algorithm>
#include <cassert>
#include <exception>
#include <new>
#include <unordered_map>
#include <variant>

#include "expr/random.h"
#include "torch/cast.h"
#include "torch/dtypes.h"
#include "torch/guards.h"
#include "torch/torch_version.h"

namespace regraft {
namespace {

// Numbers that are drawn in one go.
constexpr std::int64_t kDrawn = std::int64_t{1} << 16;

// One run over one tree. Between the nodes a tensor is words (torch/dtypes.h), as loaded or as a
// view, so that moving works for every dtype; nodes that compute see them as numbers.
class Evaluation {
 public:
  explicit Evaluation(const Evaluator::LoadTensor& load) : load_(load) {}

  Status run(const Expr& root, const at::Tensor& out) {
    count_uses(root);
    return write(root, out);
  }

 private:
  // What more than one node uses is kept from its first use to its last.
  struct Shared {
    std::int64_t uses = 0;  // that are still to come
    at::Tensor value;
  };

  void count_uses(const Expr& root) {
    std::vector<const Expr*> open{&root};
    while (!open.empty()) {
      const Expr* node = open.back();
      open.pop_back();
      for (const ExprPtr& arg : node->args)
        if (++shared_[arg.get()].uses == 1) open.push_back(arg.get());
    }
    std::erase_if(shared_, [](const auto& entry) { return entry.second.uses == 1; });
  }

  // The tensor that a node stands for: new memory, or a view of an argument's.
  Result<at::Tensor> value(const Expr& node) {
    const auto found = shared_.find(&node);
    if (found == shared_.end()) return compute(node);
    if (!found->second.value.defined()) {
      REGRAFT_TRY(found->second.value, compute(node));
    }
    at::Tensor value = found->second.value;
    if (--found->second.uses == 0) shared_.erase(found);
    return value;
  }
  Result<at::Tensor> numbers(const Expr& node) {
    REGRAFT_TRY(at::Tensor words, value(node));
    return as_numbers(words, node.dtype);
  }

  // Puts the elements of a node into `out`, words of its shape in any strides. What can be computed
  // there is: a Cat of large tensors holds none of them a second time.
  Status write(const Expr& node, const at::Tensor& out) {
    if (shared_.contains(&node)) {
      REGRAFT_TRY(const at::Tensor words, value(node));
      out.copy_(words);
      return Done{};
    }
    return std::visit([&](const auto& op) { return write(op, node, out); }, node.op);
  }

  Result<at::Tensor> compute(const Expr& node) {
    return std::visit([&](const auto& op) { return compute(op, node); }, node.op);
  }

  // Each primitive has one of the two: a way to write its elements, or to make a tensor of them.
  template <typename Op>
  Status write(const Op& op, const Expr& node, const at::Tensor& out) {
    REGRAFT_TRY(const at::Tensor words, compute(op, node));
    out.copy_(words);
    return Done{};
  }
  template <typename Op>
  Result<at::Tensor> compute_by_writing(const Op& op, const Expr& node) {
    at::Tensor out = at::empty(node.shape, word_type(node.dtype));
    REGRAFT_CHECK(write(op, node, out));
    return out;
  }
  Result<at::Tensor> compute(const Load& op, const Expr& node) {
    return compute_by_writing(op, node);
  }
  Result<at::Tensor> compute(const Fill& op, const Expr& node) {
    return compute_by_writing(op, node);
  }
  Result<at::Tensor> compute(const Random& op, const Expr& node) {
    return compute_by_writing(op, node);
  }
  Result<at::Tensor> compute(const Index& op, const Expr& node) {
    return compute_by_writing(op, node);
  }
  Result<at::Tensor> compute(const Cat& op, const Expr& node) {
    return compute_by_writing(op, node);
  }
  Result<at::Tensor> compute(const Pad& op, const Expr& node) {
    return compute_by_writing(op, node);
  }
  Result<at::Tensor> compute(const Overlay& op, const Expr& node) {
    return compute_by_writing(op, node);
  }
  Result<at::Tensor> compute(const Cast& op, const Expr& node) {
    return compute_by_writing(op, node);
  }

  // --- where values come from -------------------------------------------------------------------

  Status write(const Load& op, const Expr& node, const at::Tensor& out) {
    if (out.numel() == 0) return Done{};
    if (!out.is_contiguous()) {
      REGRAFT_TRY(const at::Tensor loaded, compute(op, node));
      out.copy_(loaded);
      return Done{};
    }
    return load_(op, {static_cast<std::byte*>(out.data_ptr()), out.nbytes()});
  }

  // One number in the words of a dtype; torch computes nothing with bits, and zero is zero.
  static Result<at::Tensor> constant(const Scalar& value, DType dtype) {
    at::Tensor words = at::full({}, 0, word_type(dtype));
    if (kind(dtype) == Kind::bits && value == Scalar{std::int64_t{0}}) return words;
    const bool whole = std::holds_alternative<std::int64_t>(value);
    const at::Tensor number = whole ? at::full({}, std::get<std::int64_t>(value), c10::kLong)
                                    : at::full({}, std::get<double>(value), c10::kDouble);
    REGRAFT_CHECK(cast_into(number, whole ? DType::int64 : DType::float64, as_numbers(words, dtype),
                            dtype, false, {}));
    return words;
  }

  Status write(const Fill& op, const Expr& node, const at::Tensor& out) {
    if (op.step == 0 || node.shape.empty()) {
      REGRAFT_TRY(const at::Tensor words, constant(op.value, node.dtype));
      out.copy_(words.expand(node.shape));
      return Done{};
    }
    const bool whole = std::holds_alternative<std::int64_t>(op.value);
    at::Tensor row = at::arange(node.shape.back(), c10::kLong).mul_(op.step);
    row = whole ? row.add_(std::get<std::int64_t>(op.value))
                : row.to(c10::kDouble).add_(std::get<double>(op.value));
    const at::Tensor words = at::empty(row.sizes(), word_type(node.dtype));
    REGRAFT_CHECK(cast_into(row, whole ? DType::int64 : DType::float64,
                            as_numbers(words, node.dtype), node.dtype, false, {}));
    out.copy_(words.expand(node.shape));
    return Done{};
  }

  Status write(const Random& op, const Expr& node, const at::Tensor& out) {
    if (!out.is_contiguous()) {
      REGRAFT_TRY(const at::Tensor drawn, compute(op, node));
      out.copy_(drawn);
      return Done{};
    }
    const at::Tensor flat = as_numbers(out, node.dtype).view(-1);
    const std::int64_t count = flat.numel();
    const at::Tensor chunk = at::empty({std::min(count, kDrawn)}, c10::kDouble);
    for (std::int64_t first = 0; first < count; first += kDrawn) {
      const std::int64_t length = std::min(kDrawn, count - first);
      const std::span<double> drawn(chunk.mutable_data_ptr<double>(),
                                    static_cast<std::size_t>(length));
      standard_normal(op.key, static_cast<std::uint64_t>(op.first + first), drawn);
      for (double& one : drawn) one = op.mean + op.std * one;
      flat.narrow(0, first, length).copy_(chunk.narrow(0, 0, length));
    }
    return Done{};
  }

  // --- the same elements at other places
  // ----------------------------------------------------------

  Result<at::Tensor> compute(const Narrow& op, const Expr& node) {
    REGRAFT_TRY(const at::Tensor arg, value(*node.args[0]));
    if (op.step == 1 || op.length == 0) return arg.narrow(op.dim, op.start, op.length);
    return arg.slice(op.dim, op.start, op.start + (op.length - 1) * op.step + 1, op.step);
  }

  Status write(const Index& op, const Expr& node, const at::Tensor& out) {
    REGRAFT_TRY(const at::Tensor arg, value(*node.args[0]));
    at::Tensor index = at::empty({static_cast<std::int64_t>(op.index.size())}, c10::kLong);
    std::copy(op.index.begin(), op.index.end(), index.mutable_data_ptr<std::int64_t>());
    at::Tensor result = out;
    at::index_select_out(result, arg, op.dim, index);
    return Done{};
  }

  Result<at::Tensor> compute(const Permute& op, const Expr& node) {
    REGRAFT_TRY(const at::Tensor arg, value(*node.args[0]));
    return arg.permute(op.dims);
  }
  Status write(const Permute& op, const Expr& node, const at::Tensor& out) {
    std::vector<std::int64_t> back(op.dims.size());
    for (std::size_t i = 0; i < back.size(); ++i)
      back[static_cast<std::size_t>(op.dims[i])] = static_cast<std::int64_t>(i);
    return write(*node.args[0], out.permute(back));
  }

  Result<at::Tensor> compute(const Reshape&, const Expr& node) {
    REGRAFT_TRY(const at::Tensor arg, value(*node.args[0]));
    return arg.reshape(node.shape);
  }
  Status write(const Reshape& op, const Expr& node, const at::Tensor& out) {
    if (out.is_contiguous()) return write(*node.args[0], out.view(node.args[0]->shape));
    REGRAFT_TRY(const at::Tensor words, compute(op, node));
    out.copy_(words);
    return Done{};
  }

  Result<at::Tensor> compute(const Expand&, const Expr& node) {
    REGRAFT_TRY(const at::Tensor arg, value(*node.args[0]));
    return arg.expand(node.shape);
  }

  Status write(const Cat& op, const Expr& node, const at::Tensor& out) {
    std::int64_t start = 0;
    for (const ExprPtr& arg : node.args) {
      const std::int64_t length = arg->shape[static_cast<std::size_t>(op.dim)];
      REGRAFT_CHECK(write(*arg, out.narrow(op.dim, start, length)));
      start += length;
    }
    return Done{};
  }

  // The part of `out` that begins at `start` and has the shape of `inner`.
  static at::Tensor region(at::Tensor out, const std::vector<std::int64_t>& start,
                           const Shape& inner) {
    for (std::size_t i = 0; i < inner.size(); ++i)
      out = out.narrow(static_cast<std::int64_t>(i), start[i], inner[i]);
    return out;
  }

  Status write(const Pad& op, const Expr& node, const at::Tensor& out) {
    REGRAFT_TRY(const at::Tensor words, constant(op.value, node.dtype));
    out.copy_(words.expand(node.shape));
    return write(*node.args[0], region(out, op.before, node.args[0]->shape));
  }

  Status write(const Overlay& op, const Expr& node, const at::Tensor& out) {
    REGRAFT_CHECK(write(*node.args[0], out));
    return write(*node.args[1], region(out, op.start, node.args[1]->shape));
  }

  // --- new values
  // ---------------------------------------------------------------------------------

  Status write(const Cast& op, const Expr& node, const at::Tensor& out) {
    REGRAFT_TRY(const at::Tensor arg, numbers(*node.args[0]));
    return cast_into(arg, node.args[0]->dtype, as_numbers(out, node.dtype), node.dtype, op.checked,
                     {op.first, op.whole ? op.whole->shape : node.shape});
  }

  // As a new tensor and not into `out`: torch picks its loops by the strides of both, and they
  // differ in the last bit.
  Result<at::Tensor> compute(const Unary& op, const Expr& node) {
    REGRAFT_TRY(const at::Tensor arg, numbers(*node.args[0]));
    switch (op.op) {
      case UnaryOp::neg:
        return made(at::neg(arg), node);
      case UnaryOp::abs:
        return made(at::abs(arg), node);
      case UnaryOp::sqrt:
        return made(at::sqrt(arg), node);
      case UnaryOp::exp:
        break;
    }
    return made(at::exp(arg), node);
  }

  Result<at::Tensor> compute(const Binary& op, const Expr& node) {
    REGRAFT_TRY(const at::Tensor left, numbers(*node.args[0]));
    REGRAFT_TRY(const at::Tensor right, numbers(*node.args[1]));
    switch (op.op) {
      case BinaryOp::add:
        return made(at::add(left, right), node);
      case BinaryOp::sub:
        return made(at::sub(left, right), node);
      case BinaryOp::mul:
        return made(at::mul(left, right), node);
      case BinaryOp::div:
        break;
    }
    return made(at::div(left, right), node);
  }

  Result<at::Tensor> compute(const MatMul&, const Expr& node) {
    REGRAFT_TRY(const at::Tensor left, numbers(*node.args[0]));
    REGRAFT_TRY(const at::Tensor right, numbers(*node.args[1]));
    return made(at::matmul(left, right), node);
  }

  Result<at::Tensor> compute(const Reduce& op, const Expr& node) {
    REGRAFT_TRY(const at::Tensor arg, numbers(*node.args[0]));
    switch (op.op) {
      case ReduceOp::sum:
        return made(at::sum(arg, op.dim, true, scalar_type(node.dtype)), node);
      case ReduceOp::mean:
        return made(at::mean(arg, op.dim, true), node);
      case ReduceOp::norm:
        break;
    }
    return made(at::linalg_vector_norm(arg, 2, op.dim, true), node);
  }

  // A view goes to ATen as the view that it is: a permuted one takes the loops for channels last,
  // whose sums are others.
  Result<at::Tensor> compute(const Interpolate& op, const Expr& node) {
    if (numel(node.shape) == 0) return at::empty(node.shape, word_type(node.dtype));
    REGRAFT_TRY(const at::Tensor arg, numbers(*node.args[0]));
    const at::IntArrayRef size = at::IntArrayRef(node.shape).slice(2);
    if (op.antialias) {
      // torch 2.13 repeats the first row's value in all rows of a single column; a single row it
      // gets right.
      if (size[1] == 1 && size[0] > 1)
        return made(antialiased(op.mode, arg.mT().contiguous(), {1, size[0]}).mT(), node);
      return made(antialiased(op.mode, arg, size), node);
    }
    switch (op.mode) {
      case InterpolateMode::nearest:
        return made(at::upsample_nearest2d(arg, size), node);
      case InterpolateMode::bilinear:
        return made(at::upsample_bilinear2d(arg, size, false), node);
      case InterpolateMode::bicubic:
        break;
    }
    return made(at::upsample_bicubic2d(arg, size, false), node);
  }

  static at::Tensor antialiased(InterpolateMode mode, const at::Tensor& arg, at::IntArrayRef size) {
    return mode == InterpolateMode::bilinear ? at::_upsample_bilinear2d_aa(arg, size, false)
                                             : at::_upsample_bicubic2d_aa(arg, size, false);
  }

  // Some results are of another dtype than the arguments: the norm of complex numbers is real.
  static at::Tensor made(const at::Tensor& result, const Expr& node) {
    TORCH_CHECK(c10::canCast(result.scalar_type(), scalar_type(node.dtype)), "the result is of ",
                result.scalar_type(), ", not of ", scalar_type(node.dtype));
    return as_words(result.to(scalar_type(node.dtype)), node.dtype);
  }

  const Evaluator::LoadTensor& load_;
  std::unordered_map<const Expr*, Shared> shared_;
};

// --- faults
// ---------------------------------------------------------------------------------------

Diagnostic refused(std::string_view what) {
  what = what.substr(0, what.find('\n'));
  const bool memory = what.find("llocat") != std::string_view::npos;
  return error(Code::evaluator, {}, "libtorch: " + std::string(what),
               memory ? "memory ran out; fewer threads compute fewer tensors at a time"
                      : "torch does not compute this for the dtype; cast it to float32 before");
}

class TorchEvaluator final : public Evaluator {
 public:
  [[nodiscard]] EvaluatorInfo info() const override {
    return {"libtorch " + loaded_torch_version(), at::get_cpu_capability()};
  }

  [[nodiscard]] Status evaluate(const Expr& expr, const LoadTensor& load,
                                std::span<std::byte> out) override {
    if (!version_.ok()) return version_;
    if (out.empty()) return Done{};
    try {
      const Guards guards;
      return Evaluation(load).run(expr,
                                  at::from_blob(out.data(), expr.shape, word_type(expr.dtype)));
    } catch (const c10::Error& fault) {
      return refused(fault.what_without_backtrace());
    } catch (const std::bad_alloc&) {
      return refused("an allocation failed");
    } catch (const std::exception& fault) {
      return refused(fault.what());
    } catch (...) {
      return refused("an exception of an unknown kind");
    }
  }

 private:
  const Status version_ = check_loaded_torch();
};

}  // namespace

std::unique_ptr<Evaluator> make_torch_evaluator() { return std::make_unique<TorchEvaluator>(); }

}  // namespace regraft
