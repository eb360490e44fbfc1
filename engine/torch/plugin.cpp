#include "torch/plugin.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>
#include <exception>

#include "base/version.h"
#include "torch/evaluator.h"
#include "torch/torch_version.h"

namespace regraft {
namespace {

void say(std::string_view text, char* error, std::size_t size) {
  if (size == 0) return;
  const std::size_t length = std::min(text.size(), size - 1);
  std::memcpy(error, text.data(), length);
  error[length] = '\0';
}

Evaluator* create(char* error, std::size_t size) {
  try {
    const Status fits = check_loaded_torch();
    if (!fits) {
      say("was " + fits.error().message + "\n" + fits.error().hint, error, size);
      return nullptr;
    }
    // The program computes nothing else with ATen, so threads need not be set back and forth.
    at::set_num_threads(1);
    return make_torch_evaluator().release();
  } catch (const std::exception& fault) {
    say("does not start: " + std::string(fault.what()), error, size);
  } catch (...) {
    say("does not start", error, size);
  }
  return nullptr;
}

void destroy(Evaluator* evaluator) { delete evaluator; }

}  // namespace
}  // namespace regraft

extern "C" __attribute__((visibility("default"))) const regraft::TorchPlugin*
regraft_torch_plugin() {
  static const std::string engine(regraft::version());
  static const regraft::TorchPlugin plugin{regraft::kTorchPluginInterface, engine.c_str(),
                                           regraft::create, regraft::destroy};
  return &plugin;
}
