// What the writers of the report share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "report/report.h"

namespace regraft {

// A path as the user gave it; an absolute one is reduced to its file name (law 4).
std::string shown_path(std::string_view path);

// Texts that may quote paths of the run: absolute ones are reduced as shown_path() does.
class PathScrubber {
 public:
  explicit PathScrubber(const Report& report);
  [[nodiscard]] std::string operator()(std::string_view text) const;

 private:
  std::vector<std::pair<std::string, std::string>> replacements_;  // the longest first
};

// The steps that lead to a name.
class StepChains {
 public:
  explicit StepChains(const std::vector<Step>& steps) : steps_(steps), seen_(steps.size(), 0) {}
  // Indexes of the steps up to `last`, from the source on; empty for kNone.
  std::vector<std::uint32_t> up_to(std::uint32_t last);

 private:
  const std::vector<Step>& steps_;
  std::vector<std::uint32_t> seen_;  // the number of the call that saw the step
  std::uint32_t calls_ = 0;
};

// Tenths of a percent, cut, so that less than all is never 1000; nothing of nothing is all.
std::uint64_t permille(std::uint64_t part, std::uint64_t whole);

}  // namespace regraft
