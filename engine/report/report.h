// The load report: what was decided and what happened, with digests. One structure, three writers.
// Deterministic: no clock, no absolute path, no thread order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/diagnostic.h"
#include "execute/execute.h"
#include "plan/plan.h"
#include "schedule/schedule.h"

namespace regraft {

// Everything the writers need, by reference; all but `program` may be absent when a run ended
// early.
struct Report {
  const Program* program = nullptr;
  const Inputs* inputs = nullptr;
  const Plan* plan = nullptr;
  const Schedule* schedule = nullptr;  // with an output
  const Executed* executed = nullptr;  // after apply
  const Diagnostics* diagnostics = nullptr;
  std::string spec_path;    // as the user gave it; "" for rules of the command line
  std::string output_path;  // as the user gave it; "" without one
  DigestKind digest = DigestKind::none;

  [[nodiscard]] bool failed() const { return diagnostics && diagnostics->has_errors(); }
};

// schemas/report.v1.json describes it. Ends with a newline.
std::string to_json(const Report& report);
// For a person on a terminal; lossy and failing things first, grouped; `verbose` lists every name.
struct TextOptions {
  bool color = false;
  bool verbose = false;
  int width = 100;
};
std::string to_text(const Report& report, const TextOptions& options);
// One self-contained file, readable without scripts, made from the JSON of to_json().
std::string to_html(std::string_view report_json);

// Names under one pattern that stands for exactly these: {a.0.w, a.2.w} -> `a.{0,2}.w`.
std::string brace_group(const std::vector<std::string>& names);

}  // namespace regraft
