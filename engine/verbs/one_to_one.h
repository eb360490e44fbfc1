// Verbs that make one tensor of one, under the same name, and what they say of shapes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "verbs/integers.h"

namespace regraft {

class OneToOne : public BoundVerb {
 public:
  [[nodiscard]] Effect apply(std::span<const Match> matches,
                             const Variables& variables) const final;

 protected:
  // The tensor made of `subject.first()`. An error without a place is the rule's.
  [[nodiscard]] virtual Result<ExprPtr> make(const Subject& subject) const = 0;
};

// "'a.weight' [3, 4]", for messages.
std::string described(const Match& match);
Diagnostic shape_error(std::string message, std::string hint = {});
Diagnostic too_large(std::string_view name);  // its elements cannot be counted
Diagnostic dtype_error(std::string message, std::string hint = {});

// A dimension of `shape` that a spec writes, negative from the end, as one from 0 up. `ndim`: of
// the shape; for a dimension that is to be added, one more.
Result<std::int64_t> dim_from_zero(std::int64_t dim, std::size_t ndim, const Match& match);

}  // namespace regraft
