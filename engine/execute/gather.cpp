#include "execute/gather.h"

#include <algorithm>

#include "execute/strided_copy.h"

namespace regraft {
namespace {

// Bytes between two rows from which on they are not read along: about what a system call costs.
constexpr std::uint64_t kSkip = 32ull << 10;

// What one box may take; UINT64_MAX: anything.
struct Limits {
  std::uint64_t to;    // bytes of its elements
  std::uint64_t from;  // bytes that it spans in the source
};

// Cuts a view into boxes of whole rows that are within the limits, in the order of `dims`.
template <typename Visit>
class Boxes {
 public:
  Boxes(std::vector<GatherDim> dims, std::uint64_t itemsize, const Limits& limits, Visit visit)
      : dims_(std::move(dims)), limits_(limits), visit_(visit) {
    bytes_.assign(dims_.size() + 1, itemsize);
    spans_.assign(dims_.size() + 1, itemsize);
    for (std::size_t k = dims_.size(); k-- > 0;) {
      bytes_[k] = bytes_[k + 1] * dims_[k].size;
      spans_[k] = spans_[k + 1] + (dims_[k].size - 1) * dims_[k].from;
    }
  }

  Status run() { return walk(0, 0, 0); }

 private:
  // `from`, `to`: byte offsets of the first element. visit(box, from, to, bytes spanned, bytes).
  Status walk(std::size_t k, std::uint64_t from, std::uint64_t to) {
    if (k == dims_.size()) {
      return visit_(std::span<const GatherDim>(), from, to, spans_[k], bytes_[k]);
    }
    const GatherDim dim = dims_[k];
    const std::uint64_t rows = rows_within_limits(k);
    if (rows == 0) {
      for (std::uint64_t i = 0; i < dim.size; ++i) {
        REGRAFT_CHECK(walk(k + 1, from + i * dim.from, to + i * dim.to));
      }
      return Done{};
    }
    for (std::uint64_t i = 0; i < dim.size; i += rows) {
      dims_[k].size = std::min(rows, dim.size - i);
      Status visited =
          visit_(std::span<const GatherDim>(dims_).subspan(k), from + i * dim.from, to + i * dim.to,
                 spans_[k + 1] + (dims_[k].size - 1) * dim.from, bytes_[k + 1] * dims_[k].size);
      dims_[k].size = dim.size;
      if (!visited.ok()) return visited;
    }
    return Done{};
  }

  [[nodiscard]] std::uint64_t rows_within_limits(std::size_t k) const {
    const std::uint64_t bytes = bytes_[k + 1], span = spans_[k + 1], stride = dims_[k].from;
    if (bytes > limits_.to || span > limits_.from) return 0;
    std::uint64_t rows = limits_.to / bytes;
    if (limits_.from != UINT64_MAX && stride > 0) {
      if (stride > span && stride - span > kSkip) return 1;
      rows = std::min(rows, (limits_.from - span) / stride + 1);
    }
    return rows;
  }

  std::vector<GatherDim> dims_;
  Limits limits_;
  Visit visit_;
  std::vector<std::uint64_t> bytes_, spans_;  // of dimensions from k on
};

template <typename Visit>
Status for_each_box(std::vector<GatherDim> dims, std::uint64_t itemsize, const Limits& limits,
                    Visit visit) {
  return Boxes<Visit>(std::move(dims), itemsize, limits, visit).run();
}

// Bytes on their way, and their checksum.
class Summing final : public ByteSink {
 public:
  explicit Summing(ByteSink& next) : next_(next) {}
  Status take(Bytes bytes) override {
    crc = crc32(bytes, crc);
    return next_.take(bytes);
  }
  Status proceed() override { return next_.proceed(); }

  std::uint32_t crc = 0;

 private:
  ByteSink& next_;
};

}  // namespace

Status hand_on(Bytes bytes, ByteSink& sink) {
  for (std::size_t at = 0; at < bytes.size(); at += kCopyBlock) {
    const std::size_t count = std::min<std::size_t>(kCopyBlock, bytes.size() - at);
    REGRAFT_CHECK(sink.take(bytes.subspan(at, count)));
  }
  return Done{};
}

Status Gatherer::copy(const StorageReader& reader, std::uint32_t storage, std::uint64_t offset,
                      std::uint64_t length, ByteSink& sink, std::uint64_t place) {
  place %= kSharedPage;
  while (length > 0) {
    const std::uint64_t size = std::min(length, kCopyBlock);
    const std::span<std::byte> block = source_.take(size + place).subspan(place);
    REGRAFT_CHECK(reader.read(storage, offset, block));
    REGRAFT_CHECK(sink.take(block));
    offset += size;
    length -= size;
  }
  return Done{};
}

Status Gatherer::gather(const StorageReader& reader, const View& view, ByteSink& sink,
                        WholeStorage* whole) {
  const auto [begin, end] = byte_extent(view);
  if (begin == end) return Done{};
  if (whole && (begin != 0 || end != whole->nbytes)) whole = nullptr;
  switch (gather_way(view)) {
    case GatherWay::stream: {
      Summing summing(sink);
      REGRAFT_CHECK(copy(reader, view.storage, begin, end - begin,
                         whole ? static_cast<ByteSink&>(summing) : sink));
      if (whole) whole->crc = summing.crc;
      return Done{};
    }
    case GatherWay::extent:
      return from_extent(reader, view, sink, whole);
    case GatherWay::rows:
      return by_rows(reader, view, sink);
    case GatherWay::scatter:
      return by_scatter(reader, view, sink);
  }
  return Done{};
}

Status Gatherer::read(const StorageReader& reader, std::uint32_t storage, std::uint64_t offset,
                      std::span<std::byte> out, ByteSink& sink) {
  while (!out.empty()) {
    REGRAFT_CHECK(sink.proceed());
    const auto count = std::min<std::uint64_t>(out.size(), kGatherWindow);
    const std::span<std::byte> block = out.first(count);
    REGRAFT_CHECK(reader.read(storage, offset, block));
    out = out.subspan(block.size());
    offset += block.size();
  }
  return Done{};
}

Status Gatherer::from_extent(const StorageReader& reader, const View& view, ByteSink& sink,
                             WholeStorage* whole) {
  const auto [begin, end] = byte_extent(view);
  const std::span<std::byte> source = source_.take(end - begin);
  REGRAFT_CHECK(read(reader, view.storage, begin, source, sink));
  if (whole) whole->crc = crc32(source);
  const std::uint64_t size = itemsize(view.dtype);
  return for_each_box(gather_dims(view), size, {kCopyBlock, UINT64_MAX},
                      [&](std::span<const GatherDim> box, std::uint64_t from, std::uint64_t,
                          std::uint64_t, std::uint64_t bytes) -> Status {
                        const std::span<std::byte> ordered = ordered_.take(bytes);
                        strided_copy(ordered.data(), source.data() + from, box, size);
                        return sink.take(ordered);
                      });
}

Status Gatherer::by_rows(const StorageReader& reader, const View& view, ByteSink& sink) {
  const std::uint64_t begin = byte_extent(view).first, size = itemsize(view.dtype);
  return for_each_box(gather_dims(view), size, {kCopyBlock, kGatherWindow},
                      [&](std::span<const GatherDim> box, std::uint64_t from, std::uint64_t,
                          std::uint64_t span, std::uint64_t bytes) -> Status {
                        const std::span<std::byte> source = source_.take(span);
                        REGRAFT_CHECK(read(reader, view.storage, begin + from, source, sink));
                        const std::span<std::byte> ordered = ordered_.take(bytes);
                        strided_copy(ordered.data(), source.data(), box, size);
                        return sink.take(ordered);
                      });
}

Status Gatherer::by_scatter(const StorageReader& reader, const View& view, ByteSink& sink) {
  const std::uint64_t begin = byte_extent(view).first, size = itemsize(view.dtype);
  std::vector<GatherDim> dims = gather_dims(view);
  std::stable_sort(dims.begin(), dims.end(),
                   [](const GatherDim& a, const GatherDim& b) { return a.from > b.from; });
  const std::span<std::byte> ordered = ordered_.take(nbytes(view));
  const auto place = [&](std::span<const GatherDim> box, std::uint64_t from, std::uint64_t to,
                         std::uint64_t span, std::uint64_t) -> Status {
    const std::span<std::byte> source = source_.take(span);
    REGRAFT_CHECK(read(reader, view.storage, begin + from, source, sink));
    strided_copy(ordered.data() + to, source.data(), box, size);
    return Done{};
  };
  REGRAFT_CHECK(for_each_box(std::move(dims), size, {UINT64_MAX, kGatherWindow}, place));
  return hand_on(ordered, sink);
}

}  // namespace regraft
