// Ranges that an output shares with an input, with a sink that shares as a file system does.
#include <mutex>

#include "catch.h"
#include "execute/transfer.h"
#include "formats/torch/zip_writer.h"
#include "test_execute_support.h"

namespace regraft {
namespace {

using test::Folder;
using test::noise;
using test::plan_all;
using test::schedule_of;
using test::Source;

constexpr std::uint64_t kMiB = 1 << 20;

class SharingSink final : public Sink {
 public:
  explicit SharingSink(std::uint64_t size) : bytes(size, '?') {}
  Status write(std::uint64_t offset, Bytes from) override {
    const std::lock_guard lock(mutex_);
    for (const Shared& one : shared)
      overwritten += offset < one.end && offset + from.size() > one.begin;
    bytes.replace(offset, from.size(), reinterpret_cast<const char*>(from.data()), from.size());
    return Done{};
  }
  Shared share(std::uint64_t offset, const InputFile& file, std::uint64_t from,
               std::uint64_t length) override {
    if (offset % kSharedPage != from % kSharedPage) return {};
    const std::uint64_t begin = (kSharedPage - offset % kSharedPage) % kSharedPage;
    const std::uint64_t end = length - (offset + length) % kSharedPage;
    if (!file.read(from + begin,
                   std::as_writable_bytes(std::span(bytes.data() + offset + begin, end - begin)))
             .ok())
      return {};
    shared.push_back({offset + begin, offset + end});
    return {begin, end};
  }
  std::string bytes;
  std::vector<Shared> shared;
  std::size_t overwritten = 0;

 private:
  std::mutex mutex_;
};

struct Outcome {
  std::string bytes;
  std::uint64_t shared = 0;
  std::size_t overwritten = 0;
};

Outcome run(Source& source, const Checkpoint& checkpoint, const Format& format,
            const ExecuteOptions& options) {
  const Plan plan = plan_all(source.catalog);
  const auto made = schedule_of(plan, checkpoint.catalog, format, {}, {.verify = options.verify});
  REQUIRE(made.schedule);
  const std::vector<const Checkpoint*> checkpoints = {&checkpoint};
  Transfer transfer(*made.schedule, plan, checkpoints, "out", options);
  SharingSink sink(made.schedule->layout.size);
  REQUIRE(transfer.prepare().ok());
  REQUIRE(transfer.share(sink).ok());
  REQUIRE(transfer.write(sink).ok());
  Outcome outcome{sink.bytes, 0, sink.overwritten};
  for (const Sink::Shared& one : sink.shared) outcome.shared += one.end - one.begin;
  return outcome;
}

TEST_CASE("what nobody reads is shared, and the rest copied around it") {
  Folder folder;
  Source source;
  source.tensor("first", DType::uint8, {100}, source.storage(noise(128, 1), true));
  source.tensor("large", DType::uint8, {9 * kMiB + 64},
                source.storage(noise(9 * kMiB + 64, 2), true));
  source.tensor("small", DType::uint8, {kMiB - 64}, source.storage(noise(kMiB - 64, 3), true));
  source.tensor("next", DType::float32, {kMiB}, source.storage(noise(4 * kMiB, 4), true));
  const bool direct = GENERATE(true, false);
  const Checkpoint& checkpoint = source.open(folder / "in", direct);
  for (const Format* format : {&torch_zip_format(), &safetensors_format()}) {
    CAPTURE(format->name(), direct);
    ExecuteOptions options;
    options.verify = false;
    options.digest = DigestKind::none;
    options.threads = 3;
    options.reflink = false;
    const Outcome copied = run(source, checkpoint, *format, options);
    CHECK(copied.shared == 0);
    options.reflink = true;
    const Outcome shared = run(source, checkpoint, *format, options);
    CHECK((shared.bytes == copied.bytes));
    CHECK(shared.overwritten == 0);
    // What lies in safetensors is sorted by its elements' size, so it does not all move together.
    if (direct && format == &torch_zip_format()) CHECK(shared.shared > 12 * kMiB);
    if (direct) CHECK(shared.shared > 3 * kMiB);
    if (!direct) CHECK(shared.shared == 0);
    // With digests or checksums it is read.
    options.digest = DigestKind::xxh3;
    CHECK(run(source, checkpoint, *format, options).shared == 0);
    options.digest = DigestKind::none;
    options.verify = true;
    CHECK(run(source, checkpoint, *format, options).shared == 0);
  }
}

TEST_CASE("a record can be put at an offset that is congruent to another") {
  ZipLayout zip(64);
  REQUIRE(zip.add("a", 100));
  for (const std::uint64_t like :
       {std::uint64_t{0}, std::uint64_t{64}, std::uint64_t{4032}, std::uint64_t{70'000 * 64}}) {
    REQUIRE(zip.add("b", 10'000, 0, like, 4096));
    const ZipLayout::Record& record = zip.records().back();
    CHECK(record.data_offset % 4096 == like % 4096);
    CHECK(zip.local_header(record).size() == record.data_offset - record.header_offset);
  }
  // What is not aligned cannot be had.
  REQUIRE(zip.add("c", 10, 0, 33, 4096));
  CHECK(zip.records().back().data_offset % 64 == 0);
}

}  // namespace
}  // namespace regraft
