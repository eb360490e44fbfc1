// Brings what a schedule says into a sink: bytes of the inputs, gathered views, computed tensors.
// Digests and checksums fall out of the same pass.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "execute/buffer.h"
#include "execute/execute.h"
#include "execute/gather.h"
#include "execute/sink.h"

namespace regraft {

// Progress and cancellation, between blocks.
class Ticker {
 public:
  explicit Ticker(const ExecuteOptions& options) : options_(options) {}
  void expect(std::uint64_t bytes) { progress_.total_bytes += bytes; }
  Status proceed() const;
  Status advance(std::uint64_t bytes);
  void tell();

 private:
  const ExecuteOptions& options_;
  Progress progress_;
  std::uint64_t told_ = 0;
};

// The bytes of one tensor within its storage, when they follow each other.
struct Segment {
  std::uint64_t begin, end;
  std::uint32_t tensor;  // index into Schedule::tensors
};

class StorageStream;

class Transfer {
 public:
  // Everything is by reference and has to outlive it. `where` is the output in messages.
  Transfer(const Schedule& schedule, const Plan& plan,
           const std::vector<const Checkpoint*>& checkpoints, std::string where,
           const ExecuteOptions& options);

  // What is asked for once before anything is written: the evaluator, if there is use for one.
  Status prepare();
  // Header and storages from front to back, so that small ones are written together.
  Status write(Sink& sink);
  // The digests that did not fall out of writing.
  Status digest_rest();
  // The data of a written output against the digests of what was written.
  Status compare(const Checkpoint& written);
  // That no input changed while it was read.
  Status inputs_unchanged() const;
  Executed finish() &&;

  Ticker& ticker() { return ticker_; }

 private:
  [[nodiscard]] Result<const StorageReader*> reader(std::uint32_t input) const;
  [[nodiscard]] Diagnostic fault(const std::string& what) const;
  void group_by_storage();
  void find_segments(std::uint32_t storage);
  Status write_storage(std::uint32_t index, StorageStream& stream);
  Status gather(std::uint32_t input, const View& view, ByteSink& sink);
  Status write_parts(std::uint32_t index, StorageStream& stream);
  Status write_evaluated(const Expr& expr, const ScheduledStorage& storage, StorageStream& stream);
  Status load_for_evaluator(const Load& loaded, std::span<std::byte> out);
  [[nodiscard]] std::string name_of(const Expr& expr) const;
  [[nodiscard]] Diagnostic bad_checksum(std::uint32_t input, std::uint32_t index,
                                        std::uint32_t found) const;
  Status digest_later();
  Status compare_kept(const Checkpoint& written);
  void note_input_digests();
  Status digest_inputs();

  const Schedule& schedule_;
  const Plan& plan_;
  const std::vector<const Checkpoint*>& checkpoints_;
  const std::string where_;
  const ExecuteOptions& options_;
  const DigestKind kind_;
  Ticker ticker_;
  Executed executed_;
  Evaluator* evaluator_ = nullptr;
  Gatherer gatherer_;
  Buffer values_;                                      // of what is computed
  std::vector<std::uint32_t> crcs_;                    // by storage
  std::vector<std::uint32_t> first_tensor_, tensors_;  // group_by_storage()
  std::vector<Segment> segments_;                      // of the storage that is being written
  std::vector<std::pair<std::uint32_t, std::uint32_t>> same_;  // tensors with another's bytes
  std::vector<std::uint32_t> later_;                           // tensors: digests still to come
};

}  // namespace regraft
