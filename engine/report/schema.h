// JSON Schema (draft 7) of what people and programs read and write; `schemas/` holds what these
// give.
#pragma once

#include <span>
#include <string>

#include "compile/policy.h"

namespace regraft {

// For editors: made from the tables of keys, verbs and policies, so it knows what the program
// knows.
std::string spec_schema(std::span<const Policy* const> policies);
// Of to_json() after `apply`, and of the same document where nothing was executed.
std::string report_schema();
std::string plan_schema();
// Of target schemas (formats/schema.h).
std::string target_schema();

}  // namespace regraft
