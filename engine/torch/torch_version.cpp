#include "torch/torch_version.h"

#include <ATen/Version.h>
#include <dlfcn.h>

// It moved; the first place includes the second where both are there.
#if __has_include(<torch/headeronly/version.h>)
#include <torch/headeronly/version.h>
#else
#include <torch/csrc/api/include/torch/version.h>
#endif

namespace regraft {
namespace {

// The file that a function was loaded from.
template <typename Function>
std::string file_of(Function* function) {
  Dl_info found{};
  if (dladdr(reinterpret_cast<const void*>(function), &found) == 0 || !found.dli_fname)
    return "a file of unknown name";
  return found.dli_fname;
}

std::string titled(std::string_view version, std::string_view path) {
  std::string text = "LibTorch ";
  text += version.empty() ? "of unknown version" : version;
  return text.append(" (").append(path).append(")");
}

}  // namespace

std::string loaded_torch_version() {
  // The one place that LibTorch exports its version from; a list of `NAME=value, `.
  constexpr std::string_view kName = "TORCH_VERSION=";
  const std::string config = at::show_config();
  const std::size_t begin = config.find(kName);
  if (begin == std::string::npos) return {};
  const std::size_t value = begin + kName.size();
  return config.substr(value, config.find_first_of(", \n", value) - value);
}

Status check_torch_version(std::string_view built, std::string_view built_path,
                           std::string_view loaded, std::string_view loaded_path) {
  if (built == loaded) return Done{};
  return error(
      Code::no_evaluator, {},
      "built with " + titled(built, built_path) + ", but loaded is " + titled(loaded, loaded_path),
      "have the first one found (LD_LIBRARY_PATH), or build with the second "
      "(cmake -DREGRAFT_TORCH_DIR=FOLDER)");
}

Status check_loaded_torch() {
  return check_torch_version(TORCH_VERSION, REGRAFT_LIBTORCH_BUILT, loaded_torch_version(),
                             file_of(&at::show_config));
}

}  // namespace regraft
