// The LibTorch that is loaded against the one of the build. A process has one: where a program has
// loaded its own, the dynamic linker binds ours to that, silently, and another version lays out its
// classes in another way. (A file named version.h would stand in for LibTorch's <torch/version.h>.)
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace regraft {

// What runs here, "2.13.0"; empty when LibTorch does not say.
std::string loaded_torch_version();

// Versions as TORCH_VERSION has them; the error names the files.
Status check_torch_version(std::string_view built, std::string_view built_path,
                           std::string_view loaded, std::string_view loaded_path);

// The same for the version of this build and the one that is loaded.
Status check_loaded_torch();

}  // namespace regraft
