#include "schedule/effort.h"

#include <algorithm>

#include "expr/tiles.h"
#include "schedule/gather_way.h"

namespace regraft {
namespace {

class Counter {
 public:
  Counter(Schedule& schedule, std::span<const Catalog* const> catalogs, std::uint64_t tile_size)
      : schedule_(schedule), catalogs_(catalogs), tile_size_(tile_size) {}

  // Bytes of memory that bringing a storage about takes.
  std::uint64_t operator()(CopyRange& range) {
    schedule_.bytes_read += range.length;
    return 0;
  }
  std::uint64_t operator()(Gather& gather) { return of(gather); }
  std::uint64_t operator()(Parts& parts) {
    std::uint64_t most = 0;
    for (const Part& part : parts.parts) {
      if (const auto* range = std::get_if<CopyRange>(&part)) schedule_.bytes_read += range->length;
      if (const auto* gather = std::get_if<Gather>(&part)) most = std::max(most, of(*gather));
    }
    return most;
  }
  std::uint64_t operator()(Convert& convert) { return (*this)(convert.parts) + kCopyBlock; }
  std::uint64_t operator()(Evaluate& evaluate) {
    const Expr& expr = *evaluate.expr;
    std::uint64_t whole = nbytes(expr);
    for (const Load& loaded : loads_of(expr)) {
      const Tensor& tensor = catalogs_[loaded.input]->tensors[loaded.tensor];
      schedule_.bytes_read += nbytes(tensor);
      whole += nbytes(tensor) + gather_bytes(view_of(loaded.input, tensor));
    }
    const auto tiles = tile_size_ == 0 ? std::nullopt : tiling(expr, catalogs_, tile_size_);
    if (!tiles) return whole;
    evaluate.rows = tiles->rows;
    return tiles->bytes;
  }

 private:
  std::uint64_t of(const Gather& gather) {
    const auto [begin, end] = byte_extent(gather.view);
    schedule_.bytes_read += end - begin;
    return gather_bytes(gather.view);
  }

  Schedule& schedule_;
  const std::span<const Catalog* const> catalogs_;
  const std::uint64_t tile_size_;
};

}  // namespace

void count_effort(Schedule& schedule, std::span<const Catalog* const> catalogs,
                  std::uint64_t tile_size) {
  schedule.bytes_written = schedule.layout.size;
  Counter counter(schedule, catalogs, tile_size);
  for (ScheduledStorage& storage : schedule.storages)
    storage.buffers = std::visit(counter, storage.origin);
  std::uint64_t most = 0;
  for (const ScheduledTensor& tensor : schedule.tensors)
    most = std::max(most, buffers_of(schedule, tensor));
  schedule.peak_bytes = most + 2 * kCopyBlock;  // one block read, one to be written
}

std::uint64_t buffers_of(const Schedule& schedule, const ScheduledTensor& tensor) {
  // Strided tensors of a storage that is written whole are read again for their digests.
  return std::max(schedule.storages[tensor.tensor.storage].buffers,
                  gather_bytes(view_of(0, tensor.tensor)));
}

}  // namespace regraft
