#include "cli/check.h"

#include "cli/migrate.h"
#include "plan/policy/policies.h"

namespace regraft::cli {
namespace {

Diagnostics check_one(const std::string& path) {
  Diagnostics diagnostics;
  Result<SourceTextPtr> text = read_text(path);
  if (!text) {
    diagnostics.add(std::move(text).error());
    return diagnostics;
  }
  const std::optional<Spec> spec = parse_spec(*text, diagnostics);
  if (!spec) return diagnostics;
  CompileInputs inputs;
  const std::size_t slash = path.rfind('/');
  inputs.spec_directory = slash == std::string::npos ? "" : path.substr(0, slash);
  inputs.verbs = all_verbs();
  inputs.policies = all_policies();
  if (const auto program = compile(*spec, inputs, diagnostics)) lint(*program, *spec, diagnostics);
  return diagnostics;
}

}  // namespace

int check(const std::vector<std::string>& specs, bool json, ColorMode color) {
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
