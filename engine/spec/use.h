// What `use` names: found, read, and put beside the rule that names it.
#pragma once

#include <string>

#include "spec/spec.h"

namespace regraft {

// Fills Spec::used, for the spec and for all that it uses. `rules_folder` holds the shipped specs,
// one folder a family; "" without any. Errors of a used spec have a note for each `use` that leads
// to it.
void load_used(Spec& spec, const std::string& rules_folder, Diagnostics& diagnostics);

// The error with the places that lead to it: the `use` that is nearest first.
Diagnostic through_uses(Diagnostic problem, std::span<const Location> uses);

}  // namespace regraft
