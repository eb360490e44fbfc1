// Executes a schedule: reads ranges of the inputs, writes the output by position, publishes it by
// one rename. All or nothing (law 2): on any error the part file is gone and an existing output
// untouched.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "execute/evaluator.h"
#include "schedule/schedule.h"

namespace regraft {

// Of --max-memory, where it is not given.
inline constexpr std::uint64_t kDefaultMaxMemory = 64ull << 20;
inline constexpr std::size_t kMostThreads = 256;
// The cores that this process may use, but no more than 4: from then on the memory is what is slow.
std::size_t default_threads();

struct Progress {
  std::uint64_t done_bytes = 0, total_bytes = 0;
};

struct ExecuteOptions {
  bool force = false;          // an existing output is replaced
  bool sync = true;            // fsync of the file and its folder
  bool verify = true;          // CRCs of records that are read whole are checked
  bool verify_output = false;  // data is read again before publishing, and its digests compared
  DigestKind digest = DigestKind::xxh3;
  bool digest_inputs = false;  // digests of every input tensor, used or not
  // Bytes that nobody reads (no digests, no checksums) are shared with the inputs where the file
  // system can.
  bool reflink = true;
  // From 1 to kMostThreads; the output is the same for any number.
  std::size_t threads = default_threads();
  // Bytes of buffers that threads may hold together. A tensor that takes more is worked on alone.
  std::uint64_t max_memory = kDefaultMaxMemory;
  // Asked for once, and only when something has to be computed; the evaluator outlives the run.
  std::function<Result<Evaluator*>()> evaluator;
  // In the thread that calls execute(): at most every few megabytes, and between blocks.
  std::function<void(const Progress&)> progress;
  std::function<bool()> cancelled;
};

// Digests are raw bytes; empty with DigestKind::none.
struct Executed {
  std::uint64_t output_bytes = 0;
  std::vector<std::string> tensor_digests;              // by Schedule::tensors
  std::string output_digest;                            // of the table name|dtype|shape|digest
  std::vector<std::vector<std::string>> input_digests;  // by input, by tensor; empty: not read
  std::vector<std::string> input_table_digests;  // by input: table of the tensors that were read
  std::optional<EvaluatorInfo> evaluator;        // empty: nothing was computed
};

// `checkpoints`: by input index, with the catalogs that were planned with (below their roots). The
// output's folder has to exist; OUT may not be an input.
Result<Executed> execute(const Schedule& schedule, const Plan& plan,
                         const std::vector<const Checkpoint*>& checkpoints, const std::string& path,
                         const ExecuteOptions& options);

// The same into memory of schedule.layout.size bytes, for a schedule of memory_format().
Result<Executed> execute(const Schedule& schedule, const Plan& plan,
                         const std::vector<const Checkpoint*>& checkpoints,
                         std::span<std::byte> memory, const ExecuteOptions& options);

// What can be said before planning: OUT exists without --force, is a folder or a symbolic link, is
// an input, has no folder, or has a name that is too long.
Status check_output(const std::string& path, const std::vector<const Checkpoint*>& checkpoints,
                    bool force);

// The digest of a tensor's bytes in row-major order: hash of the hashes of its 4 MiB chunks.
class TensorDigest {
 public:
  explicit TensorDigest(DigestKind kind);
  void update(Bytes bytes);  // any pieces, in order
  std::string finish();      // ready for another tensor
  static constexpr std::uint64_t kChunk = 4ull << 20;

 private:
  DigestKind kind_;
  Digester chunk_, whole_;
  std::uint64_t in_chunk_ = 0;
};

// The digest of a table of tensors, a line `name|dtype|shape|digest` each: of those whose digest is
// not empty, in order. Empty when there is none.
std::string table_digest(DigestKind kind, std::span<const Tensor> tensors,
                         std::span<const std::string> digests);

}  // namespace regraft
