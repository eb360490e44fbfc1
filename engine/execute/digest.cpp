#include <algorithm>
#include <cassert>

#include "execute/execute.h"

namespace regraft {

TensorDigest::TensorDigest(DigestKind kind) : kind_(kind), chunk_(kind), whole_(kind) {}

void TensorDigest::update(Bytes bytes) {
  if (kind_ == DigestKind::none) return;
  while (!bytes.empty()) {
    const std::size_t count = std::min<std::uint64_t>(bytes.size(), kChunk - in_chunk_);
    chunk_.update(bytes.first(count));
    bytes = bytes.subspan(count);
    in_chunk_ += count;
    if (in_chunk_ == kChunk) {
      whole_.update(as_bytes(chunk_.finish()));
      in_chunk_ = 0;
    }
  }
}

std::string TensorDigest::finish() {
  if (in_chunk_ > 0) whole_.update(as_bytes(chunk_.finish()));
  in_chunk_ = 0;
  return whole_.finish();
}

std::string table_digest(DigestKind kind, std::span<const Tensor> tensors,
                         std::span<const std::string> digests) {
  assert(tensors.size() == digests.size());
  Digester digester(kind);
  bool any = false;
  std::string line;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (digests[i].empty()) continue;
    any = true;
    line = tensors[i].name;
    line.append("|").append(name(tensors[i].dtype)).append("|");
    line.append(to_string(tensors[i].shape)).append("|").append(hex(digests[i])).append("\n");
    digester.update(as_bytes(line));
  }
  return any ? digester.finish() : std::string();
}

}  // namespace regraft
