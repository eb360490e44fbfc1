// Where the specs are that come with the program.
#pragma once

#include <string>

namespace regraft::cli {

// REGRAFT_RULES, else share/regraft/rules beside this program (built) or beside its folder
// (installed); "" when there is none.
std::string rules_folder();

}  // namespace regraft::cli
