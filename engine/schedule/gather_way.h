// How a strided view is brought into row-major order, and the memory that takes. Decided from its
// shape and strides alone, so that a schedule knows its peak in advance.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "expr/expr.h"

namespace regraft {

inline constexpr std::uint64_t kCopyBlock = 1ull << 20;      // of one read and write
inline constexpr std::uint64_t kGatherWindow = 16ull << 20;  // of a source read piece by piece
inline constexpr std::uint64_t kGatherExtent = 64ull << 20;  // of a source that is read at once

enum class GatherWay {
  stream,   // contiguous: read and handed on
  extent,   // all that the view spans is read at once
  rows,     // the source is read from front to back, a window at a time
  scatter,  // the same, into a buffer of the whole tensor, since the orders differ
};

GatherWay gather_way(const View& view);
// Buffers that gathering the view takes.
std::uint64_t gather_bytes(const View& view);

// One dimension of a view, in bytes.
struct GatherDim {
  std::uint64_t size;
  std::uint64_t from;  // stride in the source
  std::uint64_t to;    // stride in row-major order
};
// Without dimensions of size 1, and with those joined that are one in both orders. The view is not
// empty.
std::vector<GatherDim> gather_dims(const View& view);

// The bytes of the storage that a view spans; {0, 0} when it is empty.
std::pair<std::uint64_t, std::uint64_t> byte_extent(const View& view);
std::uint64_t nbytes(const View& view);
// Bytes of the storage that its elements lie on: at most the extent, however often one is repeated.
std::uint64_t touched_bytes(const View& view);

}  // namespace regraft
