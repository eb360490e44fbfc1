// What all who work on a run know: the inputs, the schedule, what was asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "execute/execute.h"
#include "execute/ticker.h"

namespace regraft {

// Everything is by reference and has to outlive it.
struct Execution {
  const Schedule& schedule;
  const Plan& plan;
  const std::vector<const Checkpoint*>& checkpoints;
  const std::string where;  // the output in messages
  const ExecuteOptions& options;
  const DigestKind kind;  // also for verifying, where nobody wants to see them
  Ticker& ticker;

  // The reader of an input that the schedule takes bytes from.
  [[nodiscard]] Result<const StorageReader*> reader(std::uint32_t input) const;
  [[nodiscard]] const Tensor& tensor(const Load& load) const {
    return checkpoints[load.input]->catalog.tensors[load.tensor];
  }
  [[nodiscard]] const Storage& record(std::uint32_t input, std::uint32_t storage) const {
    return checkpoints[input]->catalog.storages[storage];
  }
  // The checksum that a record of reader(input) states, where it is to be checked.
  [[nodiscard]] std::optional<std::uint32_t> stated_crc(std::uint32_t input,
                                                        std::uint32_t storage) const;
  // The output's tensor that an expression is for, for messages.
  [[nodiscard]] std::string name_of(const Expr& expr) const;
  [[nodiscard]] Diagnostic fault(const std::string& what) const;
  [[nodiscard]] Diagnostic bad_checksum(std::uint32_t input, std::uint32_t storage,
                                        std::uint32_t found) const;
};

}  // namespace regraft
