#include "catch.h"
#include "test_execute_support.h"

namespace regraft {
namespace {

using test::noise;

std::string by_hand(DigestKind kind, const std::string& bytes) {
  std::string chunks;
  for (std::size_t at = 0; at < bytes.size(); at += TensorDigest::kChunk) {
    chunks += digest(kind, as_bytes(std::string_view(bytes).substr(at, TensorDigest::kChunk)));
  }
  return digest(kind, as_bytes(chunks));
}

TEST_CASE("a tensor's digest is the hash of the hashes of its chunks") {
  for (const DigestKind kind : {DigestKind::xxh3, DigestKind::sha256}) {
    TensorDigest tensor(kind);  // one for all: finish() makes it ready again
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1}, std::size_t{TensorDigest::kChunk - 1},
          std::size_t{TensorDigest::kChunk}, std::size_t{TensorDigest::kChunk + 1},
          std::size_t{2 * TensorDigest::kChunk}}) {
      CAPTURE(size);
      const std::string bytes = noise(size);
      tensor.update(as_bytes(bytes));
      CHECK(tensor.finish() == by_hand(kind, bytes));
      for (std::size_t at = 0, piece = 1; at < size; at += piece, piece = piece * 3 + 7) {
        tensor.update(as_bytes(std::string_view(bytes).substr(at, piece)));
      }
      CHECK(tensor.finish() == by_hand(kind, bytes));
    }
  }
  TensorDigest none(DigestKind::none);
  none.update(as_bytes("abc"));
  CHECK(none.finish().empty());
}

TEST_CASE("a table's digest is that of its lines") {
  std::vector<Tensor> tensors(2);
  tensors[0].name = "a.weight";
  tensors[0].shape = {3, 16};
  tensors[1].name = "b";
  tensors[1].dtype = DType::int64;
  const std::vector<std::string> digests = {"\x01\xff", "z"};
  CHECK(table_digest(DigestKind::xxh3, tensors, digests) ==
        digest(DigestKind::xxh3, as_bytes("a.weight|float32|[3, 16]|01ff\nb|int64|[]|7a\n")));
  const std::vector<std::string> one = {"", "z"};
  CHECK(table_digest(DigestKind::xxh3, tensors, one) ==
        digest(DigestKind::xxh3, as_bytes("b|int64|[]|7a\n")));
  CHECK(table_digest(DigestKind::xxh3, tensors, std::vector<std::string>(2)).empty());
}

}  // namespace
}  // namespace regraft
