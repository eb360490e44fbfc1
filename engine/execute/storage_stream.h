// A range of a storage on its way to the output: written, and hashed in the same pass.
#pragma once

#include <cstdint>
#include <span>

#include "execute/gather.h"
#include "execute/sink.h"
#include "execute/tensor_digests.h"
#include "execute/ticker.h"
#include "execute/work.h"

namespace regraft {

class StorageStream final : public ByteSink {
 public:
  StorageStream(Sink& output, Ticker& ticker, DigestKind kind, ChunkTable& chunks)
      : output_(output), ticker_(ticker), chunk_(kind), chunks_(chunks) {}

  // `segments`: of the whole storage.
  void begin(const Place& place, std::span<const Segment> segments, bool with_crc);
  Status take(Bytes bytes) override;
  // Bytes that are in the output already; neither hashed nor in the checksum.
  Status pass(std::uint64_t bytes) {
    at_ += bytes;
    return ticker_.advance(bytes);
  }
  Status proceed() override { return ticker_.proceed(); }
  // Of what was taken.
  [[nodiscard]] std::uint32_t crc() const { return crc_; }
  [[nodiscard]] std::uint64_t taken() const { return at_ - begin_; }

 private:
  void hash(Bytes bytes);

  Sink& output_;
  Ticker& ticker_;
  Digester chunk_;
  ChunkTable& chunks_;
  std::span<const Segment> segments_;
  std::uint64_t offset_ = 0;          // of the storage in the output
  std::uint64_t begin_ = 0, at_ = 0;  // in the storage
  std::uint32_t crc_ = 0;
  bool with_crc_ = false;
};

}  // namespace regraft
