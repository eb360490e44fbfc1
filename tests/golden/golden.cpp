// Golden cases: a folder each with spec.yaml, source.yaml, target.yaml (with values) or
// target.schema.yaml (without), run.yaml for what an option would say, and what is expected of
// them: diagnostics.exp, plan.exp, report.exp, schedule.exp, and explain.exp of the names that
// run.yaml lists. tests/golden/update writes the expected files.
#include <algorithm>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "catch.h"
#include "compile/program.h"
#include "formats/format.h"
#include "invert/invert.h"
#include "plan/optimize.h"
#include "plan/plan.h"
#include "plan/policy/policies.h"
#include "report/explain.h"
#include "report/report.h"
#include "schedule/schedule.h"
#include "spec/spec.h"
#include "spec/use.h"

namespace fs = std::filesystem;

// How C++ tests spell a code.
constexpr const char* kEnumerators[] = {
#define REGRAFT_CODE(id, name, exit_status, meaning) "Code::" #id,
#include "base/codes.def"
#undef REGRAFT_CODE
};

namespace regraft {
namespace {

std::string read(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

// What run.yaml asks for.
struct Options {
  bool check = false;  // `regraft check`
  bool strict = false;
  bool invert = false;  // `regraft invert`, for source.yaml if there is one
  std::string output;   // its suffix sets the format; a schedule is made
  std::vector<std::pair<std::string, std::string>> sources;  // further ones: alias and file
  std::vector<std::pair<std::string, std::string>> set;
  std::vector<std::string> explain;  // names
  bool verbose = false;              // of them: all rules
  std::vector<std::string> no_passes;
  std::uint64_t tile_size = kDefaultTileSize;
};

Options read_options() {
  Options options;
  if (!fs::exists("run.yaml")) return options;
  Diagnostics diagnostics;
  const auto tree = yaml::parse(
      std::make_shared<const SourceText>(SourceText{"run.yaml", read("run.yaml")}), diagnostics);
  REQUIRE(tree);
  for (const yaml::Entry& entry : tree->entries) {
    if (entry.key.text == "check")
      options.check = yaml::as_bool(entry.value).value();
    else if (entry.key.text == "strict")
      options.strict = yaml::as_bool(entry.value).value();
    else if (entry.key.text == "invert")
      options.invert = yaml::as_bool(entry.value).value();
    else if (entry.key.text == "output")
      options.output = entry.value.text;
    else if (entry.key.text == "sources")
      for (const yaml::Entry& pair : entry.value.entries)
        options.sources.emplace_back(pair.key.text, pair.value.text);
    else if (entry.key.text == "set")
      for (const yaml::Entry& pair : entry.value.entries)
        options.set.emplace_back(pair.key.text, pair.value.text);
    else if (entry.key.text == "explain")
      for (const yaml::Node& name : entry.value.items) options.explain.push_back(name.text);
    else if (entry.key.text == "no_pass")
      for (const yaml::Node& name : entry.value.items) options.no_passes.push_back(name.text);
    else if (entry.key.text == "tile_size")
      options.tile_size = bytes_of(entry.value.text).value();
    else if (entry.key.text == "verbose")
      options.verbose = yaml::as_bool(entry.value).value();
    else
      FAIL("run.yaml has no " << entry.key.text);
  }
  return options;
}

// One case, in its own folder as the current one.
class Case {
 public:
  // File name -> text, for those that the case gives.
  std::vector<std::pair<std::string, std::string>> outcome() {
    run();
    std::string messages;
    for (const Diagnostic& one : diagnostics_.items()) messages += render(one, false);
    if (diagnostics_.has_errors())
      messages += "exit status " + std::to_string(diagnostics_.exit_status()) + "\n";
    std::vector<std::pair<std::string, std::string>> files;
    if (!messages.empty()) files.emplace_back("diagnostics.exp", messages);
    if (plan_) {
      files.emplace_back("plan.exp", print(*plan_, *program_, inputs_));
      Report report;
      report.program = &*program_;
      report.inputs = &inputs_;
      report.plan = &*plan_;
      report.schedule = schedule_ ? &*schedule_ : nullptr;
      report.diagnostics = &diagnostics_;
      report.spec_path = "spec.yaml";
      report.output_path = options_.output;
      files.emplace_back("report.exp", to_text(report, {}));
      if (!options_.explain.empty()) files.emplace_back("explain.exp", explained(report));
    }
    if (schedule_) files.emplace_back("schedule.exp", print(*schedule_, inputs_));
    if (inverse_) files.emplace_back("inverse.exp", yaml::write(*inverse_));
    return files;
  }

 private:
  [[nodiscard]] std::string explained(const Report& report) const {
    std::string out;
    for (const std::string& name : options_.explain) {
      const auto explanation = explain(report, name, options_.verbose);
      out += (out.empty() ? "$ regraft explain " : "\n$ regraft explain ") + shell_quoted(name) +
             "\n" + (explanation ? to_text(*explanation) : render(explanation.error(), false));
    }
    return out;
  }

  void run() {
    options_ = read_options();
    const auto text =
        std::make_shared<const SourceText>(SourceText{"spec.yaml", read("spec.yaml")});
    auto spec = parse_spec(text, diagnostics_);
    if (!spec) return;
    load_used(*spec, std::string(REGRAFT_TESTS_DIR) + "/golden/use-shipped/rules", diagnostics_);
    CompileInputs inputs;
    inputs.set = options_.set;
    if (!options_.check) inputs.source_directories.emplace().emplace("", "");
    for (const auto& [alias, file] : options_.sources)
      inputs.source_directories->emplace(alias, fs::path(file).parent_path());
    inputs.verbs = all_verbs();
    inputs.policies = all_policies();
    if (!options_.check && !open_target(inputs)) return;
    program_ = compile(*spec, inputs, diagnostics_);
    if (!program_) return;
    if (options_.check) return lint(*program_, *spec, diagnostics_);
    if (options_.invert && !fs::exists("source.yaml")) return turn_around(*spec, inputs, nullptr);
    program_->expect.unused_rules_are_errors |= options_.strict;
    open_source("", "source.yaml");
    for (const auto& [alias, file] : options_.sources) open_source(alias, file);
    if (diagnostics_.has_errors()) return;
    plan_ = make_plan(*program_, inputs_, diagnostics_);
    CHECK(check_conservation(*plan_, inputs_) == std::nullopt);
    const auto passes = passes_without(options_.no_passes);
    REQUIRE(passes.ok());
    CHECK(optimize(*plan_, passes->rewrites) == std::nullopt);
    if (options_.invert) {
      const auto walked = walk(*program_, inputs_, diagnostics_);
      if (walked) turn_around(*spec, inputs, &*walked);
    }
    if (options_.output.empty() || diagnostics_.has_errors()) return;
    const auto format = format_for_output(options_.output);
    if (!format) return diagnostics_.add(format.error());
    schedule_ = make_schedule(*plan_, *program_, inputs_, **format,
                              {.byte_ranges = passes->byte_ranges,
                               .casts = passes->casts,
                               .tile_size = passes->tiles ? options_.tile_size : 0},
                              diagnostics_);
  }

  bool open_target(CompileInputs& inputs) {
    const bool with_values = fs::exists("target.yaml");
    inputs.no_target = !with_values && !fs::exists("target.schema.yaml");
    if (inputs.no_target) return true;
    if (!open(with_values ? "target.yaml" : "target.schema.yaml", {}, "", target_)) return false;
    target_.has_values = with_values;
    inputs_.target = &target_;
    inputs.target_names.emplace();
    for (const Tensor& tensor : target_.tensors) inputs.target_names->push_back(tensor.name);
    return true;
  }

  void open_source(const std::string& alias, const std::string& path) {
    const SourceNeeds* needs = program_->needs(alias);
    Catalog& source = sources_.emplace_back();
    open(path, needs ? needs->roots : std::vector<std::string>(), alias, source);
    inputs_.sources.push_back(&source);
  }

  void turn_around(const Spec& spec, const CompileInputs& inputs, const Walk* walked) {
    inverse_ = invert(spec, *program_, walked, diagnostics_);
    if (!inverse_) return;
    // Read from its text, as a person would have it.
    const auto again = parse_spec(
        std::make_shared<const SourceText>(SourceText{"inverse.yaml", yaml::write(*inverse_)}),
        diagnostics_);
    if (!again) return;
    const auto back = compile(*again, inputs, diagnostics_);
    if (back && walked) prove(*back, *program_, inputs_, *walked, diagnostics_);
  }

  bool open(const std::string& path, const std::vector<std::string>& roots,
            const std::string& alias, Catalog& catalog) {
    auto opened = open_checkpoint(path);
    auto rooted =
        opened ? select_root(std::move(opened->catalog), roots, alias) : std::move(opened).error();
    if (rooted)
      catalog = std::move(*rooted);
    else
      diagnostics_.add(std::move(rooted).error());
    catalog.has_values = true;
    return !diagnostics_.has_errors();
  }

  Options options_;
  Diagnostics diagnostics_;
  std::optional<Program> program_;
  std::deque<Catalog> sources_;  // addresses stay
  Catalog target_;
  Inputs inputs_;
  std::optional<Plan> plan_;
  std::optional<Schedule> schedule_;
  std::optional<yaml::Node> inverse_;
};

std::vector<fs::path> cases() {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(fs::path(REGRAFT_TESTS_DIR) / "golden"))
    if (entry.is_directory()) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

void compare(const std::string& name, std::vector<std::pair<std::string, std::string>> files) {
  const bool update = std::getenv("REGRAFT_GOLDEN_UPDATE") != nullptr;
  for (const char* file : {"diagnostics.exp", "plan.exp", "report.exp", "schedule.exp",
                           "explain.exp", "inverse.exp"}) {
    const auto given = std::find_if(files.begin(), files.end(),
                                    [&](const auto& one) { return one.first == file; });
    if (update) {
      if (given != files.end())
        std::ofstream(file, std::ios::binary) << given->second;
      else
        fs::remove(file);
      continue;
    }
    INFO("golden case " << name << ", " << file << "; tests/golden/update writes it anew");
    CHECK(fs::exists(file) == (given != files.end()));
    if (given != files.end()) CHECK(given->second == read(file));
  }
}

TEST_CASE("golden cases", "[golden]") {
  const fs::path home = fs::current_path();
  REQUIRE(cases().size() > 20);
  for (const fs::path& path : cases()) {
    DYNAMIC_SECTION(path.filename().string()) {
      fs::current_path(path);
      compare(path.filename().string(), Case().outcome());
    }
  }
  fs::current_path(home);
}

TEST_CASE("every verb, policy word, pass and diagnostic code has a case", "[golden]") {
  std::string specs, diagnostics, options, other_tests;
  const fs::path tests(REGRAFT_TESTS_DIR);
  for (const fs::path& path : cases()) {
    specs += read(path / "spec.yaml");
    diagnostics += read(path / "diagnostics.exp");
    options += read(path / "run.yaml");
  }
  // Files that cannot be opened, read or written are tried through the program.
  for (const auto& entry : fs::recursive_directory_iterator(tests)) {
    const std::string suffix = entry.path().extension();
    if (entry.is_regular_file() && (suffix == ".py" || suffix == ".cpp"))
      other_tests += read(entry.path());
  }
  for (const Verb* verb : all_verbs())
    CHECK_THAT(specs, Catch::Contains("- " + std::string(verb->name()) + ":"));
  for (const auto& [pass, doc] : pass_names()) {
    CHECK_THAT(options, Catch::Contains("no_pass: [" + std::string(pass) + "]"));
    CHECK(fs::exists(tests / "golden" / ("pass-" + std::string(pass)) / "plan.exp"));
  }
  for (const Policy* policy : all_policies())
    for (const Action* action : policy->actions()) {
      INFO(policy->name());
      CHECK_THAT(specs, Catch::Contains(std::string(policy->name()) + ": " +
                                        std::string(action->name())) ||
                            Catch::Contains("do: " + std::string(action->name())));
    }
  for (const CodeInfo& code : all_codes()) {
    const std::string name = "[" + std::string(code.name) + "]";
    // Faults of files and of the command line have tests of their own, root-ambiguous among them:
    // a schema, which the cases are written as, holds one state dict. It holds no values either,
    // so none can be too large.
    const bool of_files = code.exit_status >= 3 || code.code == Code::usage ||
                          code.code == Code::root_ambiguous || code.code == Code::cast_overflow;
    const bool elsewhere =
        other_tests.find(kEnumerators[static_cast<std::size_t>(code.code)]) != std::string::npos ||
        other_tests.find(code.name) != std::string::npos;
    INFO(name);
    CHECK((diagnostics.find(name) != std::string::npos || (of_files && elsewhere)));
  }
}

}  // namespace
}  // namespace regraft
