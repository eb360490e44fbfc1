#include "cli/migrate.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "cli/arguments.h"
#include "cli/rules_folder.h"
#include "cli/torch_plugin.h"

namespace regraft::cli {
namespace {

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

void add_folders(const Spec& spec, std::vector<std::string>& folders) {
  folders.push_back(spec.directory);
  for (const std::shared_ptr<const Spec>& used : spec.used)
    if (used) add_folders(*used, folders);
}

}  // namespace

bool prepare(MigrateOptions& options, Diagnostics& diagnostics) {
  options.confinement.confine_writes(
      {options.request.output, options.report_path, options.write_spec});
  if (!settle_arguments(options, diagnostics)) return false;
  std::optional<yaml::Node> tree = assemble_spec(options.spec, diagnostics);
  if (!tree) return false;
  if (diagnostics.has_errors())
    options.request.until = std::min(options.request.until, Stage::program);
  options.request.spec = std::move(*tree);
  options.request.spec_path = options.spec.path;
  options.request.rules_folder = rules_folder();
  options.request.spec_is_read = [&options](const Spec& spec) {
    confine_reads(options.confinement, options.request, spec,
                  {options.report_path, options.write_spec});
    if (options.verbose) print_err("regraft: " + options.confinement.describe() + "\n");
  };
  return true;
}

void confine_reads(Confinement& confinement, const Request& request, const Spec& spec,
                   std::vector<std::string> outputs) {
  std::vector<std::string> inputs, folders;
  for (const SourceInput& source : request.sources) inputs.push_back(source.path);
  if (request.target) inputs.push_back(*request.target);
  add_folders(spec, folders);
  outputs.push_back(request.output);
  confinement.confine_reads(inputs, folders, outputs);
}

int finish(const MigrateOptions& options, const Diagnostics& diagnostics) {
  if (options.json) print_out(to_json(diagnostics_report(diagnostics)));
  print_diagnostics(diagnostics, options.color);
  return diagnostics.exit_status();
}

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
  if (!prepare(options, usage_problems)) return finish(options, usage_problems);

  ProgressPrinter progress(options.progress);
  options.request.execute.cancelled = [&] { return cancelled.load(std::memory_order_relaxed); };
  options.request.execute.progress = [&](const Progress& at) { progress.update(at); };
  options.request.execute.evaluator = torch_plugin;
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

  const std::string done =
      run.executed ? "the output " + quoted(options.request.output) + " is complete" : "";
  bool out = true;
  if (!options.print.empty())
    out = print_out(printed(options, run), done);
  else if (options.json)
    out = print_out(to_json(report), done);
  print_diagnostics(run.diagnostics, options.color);
  if (options.print.empty() && !options.json && run.plan)
    out = print_out(to_text(report, {.color = use_color(options.color, STDOUT_FILENO),
                                     .verbose = options.verbose,
                                     .width = terminal_width(STDOUT_FILENO)}),
                    done);
  const int status = run.diagnostics.exit_status();
  return status == 0 && !out ? info(Code::file_write).exit_status : status;
}

}  // namespace regraft::cli
