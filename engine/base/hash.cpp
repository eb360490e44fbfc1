#include "base/hash.h"

// The functions behind EVP: EVP starts the whole library, which takes a millisecond and crashes
// where it finds no memory. These allocate nothing.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <isa-l.h>
#include <openssl/sha.h>
#include <xxhash.h>
// The library's own choice by CPU, at run time: the plain functions of a distribution's build use
// SSE2 and are four times slower.
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#endif
#include <zlib.h>

#include <limits>
#include <new>

// zlib.h makes a macro of this name when files have 64-bit offsets.
#undef crc32_combine

namespace regraft {

std::uint32_t crc32(Bytes bytes, std::uint32_t seed) {
  return crc32_gzip_refl(seed, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

std::uint32_t crc32_combine(std::uint32_t a, std::uint32_t b, std::uint64_t length_of_b) {
  // zlib takes a signed length and does not return from a negative one, so A is moved past a longer
  // B in steps.
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  auto combine = [](std::uint32_t left, std::uint32_t right, std::uint64_t length) {
    return static_cast<std::uint32_t>(
        ::crc32_combine64(left, right, static_cast<z_off64_t>(length)));
  };
  while (length_of_b > kMost) {
    a = combine(a, 0, kMost);
    length_of_b -= kMost;
  }
  return combine(a, b, length_of_b);
}

std::string_view name(DigestKind kind) {
  switch (kind) {
    case DigestKind::none:
      return "none";
    case DigestKind::xxh3:
      return "xxh3-128";
    case DigestKind::sha256:
      return "sha256";
  }
  return "none";
}

struct Digester::Impl {
  explicit Impl(DigestKind kind_of_digest) : kind(kind_of_digest) {
    if (kind == DigestKind::xxh3) xxh3 = XXH3_createState();
    if (kind == DigestKind::xxh3 && !xxh3) throw std::bad_alloc();
    reset();
  }
  ~Impl() { XXH3_freeState(xxh3); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void reset() {
    if (kind == DigestKind::xxh3) XXH3_128bits_reset(xxh3);
    if (kind == DigestKind::sha256) SHA256_Init(&sha256);
  }

  DigestKind kind;
  XXH3_state_t* xxh3 = nullptr;
  SHA256_CTX sha256{};
};

Digester::Digester(DigestKind kind) : impl_(std::make_unique<Impl>(kind)) {}
Digester::~Digester() = default;
Digester::Digester(Digester&&) noexcept = default;
Digester& Digester::operator=(Digester&&) noexcept = default;

void Digester::update(Bytes bytes) {
  if (bytes.empty()) return;
  if (impl_->kind == DigestKind::xxh3) XXH3_128bits_update(impl_->xxh3, bytes.data(), bytes.size());
  if (impl_->kind == DigestKind::sha256) SHA256_Update(&impl_->sha256, bytes.data(), bytes.size());
}

std::string Digester::finish() {
  std::string raw;
  if (impl_->kind == DigestKind::xxh3) {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(impl_->xxh3));
    raw.assign(reinterpret_cast<const char*>(canonical.digest), sizeof canonical.digest);
  }
  if (impl_->kind == DigestKind::sha256) {
    unsigned char sum[SHA256_DIGEST_LENGTH];
    SHA256_Final(sum, &impl_->sha256);
    raw.assign(reinterpret_cast<const char*>(sum), sizeof sum);
  }
  impl_->reset();
  return raw;
}

std::string digest(DigestKind kind, Bytes bytes) {
  Digester digester(kind);
  digester.update(bytes);
  return digester.finish();
}

std::uint64_t xxh3_64(Bytes bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

std::string hex(std::string_view raw) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * raw.size());
  for (char byte : raw) {
    text += kDigits[static_cast<unsigned char>(byte) >> 4];
    text += kDigits[static_cast<unsigned char>(byte) & 15];
  }
  return text;
}

}  // namespace regraft
