// Progress and cancellation of a run that several threads work on. The caller's callbacks are
// called in the caller's thread alone.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#include "base/result.h"
#include "execute/execute.h"

namespace regraft {

class Ticker {
 public:
  // The thread that makes it is the one whose callbacks are called.
  explicit Ticker(const ExecuteOptions& options) : options_(options) {}
  void expect(std::uint64_t bytes) { total_ += bytes; }
  // Between blocks, in any thread: an error once the run was cancelled.
  Status proceed();
  // The same after `bytes` more.
  Status advance(std::uint64_t bytes);
  // In the caller's thread: what is done, whether or not there is news.
  void tell();

 private:
  [[nodiscard]] bool is_caller() const { return std::this_thread::get_id() == caller_; }

  const ExecuteOptions& options_;
  const std::thread::id caller_ = std::this_thread::get_id();
  std::atomic<std::uint64_t> done_{0};
  std::atomic<bool> cancelled_{false};
  std::uint64_t total_ = 0, told_ = 0;
};

}  // namespace regraft
