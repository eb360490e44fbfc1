// The spine: every stage of a run in order. Start reading here.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "compile/program.h"
#include "execute/execute.h"
#include "formats/format.h"
#include "plan/plan.h"
#include "report/report.h"
#include "schedule/schedule.h"
#include "spec/spec.h"

namespace regraft {

enum class Stage { spec, program, plan, schedule, execute };

struct SourceInput {
  std::string alias;  // "" for the first, and only for it
  std::string path;
};

struct Request {
  yaml::Node spec;           // the document, from a file or put together
  std::string spec_path;     // "" for rules of the command line
  std::string rules_folder;  // of the shipped specs, for `use`; "": none
  std::vector<std::pair<std::string, std::string>> set;
  std::vector<SourceInput> sources;  // may be empty up to Stage::program
  std::optional<std::string> target;
  std::shared_ptr<const Checkpoint> model;  // in place of `target`: a model in memory
  std::string output;                       // "" without one
  bool into_memory = false;                 // in place of `output`: Run::memory
  Stage until = Stage::execute;             // the last stage that runs
  bool check_output = false;     // also before Stage::execute: whether OUT could be written
  bool strict = false;           // unused rules are errors
  std::uint64_t max_growth = 4;  // of the output over the inputs (ScheduleOptions)
  std::optional<std::uint64_t> max_memory;     // of buffers; a tensor that takes more is refused
  std::uint64_t tile_size = kDefaultTileSize;  // bytes of a computed tensor at a time, about
  std::vector<std::string> no_passes;  // of the optimizer, by name: what they do is left undone
  Limits limits;
  ExecuteOptions execute;
  // Called once the spec and all that it uses have been read, before any checkpoint is opened.
  std::function<void(const Spec&)> spec_is_read;
};

// Everything that the stages made; what comes after the one that failed is empty. Lives as long as
// its parts refer to each other: do not move after run().
struct Run {
  std::optional<Spec> spec;
  std::optional<Program> program;
  std::vector<Checkpoint> checkpoints;  // sources, then the target
  Inputs inputs;
  std::optional<Plan> plan;
  std::optional<Schedule> schedule;
  std::optional<Executed> executed;
  // Request::into_memory: schedule->layout.size bytes, the storages at their offsets.
  std::unique_ptr<std::byte[]> memory;
  Diagnostics diagnostics;

  [[nodiscard]] Report report(const Request& request) const;
};

std::unique_ptr<Run> run(const Request& request);

}  // namespace regraft
