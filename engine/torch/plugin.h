// What the program and its plug-in libregraft_torch.so agree on: one C function. A plug-in of
// another version is refused by what that returns, before anything else of it is used.
#pragma once

#include <cstddef>
#include <cstdint>

#include "execute/evaluator.h"

namespace regraft {

inline constexpr std::uint32_t kTorchPluginInterface = 1;
inline constexpr const char* kTorchPluginSymbol = "regraft_torch_plugin";

struct TorchPlugin {
  std::uint32_t interface;  // kTorchPluginInterface; the first member whatever the others become
  const char* engine;       // version(): expressions and diagnostics cross as they lie in memory
  // Null: `error` says what is wrong with the file ("was built with ..."), and in a second line
  // what helps; cut off at `size` with its zero.
  Evaluator* (*create)(char* error, std::size_t size);
  void (*destroy)(Evaluator* evaluator);
};

using TorchPluginFunction = const TorchPlugin*();

}  // namespace regraft
