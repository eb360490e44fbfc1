// The policies, each in a file of its own name. A new word after `do` is a class in its policy's
// file and one entry in that file's list.
#pragma once

#include <span>

#include "compile/policy.h"

namespace regraft {

const Policy& missing_policy();
const Policy& unexpected_policy();
const Policy& shape_policy();
const Policy& dtype_policy();
const Policy& extras_policy();

std::span<const Policy* const> all_policies();  // in the order of PolicyKind

}  // namespace regraft
