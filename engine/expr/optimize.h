// Rewrites of expressions: the same tensor, bit for bit, in fewer steps or of fewer loads. Only
// what moves elements is rewritten, and integers that are cast twice. What nodes that compute
// floats are given stays as it is: how an argument lies in memory decides which of torch's loops
// runs, and they differ in the last bit.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "expr/expr.h"

namespace regraft {

struct Pass {
  std::string_view name;  // as --no-pass has it
  std::string_view doc;   // before -> after
  // What may stand for `node`, whose arguments have been through the pass; null: there is nothing
  // to do. What it gives has to be nearer to an end: it is rewritten again.
  ExprPtr (*rewrite)(const Expr& node);
};

// In the order in which they run.
std::span<const Pass> all_passes();

// Runs passes one after the other, until none of them changes anything. Keeps what it made of nodes
// with several users, so that they are rewritten once: what tensors share, they go on sharing.
class Optimizer {
 public:
  explicit Optimizer(std::span<const Pass> passes);

  // Null where a pass broke an invariant: fault() says which and how.
  ExprPtr optimize(const ExprPtr& expr);
  [[nodiscard]] const std::string& fault() const { return fault_; }

 private:
  struct Done {
    ExprPtr before, after;  // `before` is held: its address is the key
  };
  ExprPtr rewrite(std::size_t pass, const ExprPtr& node);
  ExprPtr rewrite(std::size_t pass, const ExprPtr& node, bool shared);

  std::span<const Pass> passes_;
  std::vector<std::unordered_map<const Expr*, Done>> done_;  // by pass
  std::string fault_;
};

}  // namespace regraft
