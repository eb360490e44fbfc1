// `regraft check`: lint without a checkpoint.
#pragma once

#include <string>
#include <vector>

#include "cli/terminal.h"

namespace regraft::cli {

// Exit status: 0, 1 when a spec is right and has something in vain, 2 for mistakes, 3 for
// unreadable.
int check(const std::vector<std::string>& specs, bool json, ColorMode color);

}  // namespace regraft::cli
