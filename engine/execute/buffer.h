// Memory that is used again for one tensor after the other: fresh memory costs six times as much.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <span>

namespace regraft {

class Buffer {
 public:
  // `size` bytes of any content; what was taken before is no longer valid.
  std::span<std::byte> take(std::size_t size) {
    if (size > capacity_) {
      release();  // the old bytes first, so that both never stand at once
      memory_.reset(static_cast<std::byte*>(::operator new(size, kPage)));
      capacity_ = size;
    }
    return {memory_.get(), size};
  }
  void release() {
    memory_.reset();
    capacity_ = 0;
  }

 private:
  // The system copies from and to whole pages fastest.
  static constexpr std::align_val_t kPage{4096};
  struct Free {
    void operator()(std::byte* memory) const { ::operator delete(memory, kPage); }
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::size_t capacity_ = 0;
};

}  // namespace regraft
