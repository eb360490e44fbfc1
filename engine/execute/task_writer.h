// What one thread does: brings the bytes of a task's places into a sink.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "execute/buffer.h"
#include "execute/evaluator_loads.h"
#include "execute/execution.h"
#include "execute/gather.h"
#include "execute/joined.h"
#include "execute/storage_stream.h"
#include "execute/tensor_digests.h"
#include "execute/work.h"

namespace regraft {

// What threads share; each writes places of its own.
struct Written {
  std::vector<std::uint32_t> crcs;  // by Work::places: of what was written there
  ChunkTable chunks;
  InputDigests inputs;
  std::vector<Sink::Shared> shared;  // by storage: what the output has without being written
};

// How the checksum of a storage comes about.
struct CrcWay {
  bool computed = false;                // while its bytes pass
  std::optional<std::uint32_t> reused;  // the source's, unread
  std::optional<std::uint32_t> stated;  // what the computed one has to be
};
Result<CrcWay> crc_way(const Execution& run, const ScheduledStorage& storage);

class TaskWriter {
 public:
  // Everything is by reference and has to outlive it; `evaluator` may be null where nothing is
  // computed.
  TaskWriter(const Execution& run, const Work& work, Evaluator* evaluator, Written& written,
             Sink& sink);

  Status write(const Task& task);
  // Gives back the memory of the buffers.
  void release();

 private:
  Status write_storage(std::uint32_t place);
  Status copy(const CopyRange& range, const Place& place);
  Status write_parts(std::uint32_t storage, const Parts& parts, ByteSink& sink);
  Status write_converted(std::uint32_t storage, const Convert& convert);
  Status write_evaluated(const Evaluate& evaluate);
  Status write_values(const Expr& expr, EvaluatorLoads& loads, const Expr& whole);
  [[nodiscard]] Diagnostic at_tensor(Diagnostic fault, const std::string& name) const;

  const Execution& run_;
  const Work& work_;
  Evaluator* const evaluator_;
  Written& written_;
  Joined joined_;
  StorageStream stream_;
  Gatherer gatherer_;
  Buffer values_;  // of what is computed
};

}  // namespace regraft
