// Reads views of storages in row-major order, in the memory that schedule/gather_way.h foretells.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/hash.h"
#include "base/result.h"
#include "execute/buffer.h"
#include "formats/format.h"
#include "schedule/gather_way.h"

namespace regraft {

// Takes bytes in order.
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual Status take(Bytes bytes) = 0;
  // Asked between reads; an error ends the reading.
  virtual Status proceed() { return Done{}; }
};

// What is there as a whole, a block at a time.
Status hand_on(Bytes bytes, ByteSink& sink);

// A storage that happens to be read whole and in order.
struct WholeStorage {
  std::uint64_t nbytes;              // of the storage
  std::optional<std::uint32_t> crc;  // of its bytes, when they were read so
};

class Gatherer {
 public:
  // Bytes of a storage as they are. `place`: an offset in a file that they come from or go to. In
  // memory they begin at the same place of a page, which the kernel copies faster.
  Status copy(const StorageReader& reader, std::uint32_t storage, std::uint64_t offset,
              std::uint64_t length, ByteSink& sink, std::uint64_t place = 0);
  // The elements of a view, row-major. `whole` may be null.
  Status gather(const StorageReader& reader, const View& view, ByteSink& sink,
                WholeStorage* whole = nullptr);
  // Gives back the memory of the buffers.
  void release() {
    source_.release();
    ordered_.release();
  }

 private:
  Status read(const StorageReader& reader, std::uint32_t storage, std::uint64_t offset,
              std::span<std::byte> out, ByteSink& sink);
  Status from_extent(const StorageReader& reader, const View& view, ByteSink& sink,
                     WholeStorage* whole);
  Status by_rows(const StorageReader& reader, const View& view, ByteSink& sink);
  Status by_scatter(const StorageReader& reader, const View& view, ByteSink& sink);

  Buffer source_, ordered_;
};

}  // namespace regraft
