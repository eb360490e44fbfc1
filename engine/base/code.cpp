#include "base/code.h"

#include <array>

namespace regraft {
namespace {

constexpr auto kCodes = std::to_array<CodeInfo>({
#define REGRAFT_CODE(id, name, exit_status, meaning) {Code::id, name, exit_status, meaning},
#include "base/codes.def"
#undef REGRAFT_CODE
});

}  // namespace

const CodeInfo& info(Code code) { return kCodes[static_cast<std::size_t>(code)]; }

std::span<const CodeInfo> all_codes() { return kCodes; }

}  // namespace regraft
