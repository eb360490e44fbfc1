// Where an output's bytes go: a file, or memory.
#pragma once

#include <cstdint>

#include "base/hash.h"
#include "base/result.h"
#include "formats/file.h"

namespace regraft {

class Sink {
 public:
  virtual ~Sink() = default;
  // By position; each byte once, but for patches of what was written before. Thread-safe.
  virtual Status write(std::uint64_t offset, Bytes bytes) = 0;
  // Has bytes [from, from + length) of a file at `offset` without reading them, where the file
  // system shares them: as many as lie on whole pages of both. Before anything is written.
  struct Shared {
    std::uint64_t begin = 0, end = 0;  // of the bytes; empty: none
  };
  virtual Shared share(std::uint64_t /*offset*/, const InputFile& /*file*/, std::uint64_t /*from*/,
                       std::uint64_t /*length*/) {
    return {};
  }
};

}  // namespace regraft
