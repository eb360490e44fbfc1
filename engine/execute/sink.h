// Where an output's bytes go: a file, or memory.
#pragma once

#include <cstdint>

#include "base/hash.h"
#include "base/result.h"

namespace regraft {

class Sink {
 public:
  virtual ~Sink() = default;
  // By position; each byte once, but for patches of what was written before. Thread-safe.
  virtual Status write(std::uint64_t offset, Bytes bytes) = 0;
};

}  // namespace regraft
