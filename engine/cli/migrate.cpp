#include "cli/migrate.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace regraft::cli {
namespace {

Diagnostic usage(std::string message, std::string hint = {}) {
  return error(Code::usage, {}, std::move(message), std::move(hint));
}

// By content: a checkpoint of any kind, not a text.
bool looks_like_checkpoint(const std::string& path) {
  const auto file = InputFile::open(path);
  if (!file) return false;
  std::string head(static_cast<std::size_t>(std::min<std::uint64_t>((*file)->size(), 4096)), '\0');
  if (!(*file)->read(0, std::as_writable_bytes(std::span(head)))) return false;
  return head.find('\0') != std::string::npos;
}

// SPEC and SOURCE out of the positionals; false when they do not make sense.
bool sort_positionals(MigrateOptions& options, Diagnostics& diagnostics) {
  std::vector<std::string>& paths = options.positionals;
  const std::string command = options.apply ? "apply" : "plan";
  const bool only_policies = options.spec.rules.empty() && !options.spec.policies.empty() &&
                             paths.size() == 1 && looks_like_checkpoint(paths[0]);
  if (options.spec.rules.empty() && !only_policies) {
    if (paths.size() >= 2 && looks_like_checkpoint(paths[0]) && !looks_like_checkpoint(paths[1])) {
      diagnostics.add(usage("the first argument " + quoted(paths[0]) +
                                " is a checkpoint, the second " + quoted(paths[1]) +
                                " a text: the spec comes first",
                            "regraft " + command + " " + paths[1] + " " + paths[0]));
      return false;
    }
    if (paths.size() == 1 && looks_like_checkpoint(paths[0])) {
      diagnostics.add(
          usage("there is a checkpoint and no spec",
                "give the spec first, or rules with -e, for instance -e 'drop: ^fc\\.'"));
      return false;
    }
    if (!paths.empty()) {
      options.spec.path = paths.front();
      paths.erase(paths.begin());
    }
  }
  options.request.sources = paths;
  if (options.spec.path.empty() && options.spec.rules.empty() && !only_policies) {
    diagnostics.add(usage("there is no spec", "regraft " + command + " SPEC SOURCE"));
    return false;
  }
  if (paths.size() > 1) {
    diagnostics.add(usage("there is one source, not " + std::to_string(paths.size()) + ": " +
                              quoted(paths[1]) + " is too many",
                          "the target is given with -t, the output with -o"));
    return false;
  }
  const bool needs_source =
      options.request.until != Stage::spec && options.request.until != Stage::program;
  if (needs_source && paths.empty()) {
    diagnostics.add(usage("there is no source", "regraft " + command + " SPEC SOURCE"));
    return false;
  }
  return true;
}

bool choose_stage(MigrateOptions& options, Diagnostics& diagnostics) {
  const bool writes = options.apply && !options.dry_run;
  options.request.until = writes ? Stage::execute : Stage::schedule;
  if (options.print == "spec") options.request.until = Stage::spec;
  if (options.print == "program") options.request.until = Stage::program;
  if (options.print == "schedule" && options.request.output.empty()) {
    diagnostics.add(usage("`--print schedule` needs an output to schedule", "add -o OUT"));
    return false;
  }
  if (writes && options.request.output.empty()) {
    diagnostics.add(usage("`apply` has no output", "add -o OUT, or --dry-run"));
    return false;
  }
  return true;
}

bool same_file(const std::string& a, const std::string& b) {
  struct stat left{}, right{};
  return ::stat(a.c_str(), &left) == 0 && ::stat(b.c_str(), &right) == 0 &&
         left.st_dev == right.st_dev && left.st_ino == right.st_ino;
}

// A report or spec is never written over an input or the output.
bool may_write(const MigrateOptions& options, const std::string& path, const char* flag,
               Diagnostics& diagnostics) {
  std::vector<std::string> taken = options.request.sources;
  if (options.request.target) taken.push_back(*options.request.target);
  if (!options.spec.path.empty()) taken.push_back(options.spec.path);
  if (!options.request.output.empty()) taken.push_back(options.request.output);
  for (const std::string& other : taken)
    if (other == path || same_file(other, path)) {
      diagnostics.add(usage(std::string(flag) + " " + quoted(path) + " is an input or the output",
                            "give it a name of its own"));
      return false;
    }
  return true;
}

bool check_side_files(const MigrateOptions& options, Diagnostics& diagnostics) {
  bool good = true;
  if (!options.report_path.empty()) {
    if (!options.report_path.ends_with(".json") && !options.report_path.ends_with(".html")) {
      diagnostics.add(usage("the report " + quoted(options.report_path) + " has no format",
                            "end it in .json or .html"));
      good = false;
    }
    good &= may_write(options, options.report_path, "--report", diagnostics);
  }
  if (!options.write_spec.empty()) {
    good &= may_write(options, options.write_spec, "--write-spec", diagnostics);
    if (::access(options.write_spec.c_str(), F_OK) == 0 && !options.request.execute.force) {
      diagnostics.add(error(Code::file_exists, file_location(options.write_spec), "it exists",
                            "give another name, or --force"));
      good = false;
    }
  }
  return good;
}

std::string printed(const MigrateOptions& options, const Run& run) {
  if (options.print == "spec" && run.spec) return yaml::write(run.spec->tree);
  if (options.print == "program" && run.program) return print(*run.program);
  if (options.print == "plan" && run.plan) return print(*run.plan, *run.program, run.inputs);
  if (options.print == "schedule" && run.schedule) return print(*run.schedule, run.inputs);
  return {};
}

Status write_report(const MigrateOptions& options, const std::string& json) {
  return write_file(options.report_path,
                    options.report_path.ends_with(".html") ? to_html(json) : json);
}

int finish(const MigrateOptions& options, Diagnostics& diagnostics) {
  if (options.json) print_out(to_json(diagnostics_report(diagnostics)));
  print_diagnostics(diagnostics, options.color);
  return diagnostics.exit_status();
}

}  // namespace

Report diagnostics_report(const Diagnostics& diagnostics) {
  Report report;
  report.diagnostics = &diagnostics;
  return report;
}

void print_diagnostics(const Diagnostics& diagnostics, ColorMode color) {
  const bool colored = use_color(color, STDERR_FILENO);
  std::string text;
  for (const Diagnostic& one : diagnostics.items()) text += render(one, colored);
  print_err(text);
}

int migrate(MigrateOptions options, const std::atomic<bool>& cancelled) {
  Diagnostics usage_problems;
  if (!choose_stage(options, usage_problems) || !sort_positionals(options, usage_problems) ||
      !check_side_files(options, usage_problems))
    return finish(options, usage_problems);
  std::optional<yaml::Node> tree = assemble_spec(options.spec, usage_problems);
  if (!tree) return finish(options, usage_problems);
  // What is wrong with the text does not hide what is wrong with its meaning.
  if (usage_problems.has_errors())
    options.request.until = std::min(options.request.until, Stage::program);
  options.request.spec = std::move(*tree);
  options.request.spec_path = options.spec.path;

  ProgressPrinter progress(options.progress);
  options.request.execute.cancelled = &cancelled;
  options.request.execute.progress = [&](const Progress& at) { progress.update(at); };
  // Not freed: the process ends here, and a hundred thousand names take a tenth of a run to take
  // apart.
  Run& run = *regraft::run(options.request).release();
  if (usage_problems.has_errors()) {
    for (const Diagnostic& one : run.diagnostics.items()) usage_problems.add(one);
    return finish(options, usage_problems);
  }

  if (run.program && !options.write_spec.empty())
    if (Status written = write_file(options.write_spec, yaml::write(options.request.spec));
        !written)
      run.diagnostics.add(std::move(written).error());
  const Report report = run.report(options.request);
  if (run.program && run.plan && !options.report_path.empty())
    if (Status written = write_report(options, to_json(report)); !written)
      run.diagnostics.add(std::move(written).error());

  bool out = true;
  if (!options.print.empty())
    out = print_out(printed(options, run));
  else if (options.json)
    out = print_out(to_json(report));
  print_diagnostics(run.diagnostics, options.color);
  if (options.print.empty() && !options.json && run.plan)
    out = print_out(to_text(report, {.color = use_color(options.color, STDOUT_FILENO),
                                     .verbose = options.verbose,
                                     .width = terminal_width(STDOUT_FILENO)}));
  const int status = run.diagnostics.exit_status();
  return status == 0 && !out ? info(Code::file_write).exit_status : status;
}

}  // namespace regraft::cli
