// `regraft invert`: the spec that undoes a spec.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/terminal.h"
#include "formats/limits.h"

namespace regraft::cli {

struct InvertOptions {
  std::string spec;
  std::string source;  // "" without one
  std::string output;  // "": stdout
  std::vector<std::pair<std::string, std::string>> set;
  Limits limits;
  ColorMode color = ColorMode::automatic;
};

int invert(const InvertOptions& options);

}  // namespace regraft::cli
