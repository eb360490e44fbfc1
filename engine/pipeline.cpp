#include "pipeline.h"

#include <map>
#include <new>

#include "plan/optimize.h"
#include "plan/policy/policies.h"
#include "spec/use.h"

namespace regraft {
namespace {

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash == 0 ? 1 : slash);
}

CompileInputs compile_inputs(const Request& request) {
  CompileInputs inputs;
  inputs.set = request.set;
  inputs.spec_directory = directory_of(request.spec_path);
  if (!request.sources.empty()) inputs.source_directories.emplace();
  for (const SourceInput& source : request.sources)
    inputs.source_directories->emplace(source.alias, directory_of(source.path));
  inputs.verbs = all_verbs();
  inputs.policies = all_policies();
  return inputs;
}

// Every source behind the first has an alias of its own.
bool check_aliases(const std::vector<SourceInput>& sources, Diagnostics& diagnostics) {
  const auto fail = [&](std::string message, std::string hint) {
    diagnostics.add(error(Code::usage, {}, std::move(message), std::move(hint)));
  };
  std::map<std::string_view, std::string_view> paths;
  for (std::size_t i = 1; i < sources.size(); ++i) {
    const auto& [alias, path] = sources[i];
    if (!is_alias(alias))
      fail(quoted(alias) + " cannot be the alias of " + quoted(path), std::string(kAliasRule));
    else if (const auto [first, fresh] = paths.emplace(alias, path); !fresh)
      fail("two sources have the alias " + quoted(alias) + ": " + quoted(first->second) + " and " +
               quoted(path),
           "give each an alias of its own");
  }
  return !diagnostics.has_errors();
}

// A checkpoint with its names below the root.
Result<Checkpoint> open_below_root(const std::string& path, const std::vector<std::string>& roots,
                                   const Limits& limits, const std::string& alias = {}) {
  REGRAFT_TRY(Checkpoint checkpoint, open_checkpoint(path, limits));
  REGRAFT_TRY(checkpoint.catalog, select_root(std::move(checkpoint.catalog), roots, alias));
  return checkpoint;
}

Result<Checkpoint> open_source(const SourceInput& source, const Program& program,
                               const Limits& limits) {
  const SourceNeeds* needs = program.needs(source.alias);
  return open_below_root(source.path, needs ? needs->roots : std::vector<std::string>(), limits,
                         source.alias);
}

// `source.root` speaks of the source; a target that was saved the same way is found by it too.
Result<Checkpoint> open_target(const std::string& path, const Spec& spec, const Limits& limits) {
  Result<Checkpoint> found = open_below_root(path, {}, limits);
  std::vector<std::string> roots;
  for (const yaml::Node& root : spec.source.root) roots.push_back(root.text);
  if (found || roots.empty() || found.error().code != Code::root_ambiguous) return found;
  Result<Checkpoint> as_source = open_below_root(path, roots, limits);
  return as_source ? std::move(as_source) : std::move(found);
}

// The target, opened before the spec is compiled where a variable is the list of its names.
std::optional<Checkpoint> open_for_its_names(const Request& request, const Spec& spec,
                                             CompileInputs& inputs, Diagnostics& diagnostics) {
  if (!asks_for_target_names(spec)) return std::nullopt;
  inputs.no_target = !request.model && !request.target && request.until > Stage::program;
  const auto take_names = [&](const Catalog& target) {
    inputs.target_names.emplace();
    for (const Tensor& tensor : target.tensors) inputs.target_names->push_back(tensor.name);
  };
  if (request.model) take_names(request.model->catalog);
  if (request.model || !request.target) return std::nullopt;
  Result<Checkpoint> opened = open_target(*request.target, spec, request.limits);
  if (!opened) {
    diagnostics.add(std::move(opened).error());
    return std::nullopt;
  }
  take_names(opened->catalog);
  return std::move(opened).value();
}

// `target`: if it has been opened.
bool open_inputs(const Request& request, std::optional<Checkpoint> target, Run& run) {
  const auto add = [&](Result<Checkpoint> opened) {
    if (opened)
      run.checkpoints.push_back(std::move(opened).value());
    else
      run.diagnostics.add(std::move(opened).error());
  };
  for (const SourceInput& source : request.sources)
    add(open_source(source, *run.program, request.limits));
  if (request.model)
    run.checkpoints.push_back(*request.model);
  else if (target)
    run.checkpoints.push_back(std::move(*target));
  else if (request.target)
    add(open_target(*request.target, *run.spec, request.limits));
  if (run.diagnostics.has_errors()) return false;
  for (std::size_t i = 0; i < request.sources.size(); ++i)
    if (request.until == Stage::execute && !run.checkpoints[i].reader)
      run.diagnostics.add(error(Code::no_values, file_location(request.sources[i].path),
                                "the source has names and shapes, and no values to write",
                                "`plan` works with a schema; `apply` needs the checkpoint"));
  if (run.diagnostics.has_errors()) return false;
  for (std::size_t i = 0; i < request.sources.size(); ++i)
    run.inputs.sources.push_back(&run.checkpoints[i].catalog);
  if (request.model || request.target) run.inputs.target = &run.checkpoints.back().catalog;
  return true;
}

std::vector<const Checkpoint*> pointers(const Run& run) {
  std::vector<const Checkpoint*> pointers;
  for (const Checkpoint& checkpoint : run.checkpoints) pointers.push_back(&checkpoint);
  return pointers;
}

// Into the output's file, or into memory.
Result<Executed> execute_into(const Request& request, Run& run) {
  ExecuteOptions options = request.execute;
  options.max_memory = request.max_memory.value_or(kDefaultMaxMemory);
  if (!request.into_memory)
    return execute(*run.schedule, *run.plan, pointers(run), request.output, options);
  try {
    run.memory = std::make_unique_for_overwrite<std::byte[]>(run.schedule->layout.size);
  } catch (const std::bad_alloc&) {
    return error(Code::evaluator, {},
                 "there is no memory for the " + std::to_string(run.schedule->layout.size) +
                     " bytes of the loaded tensors",
                 "they are read beside the model, which changes only when all is there");
  }
  return execute(*run.schedule, *run.plan, pointers(run),
                 {run.memory.get(), run.schedule->layout.size}, options);
}

Diagnostic broken_law(const std::string& what) {
  return error(Code::usage, {}, "internal fault: " + what,
               "please report it with the spec and `inspect` of the inputs");
}

}  // namespace

std::unique_ptr<Run> run(const Request& request) {
  auto result = std::make_unique<Run>();
  Run& run = *result;
  Diagnostics& diagnostics = run.diagnostics;

  if (!check_aliases(request.sources, diagnostics)) return result;
  run.spec = read_spec(request.spec, diagnostics);
  if (!run.spec || request.until == Stage::spec) return result;
  run.spec->directory = directory_of(request.spec_path);
  load_used(*run.spec, request.rules_folder, diagnostics);
  if (request.spec_is_read) request.spec_is_read(*run.spec);

  CompileInputs inputs = compile_inputs(request);
  std::optional<Checkpoint> target = open_for_its_names(request, *run.spec, inputs, diagnostics);
  run.program = compile(*run.spec, inputs, diagnostics);
  if (!run.program || request.until == Stage::program) return result;
  if (request.strict) run.program->expect.unused_rules_are_errors = true;

  const Result<Passes> passes = passes_without(request.no_passes);
  if (!passes) return diagnostics.add(passes.error()), std::move(result);
  if (!open_inputs(request, std::move(target), run)) return result;
  const Format* format = request.into_memory ? &memory_format() : nullptr;
  if (!request.output.empty()) {
    Result<const Format*> chosen = format_for_output(request.output);
    if (!chosen) return diagnostics.add(std::move(chosen).error()), std::move(result);
    format = *chosen;
    if (request.until == Stage::execute || request.check_output)
      if (Status fit = check_output(request.output, pointers(run), request.execute.force); !fit)
        return diagnostics.add(std::move(fit).error()), std::move(result);
  }

  run.plan = make_plan(*run.program, run.inputs, diagnostics);
  if (const auto broken = check_conservation(*run.plan, run.inputs))
    diagnostics.add(broken_law(*broken));
  if (const auto broken = optimize(*run.plan, passes->rewrites))
    diagnostics.add(broken_law(*broken));
  if (diagnostics.has_errors() || !format) return result;

  run.schedule = make_schedule(
      *run.plan, *run.program, run.inputs, *format,
      {.verify = request.execute.verify,
       .max_growth = request.max_growth,
       .max_memory = request.max_memory,
       .digests = request.execute.digest != DigestKind::none || request.execute.verify_output,
       .digests_of_inputs = request.execute.digest_inputs,
       .byte_ranges = passes->byte_ranges,
       .casts = passes->casts,
       .tile_size = passes->tiles ? request.tile_size : 0},
      diagnostics);
  if (!run.schedule || diagnostics.has_errors() || request.until != Stage::execute) return result;

  Result<Executed> executed = execute_into(request, run);
  if (executed)
    run.executed = std::move(executed).value();
  else
    diagnostics.add(std::move(executed).error());
  return result;
}

Report Run::report(const Request& request) const {
  Report report;
  report.program = program ? &*program : nullptr;
  report.inputs = &inputs;
  report.plan = plan ? &*plan : nullptr;
  report.schedule = schedule ? &*schedule : nullptr;
  report.executed = executed ? &*executed : nullptr;
  report.diagnostics = &diagnostics;
  report.spec_path = request.spec_path;
  report.output_path = request.output;
  report.digest = request.execute.digest;
  return report;
}

}  // namespace regraft
