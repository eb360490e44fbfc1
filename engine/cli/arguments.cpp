// The arguments of `plan`, `apply` and `explain`: which path is what, and what may be written
// where.
#include "cli/arguments.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

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

// `regraft plan`, as far as the name that `explain` is about.
std::string command_of(const MigrateOptions& options) {
  if (options.explained) return "regraft explain " + shell_quoted(*options.explained);
  return options.apply ? "regraft apply" : "regraft plan";
}

// The command as it was meant, for a hint that runs as printed.
std::string command_with(const MigrateOptions& options, const std::string& spec,
                         const std::string& source) {
  const Request& request = options.request;
  std::string text = command_of(options);
  const auto word = [&](std::string_view one) { text.append(" ").append(one); };
  const auto option = [&](std::string_view flag, std::string_view value) {
    word(flag);
    word(shell_quoted(value));
  };
  word(shell_quoted(spec));
  word(shell_quoted(source));
  for (const SourceInput& one : request.sources)
    word(shell_quoted(std::string(one.alias).append("=").append(one.path)));
  if (options.spec.root) option("--root", *options.spec.root);
  if (request.target) option("-t", *request.target);
  if (!request.output.empty()) option("-o", request.output);
  for (const auto& [name, value] : request.set)
    option("--set", std::string(name).append("=").append(value));
  for (const auto& [name, value] : options.spec.policies)
    option(std::string("--").append(name), value);
  if (request.execute.force) word("--force");
  if (options.dry_run) word("--dry-run");
  return text;
}

// `other=more.safetensors`; empty for a path, also for a file whose name reads like it.
std::optional<SourceInput> aliased(const std::string& word) {
  const std::size_t equal = word.find('=');
  if (equal == std::string::npos || word.find('/') < equal || ::access(word.c_str(), F_OK) == 0)
    return std::nullopt;
  return SourceInput{word.substr(0, equal), word.substr(equal + 1)};
}

// Takes the sources with an alias out of the positionals.
bool take_aliased(MigrateOptions& options, Diagnostics& diagnostics) {
  std::vector<std::string> paths;
  for (std::string& word : options.positionals) {
    std::optional<SourceInput> source = aliased(word);
    if (!source) {
      paths.push_back(std::move(word));
    } else if (source->path.empty()) {
      diagnostics.add(
          usage(quoted(word) + " names no file", "a source with an alias is " + word + "FILE"));
    } else {
      options.request.sources.push_back(std::move(*source));
    }
  }
  options.positionals = std::move(paths);
  return !diagnostics.has_errors();
}

// SPEC and SOURCE out of the positionals; false when they do not make sense.
bool sort_positionals(MigrateOptions& options, Diagnostics& diagnostics) {
  if (!take_aliased(options, diagnostics)) return false;
  std::vector<std::string>& paths = options.positionals;
  const std::string command = options.explained ? "regraft explain NAME" : command_of(options);
  if (options.explained && paths.size() >= 2 && ::access(options.explained->c_str(), F_OK) == 0 &&
      ::access(paths.back().c_str(), F_OK) != 0) {
    const std::string file = std::exchange(*options.explained, paths.back());
    diagnostics.add(usage(quoted(file) + " is a file, and no file is named " +
                              quoted(paths.back()) + ": the tensor's name comes first",
                          command_with(options, file, paths.front())));
    return false;
  }
  const bool only_policies = options.spec.rules.empty() && !options.spec.policies.empty() &&
                             paths.size() == 1 && looks_like_checkpoint(paths[0]);
  if (options.spec.rules.empty() && !only_policies) {
    if (paths.size() >= 2 && looks_like_checkpoint(paths[0]) && !looks_like_checkpoint(paths[1])) {
      diagnostics.add(usage("the first argument " + quoted(paths[0]) +
                                " is a checkpoint, the second " + quoted(paths[1]) +
                                " a text: the spec comes first",
                            command_with(options, paths[1], paths[0])));
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
  if (options.spec.path.empty() && options.spec.rules.empty() && !only_policies) {
    diagnostics.add(usage("there is no spec", command + " SPEC SOURCE"));
    return false;
  }
  if (paths.size() > 1 && !options.spec.rules.empty()) {
    diagnostics.add(usage(
        "rules are given with -e, and " + quoted(paths[0]) + " stands where the source is",
        "-e takes the place of a spec: give the source alone, or put the rule into the spec"));
    return false;
  }
  if (paths.size() > 1) {
    diagnostics.add(usage("there is one source, not " + std::to_string(paths.size()) + ": " +
                              quoted(paths[1]) + " is too many",
                          "a further source has an alias, for instance " +
                              shell_quoted("other=" + paths[1]) +
                              "; the target is given with -t, the output with -o"));
    return false;
  }
  const bool needs_source =
      options.request.until != Stage::spec && options.request.until != Stage::program;
  std::vector<SourceInput>& sources = options.request.sources;
  if (paths.empty() && !sources.empty()) {
    diagnostics.add(usage("the first source has no alias, and " +
                              quoted(sources.front().alias + "=" + sources.front().path) +
                              " is the only one",
                          "give it as " + shell_quoted(sources.front().path)));
    return false;
  }
  if (needs_source && paths.empty()) {
    diagnostics.add(usage("there is no source", command + " SPEC SOURCE"));
    return false;
  }
  if (!paths.empty()) sources.insert(sources.begin(), {"", paths.front()});
  return true;
}

bool choose_stage(MigrateOptions& options, Diagnostics& diagnostics) {
  const bool writes = options.apply && !options.dry_run;
  options.request.until = writes ? Stage::execute : Stage::schedule;
  options.request.check_output = options.apply;  // a dry run says what the run would say
  if (options.explained) options.request.until = Stage::plan;
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

// What a run writes beside the output, and the flag that says so.
struct SideFile {
  const char* flag;
  const std::string& path;
};

// Nothing is written over an input, or twice; said before anything is read.
bool check_place(const MigrateOptions& options, const SideFile& file, Diagnostics& diagnostics) {
  std::vector<std::string> inputs;
  for (const SourceInput& source : options.request.sources) inputs.push_back(source.path);
  if (options.request.target) inputs.push_back(*options.request.target);
  if (!options.spec.path.empty()) inputs.push_back(options.spec.path);
  for (const std::string& input : inputs)
    if (same_file(input, file.path)) {
      diagnostics.add(usage(std::string(file.flag) + " " + quoted(file.path) + " is an input",
                            "give it a name of its own"));
      return false;
    }
  const std::size_t slash = file.path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : file.path.substr(0, slash + 1);
  struct stat there{};
  if (::stat(folder.c_str(), &there) != 0 || !S_ISDIR(there.st_mode)) {
    diagnostics.add(error(Code::file_write, file_location(file.path),
                          "its folder " + quoted(folder) + " is not there",
                          "make it first: mkdir -p " + shell_quoted(folder)));
    return false;
  }
  // Of itself: a link to /dev/stdout may be written, whatever that is.
  if (::lstat(file.path.c_str(), &there) != 0) return true;
  struct stat behind = there;
  if (S_ISLNK(there.st_mode) && ::stat(file.path.c_str(), &behind) != 0) return true;
  const bool fits = S_ISREG(there.st_mode) || (S_ISLNK(there.st_mode) && !S_ISDIR(behind.st_mode));
  if (!fits)
    diagnostics.add(error(Code::file_write, file_location(file.path),
                          "it is " + kind_of(behind.st_mode),
                          S_ISDIR(behind.st_mode) ? "name a file in it" : "give another name"));
  return fits;
}

bool check_side_files(const MigrateOptions& options, Diagnostics& diagnostics) {
  const std::string& report = options.report_path;
  const std::string& spec = options.write_spec;
  const std::string& output = options.request.output;
  bool good = true;
  if (!report.empty() && !report.ends_with(".json") && !report.ends_with(".html")) {
    diagnostics.add(
        usage("the report " + quoted(report) + " has no format", "end it in .json or .html"));
    good = false;
  }
  if (!report.empty()) good &= check_place(options, {"--report", report}, diagnostics);
  if (!spec.empty()) good &= check_place(options, {"--write-spec", spec}, diagnostics);
  if (!spec.empty() && ::access(spec.c_str(), F_OK) == 0 && !options.request.execute.force) {
    diagnostics.add(error(Code::file_exists, file_location(spec), "it exists",
                          "give another name, or --force"));
    good = false;
  }
  const SideFile written[] = {{"--report", report}, {"--write-spec", spec}, {"-o", output}};
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = i + 1; j < 3; ++j)
      if (!written[i].path.empty() && !written[j].path.empty() &&
          (written[i].path == written[j].path || same_file(written[i].path, written[j].path))) {
        diagnostics.add(usage(std::string(written[i].flag) + " and " + written[j].flag +
                                  " are one file, " + quoted(written[i].path),
                              "give each a name of its own"));
        good = false;
      }
  if (!output.empty() && !options.spec.path.empty() && same_file(output, options.spec.path)) {
    diagnostics.add(usage("-o " + quoted(output) + " is the spec", "give it a name of its own"));
    good = false;
  }
  return good;
}

}  // namespace

bool settle_arguments(MigrateOptions& options, Diagnostics& diagnostics) {
  return choose_stage(options, diagnostics) && sort_positionals(options, diagnostics) &&
         check_side_files(options, diagnostics);
}

}  // namespace regraft::cli
