// The classes and functions whose names are written into an output again. A name in a pickle is
// imported and called by whoever loads it, so only those are passed on that do nothing but make
// values.
#pragma once

#include <string_view>

namespace regraft {

// `__builtin__` and `copy_reg` of Python 2 are `builtins` and `copyreg`.
bool is_carried_global(std::string_view module, std::string_view name);

}  // namespace regraft
