// The arguments of `plan`, `apply` and `explain`, settled before anything is read.
#pragma once

#include "cli/migrate.h"

namespace regraft::cli {

// Finds out which positional is SPEC and which SOURCE, and the stage to stop at; refuses what would
// be written over an input or twice. False when anything was reported.
bool settle_arguments(MigrateOptions& options, Diagnostics& diagnostics);

}  // namespace regraft::cli
