#include "execute/work.h"

#include <algorithm>
#include <tuple>

#include "execute/execute.h"
#include "schedule/gather_way.h"

namespace regraft {
namespace {

// What a task writes, about: large enough that taking one costs nothing, small enough that the
// threads end together.
constexpr std::uint64_t kTask = TensorDigest::kChunk;

class Cutter {
 public:
  explicit Cutter(const Schedule& schedule) : schedule_(schedule) {}

  Work cut(bool digests) {
    group_by_storage();
    work_.first_segment.assign(schedule_.storages.size() + 1, 0);
    for (std::uint32_t i = 0; i < schedule_.storages.size(); ++i) {
      if (digests) find_segments(i);
      work_.first_segment[i + 1] = static_cast<std::uint32_t>(work_.segments.size());
    }
    find_places();
    find_tasks();
    return std::move(work_);
  }

 private:
  void group_by_storage() {
    std::vector<std::uint32_t>& first = work_.first_tensor;
    first.assign(schedule_.storages.size() + 1, 0);
    for (const ScheduledTensor& tensor : schedule_.tensors) ++first[tensor.tensor.storage + 1];
    for (std::size_t i = 1; i < first.size(); ++i) first[i] += first[i - 1];
    work_.tensors.resize(schedule_.tensors.size());
    std::vector<std::uint32_t> next(first.begin(), first.end() - 1);
    for (std::uint32_t i = 0; i < work_.tensors.size(); ++i)
      work_.tensors[next[schedule_.tensors[i].tensor.storage]++] = i;
  }

  void find_segments(std::uint32_t storage) {
    found_.clear();
    for (const std::uint32_t index : work_.tensors_of(storage)) {
      const Tensor& tensor = schedule_.tensors[index].tensor;
      const auto [begin, end] = byte_extent(tensor);
      if (begin == end) {
        work_.empty.push_back(index);
      } else if (is_contiguous(tensor.shape, tensor.strides)) {
        found_.push_back({begin, end, index});
      } else {
        work_.later.push_back(index);
      }
    }
    std::sort(found_.begin(), found_.end(), [](const Segment& a, const Segment& b) {
      return std::tie(a.begin, a.end, a.tensor) < std::tie(b.begin, b.end, b.tensor);
    });
    const Segment* last = nullptr;
    for (const Segment& next : found_) {
      if (last && next.begin == last->begin && next.end == last->end) {
        work_.same.emplace_back(next.tensor, last->tensor);
      } else if (last && next.begin < last->end) {
        work_.later.push_back(next.tensor);
      } else {
        work_.segments.push_back(next);
        last = &next;
      }
    }
  }

  void find_places() {
    const Layout& layout = schedule_.layout;
    work_.places.reserve(layout.header.size() + schedule_.storages.size());
    for (std::uint32_t i = 0; i < layout.header.size(); ++i)
      work_.places.push_back({layout.header[i].offset, i, false, 0, layout.header[i].bytes.size()});
    for (std::uint32_t i = 0; i < schedule_.storages.size(); ++i) cut_storage(i);
    std::stable_sort(work_.places.begin(), work_.places.end(),
                     [](const Place& a, const Place& b) { return a.offset < b.offset; });
  }

  // Only what is copied as it is can be begun in its middle.
  void cut_storage(std::uint32_t index) {
    const ScheduledStorage& storage = schedule_.storages[index];
    const std::uint64_t offset = schedule_.layout.storage_offsets[index];
    const auto add = [&](std::uint64_t begin, std::uint64_t end) {
      work_.places.push_back({offset + begin, index, true, begin, end});
    };
    if (!std::holds_alternative<CopyRange>(storage.origin)) return add(0, storage.nbytes);
    std::span<const Segment> segments = work_.segments_of(index);
    std::uint64_t begin = 0;
    while (storage.nbytes - begin > kTask) {
      const std::uint64_t wanted = begin + kTask;
      while (!segments.empty() && segments.front().end <= wanted) segments = segments.subspan(1);
      std::uint64_t end = wanted;
      if (!segments.empty() && segments.front().begin < wanted)
        end -= (wanted - segments.front().begin) % TensorDigest::kChunk;
      add(begin, end);
      begin = end;
    }
    add(begin, storage.nbytes);
  }

  void find_tasks() {
    std::uint64_t size = 0;
    for (std::uint32_t i = 0; i < work_.places.size(); ++i) {
      const Place& place = work_.places[i];
      // As much memory, as much work: about.
      const std::uint64_t buffers = place.is_storage ? schedule_.storages[place.index].buffers : 0;
      const std::uint64_t effort = std::max(place.end - place.begin, buffers);
      if (work_.tasks.empty() || size + effort > kTask) {
        work_.tasks.push_back({i, i, 0});
        size = 0;
      }
      Task& task = work_.tasks.back();
      task.last = i + 1;
      task.buffers = std::max(task.buffers, buffers + 2 * kCopyBlock);
      size += effort;
    }
  }

  const Schedule& schedule_;
  Work work_;
  std::vector<Segment> found_;  // of one storage
};

}  // namespace

Work cut(const Schedule& schedule, bool digests) { return Cutter(schedule).cut(digests); }

}  // namespace regraft
