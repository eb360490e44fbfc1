#include "base/hash.h"
#include "catch.h"

namespace regraft {
namespace {

TEST_CASE("crc32 is that of zip") {
  CHECK(crc32(as_bytes("")) == 0);
  CHECK(crc32(as_bytes("123456789")) == 0xCBF43926u);
  CHECK(crc32(as_bytes("456789"), crc32(as_bytes("123"))) == 0xCBF43926u);
}

TEST_CASE("crc32 of parts combines") {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += static_cast<char>(i * 37 + i / 256);
  std::uint32_t whole = crc32(as_bytes(text));
  for (std::size_t cut : {0u, 1u, 63u, 4096u, 5000u}) {
    std::string_view a(text.data(), cut), b(text.data() + cut, text.size() - cut);
    CHECK(crc32_combine(crc32(as_bytes(a)), crc32(as_bytes(b)), b.size()) == whole);
  }
}

TEST_CASE("crc32_combine takes any length") {
  // 2^63 and 2^64-1 bytes, as two halves of them one after the other.
  std::uint32_t a = 0x12345678, b = 0x9abcdef0;
  std::uint64_t half = std::uint64_t{1} << 62;
  CHECK(crc32_combine(a, b, 2 * half) == crc32_combine(crc32_combine(a, 0, half), b, half));
  CHECK(crc32_combine(a, b, ~std::uint64_t{0}) ==
        crc32_combine(crc32_combine(a, 0, 2 * half), b, 2 * half - 1));
}

TEST_CASE("digests have their known values") {
  CHECK(hex(digest(DigestKind::sha256, as_bytes("abc"))) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(hex(digest(DigestKind::sha256, {})) ==
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(hex(digest(DigestKind::xxh3, {})) == "99aa06d3014798d86001c324468d497f");
  CHECK(hex(digest(DigestKind::xxh3, as_bytes("abc"))) == "06b05ab6733a618578af5f94892f3950");
  CHECK(digest(DigestKind::none, as_bytes("abc")).empty());
  CHECK(name(DigestKind::none) == "none");
  CHECK(name(DigestKind::xxh3) == "xxh3-128");
  CHECK(name(DigestKind::sha256) == "sha256");
}

TEST_CASE("a digester takes parts and starts anew") {
  for (DigestKind kind : {DigestKind::xxh3, DigestKind::sha256}) {
    std::string text(10'000, 'x');
    Digester digester(kind);
    digester.update(as_bytes("left over"));
    digester.finish();
    for (std::size_t i = 0; i < text.size(); i += 1000)
      digester.update(as_bytes(std::string_view(text).substr(i, 1000)));
    Digester moved = std::move(digester);
    CHECK(moved.finish() == digest(kind, as_bytes(text)));
  }
}

TEST_CASE("hex keeps leading zeros") { CHECK(hex(std::string_view("\0\x0f\xf0", 3)) == "000ff0"); }

}  // namespace
}  // namespace regraft
