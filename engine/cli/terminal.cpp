#include "cli/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/system.h"

namespace regraft::cli {
namespace {

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = uninterrupted([&] { return ::write(fd, text.data(), text.size()); });
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

int opened(const std::string& path, int flags) {
  return uninterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0666); });
}

Diagnostic cannot_write(const std::string& path) {
  return error(Code::file_write, file_location(path), "cannot write it: " + reason(errno));
}

}  // namespace

bool use_color(ColorMode mode, int fd) {
  if (mode != ColorMode::automatic) return mode == ColorMode::always;
  const char* no_color = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return ::isatty(fd) == 1 && !(no_color && *no_color) &&
         !(terminal && std::string_view(terminal) == "dumb");
}

int terminal_width(int fd) {
  winsize size{};
  if (::isatty(fd) == 1 && ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40)
    return size.ws_col;
  return 100;
}

bool print_out(std::string_view text, const std::string& what_is_done) {
  if (write_all(STDOUT_FILENO, text)) return true;
  // A reader that has seen enough, as `head`, is told nothing.
  if (errno != EPIPE || !what_is_done.empty())
    print_err(render(
        error(Code::file_write, {}, "cannot write to stdout: " + reason(errno), what_is_done),
        false));
  return false;
}

void print_err(std::string_view text) { write_all(STDERR_FILENO, text); }

Status write_file(const std::string& path, std::string_view text) {
  struct stat existing{};
  if (::stat(path.c_str(), &existing) == 0 && !S_ISREG(existing.st_mode)) {
    // A device or a pipe, such as /dev/stdout, is written as it is.
    // A pipe that nobody reads would wait here for ever.
    const int fd = opened(path, O_WRONLY | O_NONBLOCK);
    if (fd >= 0) ::fcntl(fd, F_SETFL, O_WRONLY);
    const bool good = fd >= 0 && write_all(fd, text);
    if (!good) return cannot_write(path);
    ::close(fd);
    return Done{};
  }
  const std::string part = path + ".regraft-part";
  const int fd = opened(part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW);
  if (fd < 0) return cannot_write(path);
  const bool written = write_all(fd, text);
  const bool closed = ::close(fd) == 0 || errno == EINTR;  // interrupted, it is closed all the same
  const bool good =
      written && closed && uninterrupted([&] { return ::rename(part.c_str(), path.c_str()); }) == 0;
  if (good) return Done{};
  Diagnostic problem = cannot_write(path);
  uninterrupted([&] { return ::unlink(part.c_str()); });
  return problem;
}

}  // namespace regraft::cli
