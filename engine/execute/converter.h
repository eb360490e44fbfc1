// Elements that are cast on their way.
#pragma once

#include <cstdint>

#include "execute/buffer.h"
#include "execute/gather.h"
#include "schedule/schedule.h"

namespace regraft {

class Converter final : public ByteSink {
 public:
  // `to`: what `next` takes. Everything is by reference and has to outlive it.
  Converter(const Convert& convert, DType to, Buffer& buffer, ByteSink& next)
      : convert_(convert), to_(to), buffer_(buffer), next_(next) {}
  // Whole elements. cast-overflow, without the name of the tensor, where a checked cast loses one.
  Status take(Bytes bytes) override;
  Status proceed() override { return next_.proceed(); }

 private:
  const Convert& convert_;
  const DType to_;
  Buffer& buffer_;
  ByteSink& next_;
  std::uint64_t elements_ = 0;  // that have passed by
};

}  // namespace regraft
