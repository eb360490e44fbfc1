// What holds of every expression, and of every rewrite of one.
#pragma once

#include <optional>
#include <string>

#include "expr/expr.h"

namespace regraft {

// What the makers of expr.h assert, of one node: its arguments suit the primitive, and its shape
// and dtype are those that follow from them.
bool well_formed(const Expr& node);

// Whether evaluating it can be refused for a value: there is a checked cast in it, to a dtype that
// does not hold them all. It may not be left out then, also where nobody needs its elements.
bool checks_values(const Expr& expr);

// `after` may stand for `before`: it is well-formed, of the same dtype and shape, and of no other
// loads. Empty, or what is wrong.
std::optional<std::string> broken_by_rewrite(const Expr& before, const Expr& after);

}  // namespace regraft
