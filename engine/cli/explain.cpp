#include "cli/explain.h"

#include "report/explain.h"

namespace regraft::cli {

int explain(MigrateOptions options) {
  Diagnostics problems;
  if (!prepare(options, problems)) return finish(options, problems);
  // Not freed: the process ends here.
  const Run& run = *regraft::run(options.request).release();
  if (problems.has_errors() || !run.plan) {
    for (const Diagnostic& one : run.diagnostics.items()) problems.add(one);
    return finish(options, problems);
  }
  const Result<Explanation> explanation =
      regraft::explain(run.report(options.request), *options.explained, options.verbose);
  if (!explanation) {
    problems.add(explanation.error());
    return finish(options, problems);
  }
  const bool out = print_out(options.json ? to_json(*explanation) : to_text(*explanation));
  return out ? 0 : info(Code::file_write).exit_status;
}

}  // namespace regraft::cli
