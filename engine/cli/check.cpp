#include "cli/check.h"

#include "cli/migrate.h"
#include "cli/rules_folder.h"

namespace regraft::cli {
namespace {

Diagnostics check_one(const std::string& path) {
  Diagnostics diagnostics;
  std::optional<yaml::Node> tree = assemble_spec({.path = path}, diagnostics);
  if (!tree) return diagnostics;
  Request request;
  request.spec = std::move(*tree);
  request.spec_path = path;
  request.rules_folder = rules_folder();
  request.until = Stage::program;
  const std::unique_ptr<Run> checked = run(request);
  for (const Diagnostic& one : checked->diagnostics.items()) diagnostics.add(one);
  if (checked->program && !diagnostics.has_errors())
    lint(*checked->program, *checked->spec, diagnostics);
  return diagnostics;
}

}  // namespace

int check(const std::vector<std::string>& specs, bool json, ColorMode color) {
  Confinement().confine_writes({});
  Diagnostics diagnostics;
  bool out = true;
  for (const std::string& path : specs) {
    const Diagnostics found = check_one(path);
    for (const Diagnostic& one : found.items()) diagnostics.add(one);
    if (!json && found.items().empty()) out &= print_out(path + ": ok\n");
  }
  if (json)
    out &= print_out(to_json(diagnostics_report(diagnostics)));
  else
    print_diagnostics(diagnostics, color);
  const int status = diagnostics.exit_status();
  return status == 0 && !out ? info(Code::file_write).exit_status : status;
}

}  // namespace regraft::cli
