// A spec by itself, and a whole run: a spec and a checkpoint to an output that is read again.
#include <unistd.h>

#include "compile/program.h"
#include "fuzz/target.h"
#include "pipeline.h"
#include "plan/optimize.h"
#include "plan/policy/policies.h"
#include "spec/use.h"

namespace regraft::fuzz {
namespace {

// Nothing is there, so that a spec reads no file of this machine.
constexpr const char* kNowhere = "/nowhere";

void show(const Diagnostics& diagnostics) {
  for (const Diagnostic& one : diagnostics.items()) FUZZ_CHECK(!render(one, false).empty());
}

std::optional<yaml::Node> tree_of(std::string_view text, Diagnostics& diagnostics) {
  return yaml::parse(std::make_shared<const SourceText>(SourceText{"spec.yaml", std::string(text)}),
                     diagnostics);
}

// A few tensors in which specs of a transformer find something.
constexpr std::string_view kTensors =
    "regraft_schema: 1\n"
    "tensors:\n"
    "  embed.weight: {dtype: float32, shape: [100, 16]}\n"
    "  pos_embed: {dtype: float32, shape: [1, 17, 16]}\n"
    "  blocks.0.attn.qkv.weight: {dtype: float32, shape: [48, 16]}\n"
    "  blocks.0.attn.qkv.bias: {dtype: float32, shape: [48]}\n"
    "  blocks.0.mlp.0.weight: {dtype: bfloat16, shape: [64, 16]}\n"
    "  blocks.1.attn.qkv.weight: {dtype: float32, shape: [48, 16]}\n"
    "  blocks.1.attn.qkv.bias: {dtype: float32, shape: [48]}\n"
    "  blocks.1.mlp.0.weight: {dtype: bfloat16, shape: [64, 16]}\n"
    "  head.weight: {dtype: float32, shape: [10, 16]}\n"
    "  head.bias: {dtype: float32, shape: [10]}\n"
    "  steps: {dtype: int64, shape: []}\n";

std::optional<Catalog> catalog_of(std::string_view schema) {
  Result<Checkpoint> opened_schema = schema_format().open(opened(schema), small_limits());
  if (!opened_schema) return std::nullopt;
  Result<Catalog> catalog = select_root(std::move(opened_schema->catalog), {""});
  if (!catalog) return std::nullopt;
  return std::move(catalog).value();
}

}  // namespace

// A spec; `---`; the schema of its source, or nothing for one of ours.
FUZZ_TARGET(spec) {
  const auto [text, schema] = cut(input);
  Diagnostics diagnostics;
  const auto tree = tree_of(text, diagnostics);
  if (tree) {
    const std::string written = yaml::write(*tree);
    Diagnostics none;
    const auto again = tree_of(written, none);
    // What cannot be read was said to be wrong before.
    FUZZ_CHECK(diagnostics.has_errors() || (again && yaml::write(*again) == written));
  }
  Diagnostics problems;
  auto spec = parse_spec(
      std::make_shared<const SourceText>(SourceText{"spec.yaml", std::string(text)}), problems);
  if (!spec) return show(problems);
  spec->directory = kNowhere;
  load_used(*spec, "", problems);
  CompileInputs inputs;
  inputs.spec_directory = kNowhere;
  inputs.verbs = all_verbs();
  inputs.policies = all_policies();
  if (asks_for_target_names(*spec)) inputs.target_names = {"embed.weight", "head.bias"};
  const auto program = compile(*spec, inputs, problems);
  FUZZ_CHECK(program.has_value() == !problems.has_errors());
  if (!program) return show(problems);
  lint(*program, *spec, problems);
  FUZZ_CHECK(!print(*program).empty());
  const std::optional<Catalog> ours = catalog_of(kTensors);
  FUZZ_CHECK(ours.has_value());
  const std::optional<Catalog> theirs = catalog_of(schema);
  Inputs catalogs;
  catalogs.sources.push_back(theirs ? &*theirs : &*ours);
  for (const bool with_target : {false, true}) {
    if (with_target) catalogs.target = &*ours;
    Diagnostics of_plan;
    Plan plan = make_plan(*program, catalogs, of_plan);
    FUZZ_CHECK(!check_conservation(plan, catalogs));
    const auto passes = passes_without({});
    FUZZ_CHECK(!optimize(plan, passes->rewrites));
    FUZZ_CHECK(!print(plan, *program, catalogs).empty());
    if (!of_plan.has_errors())
      for (const Format* format : {&torch_zip_format(), &safetensors_format()})
        (void)make_schedule(plan, *program, catalogs, *format, {}, of_plan);
    show(of_plan);
  }
  show(problems);
}

// A spec; `---`; a checkpoint.
FUZZ_TARGET(end_to_end) {
  const auto [spec, checkpoint] = cut(input);
  Diagnostics diagnostics;
  auto tree = tree_of(spec, diagnostics);
  if (!tree || diagnostics.has_errors()) return;
  Request request;
  request.spec = std::move(*tree);
  request.spec_path = std::string(kNowhere) + "/spec.yaml";
  request.sources = {{"", file_with(checkpoint, 1)}};
  request.output = folder() + (spec.size() % 2 == 0 ? "/out.pt" : "/out.safetensors");
  request.limits = small_limits();
  request.execute.force = true;
  request.execute.sync = false;
  request.execute.verify_output = true;
  const std::unique_ptr<Run> done = run(request);
  show(done->diagnostics);
  const Report report = done->report(request);
  FUZZ_CHECK(!to_json(report).empty());
  if (done->plan) FUZZ_CHECK(!to_text(report, {}).empty());
  if (!done->executed) {
    FUZZ_CHECK(done->diagnostics.has_errors());
    FUZZ_CHECK(access(request.output.c_str(), F_OK) != 0);
    return;
  }
  // No input of a fuzzer is so large that its output could not be read.
  const Result<Checkpoint> output = open_checkpoint(request.output);
  FUZZ_CHECK(output.ok());
  FUZZ_CHECK(output->catalog.tensors.size() == done->schedule->output.tensors.size());
  unlink(request.output.c_str());
}

}  // namespace regraft::fuzz
