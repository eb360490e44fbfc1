// LibTorch for the program, when a plan has something to compute and not before: loading it takes
// longer than most migrations.
#pragma once

#include <string>

#include "base/result.h"
#include "execute/evaluator.h"

namespace regraft::cli {

// Loads libregraft_torch.so: the file that REGRAFT_TORCH_PLUGIN names, else the one beside this
// program, else ../lib/regraft/ from there. Loaded once and never closed; what was said the first
// time is said again. Errors: no-evaluator.
Result<Evaluator*> torch_plugin();

// The file that torch_plugin() loads.
Result<std::string> torch_plugin_path();

}  // namespace regraft::cli
