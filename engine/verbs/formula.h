// The formulas of `combine`: what a tensor is computed from.
//   w + (alpha / size(a, 0)) * (b @ a)
// Read once for each pattern whose captures it may use, checked as far as that goes without shapes,
// and built for each group into an expression whose shapes and dtypes fit.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "expr/expr.h"
#include "text/expression.h"

namespace regraft {

class Formula {
 public:
  // `operands`: the names of the tensors. Reports bad-expression for what is no formula, or gives a
  // number where a tensor is needed or the other way round; unknown-name and ambiguous-name;
  // bad-template for a capture that the pattern of the scope does not have.
  static std::optional<Formula> parse(std::string_view text, const Location& where,
                                      std::span<const std::string> operands, const Scope& scope,
                                      Diagnostics& diagnostics);

  // `tensors` by operand; `dtype`: the result's, in place of what torch promotes to. Errors
  // (rule-shape, rule-dtype, evaluation) have a place in the formula; the caller adds the tensor's
  // name.
  [[nodiscard]] Result<ExprPtr> build(std::span<const ExprPtr> tensors, const Bindings& bindings,
                                      std::optional<DType> dtype) const;

  // The operands whose elements it uses, and those of which it uses anything: `size(x, 0)` asks for
  // no element of x. In order.
  [[nodiscard]] const std::vector<std::size_t>& elements_of() const;
  [[nodiscard]] const std::vector<std::size_t>& operands() const;
  [[nodiscard]] const std::vector<std::string>& variables() const;
  [[nodiscard]] const std::vector<int>& groups() const;  // of the pattern, in order
  [[nodiscard]] const std::string& text() const;

  struct Tree;

 private:
  explicit Formula(std::shared_ptr<const Tree> tree) : tree_(std::move(tree)) {}
  std::shared_ptr<const Tree> tree_;
};

}  // namespace regraft
