// `regraft plan` and `regraft apply`; what `explain` shares with them.
#pragma once

#include <string>
#include <vector>

#include "cli/confine.h"
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
  std::optional<std::string> explained;  // the name that `explain` is about
  bool dry_run = false;
  bool json = false;
  bool verbose = false;
  std::string print;  // spec, program, plan or schedule
  std::string report_path;
  std::string write_spec;
  Confinement confinement;
  ColorMode color = ColorMode::automatic;
  ProgressMode progress = ProgressMode::automatic;
};

int migrate(MigrateOptions options, const std::atomic<bool>& cancelled);

// Confines the process, settles the arguments and puts the request together, which refers to the
// options. False when there is nothing to run; when
// only its text has mistakes, the spec is compiled all the same, so that those of its meaning are
// found.
bool prepare(MigrateOptions& options, Diagnostics& diagnostics);

// To the request's inputs and the folders of the spec and what it uses; `outputs` beside its own.
void confine_reads(Confinement& confinement, const Request& request, const Spec& spec,
                   std::vector<std::string> outputs = {});

// The exit status of a command that ends with its diagnostics.
int finish(const MigrateOptions& options, const Diagnostics& diagnostics);

// A report of diagnostics alone, for runs that ended before there was a plan.
Report diagnostics_report(const Diagnostics& diagnostics);

// Diagnostics to stderr, errors first said last is nearest to the prompt.
void print_diagnostics(const Diagnostics& diagnostics, ColorMode color);

}  // namespace regraft::cli
