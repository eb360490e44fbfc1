// A group becomes one tensor along a dimension: what `cat` and `stack` share.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "verbs/groups.h"

namespace regraft {

std::span<const Param> joining_params();

// The tensor made of a group's parts; `dim` as the spec writes it.
using Join = Result<ExprPtr> (*)(const Group& group, std::int64_t dim, std::optional<DType> dtype);
BoundParts bind_joining(BindContext& context, Join join);

}  // namespace regraft
