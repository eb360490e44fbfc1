// Places inside a scalar: patterns, templates and expressions are decoded text, and mistakes in
// them are shown in the source, behind its quotes and escapes.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/diagnostic.h"

namespace regraft {

// The place of `length` bytes at `offset` of `decoded`, which is the text of the scalar (plain or
// quoted, or an option's text) that begins at `where`. It is `where` itself when the scalar is
// folded over lines or is a block scalar.
Location place_within(const Location& where, std::string_view decoded, std::size_t offset,
                      std::size_t length = 1);

}  // namespace regraft
