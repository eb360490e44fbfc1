// Brings what a schedule says into a sink, with a few threads: bytes of the inputs, gathered views,
// computed tensors. Digests and checksums fall out of the same pass.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "execute/execute.h"
#include "execute/execution.h"
#include "execute/sink.h"
#include "execute/task_writer.h"
#include "execute/ticker.h"
#include "execute/work.h"

namespace regraft {

class Transfer {
 public:
  // Everything is by reference and has to outlive it. `where` is the output in messages.
  Transfer(const Schedule& schedule, const Plan& plan,
           const std::vector<const Checkpoint*>& checkpoints, std::string where,
           const ExecuteOptions& options);

  // What is asked for once before anything is written: the evaluator, if there is use for one.
  Status prepare();
  // What the sink can share with the inputs, where nobody asks what it is.
  Status share(Sink& sink);
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
  Status write_tasks(Sink& sink);
  // By storage, of what was written place by place.
  Result<std::vector<std::uint32_t>> checksums() const;
  Status digest_later();
  Status compare_kept(const Checkpoint& written);
  void note_input_digests();
  Status digest_inputs();

  Ticker ticker_;
  const Execution run_;
  const Work work_;
  Written written_;
  Executed executed_;
  Evaluator* evaluator_ = nullptr;
  std::vector<std::uint32_t> crcs_;  // by storage
};

}  // namespace regraft
