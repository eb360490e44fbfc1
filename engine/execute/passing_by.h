// Bytes of the inputs on their way to the output in parts. Tensors and records that pass by as a
// whole, in order though not at once, get their digests and checksums on the way.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "execute/execute.h"
#include "execute/gather.h"
#include "execute/tensor_digests.h"

namespace regraft {

class PassingBy final : public ByteSink {
 public:
  // Everything is handed on to `next`.
  PassingBy(DigestKind kind, ByteSink& next) : kind_(kind), next_(next) {}

  // A tensor whose digest is wanted.
  void expect(const Load& load, const Tensor& tensor);
  // What take() is given next. `checks`: the record's checksum is wanted.
  void from(const CopyRange& range, bool checks);
  void from(const View& view);
  Status take(Bytes bytes) override;
  Status proceed() override { return next_.proceed(); }

  // The CRC-32 of the record of the last CopyRange, when it has passed by from its first byte to
  // its last.
  [[nodiscard]] std::optional<std::uint32_t> whole_record(std::uint64_t nbytes) const;
  // Digests of the tensors that passed by as a whole.
  void finish(InputDigests& digests);

 private:
  struct Expected {
    Load load;
    View view;
    std::uint64_t begin, end;  // contiguous: its bytes in the storage
    bool contiguous;
    TensorDigest digest;
    std::uint64_t at;  // bytes before it have passed by
    bool whole = false;
  };
  struct Record {
    std::uint64_t at = 0;
    std::uint32_t crc = 0;
    bool checks = false;
  };
  using Key = std::pair<std::uint32_t, std::uint32_t>;  // input, storage

  const DigestKind kind_;
  ByteSink& next_;
  std::map<Key, std::vector<Expected>> expected_;
  std::map<Key, Record> records_;
  std::vector<Expected>* tensors_ = nullptr;  // of the storage that is read
  Record* record_ = nullptr;
  Expected* gathered_ = nullptr;
  std::uint64_t offset_ = 0;
};

}  // namespace regraft
