// Small pieces that follow each other, written together.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#include "execute/buffer.h"
#include "execute/sink.h"
#include "schedule/gather_way.h"

namespace regraft {

// For one thread: what is written through it is in the sink after flush().
class Joined final : public Sink {
 public:
  explicit Joined(Sink& sink) : sink_(sink) {}

  Status write(std::uint64_t offset, Bytes bytes) override {
    const bool follows = offset == begin_ + size_;
    if (size_ > 0 && (!follows || bytes.size() > kCopyBlock - size_)) REGRAFT_CHECK(flush());
    if (bytes.size() >= kCopyBlock / 4) {
      REGRAFT_CHECK(flush());
      return sink_.write(offset, bytes);
    }
    if (bytes.empty()) return Done{};
    if (size_ == 0) begin_ = offset;
    std::memcpy(buffer_.take(kCopyBlock).data() + size_, bytes.data(), bytes.size());
    size_ += bytes.size();
    return Done{};
  }
  Status flush() {
    const std::uint64_t size = std::exchange(size_, 0);
    if (size == 0) return Done{};
    return sink_.write(begin_, buffer_.take(kCopyBlock).first(size));
  }
  // What was not flushed is lost.
  void release() {
    size_ = 0;
    buffer_.release();
  }

 private:
  Sink& sink_;
  Buffer buffer_;
  std::uint64_t begin_ = 0, size_ = 0;
};

}  // namespace regraft
