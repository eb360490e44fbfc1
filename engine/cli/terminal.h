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

// False when stdout is closed or full. It is said on stderr, with `what_is_done` as the hint; of a
// closed pipe only if there is one.
bool print_out(std::string_view text, const std::string& what_is_done = {});
void print_err(std::string_view text);

// Replaces `path` whole by one rename.
Status write_file(const std::string& path, std::string_view text);

}  // namespace regraft::cli
