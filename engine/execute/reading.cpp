#include "execute/reading.h"

namespace regraft {

Status read_view(const Execution& run, Gatherer& gatherer, const View& view, ByteSink& sink) {
  REGRAFT_TRY(const StorageReader* source, run.reader(view.input));
  WholeStorage whole{run.record(view.input, view.storage).nbytes, std::nullopt};
  const auto stated = run.stated_crc(view.input, view.storage);
  REGRAFT_CHECK(gatherer.gather(*source, view, sink, stated ? &whole : nullptr));
  if (whole.crc && *whole.crc != *stated)
    return run.bad_checksum(view.input, view.storage, *whole.crc);
  return Done{};
}

Status read_range(const Execution& run, Gatherer& gatherer, const CopyRange& range,
                  PassingBy& passing) {
  REGRAFT_TRY(const StorageReader* source, run.reader(range.input));
  const auto stated = run.stated_crc(range.input, range.storage);
  passing.from(range, stated.has_value());
  REGRAFT_CHECK(gatherer.copy(*source, range.storage, range.offset, range.length, passing));
  const std::uint64_t nbytes = run.record(range.input, range.storage).nbytes;
  if (const auto crc = passing.whole_record(nbytes); crc && *crc != *stated)
    return run.bad_checksum(range.input, range.storage, *crc);
  return Done{};
}

}  // namespace regraft
