// The spec that undoes a spec: `regraft invert`. Rules are turned around one by one, the last one
// first; each verb says how (verbs/inverse.h).
#pragma once

#include <optional>
#include <vector>

#include "plan/names.h"
#include "verbs/inverse.h"

namespace regraft {

// What a spec met on a source, for what its text does not say.
struct Walk {
  std::vector<Seen> rules;                        // by Program::rules
  std::vector<std::vector<std::string>> dropped;  // the source's names, by the rule
  Names names;
};
// Nothing when a rule fails, which is reported.
std::optional<Walk> walk(const Program& program, const Inputs& inputs, Diagnostics& diagnostics);

// Every rule and policy that cannot be undone is reported (no-inverse). `walked` may be null.
std::optional<yaml::Node> invert(const Spec& spec, const Program& program, const Walk* walked,
                                 Diagnostics& diagnostics);

// Whether `inverse`, compiled, takes the results of the walk back to the names, shapes and dtypes
// of the source, each element to its own place; reports those that do not come back.
void prove(const Program& inverse, const Program& program, const Inputs& inputs, const Walk& walked,
           Diagnostics& diagnostics);

}  // namespace regraft
