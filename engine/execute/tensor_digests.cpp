#include "execute/tensor_digests.h"

#include <cassert>

namespace regraft {

ChunkTable::ChunkTable(DigestKind kind, std::span<const std::uint64_t> nbytes) : kind_(kind) {
  first_chunk_.reserve(nbytes.size() + 1);
  std::uint64_t chunks = 0;
  for (const std::uint64_t size : nbytes) {
    first_chunk_.push_back(chunks);
    chunks += size / TensorDigest::kChunk + (size % TensorDigest::kChunk > 0 ? 1 : 0);
  }
  first_chunk_.push_back(chunks);
  width_ = digest(kind, {}).size();
  digests_.resize(width_ * chunks);
}

void ChunkTable::put(std::uint32_t tensor, std::uint64_t chunk, std::string_view digest) {
  assert(digest.size() == width_ && first_chunk_[tensor] + chunk < first_chunk_[tensor + 1]);
  digest.copy(digests_.data() + (first_chunk_[tensor] + chunk) * width_, width_);
}

std::string ChunkTable::finish(std::uint32_t tensor) const {
  const std::uint64_t begin = first_chunk_[tensor] * width_;
  return digest(kind_, as_bytes(std::string_view(digests_).substr(
                           begin, first_chunk_[tensor + 1] * width_ - begin)));
}

}  // namespace regraft
