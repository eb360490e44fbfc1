// regraft as a library: migrate a checkpoint by a spec, from a program. docs/library.md has worked
// examples; <regraft/torch.h> adds LibTorch: torch::nn::Module as target, and tensors computed.
//
//   #include <regraft/regraft.h>
//
//   auto spec = regraft::MigrationSpec::from_file("migrate.yaml");
//   regraft::MigrationOptions options;
//   options.target = "model.safetensors";
//   regraft::apply(spec, "old.pt", "new.safetensors", options).or_throw();
//
// Nothing here throws, but for or_throw(), std::bad_alloc, and what a callback of yours throws:
// that ends the call as cancelling does, and then leaves it. There is no state between calls: they
// may run at the same time in several threads, on objects of their own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regraft {

// Computes tensors where bytes cannot just be moved (casts, interpolation, random values, padding
// of many short rows). This library has none; regraft::torch_evaluator() of <regraft/torch.h> gives
// one.
class Evaluator;

std::string_view library_version();  // "0.1.0"

// A spec: the text and the variables that are set. It is checked where it is used, so that one
// report has all its mistakes.
class MigrationSpec {
 public:
  static MigrationSpec from_file(std::string path);
  // `name` stands for the file in messages.
  static MigrationSpec from_text(std::string yaml, std::string name = "spec");
  // A variable that the spec declares under `vars`; the value is read as YAML, as --set does.
  MigrationSpec& set(std::string variable, std::string value);
  // Where `use` finds shipped specs by name: of an installed regraft share/regraft/rules, which
  // CMake calls regraft_RULES_DIR. Without it `use` takes paths alone.
  MigrationSpec& rules_folder(std::string path);

 private:
  friend struct Access;
  MigrationSpec() = default;
  std::string path_;  // of the file, or the name of the text
  std::string text_;
  bool is_file_ = false;
  std::string rules_folder_;
  std::vector<std::pair<std::string, std::string>> variables_;
};

enum class Digest { none, xxh3, sha256 };

// The options of `regraft plan` and `regraft apply`; docs/cli.md has more on each.
struct MigrationOptions {
  std::string target = {};  // a checkpoint, a TorchScript file or a schema; "": none
  // Further sources, alias and path: their names begin with `alias::` in the rules.
  std::vector<std::pair<std::string, std::string>> sources = {};
  bool strict = false;           // rules that match nothing are errors
  bool force = false;            // an existing output is replaced
  bool sync = true;              // wait until the disk has the output
  bool verify = true;            // check the CRCs that the source states
  bool verify_output = false;    // read the output again before it gets its name
  bool digest_inputs = false;    // digests of every input tensor, used or not
  Digest digest = Digest::xxh3;  // in the report
  // Refuses an output of more than this many times its inputs; 0: none.
  std::uint64_t max_growth = 4;
  // Bytes that nobody reads (no digests, no checksums) are shared with the inputs where the file
  // system can.
  bool reflink = true;
  // How many tensors are worked on at a time, up to 256; 0: the cores, up to 4. What is written is
  // the same.
  std::size_t threads = 0;
  // Bytes of memory for buffers: a tensor that takes more is refused, where it is given. Without
  // it, 64 MiB, or as much as the largest tensor needs.
  std::optional<std::uint64_t> max_memory = {};
  // Bytes of a computed tensor that are computed at a time, about; 0: all of it. What is written is
  // the same.
  std::uint64_t tile_size = std::uint64_t{512} << 10;
  // Limits of the readers, by the names of `--limit` in docs/cli.md: {"pickle-depth", 2000}. A name
  // that is none, and a number that is not from 1 to the largest, is an error of the run.
  std::vector<std::pair<std::string, std::uint64_t>> limits = {};
  // Passes of the optimizer that are left out; what is written is the same.
  std::vector<std::string> no_passes = {};
  // What computes tensors. Without one, a migration that has something to compute is refused before
  // anything is written; those that only move bytes need none.
  std::shared_ptr<Evaluator> evaluator = {};
  // Bytes done and bytes in all; called every few megabytes, from the thread that called apply().
  std::function<void(std::uint64_t done, std::uint64_t total)> progress = {};
  // Asked between blocks of about a megabyte, from that thread too; true ends the run, and nothing
  // is written.
  std::function<bool()> cancelled = {};
};

// A mistake, a broken promise, a fault of a file: what the command line prints.
struct Message {
  enum class Severity { error, warning };
  Severity severity = Severity::error;
  std::string code;   // "missing", "file-open": docs/diagnostics.md has them all
  std::string where;  // "migrate.yaml:12:5", a file, or ""
  std::string text;
  std::string hint;      // "": none
  std::string rendered;  // all of it as the command line prints it, with the line of the spec
};

// One name of the target; without a target, of the output.
struct TensorOutcome {
  std::string name;
  // loaded, transformed, adapted, kept, initialised, skipped, omitted, error, unexpected
  std::string status;
  std::vector<std::string> sources;  // names of the source that reached it
  std::string dtype;                 // torch's name, "float32"; "" where nothing is written
  std::vector<std::int64_t> shape;   // of what is written
  std::string detail;                // "target's own values", "float32 -> float16"
  bool lossy = false;                // values may have been rounded
};

// What was decided and what happened. Cheap to copy.
class [[nodiscard]] MigrationReport {
 public:
  [[nodiscard]] bool ok() const;          // no error: the plan holds; of apply(): it was done
  [[nodiscard]] int exit_status() const;  // the command line's: 0, 1, 2, 3 or 130
  [[nodiscard]] const std::vector<Message>& messages() const;
  // In the target's order; empty when a mistake was found before there was a plan.
  [[nodiscard]] const std::vector<TensorOutcome>& tensors() const;
  // As torch's load_state_dict has them: names of the target that nothing reached, and results that
  // the target does not have, whether the policy allows them or not.
  [[nodiscard]] const std::vector<std::string>& missing_keys() const;
  [[nodiscard]] const std::vector<std::string>& unexpected_keys() const;
  // Of the target's elements those that came from the source, 0 to 1.
  [[nodiscard]] double coverage() const;

  [[nodiscard]] std::string text() const;  // for a person
  [[nodiscard]] std::string json() const;  // schemas/report.v1.json
  [[nodiscard]] std::string html() const;  // one self-contained page

  // The report itself, or MigrationError when it is not ok().
  const MigrationReport& or_throw() const;

 private:
  friend struct Access;
  struct Impl;
  MigrationReport() = default;
  std::shared_ptr<const Impl> impl_;
};

class MigrationError : public std::runtime_error {
 public:
  explicit MigrationError(MigrationReport report);
  [[nodiscard]] const MigrationReport& report() const { return report_; }

 private:
  MigrationReport report_;
};

// Mistakes that can be found without a checkpoint.
MigrationReport check(const MigrationSpec& spec);
// What apply() would do; reads headers only, writes nothing.
MigrationReport plan(const MigrationSpec& spec, const std::string& source,
                     const MigrationOptions& options = {});
// Writes `output`, whose suffix sets the format, all or nothing.
MigrationReport apply(const MigrationSpec& spec, const std::string& source,
                      const std::string& output, const MigrationOptions& options = {});

// A model in memory as the target, for programs with tensors of their own. <regraft/torch.h> has it
// for torch::nn::Module.
class Model {
 public:
  virtual ~Model() = default;

  struct Tensor {
    std::string name = {};
    std::string dtype = {};  // torch's name
    std::vector<std::int64_t> shape = {};
    std::vector<std::int64_t> strides = {};  // in elements; empty: contiguous
    std::size_t storage = 0;                 // views of one storage have one number: they are tied
    std::int64_t offset = 0;                 // first element, in elements from the storage's start
    bool parameter = false;
    bool requires_grad = false;
    bool conj = false, neg = false;  // torch's conjugate and negative bit
    std::string unsupported = {};    // "a sparse tensor": it cannot be loaded into; "": it can
  };
  struct Tensors {
    std::vector<Tensor> tensors;               // names are unique
    std::vector<std::uint64_t> storage_sizes;  // in bytes, by Tensor::storage
  };
  // A tensor as it is to be, in memory that lasts as long as assign().
  struct Loaded {
    std::size_t tensor;     // index into tensors(); dtype and shape are the same
    const std::byte* data;  // of the first element
    std::vector<std::int64_t> strides;
    bool conj = false, neg = false;
  };

  // The three are called one at a time, from the thread that called load_into() but for read().
  // They may throw: what() becomes a message of the report.

  // Called once, before anything is read.
  [[nodiscard]] virtual Tensors tensors() = 0;
  // Bytes of a storage, for names that keep some of the values they have. Called from any thread,
  // unless MigrationOptions::threads is 1.
  virtual void read(std::size_t storage, std::uint64_t offset, std::span<std::byte> out) = 0;
  // Called at most once, when everything has been read and computed: what can fail has failed, if
  // this does not. Names that keep their values, or are omitted, do not come.
  virtual void assign(std::span<const Loaded> tensors) = 0;
};
// Reads everything beside the model, then assigns: on any error before that the model is as it was.
// The model is the target, so MigrationOptions::target has to be empty. `force`, `sync` and
// `verify_output` are about files.
MigrationReport load_into(Model& model, const MigrationSpec& spec, const std::string& source,
                          const MigrationOptions& options = {});

}  // namespace regraft
