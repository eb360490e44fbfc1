// Stable diagnostic codes. One line a code in codes.def: identifier, printed name, exit status, and
// the sentence that docs/diagnostics.md shows. A code that is not in the table does not exist.
#pragma once

#include <span>
#include <string_view>

namespace regraft {

enum class Code {
#define REGRAFT_CODE(id, name, exit_status, meaning) id,
#include "base/codes.def"
#undef REGRAFT_CODE
};

struct CodeInfo {
  Code code;
  std::string_view name;     // what is printed: `unknown-key`
  int exit_status;           // 1 promise or policy broken, 2 mistake in spec or usage, 3 file
  std::string_view meaning;  // one sentence for docs/diagnostics.md
};

const CodeInfo& info(Code code);
std::span<const CodeInfo> all_codes();

}  // namespace regraft
