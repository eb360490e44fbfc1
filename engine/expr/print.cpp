// Expressions as text: the primitives as the makers are called.
#include <array>
#include <string_view>

#include "base/diagnostic.h"
#include "expr/expr.h"

namespace regraft {
namespace {

constexpr std::array<std::string_view, 4> kUnary = {"neg", "abs", "sqrt", "exp"};
constexpr std::array<std::string_view, 4> kBinary = {"add", "sub", "mul", "div"};
constexpr std::array<std::string_view, 3> kReduce = {"sum", "mean", "norm"};
constexpr std::array<std::string_view, 3> kModes = {"nearest", "bilinear", "bicubic"};

std::string number(std::int64_t value) { return std::to_string(value); }
std::string typed(const Expr& expr) {
  return to_string(expr.shape) + ", " + std::string(name(expr.dtype));
}

// A node's name and what follows its arguments.
struct Parts {
  std::string name;
  std::string parameters;
};
struct PartsOf {
  const Expr& expr;

  Parts operator()(const Load&) const { return {"load", ""}; }  // printed by the caller
  Parts operator()(const Fill& op) const {
    if (op.step == 0) return {"fill", to_string(op.value) + ", " + typed(expr)};
    return {"arange", to_string(op.value) + ", " + number(op.step) + ", " + typed(expr)};
  }
  Parts operator()(const Random& op) const {
    return {"normal", to_string(Scalar(op.mean)) + ", " + to_string(Scalar(op.std)) + ", " +
                          std::to_string(op.key) + ", " + typed(expr)};
  }
  Parts operator()(const Narrow& op) const {
    return {"narrow", number(op.dim) + ", " + number(op.start) + ", " + number(op.length) +
                          (op.step == 1 ? "" : ", " + number(op.step))};
  }
  Parts operator()(const Index& op) const {
    return {"index_select", number(op.dim) + ", " + to_string(op.index)};
  }
  Parts operator()(const Permute& op) const { return {"permute", to_string(op.dims)}; }
  Parts operator()(const Reshape&) const { return {"reshape", to_string(expr.shape)}; }
  Parts operator()(const Expand&) const { return {"expand", to_string(expr.shape)}; }
  Parts operator()(const Cat& op) const { return {"cat", number(op.dim)}; }
  Parts operator()(const Pad& op) const {
    return {"pad",
            to_string(op.before) + ", " + to_string(expr.shape) + ", " + to_string(op.value)};
  }
  Parts operator()(const Overlay& op) const { return {"overlay", to_string(op.start)}; }
  Parts operator()(const Cast& op) const {
    return {op.checked ? "cast" : "cast_unchecked", std::string(name(expr.dtype))};
  }
  Parts operator()(const Unary& op) const {
    return {std::string(kUnary[static_cast<std::size_t>(op.op)]), ""};
  }
  Parts operator()(const Binary& op) const {
    return {std::string(kBinary[static_cast<std::size_t>(op.op)]), ""};
  }
  Parts operator()(const MatMul&) const { return {"matmul", ""}; }
  Parts operator()(const Reduce& op) const {
    return {std::string(kReduce[static_cast<std::size_t>(op.op)]), number(op.dim)};
  }
  Parts operator()(const Interpolate& op) const {
    return {"interpolate", to_string(expr.shape) + ", " +
                               std::string(kModes[static_cast<std::size_t>(op.mode)]) +
                               (op.antialias ? ", antialias" : "")};
  }
};

template <typename PrintLoad>
void print(const Expr& expr, PrintLoad print_load, std::string& out) {
  if (const auto* loaded = std::get_if<Load>(&expr.op)) {
    out += print_load(*loaded);
    return;
  }
  const Parts parts = std::visit(PartsOf{expr}, expr.op);
  out += parts.name + "(";
  bool first = true;
  for (const ExprPtr& arg : expr.args) {
    if (!first) out += ", ";
    print(*arg, print_load, out);
    first = false;
  }
  if (!first && !parts.parameters.empty()) out += ", ";
  out += parts.parameters + ")";
}

template <typename PrintLoad>
std::string printed(const Expr& expr, PrintLoad print_load) {
  std::string out;
  print(expr, print_load, out);
  return out;
}

std::string load_text(const Load& loaded, const std::string& tensor) {
  return "load(" + std::to_string(loaded.input) + ", " + tensor + ")";
}

}  // namespace

std::string to_string(const Expr& expr) {
  return printed(
      expr, [](const Load& loaded) { return load_text(loaded, std::to_string(loaded.tensor)); });
}

std::string to_string(const Expr& expr, std::span<const Catalog* const> catalogs) {
  return printed(expr, [&](const Load& loaded) {
    return load_text(loaded, quoted(catalogs[loaded.input]->tensors[loaded.tensor].name));
  });
}

std::string identity(const Expr& expr, std::span<const Catalog* const> catalogs) {
  return printed(expr, [&](const Load& loaded) {
    const Tensor& tensor = catalogs[loaded.input]->tensors[loaded.tensor];
    if (!tensor.unsupported.empty()) return load_text(loaded, std::to_string(loaded.tensor));
    return "view(" + std::to_string(loaded.input) + ", " + std::to_string(tensor.storage) + ", " +
           std::to_string(tensor.offset) + ", " + std::string(name(tensor.dtype)) + ", " +
           to_string(tensor.shape) + ", " + to_string(tensor.strides) +
           (tensor.conj ? ", conj" : "") + (tensor.neg ? ", neg" : "") + ")";
  });
}

}  // namespace regraft
