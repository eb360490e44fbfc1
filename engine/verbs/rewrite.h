// A name rewritten at the places where a pattern is found: what every verb with a `to` does.
#pragma once

#include <string>

#include "verbs/verb.h"

namespace regraft {

// The new name, with `to` in place of the first place where the pattern is found, or with `all` of
// every place, as RE2::GlobalReplace does. Errors of the template name the tensor.
// `part_index`: what `i` is.
Result<std::string> rewrite(const Match& match, const Template& to, bool all,
                            const Variables& variables,
                            std::optional<std::int64_t> part_index = std::nullopt);

// An evaluation error, with the tensor it was evaluated for.
Diagnostic for_tensor(Diagnostic diagnostic, std::string_view name);

}  // namespace regraft
