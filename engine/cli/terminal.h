// What a command writes: data on stdout, messages on stderr, small files whole or not at all.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace regraft::cli {

enum class ColorMode { automatic, always, never };

// NO_COLOR and a stream that is no terminal switch `automatic` off.
bool use_color(ColorMode mode, int fd);
int terminal_width(int fd);  // 100 when it is no terminal

// False when stdout is closed or full; said on stderr except for a closed pipe.
bool print_out(std::string_view text);
void print_err(std::string_view text);

// Replaces `path` whole by one rename.
Status write_file(const std::string& path, std::string_view text);

}  // namespace regraft::cli
