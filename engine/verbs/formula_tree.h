// A formula as it was read: between formula_parse.cpp and formula_build.cpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/place.h"
#include "verbs/formula.h"

namespace regraft {

enum class FormulaFunction {
  sum,
  mean,
  norm,
  sqrt,
  exp,
  abs,
  reshape,
  transpose,
  narrow,
  cat,
  tile,
  repeat_interleave,
  size,
};

// How a function is called. Tensors stand before numbers; `value` is either.
struct FormulaSignature {
  FormulaFunction function;
  std::string_view name;
  std::string_view usage;  // "sum(x, dim)"
  std::size_t tensors;     // at least so many, and no more unless `more_tensors`
  std::size_t numbers;     // behind them, the same with `more_numbers`
  bool more_tensors = false, more_numbers = false;
  bool of_numbers_too = false;  // the one argument may be a number, and then the result is one
  bool computes = false;        // rather than move elements
};
inline constexpr auto kFormulaFunctions = std::to_array<FormulaSignature>({
    {FormulaFunction::sum, "sum", "sum(x, dim)", 1, 1, false, false, false, true},
    {FormulaFunction::mean, "mean", "mean(x, dim)", 1, 1, false, false, false, true},
    {FormulaFunction::norm, "norm", "norm(x, dim)", 1, 1, false, false, false, true},
    {FormulaFunction::sqrt, "sqrt", "sqrt(x)", 1, 0, false, false, true, true},
    {FormulaFunction::exp, "exp", "exp(x)", 1, 0, false, false, true, true},
    {FormulaFunction::abs, "abs", "abs(x)", 1, 0, false, false, true, true},
    {FormulaFunction::reshape, "reshape", "reshape(x, size, ...)", 1, 0, false, true},
    {FormulaFunction::transpose, "transpose", "transpose(x, a, b)", 1, 2},
    {FormulaFunction::narrow, "narrow", "narrow(x, dim, start, length)", 1, 3},
    {FormulaFunction::cat, "cat", "cat(x, y, ..., dim)", 2, 1, true},
    {FormulaFunction::tile, "tile", "tile(x, repeats, ...)", 1, 1, false, true},
    {FormulaFunction::repeat_interleave, "repeat_interleave", "repeat_interleave(x, n, dim)", 1, 2},
    {FormulaFunction::size, "size", "size(x, dim)", 1, 1},
});

struct FormulaNode {
  enum class Kind {
    number,   // `number`
    scalar,   // `scalar`: a capture or variable, with what is indexed in it
    operand,  // `operand`
    negate,   // one child
    binary,   // two children and `op`
    call,     // children: the arguments of `function`
  };
  enum class Op { add, subtract, multiply, divide, floor_divide, modulo, matmul };

  Kind kind = Kind::number;
  bool tensor = false;             // what it gives: a tensor, or a number
  std::size_t begin = 0, end = 0;  // in the text
  std::size_t from = 0, to = 0;    // the same, with parentheses around it
  std::size_t at = 0, at_end = 0;  // the operator of two
  Scalar number = std::int64_t{0};
  std::optional<Expression> scalar;
  std::size_t operand = 0;
  Op op = Op::add;
  const FormulaSignature* function = nullptr;
  std::vector<FormulaNode> children;
};

struct Formula::Tree {
  std::string text;
  Location where;
  FormulaNode root;
  bool computes = false;           // anything: the elements are not those of the operands
  std::vector<std::string> names;  // of the operands
  std::vector<std::size_t> elements_of, operands;
  std::vector<std::string> variables;
  std::vector<int> groups;

  [[nodiscard]] Location place(std::size_t begin, std::size_t end) const {
    return place_within(where, text, begin, end - begin);
  }
  [[nodiscard]] std::string_view text_of(const FormulaNode& node) const {
    return std::string_view(text).substr(node.begin, node.end - node.begin);
  }
};

}  // namespace regraft
