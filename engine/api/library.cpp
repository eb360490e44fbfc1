// The public API over the spine: requests in, reports out.
#include <exception>
#include <optional>

#include "api/memory_model.h"
#include "base/version.h"
#include "pipeline.h"
#include "regraft/regraft.h"

namespace regraft {

struct MigrationReport::Impl {
  Request request;
  std::unique_ptr<Run> run = std::make_unique<Run>();
  std::vector<Message> messages;
  std::vector<TensorOutcome> tensors;
  std::vector<std::string> missing, unexpected;
  double coverage = 0;
};

// What the classes of the header let this file see.
struct Access {
  static const std::string& path(const MigrationSpec& spec) { return spec.path_; }
  static const std::string& rules_folder(const MigrationSpec& spec) { return spec.rules_folder_; }
  static const auto& variables(const MigrationSpec& spec) { return spec.variables_; }
  static Result<SourceTextPtr> text(const MigrationSpec& spec) {
    if (spec.is_file_) return read_spec_file(spec.path_);
    return std::make_shared<const SourceText>(SourceText{spec.path_, spec.text_});
  }
  static MigrationReport report(std::shared_ptr<const MigrationReport::Impl> impl) {
    MigrationReport report;
    report.impl_ = std::move(impl);
    return report;
  }
  using Impl = MigrationReport::Impl;
};

namespace {

using Impl = Access::Impl;

DigestKind kind(Digest digest) {
  switch (digest) {
    case Digest::none:
      return DigestKind::none;
    case Digest::sha256:
      return DigestKind::sha256;
    case Digest::xxh3:
      break;
  }
  return DigestKind::xxh3;
}

void set_inputs(const std::string& source, const MigrationOptions& options, Request& request) {
  request.sources = {{"", source}};
  for (const auto& [alias, path] : options.sources) request.sources.push_back({alias, path});
  if (!options.target.empty()) request.target = options.target;
}

void set_options(const MigrationOptions& options, Impl& impl) {
  Request& request = impl.request;
  for (const auto& [name, value] : options.limits)
    if (const Status set = set_limit(request.limits, name, value); !set)
      impl.run->diagnostics.add(set.error());
  request.strict = options.strict;
  request.max_growth = options.max_growth;
  request.max_memory = options.max_memory;
  request.tile_size = options.tile_size;
  if (options.threads > 0)
    request.execute.threads = std::min<std::size_t>(options.threads, kMostThreads);
  request.no_passes = options.no_passes;
  request.execute.force = options.force;
  request.execute.sync = options.sync;
  request.execute.verify = options.verify;
  request.execute.verify_output = options.verify_output;
  request.execute.digest = kind(options.digest);
  request.execute.digest_inputs = options.digest_inputs;
  request.execute.reflink = options.reflink;
  if (options.evaluator) {
    request.execute.evaluator = [evaluator = options.evaluator]() -> Result<Evaluator*> {
      return evaluator.get();
    };
  }
}

// Callbacks of the caller, which may throw: the run ends as one that was cancelled, wherever it is,
// and rethrow() goes on with what was thrown.
class Callbacks {
 public:
  explicit Callbacks(const MigrationOptions& options) : options_(options) {}

  void give_to(ExecuteOptions& execute) {
    if (options_.progress)
      execute.progress = [this](const Progress& progress) {
        guarded([&] { options_.progress(progress.done_bytes, progress.total_bytes); });
      };
    if (options_.progress || options_.cancelled)
      execute.cancelled = [this] {
        bool cancelled = false;
        if (options_.cancelled) guarded([&] { cancelled = options_.cancelled(); });
        return cancelled || thrown_;
      };
  }
  void rethrow() const {
    if (thrown_) std::rethrow_exception(thrown_);
  }

 private:
  template <typename Call>
  void guarded(Call call) {
    if (thrown_) return;
    try {
      call();
    } catch (...) {
      thrown_ = std::current_exception();
    }
  }

  const MigrationOptions& options_;
  std::exception_ptr thrown_;
};

std::string place(const Location& where) {
  std::string text = printable(where.path());
  if (where.text && where.line > 0) {
    text += ":" + std::to_string(where.line);
    if (where.column > 0) text += ":" + std::to_string(where.column);
  }
  return text;
}

Message message(const Diagnostic& diagnostic) {
  return {diagnostic.severity == Severity::error ? Message::Severity::error
                                                 : Message::Severity::warning,
          std::string(info(diagnostic.code).name),
          place(diagnostic.where),
          printable(diagnostic.message),
          diagnostic.hint,
          render(diagnostic, false)};
}

TensorOutcome outcome(const PlannedTensor& planned, const Inputs& inputs) {
  TensorOutcome outcome;
  outcome.name = planned.name;
  outcome.status = name(planned.decision);
  const std::vector<const Catalog*> catalogs = inputs.all();
  for (const Load& load : planned.from)
    outcome.sources.push_back(catalogs[load.input]->tensors[load.tensor].name);
  if (planned.expr) {
    outcome.dtype = name(planned.expr->dtype);
    outcome.shape = planned.expr->shape;
  }
  outcome.detail = planned.detail;
  outcome.lossy = planned.lossy;
  return outcome;
}

// What the report's functions give, once the run is over.
MigrationReport close(std::shared_ptr<Impl> impl) {
  Run& run = *impl->run;
  for (const Diagnostic& one : run.diagnostics.items()) impl->messages.push_back(message(one));
  if (run.plan) {
    for (const PlannedTensor& planned : run.plan->tensors) {
      impl->tensors.push_back(outcome(planned, run.inputs));
      if (planned.target != kNone && planned.from.empty()) impl->missing.push_back(planned.name);
    }
    for (const UnexpectedResult& result : run.plan->unexpected)
      impl->unexpected.push_back(result.name);
    const Totals& totals = run.plan->totals;
    if (totals.target.parameters > 0)
      impl->coverage = static_cast<double>(totals.loaded_elements) /
                       static_cast<double>(totals.target.parameters);
    else
      impl->coverage = run.plan->complete ? 1 : 0;
  }
  // A report is kept for long: it holds neither files open nor callbacks and models alive.
  for (Checkpoint& checkpoint : run.checkpoints) checkpoint.reader.reset();
  run.memory.reset();
  impl->request.model.reset();
  impl->request.execute = {.digest = impl->request.execute.digest};
  return Access::report(std::move(impl));
}

std::shared_ptr<Impl> begin(const MigrationSpec& spec, Stage until) {
  auto impl = std::make_shared<Impl>();
  impl->request.until = until;
  impl->request.set = Access::variables(spec);
  impl->request.spec_path = Access::path(spec);
  impl->request.rules_folder = Access::rules_folder(spec);
  Diagnostics& diagnostics = impl->run->diagnostics;
  Result<SourceTextPtr> text = Access::text(spec);
  if (!text) {
    diagnostics.add(std::move(text).error());
    return impl;
  }
  if (auto tree = yaml::parse(*text, diagnostics)) impl->request.spec = std::move(*tree);
  return impl;
}

void go_on(Impl& impl) {
  if (!impl.run->diagnostics.has_errors()) impl.run = run(impl.request);
}

void go_on(Impl& impl, const MigrationOptions& options) {
  Callbacks callbacks(options);
  callbacks.give_to(impl.request.execute);
  go_on(impl);
  callbacks.rethrow();
}

MigrationReport migrate(const MigrationSpec& spec, const std::string& source,
                        const std::string& output, const MigrationOptions& options, Stage until) {
  auto impl = begin(spec, until);
  impl->request.output = output;
  set_inputs(source, options, impl->request);
  set_options(options, *impl);
  if (until == Stage::execute && output.empty())
    impl->run->diagnostics.add(error(Code::usage, {}, "the output has no name",
                                     "name a file; its suffix sets the format"));
  go_on(*impl, options);
  return close(std::move(impl));
}

}  // namespace

std::string_view library_version() { return version(); }

MigrationSpec MigrationSpec::from_file(std::string path) {
  MigrationSpec spec;
  spec.path_ = std::move(path);
  spec.is_file_ = true;
  return spec;
}

MigrationSpec MigrationSpec::from_text(std::string yaml, std::string name) {
  MigrationSpec spec;
  spec.path_ = std::move(name);
  spec.text_ = std::move(yaml);
  return spec;
}

MigrationSpec& MigrationSpec::rules_folder(std::string path) {
  rules_folder_ = std::move(path);
  return *this;
}

MigrationSpec& MigrationSpec::set(std::string variable, std::string value) {
  variables_.emplace_back(std::move(variable), std::move(value));
  return *this;
}

bool MigrationReport::ok() const { return !impl_->run->diagnostics.has_errors(); }
int MigrationReport::exit_status() const { return impl_->run->diagnostics.exit_status(); }
const std::vector<Message>& MigrationReport::messages() const { return impl_->messages; }
const std::vector<TensorOutcome>& MigrationReport::tensors() const { return impl_->tensors; }
const std::vector<std::string>& MigrationReport::missing_keys() const { return impl_->missing; }
const std::vector<std::string>& MigrationReport::unexpected_keys() const {
  return impl_->unexpected;
}
double MigrationReport::coverage() const { return impl_->coverage; }

std::string MigrationReport::text() const {
  std::string text;
  for (const Message& one : impl_->messages) text += one.rendered;
  if (impl_->run->plan) text += to_text(impl_->run->report(impl_->request), {});
  return text;
}

std::string MigrationReport::json() const { return to_json(impl_->run->report(impl_->request)); }
std::string MigrationReport::html() const { return to_html(json()); }

const MigrationReport& MigrationReport::or_throw() const {
  if (!ok()) throw MigrationError(*this);
  return *this;
}

namespace {

std::string errors_of(const MigrationReport& report) {
  std::string text;
  for (const Message& one : report.messages())
    if (one.severity == Message::Severity::error) text += one.rendered;
  return text;
}

}  // namespace

MigrationError::MigrationError(MigrationReport report)
    : std::runtime_error(errors_of(report)), report_(std::move(report)) {}

MigrationReport check(const MigrationSpec& spec) {
  auto impl = begin(spec, Stage::program);
  go_on(*impl);
  Run& run = *impl->run;
  if (run.program && !run.diagnostics.has_errors()) lint(*run.program, *run.spec, run.diagnostics);
  return close(std::move(impl));
}

MigrationReport plan(const MigrationSpec& spec, const std::string& source,
                     const MigrationOptions& options) {
  return migrate(spec, source, "", options, Stage::plan);
}

MigrationReport apply(const MigrationSpec& spec, const std::string& source,
                      const std::string& output, const MigrationOptions& options) {
  return migrate(spec, source, output, options, Stage::execute);
}

MigrationReport load_into(Model& model, const MigrationSpec& spec, const std::string& source,
                          const MigrationOptions& options) {
  auto impl = begin(spec, Stage::execute);
  set_inputs(source, options, impl->request);
  set_options(options, *impl);
  impl->request.into_memory = true;
  Diagnostics& diagnostics = impl->run->diagnostics;
  if (impl->request.target)
    diagnostics.add(error(Code::usage, {},
                          "the options name the target " + quoted(*impl->request.target) +
                              ", and the model is the target",
                          "leave MigrationOptions::target empty"));
  if (diagnostics.has_errors()) return close(std::move(impl));
  Result<Checkpoint> target = checkpoint_of(model);
  if (target) {
    impl->request.model = std::make_shared<const Checkpoint>(std::move(target).value());
    go_on(*impl, options);
  } else {
    diagnostics.add(std::move(target).error());
  }
  if (impl->run->executed) {
    if (Status assigned =
            assign(*impl->run->schedule, *impl->run->plan, impl->run->memory.get(), model);
        !assigned)
      impl->run->diagnostics.add(std::move(assigned).error());
  }
  return close(std::move(impl));
}

}  // namespace regraft
