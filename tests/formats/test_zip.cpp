#include <chrono>
#include <functional>
#include <string>

#include "catch.h"
#include "formats/torch/zip_reader.h"
#include "formats/torch/zip_writer.h"
#include "test_zip_builder.h"

using namespace regraft;
using namespace regraft::test;
using namespace std::string_literals;

namespace {

// "" when the archive is read, or the error's message.
std::string verdict(const std::string& bytes, const Limits& limits = {}) {
  TemporaryFile file(bytes);
  Result<ZipReader> zip = ZipReader::open(file.open(), limits);
  if (zip.ok()) return "";
  CHECK(zip.error().where.file == file.path());
  CHECK(zip.error().where.offset.has_value());
  CHECK((zip.error().code == Code::limit_exceeded || !zip.error().hint.empty()));
  return zip.error().message;
}

std::string with(std::function<void(Entry&)> change, Entry entry = stored("a/one", "hello")) {
  change(entry);
  return verdict(make_zip({entry, stored("a/two", "data")}));
}

std::string extra(std::uint16_t id, const std::string& body) {
  std::string out;
  append_le(out, id);
  append_le(out, static_cast<std::uint16_t>(body.size()));
  return out + body;
}

template <typename... Values>
std::string le64(Values... values) {
  std::string out;
  (append_le<std::uint64_t>(out, values), ...);
  return out;
}

}  // namespace

TEST_CASE("zip: genuine archives") {
  std::vector<Entry> entries = {streamed("a/data.pkl", "pickle"), stored("a/data/0", ""),
                                deflated("a/text", std::string(5000, 'x')),
                                stored("a/version", "3\n")};
  for (bool zip64 : {false, true}) {
    TemporaryFile file(make_zip(entries, {.zip64 = zip64}));
    Result<ZipReader> zip = ZipReader::open(file.open(), {});
    REQUIRE(zip.ok());
    CHECK(zip->root() == "a");
    REQUIRE(zip->entries().size() == 4);
    for (auto [path, content] :
         {std::pair{"data.pkl", "pickle"s}, std::pair{"data/0", ""s},
          std::pair{"text", std::string(5000, 'x')}, std::pair{"version", "3\n"s}}) {
      const ZipEntry* entry = zip->find(path);
      REQUIRE(entry != nullptr);
      CHECK(entry->crc32.has_value());
      Result<std::string> bytes = zip->read(*entry, 5000);
      REQUIRE(bytes.ok());
      CHECK(*bytes == content);
    }
    CHECK(zip->find("Version") == nullptr);
    CHECK(zip->find("none") == nullptr);
    CHECK(zip->read(*zip->find("text"), 4999).error().code == Code::limit_exceeded);
  }
}

TEST_CASE("zip: descriptors of all four forms") {
  for (bool wide : {false, true})
    for (bool signature : {false, true}) {
      Entry entry = streamed("a/x", "hello");
      entry.descriptor = signature ? "PK\x07\x08" : "";
      append_le(entry.descriptor, entry.crc);
      for (int i = 0; i < 2; ++i)
        wide ? append_le<std::uint64_t>(entry.descriptor, 5)
             : append_le<std::uint32_t>(entry.descriptor, 5);
      CHECK(verdict(make_zip({entry})) == "");
    }
}

TEST_CASE("zip: a CRC of 0 is one that is not stated") {
  Entry entry = streamed("a/x", "hello");
  entry.crc = 0;
  entry.descriptor.replace(4, 4, 4, '\0');
  TemporaryFile file(make_zip({entry}));
  Result<ZipReader> zip = ZipReader::open(file.open(), {});
  REQUIRE(zip.ok());
  CHECK_FALSE(zip->entries()[0].crc32.has_value());
  CHECK(zip->read(zip->entries()[0], 100).ok());
}

TEST_CASE("zip: wrong bytes of an entry that is read") {
  Entry entry = stored("a/x", "hello");
  entry.data = "hellp";
  TemporaryFile file(make_zip({entry,
                               [] {
                                 Entry e = deflated("a/y", "hello");
                                 e.crc ^= 1;
                                 return e;
                               }(),
                               [] {
                                 Entry e = deflated("a/less", "hello");
                                 e.size = 6;
                                 return e;
                               }(),
                               [] {
                                 Entry e = deflated("a/more", "hello");
                                 e.size = 4;
                                 return e;
                               }(),
                               [] {
                                 Entry e = deflated("a/after", "hello");
                                 e.data += "x";
                                 return e;
                               }(),
                               [] {
                                 Entry e = deflated("a/damaged", "hello");
                                 e.data = "\xff\xff\xff";
                                 return e;
                               }()}));
  Result<ZipReader> zip = ZipReader::open(file.open(), {});
  REQUIRE(zip.ok());
  auto code = [&](std::string_view path) { return zip->read(*zip->find(path), 100).error().code; };
  CHECK(code("x") == Code::checksum);
  CHECK(code("y") == Code::checksum);
  CHECK(code("less") == Code::zip_corrupt);
  CHECK(code("more") == Code::zip_corrupt);
  CHECK(code("after") == Code::zip_corrupt);
  CHECK(code("damaged") == Code::zip_corrupt);
}

TEST_CASE("zip: a deflate bomb is refused before it is inflated") {
  CHECK(verdict(make_zip({[] {
          Entry e = deflated("a/data.pkl", std::string(1000, '\0'));
          e.size = 2'000'000'000;
          return e;
        }()})) == "the entry states a size that its compressed bytes cannot have");
}

TEST_CASE("zip: names") {
  auto named = [](const std::string& name) { return verdict(make_zip({stored(name, "x")})); };
  CHECK(named("a/x") == "");
  CHECK(named("a/..x/...") == "");
  CHECK(named("") == "an entry has an empty name");
  CHECK(named("/a/x") == "the entry's name is an absolute path");
  CHECK(named("a/../x") == "the entry's name leads out of the archive");
  CHECK(named("../x") == "the entry's name leads out of the archive");
  CHECK(named("a/..") == "the entry's name leads out of the archive");
  CHECK(named("a\\x") == "the entry's name has a backslash");
  CHECK(named("a/x\0y"s) == "the entry's name has a NUL byte");
  CHECK(named("x") == "the entry is in no folder");
  CHECK(verdict(make_zip({stored("a/x", ""), stored("a/x", "")})) == "two entries have this name");
  CHECK(verdict(make_zip({stored("a/x", ""), stored("a/X", "")})) ==
        "another entry has this name but for case: 'a/x'");
  CHECK(verdict(make_zip({stored("a/x", ""), stored("b/x", "")})) ==
        "the archive has two folders at the top, 'a' and 'b'");
  CHECK(with([](Entry& e) { e.central_extra = extra(0x7075, "\1\0\0\0\0a/other"s); }) ==
        "the entry has a second name");
}

TEST_CASE("zip: local header and directory must agree") {
  auto says = [](const std::string& what) {
    return "the local header and the central directory disagree on the " + what;
  };
  CHECK(with([](Entry& e) { e.local_name = "a/two"; }) == says("name"));
  CHECK(with([](Entry& e) { e.local_flags = 0; }) == says("flags"));
  CHECK(with([](Entry& e) { e.local_method = 8; }) == says("method"));
  CHECK(with([](Entry& e) { e.local_size = 4; }) == says("size"));
  CHECK(with([](Entry& e) { e.local_size = 0; }) == says("size"));
  CHECK(with([](Entry& e) { e.local_compressed = 4; }) == says("compressed size"));
  CHECK(with([](Entry& e) { e.local_crc = 4; }) == says("checksum"));
  CHECK(with([](Entry& e) { e.local_crc = 0; }) == says("checksum"));
  Entry entry = streamed("a/one", "hello");
  CHECK(with([](Entry&) {}, entry) == "");
  CHECK(with([](Entry& e) { e.local_size = 4; }, entry) == says("size"));
  CHECK(with([](Entry& e) { e.local_crc = 4; }, entry) == says("checksum"));
  CHECK(with([](Entry& e) { e.descriptor[4] ^= 1; }, entry) != "");
  CHECK(with([](Entry& e) { e.descriptor[8] ^= 1; }, entry) != "");
  CHECK(with([](Entry& e) { e.descriptor.clear(); }, entry) ==
        "the data descriptor of the entry is damaged");
}

TEST_CASE("zip: features that are refused") {
  CHECK(with([](Entry& e) { e.flags |= 1; }) == "the entry is encrypted");
  CHECK(with([](Entry& e) { e.flags |= 0x40; }) != "");
  CHECK(with([](Entry& e) { e.method = 12; }) ==
        "the entry is compressed by method 12; only 0 (stored) and 8 (deflated) are supported");
  CHECK(with([](Entry& e) { e.central_size = 4; }) ==
        "the entry is stored, but its two sizes differ");
  CHECK(with([](Entry& e) { e.central_size = e.central_compressed = 2'200'000'000; }) ==
        "the entry lies past the end of the data");
}

TEST_CASE("zip: zip64 fields") {
  auto wide = [](const std::string& field) {
    return with([&](Entry& e) {
      e.central_size = e.central_compressed = zip::kIn64;
      e.central_extra = field;
    });
  };
  CHECK(wide(extra(1, le64(5, 5))) == "");
  CHECK(wide(extra(1, le64(5))) == "the zip64 field of the entry is missing or too short");
  CHECK(wide("") == "the zip64 field of the entry is missing or too short");
  CHECK(wide(extra(1, le64(5, 5, 0))) == "the zip64 field of the entry is too long");
  CHECK(wide(extra(1, le64(5, 5)) + extra(1, le64(5, 5))) == "an extra field stands twice");
  CHECK(wide("\1\0\xff\xff"s) == "an extra field is longer than its header says");
  CHECK(wide("\1\0"s) == "an extra field is cut short");
  CHECK(wide(extra(1, le64(~0ull, ~0ull))) == "the entry lies past the end of the data");
  CHECK(with([](Entry& e) {
          e.central_offset = zip::kIn64;
          e.central_extra = extra(1, le64(~0ull - 3));
        }) == "the entry lies past the end of the data");
}

TEST_CASE("zip: bytes that belong to nothing, and overlaps") {
  std::vector<Entry> entries = {stored("a/x", "hello"), stored("a/y", "hello")};
  CHECK(verdict(make_zip(entries)) == "");
  CHECK(verdict(make_zip(entries, {.prefix = "#!"})) ==
        "2 bytes stand before the first entry of the zip archive");
  CHECK(verdict("#!" + make_zip(entries)) ==
        "2 bytes stand before the zip archive or between its parts");
  CHECK(verdict(make_zip(entries, {.suffix = "xyz"})) ==
        "3 bytes follow the end of the zip archive");
  CHECK(verdict(make_zip(entries, {.before_directory = "x"})) ==
        "1 bytes stand between this entry and the next");
  CHECK(verdict(make_zip(entries, {.after_directory = "x"})) ==
        "1 bytes stand before the zip archive or between its parts");
  CHECK(verdict(make_zip(entries, {.count = 1})) ==
        "the central directory has more than its entries");
  CHECK(verdict(make_zip(entries, {.count = 3})) != "");
  entries[1].central_offset = 0;
  CHECK(verdict(make_zip(entries)) == "the entry overlaps the next one");
  entries[1].central_offset = 20;
  CHECK(verdict(make_zip(entries)) == "the entry overlaps the next one");
  entries[1].central_offset = 34;
  CHECK(verdict(make_zip(entries)) != "");
}

TEST_CASE("zip: cut anywhere") {
  std::string bytes =
      make_zip({streamed("a/x", "hello"), deflated("a/y", "hello")}, {.zip64 = true});
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    INFO(size);
    CHECK(verdict(bytes.substr(0, size)) != "");
  }
}

TEST_CASE("zip: any byte changed is an error or an archive of the same names") {
  std::string bytes = make_zip({streamed("a/x", "hello"), stored("a/y", "hello")}, {.zip64 = true});
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 0x41);
    TemporaryFile file(changed);
    Result<ZipReader> zip = ZipReader::open(file.open(), {});
    if (zip.ok()) CHECK(zip->entries().size() == 2);
  }
}

TEST_CASE("zip: the limit of entries") {
  std::vector<Entry> entries = {stored("a/x", ""), stored("a/y", ""), stored("a/z", "")};
  Limits limits;
  limits.zip_entries = 3;
  CHECK(verdict(make_zip(entries), limits) == "");
  limits.zip_entries = 2;
  CHECK(verdict(make_zip(entries), limits) == "the zip archive has 3 entries; the limit is 2");
}

TEST_CASE("zip: a layout is read as it was made") {
  ZipLayout layout(64);
  std::string bytes;
  std::vector<std::string> contents = {"pickle", "", std::string(1000, 'x'), "3\n"};
  for (std::size_t i = 0; i < contents.size(); ++i)
    REQUIRE(layout.add("a/" + std::to_string(i), contents[i].size(), crc32(as_bytes(contents[i]))));
  for (std::size_t i = 0; i < contents.size(); ++i) {
    CHECK(bytes.size() == layout.records()[i].header_offset);
    bytes += layout.local_header(layout.records()[i]);
    CHECK(bytes.size() == layout.records()[i].data_offset);
    CHECK(bytes.size() % 64 == 0);
    bytes += contents[i];
  }
  CHECK(bytes.size() == layout.end());
  CHECK(layout.directory().size() == layout.directory_size());
  CHECK(verdict(bytes + layout.directory()) == "");
}

TEST_CASE("zip: sizes and offsets of 4 GiB and more") {
  for (std::uint64_t size : {0xFFFFFFFEull, 0xFFFFFFFFull, 0x100000000ull, 1ull << 40}) {
    ZipLayout layout(64);
    REQUIRE(layout.add("a/0", size));
    REQUIRE(layout.add("a/1", 10));
    const auto& records = layout.records();
    CHECK(records[0].data_offset % 64 == 0);
    CHECK(records[1].data_offset % 64 == 0);
    CHECK(records[1].header_offset == records[0].data_offset + size);
    for (const auto& record : records)
      CHECK(layout.local_header(record).size() == record.data_offset - record.header_offset);
    CHECK(layout.directory().size() == layout.directory_size());
  }
  ZipLayout layout(64);
  CHECK_FALSE(layout.add("a/0", ~0ull));
  CHECK_FALSE(layout.add("a/0", 1ull << 62));
  REQUIRE(layout.add("a/0", 1ull << 61));
  CHECK_FALSE(layout.add("a/1", 1ull << 61));
}

TEST_CASE("zip: 100,000 entries") {
  ZipLayout layout(64);
  std::string bytes;
  for (int i = 0; i < 100'000; ++i) {
    REQUIRE(layout.add("a/data/" + std::to_string(i), 16));
    bytes += layout.local_header(layout.records().back()) + std::string(16, 'x');
  }
  TemporaryFile file(bytes + layout.directory());
  Result<ZipReader> zip = ZipReader::open(file.open(), {});
  REQUIRE(zip.ok());
  CHECK(zip->entries().size() == 100'000);
  CHECK(zip->find("data/99999")->size == 16);
}
