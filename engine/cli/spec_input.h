// The spec of a command: a file, or rules given with -e; policy options over it.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/diagnostic.h"
#include "text/yaml.h"

namespace regraft::cli {

struct SpecInput {
  std::string path;                                           // empty with `rules`
  std::vector<std::string> rules;                             // -e, each one rule in YAML
  std::optional<std::string> root;                            // in place of the spec's source.root
  std::vector<std::pair<std::string, std::string>> policies;  // name and YAML: `missing`, `keep`
};

// The document that the options amount to; empty when nothing can be made of them. A policy option
// replaces the spec's whole policy.
std::optional<yaml::Node> assemble_spec(const SpecInput& input, Diagnostics& diagnostics);

}  // namespace regraft::cli
