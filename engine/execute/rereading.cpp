#include "execute/rereading.h"

#include "execute/gather.h"
#include "execute/pool.h"

namespace regraft {
namespace {

class DigestSink final : public ByteSink {
 public:
  DigestSink(Ticker& ticker, DigestKind kind, bool counts)
      : ticker_(ticker), digest_(kind), counts_(counts) {}
  Status take(Bytes bytes) override {
    digest_.update(bytes);
    return counts_ ? ticker_.advance(bytes.size()) : ticker_.proceed();
  }
  Status proceed() override { return ticker_.proceed(); }
  std::string finish() { return digest_.finish(); }

 private:
  Ticker& ticker_;
  TensorDigest digest_;
  bool counts_;
};

}  // namespace

Status reread(const Execution& run, const std::vector<Reread>& tensors, bool counts) {
  std::vector<Gatherer> gatherers(run.options.threads);
  PoolTasks tasks;
  tasks.count = tensors.size();
  tasks.buffers = [&](std::size_t i) { return gather_bytes(tensors[i].view); };
  tasks.run = [&](std::size_t i, std::size_t worker) -> Status {
    const Reread& one = tensors[i];
    DigestSink sink(run.ticker, run.kind, counts);
    REGRAFT_CHECK(gatherers[worker].gather(*one.reader, one.view, sink));
    *one.digest = sink.finish();
    return Done{};
  };
  tasks.release = [&](std::size_t worker) { gatherers[worker].release(); };
  return run_tasks(tasks, run.options.threads, run.options.max_memory, run.ticker);
}

}  // namespace regraft
