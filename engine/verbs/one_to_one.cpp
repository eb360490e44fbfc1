#include "verbs/one_to_one.h"

namespace regraft {

Effect OneToOne::apply(std::span<const Match> matches, const Variables& variables) const {
  Effect effect;
  effect.consumed.reserve(matches.size());
  effect.puts.reserve(matches.size());
  for (std::uint32_t i = 0; i < matches.size(); ++i) {
    Result<ExprPtr> made = make(Subject(matches[i], variables));
    if (!made) {
      effect.errors.push_back(std::move(made).error());
      continue;
    }
    effect.consumed.push_back(i);
    effect.puts.push_back({std::string(matches[i].name), std::move(*made), {i}});
  }
  return effect;
}

std::string described(const Match& match) {
  return quoted(match.name) + " " + to_string((*match.expr)->shape);
}

Diagnostic shape_error(std::string message, std::string hint) {
  return error(Code::rule_shape, {}, std::move(message), std::move(hint));
}

Diagnostic too_large(std::string_view name) {
  return shape_error(quoted(name) + " would have more elements than can be counted");
}

Diagnostic dtype_error(std::string message, std::string hint) {
  return error(Code::rule_dtype, {}, std::move(message), std::move(hint));
}

Result<std::int64_t> dim_from_zero(std::int64_t dim, std::size_t ndim, const Match& match) {
  const auto count = static_cast<std::int64_t>(ndim);
  if (dim >= -count && dim < count) return dim < 0 ? dim + count : dim;
  return shape_error("there is no dimension " + std::to_string(dim) + " in " + described(match),
                     count == 0 ? "it has no dimension at all"
                                : "dimensions are 0 to " + std::to_string(count - 1) +
                                      ", or -1 to " + std::to_string(-count) + " from the end");
}

}  // namespace regraft
