#include "cli/torch_plugin.h"

#include <dlfcn.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "base/version.h"
#include "torch/plugin.h"

namespace regraft::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFile = "libregraft_torch.so";
constexpr const char* kVariable = "REGRAFT_TORCH_PLUGIN";

Diagnostic cannot_compute(std::string message, std::string hint) {
  return error(Code::no_evaluator, {}, "the output has to be computed, but " + std::move(message),
               std::move(hint));
}

Diagnostic of_another_build(const std::string& path, std::string what) {
  return cannot_compute(path + " " + std::move(what),
                        "use the plug-in that was built with this program, or set " +
                            std::string(kVariable) + " to it");
}

Result<Evaluator*> open() {
  REGRAFT_TRY(const std::string path, torch_plugin_path());
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* why = dlerror();
    return cannot_compute(
        path + " does not load: " + (why ? why : "the dynamic linker does not say why"),
        "it needs the LibTorch that it was built with (LD_LIBRARY_PATH names its folder); " +
            std::string(kVariable) + " names another plug-in");
  }
  void* symbol = dlsym(library, kTorchPluginSymbol);
  if (!symbol)
    return of_another_build(
        path, std::string("is not regraft's plug-in: it has no function ") + kTorchPluginSymbol);
  const TorchPlugin* plugin = reinterpret_cast<TorchPluginFunction*>(symbol)();
  if (plugin->interface != kTorchPluginInterface)
    return of_another_build(path, "has interface " + std::to_string(plugin->interface) +
                                      " and this program " + std::to_string(kTorchPluginInterface));
  if (plugin->engine != version())
    return of_another_build(path, "is of regraft " + std::string(plugin->engine) +
                                      " and this program is " + std::string(version()));
  std::array<char, 4096> text{};
  Evaluator* evaluator = plugin->create(text.data(), text.size());
  if (evaluator) return evaluator;
  const std::string said(text.data());
  const std::size_t line = said.find('\n');
  return cannot_compute(path + " " + said.substr(0, line),
                        line == std::string::npos ? "" : said.substr(line + 1));
}

}  // namespace

Result<std::string> torch_plugin_path() {
  if (const char* said = std::getenv(kVariable); said && *said != '\0')
    // A name without a slash would be looked for among the system's libraries.
    return std::string(said).find('/') == std::string::npos ? "./" + std::string(said) : said;
  std::error_code problem;
  const fs::path folder = fs::read_symlink("/proc/self/exe", problem).parent_path();
  const std::vector<fs::path> places = {
      folder / kFile, (folder / ".." / "lib" / "regraft" / kFile).lexically_normal()};
  for (const fs::path& place : places)
    if (fs::exists(place, problem)) return place.string();
  return cannot_compute("there is neither " + places[0].string() + " nor " + places[1].string(),
                        "build regraft with LibTorch (./dev build does), or set " +
                            std::string(kVariable) + " to the file");
}

Result<Evaluator*> torch_plugin() {
  static const Result<Evaluator*> plugin = open();
  return plugin;
}

}  // namespace regraft::cli
