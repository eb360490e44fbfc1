#pragma once

#include <string_view>

namespace regraft {

std::string_view version();  // "0.1.0"

}  // namespace regraft
