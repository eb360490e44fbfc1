// The command line: docs/cli.md. Options are read here and nowhere else.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <csignal>
#include <functional>
#include <map>
#include <new>
#include <sstream>

#include "base/diagnostic.h"
#include "base/nearest.h"
#include "base/version.h"
#include "cli/check.h"
#include "cli/confine.h"
#include "cli/document.h"
#include "cli/explain.h"
#include "cli/inspect.h"
#include "cli/invert.h"
#include "cli/migrate.h"
#include "cli/no_memory.h"
#include "plan/policy/policies.h"

namespace regraft::cli {
namespace {

// The one thing a signal handler may touch.
std::atomic<bool> cancelled{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void on_signal(int) { cancelled = true; }

void handle_signals() {
  struct sigaction action{};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // a second Ctrl-C ends the process at once
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);  // a closed stdout is an error of write(), seen where it happens
  signal(SIGXFSZ, SIG_IGN);  // so is a file size limit
}

const std::map<std::string, ColorMode> kColors = {
    {"auto", ColorMode::automatic}, {"always", ColorMode::always}, {"never", ColorMode::never}};
const std::map<std::string, ProgressMode> kProgress = {
    {"auto", ProgressMode::automatic}, {"plain", ProgressMode::plain}, {"off", ProgressMode::off}};
const std::map<std::string, bool> kReflink = {{"auto", true}, {"never", false}};
const std::map<std::string, DigestKind> kDigests = {
    {"xxh3", DigestKind::xxh3}, {"sha256", DigestKind::sha256}, {"none", DigestKind::none}};

template <typename T>
void add_word(CLI::App& app, const std::string& flag, T& value,
              const std::map<std::string, T>& words, const std::string& help) {
  std::string list;
  for (const auto& [word, unused] : words) list += (list.empty() ? "" : "|") + word;
  app.add_option(flag, value, help)
      // CLI11's own transformer would take the numbers behind the words too.
      ->transform(CLI::Validator(
          [words, list](std::string& word) {
            const auto found = words.find(word);
            if (found == words.end()) return quoted(word) + " is none of " + list;
            word = std::to_string(static_cast<int>(found->second));
            return std::string();
          },
          ""))
      ->type_name(list)
      ->option_text(list);
}

void add_policy(CLI::App& app, const Policy& policy, MigrateOptions& options) {
  std::string help(policy.doc());
  help.back() = ':';
  for (const Action* action : policy.actions())
    help.append(help.ends_with(':') ? " " : ", ").append(action->name());
  const std::string name(policy.name());
  app.add_option_function<std::string>(
         "--" + name,
         [&options, name](const std::string& text) {
           options.spec.policies.emplace_back(name, text);
         },
         help)
      ->type_name("WORD");
}

// `set` is given a number of bytes.
void add_size(CLI::App& app, const std::string& flag, const std::string& help,
              const std::function<void(std::uint64_t)>& set) {
  app.add_option_function<std::string>(
         flag,
         [flag, set](const std::string& text) {
           const auto bytes = bytes_of(text);
           if (!bytes)
             throw CLI::ValidationError(flag, quoted(text) +
                                                  " is not a number of bytes, which KiB, MiB or "
                                                  "GiB may follow");
           set(*bytes);
         },
         help)
      ->type_name("SIZE");
}

// An option with one value that may be there several times.
CLI::Option* repeatable(CLI::Option* option, const std::string& type) {
  return option->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->type_name(type);
}

// --set NAME=VALUE
void add_settings(CLI::App& app, std::vector<std::pair<std::string, std::string>>& set) {
  repeatable(app.add_option_function<std::vector<std::string>>(
                 "--set",
                 [&set](const std::vector<std::string>& settings) {
                   for (const std::string& text : settings) {
                     const std::size_t equal = text.find('=');
                     if (equal == std::string::npos || equal == 0)
                       throw CLI::ValidationError("--set", "'" + text + "' is not NAME=VALUE");
                     set.emplace_back(text.substr(0, equal), text.substr(equal + 1));
                   }
                 },
                 "A variable of the spec, repeatable"),
             "NAME=VALUE");
}

// --limit NAME=N
void add_limits(CLI::App& app, Limits& limits) {
  std::string help = "What a reader may be asked for, repeatable:";
  for (const LimitInfo& limit : all_limits()) help += " " + std::string(limit.name);
  repeatable(app.add_option_function<std::vector<std::string>>(
                 "--limit",
                 [&limits](const std::vector<std::string>& settings) {
                   for (const std::string& text : settings) {
                     const Status set = set_limit(limits, text);
                     if (set) continue;
                     const Diagnostic& why = set.error();
                     throw CLI::ValidationError(
                         "--limit", why.message + (why.hint.empty() ? "" : "; " + why.hint));
                   }
                 },
                 help),
             "NAME=N");
}

// What a run is of: spec, source and target.
void add_input_options(CLI::App& app, MigrateOptions& options) {
  app.add_option("paths", options.positionals,
                 "SPEC and SOURCE; with -e, SOURCE alone; then further sources as ALIAS=FILE")
      ->type_name("PATH");
  app.add_option("-t,--target", options.request.target,
                 "The model to load into: a checkpoint or a schema")
      ->type_name("TARGET");
  repeatable(app.add_option("-e,--rule", options.spec.rules,
                            "A rule in place of a spec, repeatable: -e 'drop: ^fc\\.'"),
             "RULE");
  add_settings(app, options.request.set);
  add_limits(app, options.request.limits);
  app.add_option(
         "--root", options.spec.root,
         "The state dict inside the source, in place of the spec's source.root; '' is the top")
      ->type_name("PATH");
  for (const Policy* policy : all_policies()) add_policy(app, *policy, options);
}

void add_migrate_options(CLI::App& app, MigrateOptions& options) {
  add_input_options(app, options);
  app.add_option("-o,--output", options.request.output,
                 "The file to write; its suffix sets the format")
      ->type_name("OUT");
  // CLI11 takes an empty text for no value.
  const auto given = [](const std::string& text) {
    return std::string(text.empty() ? "it is empty" : "");
  };
  app.add_option("--write-spec", options.write_spec, "Save what was typed as a spec")
      ->check(CLI::Validator(given, ""))
      ->type_name("FILE");
  app.add_option("--print", options.print, "Print one stage in place of the report")
      ->check(CLI::IsMember({"spec", "program", "plan", "schedule"}))
      ->type_name("STAGE");
  app.add_option("--report", options.report_path, "Write the report to FILE.json or FILE.html")
      ->check(CLI::Validator(given, ""))
      ->type_name("FILE");
  app.add_option("--max-growth", options.request.max_growth,
                 "Refuse an output of more than N times the inputs; 0: no limit (default 4)")
      ->check(CLI::Validator(given, ""))
      ->type_name("N");
  add_size(app, "--max-memory",
           "Refuse what takes more memory for its buffers, such as 512MiB (default: 64MiB, or what "
           "the largest tensor needs)",
           [&options](std::uint64_t bytes) { options.request.max_memory = bytes; });
  add_size(app, "--tile-size",
           "How much of a computed tensor is computed at a time (default: 512KiB)",
           [&options](std::uint64_t bytes) { options.request.tile_size = bytes; });
  repeatable(
      app.add_option("--no-pass", options.request.no_passes,
                     "Leave out a pass of the optimizer, repeatable: the output is the same"),
      "PASS");
  app.add_flag("--strict", options.request.strict, "Rules that match nothing are errors");
  app.add_flag("--json", options.json, "Print the report as JSON");
  app.add_flag("--verbose", options.verbose,
               "List every name in the report; say what the process may still do");
  app.add_flag("--force", options.request.execute.force, "Replace an existing output");
  add_word(app, "--color", options.color, kColors, "Colour on a terminal; NO_COLOR is honoured");
}

void add_apply_options(CLI::App& app, MigrateOptions& options) {
  ExecuteOptions& execute = options.request.execute;
  app.add_flag("--dry-run", options.dry_run, "Plan only");
  app.add_flag("!--no-sync", execute.sync, "Do not wait until the disk has the output");
  app.add_flag("!--no-verify", execute.verify, "Do not check the source's CRCs");
  app.add_option("--threads", execute.threads,
                 "How many tensors are worked on at a time (default: the cores, up to 4)")
      ->check(CLI::Range(std::size_t{1}, kMostThreads))
      ->type_name("N");
  app.add_flag("--verify-output", execute.verify_output,
               "Read the output again before publishing it");
  add_word(app, "--digest", execute.digest, kDigests, "The kind of digest in the report");
  app.add_flag("--digest-inputs", execute.digest_inputs,
               "Digests of every input tensor, used or not");
  add_word(app, "--reflink", execute.reflink, kReflink,
           "Whether to share extents with the inputs, where nothing has to be read");
  add_word(app, "--progress", options.progress, kProgress, "Progress on stderr");
}

int run_inspect(InspectOptions& options, ColorMode color) {
  Confinement confinement;
  confinement.confine_writes({});
  confinement.confine_reads({options.path}, {}, {});
  if (options.verbose) print_err("regraft: " + confinement.describe() + "\n");
  options.color = use_color(color, 1);
  options.cancelled = &cancelled;
  const Result<std::string> text = inspect(options);
  if (text) return print_out(*text) ? 0 : info(Code::file_write).exit_status;
  Diagnostics diagnostics;
  diagnostics.add(text.error());
  print_diagnostics(diagnostics, color);
  return diagnostics.exit_status();
}

// What was wrong with the command line, and the word that was probably meant.
std::pair<std::string, std::string> misspelt(const CLI::App& app, const CLI::ParseError& problem,
                                             int argc, char** argv) {
  std::vector<std::string> known;
  std::string message = problem.what(), wrong;
  const CLI::App* command = nullptr;
  for (const CLI::App* one : app.get_subcommands({})) {
    if (argc > 1 && one->get_name() == argv[1]) command = one;
    if (!one->get_group().empty()) known.push_back(one->get_name());
  }
  if (!command && argc > 1 && argv[1][0] != '-') {
    wrong = argv[1];
    message = "there is no command " + quoted(wrong);
  } else if (command && dynamic_cast<const CLI::ExtrasError*>(&problem)) {
    known.clear();
    for (const CLI::Option* option : command->get_options({}))
      for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    for (int i = 2; i < argc && wrong.empty(); ++i) {
      const std::string word = std::string(argv[i]).substr(0, std::string(argv[i]).find('='));
      if (word.starts_with("--") && std::find(known.begin(), known.end(), word) == known.end())
        wrong = word;
    }
  }
  const std::vector<std::string_view> candidates(known.begin(), known.end());
  const std::string near = wrong.empty() ? "" : nearest(wrong, candidates);
  if (!near.empty()) return {message, "did you mean `" + near + "`?"};
  return {message, command ? "regraft " + command->get_name() + " --help" : "regraft --help"};
}

int parse_and_run(int argc, char** argv) {
  CLI::App app{
      "regraft migrates model checkpoints by rules.\n"
      "Exit status: 0 done, 1 the result breaks the spec's policy or `expect`, 2 wrong usage or a "
      "mistake\n"
      "in a spec, 3 a file cannot be read or written, 130 interrupted.",
      "regraft"};
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("regraft ") + std::string(version()));
  app.get_formatter()->column_width(34);

  InspectOptions inspect_options;
  ColorMode inspect_color = ColorMode::automatic;
  CLI::App* inspect_command = app.add_subcommand(
      "inspect", "Names, shapes, dtypes, bytes, sharing, metadata of a checkpoint");
  inspect_command->add_option("file", inspect_options.path, "A checkpoint")
      ->required()
      ->type_name("FILE");
  inspect_command->add_flag("--keys", inspect_options.keys, "Names alone, one a line");
  inspect_command->add_flag("--json", inspect_options.json, "Everything as JSON");
  inspect_command->add_flag("--schema", inspect_options.schema,
                            "A target schema: names, dtypes and shapes as YAML");
  inspect_command->add_flag("--values", inspect_options.values,
                            "Read the tensors: norms, NaN and Inf");
  inspect_command->add_flag("--verbose", inspect_options.verbose, "Cut no long list");
  inspect_command
      ->add_option("--root", inspect_options.root,
                   "The state dict inside the checkpoint; '' is the top")
      ->type_name("PATH");
  add_limits(*inspect_command, inspect_options.limits);
  add_word(*inspect_command, "--color", inspect_color, kColors,
           "Colour on a terminal; NO_COLOR is honoured");

  MigrateOptions plan_options, apply_options;
  CLI::App* plan_command = app.add_subcommand("plan", "What would happen; reads headers only");
  add_migrate_options(*plan_command, plan_options);
  CLI::App* apply_command = app.add_subcommand("apply", "Migrate a checkpoint");
  add_migrate_options(*apply_command, apply_options);
  add_apply_options(*apply_command, apply_options);
  apply_options.apply = true;

  MigrateOptions explain_options;
  CLI::App* explain_command = app.add_subcommand(
      "explain", "Every step that one name took, or why it did not arrive; reads headers only");
  explain_command->add_option("name", explain_options.explained, "Of a source or target tensor")
      ->required()
      ->type_name("NAME");
  add_input_options(*explain_command, explain_options);
  explain_command->add_flag("--json", explain_options.json, "Print it as JSON");
  explain_command->add_flag("--verbose", explain_options.verbose,
                            "Name the rules too whose patterns are not found");
  add_word(*explain_command, "--color", explain_options.color, kColors,
           "Colour on a terminal; NO_COLOR is honoured");

  std::vector<std::string> specs;
  bool check_json = false;
  ColorMode check_color = ColorMode::automatic;
  CLI::App* check_command = app.add_subcommand("check", "Lint specs without a checkpoint");
  check_command->add_option("spec", specs, "Specs")->required()->type_name("SPEC");
  check_command->add_flag("--json", check_json, "Diagnostics as JSON");
  add_word(*check_command, "--color", check_color, kColors,
           "Colour on a terminal; NO_COLOR is honoured");

  InvertOptions invert_options;
  CLI::App* invert_command =
      app.add_subcommand("invert", "The spec that undoes a spec, or what of it nothing undoes");
  invert_command->add_option("spec", invert_options.spec, "A spec")->required()->type_name("SPEC");
  invert_command
      ->add_option("source", invert_options.source,
                   "A checkpoint or schema that it is for: says what the spec does not, and proves "
                   "the way back; reads headers only")
      ->type_name("SOURCE");
  invert_command->add_option("-o,--output", invert_options.output, "Where the spec goes")
      ->type_name("FILE");
  add_settings(*invert_command, invert_options.set);
  add_limits(*invert_command, invert_options.limits);
  add_word(*invert_command, "--color", invert_options.color, kColors,
           "Colour on a terminal; NO_COLOR is honoured");

  std::string document_name;
  CLI::App* schema_command = app.add_subcommand("schema", "Print a JSON Schema");
  schema_command->add_option("what", document_name, "What it is for")
      ->required()
      ->check(CLI::IsMember({"spec", "report", "plan", "target"}))
      ->type_name("spec|report|plan|target");
  // For the pages of docs/ that are made from the program's own tables.
  CLI::App* reference_command = app.add_subcommand("reference", "")->group("");
  reference_command->add_option("what", document_name)
      ->required()
      ->check(CLI::IsMember({"diagnostics", "language"}));

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    // --help, --version
    std::ostringstream text;
    app.exit(success, text, text);
    return print_out(text.str()) ? 0 : info(Code::file_write).exit_status;
  } catch (const CLI::ParseError& problem) {
    const auto [message, hint] = misspelt(app, problem, argc, argv);
    print_err("error[usage]: " + message + "\n  hint: " + hint + "\n");
    return info(Code::usage).exit_status;
  }
  if (*inspect_command) return run_inspect(inspect_options, inspect_color);
  if (*plan_command) return migrate(std::move(plan_options), cancelled);
  if (*apply_command) return migrate(std::move(apply_options), cancelled);
  if (*explain_command) return explain(std::move(explain_options));
  if (*invert_command) return invert(invert_options);
  if (*check_command) return check(specs, check_json, check_color);
  const std::string text =
      *schema_command ? schema_document(document_name) : reference_document(document_name);
  return print_out(text) ? 0 : info(Code::file_write).exit_status;
}

}  // namespace
}  // namespace regraft::cli

int main(int argc, char** argv) {
  using namespace regraft;
  cli::set_up_allocator();
  cli::prepare_for_no_memory();
  cli::handle_signals();
  try {
    return cli::parse_and_run(argc, argv);
  } catch (const std::bad_alloc&) {
    return cli::report_no_memory();  // what was being written is gone by now
  }
}
