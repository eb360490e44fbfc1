// A name rewritten at the places where a pattern is found: what `rename` and `copy` do.
#pragma once

#include <string>

#include "verbs/verb.h"

namespace regraft {

// The new name, with `to` in place of the first place where the pattern is found, or with `all` of
// every place, as RE2::GlobalReplace does. Errors of the template name the tensor.
Result<std::string> rewrite(const Match& match, const Template& to, bool all,
                            const Variables& variables);

// An evaluation error, with the tensor it was evaluated for.
Diagnostic for_tensor(Diagnostic diagnostic, std::string_view name);

}  // namespace regraft
