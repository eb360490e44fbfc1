#include "execute/storage_stream.h"

#include <algorithm>

namespace regraft {

void StorageStream::begin(const Place& place, std::span<const Segment> segments, bool with_crc) {
  offset_ = place.offset - place.begin;
  begin_ = at_ = place.begin;
  crc_ = 0;
  with_crc_ = with_crc;
  const auto first =
      std::partition_point(segments.begin(), segments.end(),
                           [&](const Segment& segment) { return segment.end <= place.begin; });
  segments_ = segments.subspan(static_cast<std::size_t>(first - segments.begin()));
}

Status StorageStream::take(Bytes bytes) {
  if (with_crc_) crc_ = crc32(bytes, crc_);
  hash(bytes);
  REGRAFT_CHECK(output_.write(offset_ + at_, bytes));
  at_ += bytes.size();
  return ticker_.advance(bytes.size());
}

void StorageStream::hash(Bytes bytes) {
  const std::uint64_t end = at_ + bytes.size();
  while (!segments_.empty() && segments_.front().begin < end) {
    const Segment& segment = segments_.front();
    std::uint64_t from = std::max(segment.begin, at_);
    const std::uint64_t to = std::min(segment.end, end);
    while (from < to) {
      const std::uint64_t number = (from - segment.begin) / TensorDigest::kChunk;
      const std::uint64_t chunk_end =
          std::min(segment.end, segment.begin + (number + 1) * TensorDigest::kChunk);
      const std::uint64_t until = std::min(to, chunk_end);
      chunk_.update(bytes.subspan(from - at_, until - from));
      if (until == chunk_end) chunks_.put(segment.tensor, number, chunk_.finish());
      from = until;
    }
    if (segment.end > end) return;
    segments_ = segments_.subspan(1);
  }
}

}  // namespace regraft
