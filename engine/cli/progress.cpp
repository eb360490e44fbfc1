#include "cli/progress.h"

#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdio>

#include "cli/terminal.h"

namespace regraft::cli {
namespace {

using namespace std::chrono_literals;

std::string seconds(double value) {
  const auto whole = static_cast<long>(std::ceil(value));
  std::array<char, 32> text{};
  if (whole < 60)
    std::snprintf(text.data(), text.size(), "%ld s", whole);
  else
    std::snprintf(text.data(), text.size(), "%ld min %02ld s", whole / 60, whole % 60);
  return text.data();
}

std::string line(const Progress& progress, double elapsed) {
  const auto done = static_cast<double>(progress.done_bytes),
             total = static_cast<double>(progress.total_bytes);
  const double rate = elapsed > 0 ? done / elapsed : 0;
  std::string text =
      human_bytes(done) + " of " + human_bytes(total) + ", " + human_bytes(rate) + "/s";
  if (rate > 0 && done < total) text += ", " + seconds((total - done) / rate) + " left";
  return text;
}

}  // namespace

std::string human_bytes(double bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "kB", "MB", "GB", "TB"};
  std::size_t unit = 0;
  while (bytes >= 999.95 && unit + 1 < kUnits.size()) {
    bytes /= 1000;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", bytes, kUnits[unit]);
  return text.data();
}

ProgressPrinter::ProgressPrinter(ProgressMode mode)
    : kind_(mode == ProgressMode::off     ? Kind::off
            : mode == ProgressMode::plain ? Kind::lines
            : ::isatty(STDERR_FILENO)     ? Kind::live
                                          : Kind::lines) {}

ProgressPrinter::~ProgressPrinter() {
  if (drawn_) print_err("\r\x1b[K");
}

void ProgressPrinter::update(const Progress& progress) {
  if (kind_ == Kind::off) return;
  const auto now = Clock::now();
  // Nothing that is over at once needs a line.
  const auto pause = kind_ == Kind::live ? Clock::duration(100ms) : Clock::duration(10s);
  if (now - start_ < (kind_ == Kind::live ? Clock::duration(300ms) : pause) || now - last_ < pause)
    return;
  last_ = now;
  const std::string text = line(progress, std::chrono::duration<double>(now - start_).count());
  if (kind_ == Kind::live) {
    print_err("\r" + text + "\x1b[K");
    drawn_ = true;
  } else {
    print_err(text + "\n");
  }
}

}  // namespace regraft::cli
