#include "cli/invert.h"

#include "cli/migrate.h"
#include "cli/rules_folder.h"
#include "invert/invert.h"

namespace regraft::cli {
namespace {

void add_all(const Diagnostics& from, Diagnostics& to) {
  for (const Diagnostic& one : from.items()) to.add(one);
}

Request request_for(const InvertOptions& options, yaml::Node spec) {
  Request request;
  request.spec = std::move(spec);
  request.spec_path = options.spec;
  request.rules_folder = rules_folder();
  request.set = options.set;
  request.limits = options.limits;
  request.until = options.source.empty() ? Stage::program : Stage::plan;
  if (!options.source.empty()) request.sources.push_back({"", options.source});
  return request;
}

// Values of --set in place of the spec's, as the inverse is for them.
void keep_settings(const InvertOptions& options, yaml::Node& inverse, Diagnostics& diagnostics) {
  for (yaml::Entry& section : inverse.entries) {
    if (section.key.text != "vars") continue;
    for (yaml::Entry& variable : section.value.entries)
      for (const auto& [name, text] : options.set)
        if (name == variable.key.text)
          if (auto value =
                  yaml::parse(std::make_shared<const SourceText>(SourceText{"--set " + name, text}),
                              diagnostics))
            variable.value = std::move(*value);
  }
}

// The document of the inverse, proven when there is a source.
std::optional<yaml::Node> inverse_of(const InvertOptions& options, Diagnostics& diagnostics) {
  Confinement confinement;
  confinement.confine_writes({options.output});
  std::optional<yaml::Node> tree = assemble_spec({.path = options.spec}, diagnostics);
  if (!tree) return std::nullopt;
  Request request = request_for(options, std::move(*tree));
  request.spec_is_read = [&](const Spec& spec) {
    confine_reads(confinement, request, spec, {options.output});
  };
  const std::unique_ptr<Run> forth = run(request);
  add_all(forth->diagnostics, diagnostics);
  if (!forth->program || diagnostics.has_errors()) return std::nullopt;
  std::optional<Walk> walked;
  if (forth->plan) walked = walk(*forth->program, forth->inputs, diagnostics);
  std::optional<yaml::Node> inverse =
      regraft::invert(*forth->spec, *forth->program, walked ? &*walked : nullptr, diagnostics);
  if (!inverse) return std::nullopt;

  keep_settings(options, *inverse, diagnostics);
  Request again = request_for(options, *inverse);
  again.set.clear();
  again.until = Stage::program;
  const std::unique_ptr<Run> back = run(again);
  add_all(back->diagnostics, diagnostics);
  if (back->program && walked)
    prove(*back->program, *forth->program, forth->inputs, *walked, diagnostics);
  return diagnostics.has_errors() ? std::nullopt : std::move(inverse);
}

}  // namespace

int invert(const InvertOptions& options) {
  Diagnostics diagnostics;
  const std::optional<yaml::Node> inverse = inverse_of(options, diagnostics);
  bool out = true;
  if (inverse) {
    const std::string text = yaml::write(*inverse);
    if (options.output.empty())
      out = print_out(text);
    else if (Status written = write_file(options.output, text); !written)
      diagnostics.add(std::move(written).error());
  }
  print_diagnostics(diagnostics, options.color);
  const int status = diagnostics.exit_status();
  return status == 0 && !out ? info(Code::file_write).exit_status : status;
}

}  // namespace regraft::cli
