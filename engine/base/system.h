// Calls of the operating system.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

namespace regraft {

// A call that a signal may interrupt, made until it was not.
template <typename Call>
auto uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// What an errno means, for messages.
inline std::string reason(int error_number) {
  return std::generic_category().message(error_number);
}

}  // namespace regraft
