// `regraft plan` and `regraft apply`.
#pragma once

#include <string>
#include <vector>

#include "cli/progress.h"
#include "cli/spec_input.h"
#include "cli/terminal.h"
#include "pipeline.h"

namespace regraft::cli {

struct MigrateOptions {
  SpecInput spec;
  Request request;                       // without the spec
  std::vector<std::string> positionals;  // SPEC SOURCE, or SOURCE with -e
  bool apply = false;
  bool dry_run = false;
  bool json = false;
  bool verbose = false;
  std::string print;  // spec, program, plan or schedule
  std::string report_path;
  std::string write_spec;
  ColorMode color = ColorMode::automatic;
  ProgressMode progress = ProgressMode::automatic;
};

int migrate(MigrateOptions options, const std::atomic<bool>& cancelled);

// A report of diagnostics alone, for runs that ended before there was a plan.
Report diagnostics_report(const Diagnostics& diagnostics);

// Diagnostics to stderr, errors first said last is nearest to the prompt.
void print_diagnostics(const Diagnostics& diagnostics, ColorMode color);

}  // namespace regraft::cli
