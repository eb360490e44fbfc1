// The output cut into tasks that threads can take in any order: each writes a few places, from
// front to back. Made from the schedule alone.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "schedule/schedule.h"

namespace regraft {

// The bytes of one tensor within its storage, when they follow each other.
struct Segment {
  std::uint64_t begin, end;
  std::uint32_t tensor;  // index into Schedule::tensors
};

// A header's bytes, or a range of a storage.
struct Place {
  std::uint64_t offset = 0;  // in the output
  std::uint32_t index = 0;   // into Layout::header, or Schedule::storages
  bool is_storage = false;
  std::uint64_t begin = 0, end = 0;  // of the storage
};

struct Task {
  std::uint32_t first, last;  // Work::places
  std::uint64_t buffers;      // bytes of memory
};

struct Work {
  std::vector<Place> places;  // by offset
  std::vector<Task> tasks;
  // Views of storage i: tensors[first_tensor[i]] .. tensors[first_tensor[i + 1] - 1].
  std::vector<std::uint32_t> first_tensor, tensors;
  // Those of which digests fall out of writing, by storage in the same way: in order, none empty,
  // without bytes in common. Places are cut at their ends or after whole chunks of theirs.
  std::vector<std::uint32_t> first_segment;
  std::vector<Segment> segments;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> same;  // tensors with another's bytes
  std::vector<std::uint32_t> empty;
  std::vector<std::uint32_t> later;  // the rest

  [[nodiscard]] std::span<const std::uint32_t> tensors_of(std::uint32_t storage) const {
    return std::span(tensors).subspan(first_tensor[storage],
                                      first_tensor[storage + 1] - first_tensor[storage]);
  }
  [[nodiscard]] std::span<const Segment> segments_of(std::uint32_t storage) const {
    return std::span(segments).subspan(first_segment[storage],
                                       first_segment[storage + 1] - first_segment[storage]);
  }
};

// `digests`: false when nobody wants them, and there are no segments.
Work cut(const Schedule& schedule, bool digests);

}  // namespace regraft
