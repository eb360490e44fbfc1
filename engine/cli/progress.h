// Progress on stderr: a live line on a terminal, a few quiet lines in a log.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "execute/execute.h"

namespace regraft::cli {

enum class ProgressMode { automatic, plain, off };

class ProgressPrinter {
 public:
  explicit ProgressPrinter(ProgressMode mode);
  ~ProgressPrinter();  // clears the live line
  ProgressPrinter(const ProgressPrinter&) = delete;
  ProgressPrinter& operator=(const ProgressPrinter&) = delete;
  void update(const Progress& progress);

 private:
  using Clock = std::chrono::steady_clock;
  enum class Kind { live, lines, off } kind_;
  Clock::time_point start_ = Clock::now(), last_{};
  bool drawn_ = false;
};

std::string human_bytes(double bytes);  // "90.9 MB"

}  // namespace regraft::cli
