#include "execute/execute.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "execute/output_file.h"
#include "execute/readback.h"
#include "execute/transfer.h"

namespace regraft {
namespace {

class MemorySink final : public Sink {
 public:
  explicit MemorySink(std::span<std::byte> memory) : memory_(memory) {}
  Status write(std::uint64_t offset, Bytes bytes) override {
    std::copy(bytes.begin(), bytes.end(), memory_.begin() + static_cast<std::ptrdiff_t>(offset));
    return Done{};
  }

 private:
  std::span<std::byte> memory_;
};

}  // namespace

Result<Executed> execute(const Schedule& schedule, const Plan& plan,
                         const std::vector<const Checkpoint*>& checkpoints, const std::string& path,
                         const ExecuteOptions& options) {
  Transfer transfer(schedule, plan, checkpoints, path, options);
  REGRAFT_CHECK(transfer.prepare());
  REGRAFT_TRY(const std::unique_ptr<OutputFile> output,
              OutputFile::create(path, checkpoints, options.force));
  // Before room is taken for it.
  REGRAFT_CHECK(transfer.share(*output));
  REGRAFT_CHECK(output->reserve(schedule.layout.size));
  if (options.sync) output->write_back();
  REGRAFT_CHECK(transfer.write(*output));
  REGRAFT_CHECK(transfer.digest_rest());
  // From the disk if there is one behind it: what is still in memory proves little.
  if (options.verify_output && options.sync) REGRAFT_CHECK(output->to_disk());
  REGRAFT_TRY(const Checkpoint written, read_back(schedule, output->path().part(), path));
  if (options.verify_output) REGRAFT_CHECK(transfer.compare(written));
  REGRAFT_CHECK(transfer.inputs_unchanged());
  transfer.ticker().tell();
  REGRAFT_CHECK(transfer.ticker().proceed());
  REGRAFT_CHECK(output->publish(options.force, options.sync));
  return std::move(transfer).finish();
}

Result<Executed> execute(const Schedule& schedule, const Plan& plan,
                         const std::vector<const Checkpoint*>& checkpoints,
                         std::span<std::byte> memory, const ExecuteOptions& options) {
  assert(memory.size() == schedule.layout.size);
  ExecuteOptions in_memory = options;
  in_memory.verify_output = false;  // there is nothing behind it that could differ
  Transfer transfer(schedule, plan, checkpoints, "the model in memory", in_memory);
  REGRAFT_CHECK(transfer.prepare());
  MemorySink sink(memory);
  REGRAFT_CHECK(transfer.write(sink));
  REGRAFT_CHECK(transfer.digest_rest());
  REGRAFT_CHECK(transfer.inputs_unchanged());
  transfer.ticker().tell();
  REGRAFT_CHECK(transfer.ticker().proceed());
  return std::move(transfer).finish();
}

}  // namespace regraft
