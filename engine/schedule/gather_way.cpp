#include "schedule/gather_way.h"

#include <algorithm>

namespace regraft {
namespace {

// Reading from front to back gives row-major order.
bool in_order(const std::vector<GatherDim>& dims) {
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i].from == 0 || (i > 0 && dims[i].from > dims[i - 1].from)) return false;
  }
  return true;
}

std::uint64_t span_bytes(const View& view) {
  const auto [begin, end] = byte_extent(view);
  return end - begin;
}

}  // namespace

std::pair<std::uint64_t, std::uint64_t> byte_extent(const View& view) {
  auto last = static_cast<std::uint64_t>(view.offset);
  for (std::size_t i = 0; i < view.shape.size(); ++i) {
    if (view.shape[i] == 0) return {0, 0};
    last +=
        static_cast<std::uint64_t>(view.shape[i] - 1) * static_cast<std::uint64_t>(view.strides[i]);
  }
  const std::uint64_t size = itemsize(view.dtype);
  return {static_cast<std::uint64_t>(view.offset) * size, (last + 1) * size};
}

std::uint64_t nbytes(const View& view) {
  return static_cast<std::uint64_t>(numel(view.shape).value_or(0)) * itemsize(view.dtype);
}

std::uint64_t touched_bytes(const View& view) {
  std::uint64_t count = 1;
  for (std::size_t i = 0; i < view.shape.size(); ++i) {
    if (view.shape[i] == 0) return 0;
    if (view.strides[i] != 0) count *= static_cast<std::uint64_t>(view.shape[i]);
  }
  return std::min(count * itemsize(view.dtype), span_bytes(view));
}

std::vector<GatherDim> gather_dims(const View& view) {
  const std::uint64_t size = itemsize(view.dtype);
  const Shape order = contiguous_strides(view.shape);
  std::vector<GatherDim> dims;
  for (std::size_t i = 0; i < view.shape.size(); ++i) {
    if (view.shape[i] == 1) continue;
    const GatherDim dim{static_cast<std::uint64_t>(view.shape[i]),
                        static_cast<std::uint64_t>(view.strides[i]) * size,
                        static_cast<std::uint64_t>(order[i]) * size};
    if (!dims.empty() && dims.back().from == dim.from * dim.size) {
      dims.back() = {dims.back().size * dim.size, dim.from, dim.to};
    } else {
      dims.push_back(dim);
    }
  }
  return dims;
}

GatherWay gather_way(const View& view) {
  if (is_contiguous(view.shape, view.strides)) return GatherWay::stream;
  const std::uint64_t span = span_bytes(view);
  if (span <= kGatherWindow) return GatherWay::extent;
  if (in_order(gather_dims(view))) return GatherWay::rows;
  // The memory of one tensor is allowed; an expanded one is more than what it spans.
  if (span <= std::max(kGatherExtent, nbytes(view))) return GatherWay::extent;
  return GatherWay::scatter;
}

std::uint64_t gather_bytes(const View& view) {
  switch (gather_way(view)) {
    case GatherWay::stream:
      return kCopyBlock;
    case GatherWay::extent:
      return span_bytes(view) + kCopyBlock;
    case GatherWay::rows:
      return kGatherWindow + kCopyBlock;
    case GatherWay::scatter:
      return nbytes(view) + kGatherWindow;
  }
  return 0;
}

}  // namespace regraft
