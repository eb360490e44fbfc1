#include <array>

#include "plan/policy/policies.h"

namespace regraft {

std::span<const Policy* const> all_policies() {
  static const std::array<const Policy*, 5> policies = {
      &missing_policy(), &unexpected_policy(), &shape_policy(), &dtype_policy(), &extras_policy()};
  return policies;
}

}  // namespace regraft
