// Digests that several threads make at a time.
#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "execute/execute.h"

namespace regraft {

// Of tensors whose chunks come in any order, from any thread.
class ChunkTable {
 public:
  // `nbytes`: of every tensor that there is.
  ChunkTable(DigestKind kind, std::span<const std::uint64_t> nbytes);
  // The digest of one chunk. Each has a place of its own: no two threads give the same.
  void put(std::uint32_t tensor, std::uint64_t chunk, std::string_view digest);
  // Of a tensor whose chunks are all there.
  [[nodiscard]] std::string finish(std::uint32_t tensor) const;

 private:
  DigestKind kind_;
  std::size_t width_ = 0;                   // bytes of a digest
  std::vector<std::uint64_t> first_chunk_;  // by tensor, and one more
  std::string digests_;
};

// Of inputs' tensors, by input and tensor; a tensor may be read more than once.
class InputDigests {
 public:
  explicit InputDigests(std::vector<std::vector<std::string>> empty) : digests_(std::move(empty)) {}
  void put(std::uint32_t input, std::uint32_t tensor, std::string digest) {
    const std::lock_guard lock(mutex_);
    digests_[input][tensor] = std::move(digest);
  }
  // When no other thread is at it.
  std::vector<std::vector<std::string>>& all() { return digests_; }

 private:
  std::mutex mutex_;
  std::vector<std::vector<std::string>> digests_;
};

}  // namespace regraft
