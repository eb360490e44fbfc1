// Checksums and digests, over xxhash, OpenSSL, ISA-L and zlib.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace regraft {

using Bytes = std::span<const std::byte>;
inline Bytes as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

// CRC-32 of zip (ISO 3309); `seed` is the CRC of what came before.
std::uint32_t crc32(Bytes bytes, std::uint32_t seed = 0);
// The CRC of A followed by B.
std::uint32_t crc32_combine(std::uint32_t a, std::uint32_t b, std::uint64_t length_of_b);

enum class DigestKind { none, xxh3, sha256 };  // xxh3: XXH3-128
std::string_view name(DigestKind kind);        // "none", "xxh3-128", "sha256"

// One digest at a time; reusable after finish().
class Digester {
 public:
  explicit Digester(DigestKind kind);
  ~Digester();
  Digester(Digester&&) noexcept;
  Digester& operator=(Digester&&) noexcept;
  void update(Bytes bytes);
  std::string finish();  // raw bytes: 16 or 32; empty for none

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

std::string digest(DigestKind kind, Bytes bytes);  // raw bytes
std::uint64_t xxh3_64(Bytes bytes);                // a number to tell names apart by
std::string hex(std::string_view raw);

}  // namespace regraft
