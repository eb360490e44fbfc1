// The tables of the parameters that every rule takes, for checks, JSON Schema and reference.
#pragma once

#include <span>

#include "spec/spec.h"

namespace regraft {

std::span<const Key> rule_keys();
std::span<const Key> where_keys();
std::span<const Key> case_keys();  // of a policy's cases

}  // namespace regraft
