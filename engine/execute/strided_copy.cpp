#include "execute/strided_copy.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <vector>

#include "execute/transpose.h"

namespace regraft {
namespace {

// Elements of one side of a tile: 32 x 32 of 16 bytes stay in the first cache on both sides.
constexpr std::uint64_t kTile = 32;

template <std::size_t kSize>
void copy_line(std::byte* to, const std::byte* from, std::uint64_t count, std::uint64_t to_stride,
               std::uint64_t from_stride) {
  // A memcpy of a constant size is one load or store, whatever the alignment.
  for (std::uint64_t i = 0; i < count; ++i) {
    std::memcpy(to, from, kSize);
    to += to_stride;
    from += from_stride;
  }
}

using LineCopy = decltype(&copy_line<1>);

LineCopy line_copy(std::uint64_t itemsize) {
  switch (itemsize) {
    case 1:
      return copy_line<1>;
    case 2:
      return copy_line<2>;
    case 4:
      return copy_line<4>;
    case 8:
      return copy_line<8>;
    default:
      assert(itemsize == 16);
      return copy_line<16>;
  }
}

// The innermost loops: a line, or tiles of two dimensions whose orders differ.
class Plane {
 public:
  Plane(std::span<const GatherDim> dims, std::uint64_t itemsize) : itemsize_(itemsize) {
    copy_ = line_copy(itemsize);
    if (dims.empty()) return;
    const auto by_to = [](const GatherDim& a, const GatherDim& b) { return a.to < b.to; };
    const auto by_from = [](const GatherDim& a, const GatherDim& b) {
      // A stride of 0 is no order: it gains nothing to walk along it.
      return (a.from == 0 ? UINT64_MAX : a.from) < (b.from == 0 ? UINT64_MAX : b.from);
    };
    const auto inner = std::min_element(dims.begin(), dims.end(), by_to);
    const auto other = std::min_element(dims.begin(), dims.end(), by_from);
    inner_ = *inner;
    if (other != inner && other->from != 0) other_ = *other;
    for (auto dim = dims.begin(); dim != dims.end(); ++dim) {
      if (dim != inner && (dim != other || other_.size == 1)) outer_.push_back(*dim);
    }
  }

  void run(std::byte* to, const std::byte* from) const { walk(0, to, from); }

 private:
  void walk(std::size_t depth, std::byte* to, const std::byte* from) const {
    if (depth < outer_.size()) {
      const GatherDim& dim = outer_[depth];
      for (std::uint64_t i = 0; i < dim.size; ++i) {
        walk(depth + 1, to + i * dim.to, from + i * dim.from);
      }
      return;
    }
    if (other_.size == 1) {
      line(to, from, inner_.size);
      return;
    }
    if (inner_.to == itemsize_ && other_.from == itemsize_) {
      transpose(to, other_.to, from, inner_.from, inner_.size, other_.size, itemsize_);
      return;
    }
    for (std::uint64_t row = 0; row < other_.size; row += kTile) {
      const std::uint64_t rows = std::min(kTile, other_.size - row);
      for (std::uint64_t column = 0; column < inner_.size; column += kTile) {
        const std::uint64_t columns = std::min(kTile, inner_.size - column);
        for (std::uint64_t i = row; i < row + rows; ++i) {
          line(to + i * other_.to + column * inner_.to,
               from + i * other_.from + column * inner_.from, columns);
        }
      }
    }
  }

  void line(std::byte* to, const std::byte* from, std::uint64_t count) const {
    if (inner_.to == itemsize_ && inner_.from == itemsize_) {
      std::memcpy(to, from, count * itemsize_);
    } else {
      copy_(to, from, count, inner_.to, inner_.from);
    }
  }

  std::uint64_t itemsize_;
  LineCopy copy_;
  GatherDim inner_{1, 0, 0}, other_{1, 0, 0};
  std::vector<GatherDim> outer_;
};

}  // namespace

void strided_copy(std::byte* to, const std::byte* from, std::span<const GatherDim> dims,
                  std::uint64_t itemsize) {
  Plane(dims, itemsize).run(to, from);
}

}  // namespace regraft
