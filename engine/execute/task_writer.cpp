#include "execute/task_writer.h"

#include <algorithm>
#include <new>

#include "execute/converter.h"
#include "execute/passing_by.h"
#include "execute/reading.h"
#include "expr/tiles.h"

namespace regraft {
namespace {

Status repeat(const Repeat& repeat, ByteSink& sink) {
  std::vector<std::byte> block(std::min(repeat.nbytes, kCopyBlock));  // elements divide it
  for (std::size_t i = 0; i < block.size(); ++i)
    block[i] = static_cast<std::byte>(repeat.element[i % repeat.element.size()]);
  for (std::uint64_t left = repeat.nbytes; left > 0;) {
    const Bytes bytes(block.data(), std::min<std::uint64_t>(left, block.size()));
    REGRAFT_CHECK(sink.take(bytes));
    left -= bytes.size();
  }
  return Done{};
}

}  // namespace

Result<CrcWay> crc_way(const Execution& run, const ScheduledStorage& storage) {
  CrcWay way;
  std::optional<std::uint32_t> stated = storage.known_crc;
  const auto* range = std::get_if<CopyRange>(&storage.origin);
  if (stated && range && range->length > 0) {
    REGRAFT_TRY(const StorageReader* source, run.reader(range->input));
    // A reader that changes the bytes (another byte order) is not what a stated checksum is about.
    if (!source->direct(range->storage)) stated.reset();
  }
  if (storage.checksum == Checksum::reuse && !run.options.verify) way.reused = stated;
  if (run.options.verify) way.stated = stated;
  way.computed = way.stated || (storage.checksum != Checksum::none && !way.reused);
  return way;
}

TaskWriter::TaskWriter(const Execution& run, const Work& work, Evaluator* evaluator,
                       Written& written, Sink& sink)
    : run_(run),
      work_(work),
      evaluator_(evaluator),
      written_(written),
      joined_(sink),
      stream_(joined_, run.ticker, run.kind, written.chunks) {}

Status TaskWriter::write(const Task& task) {
  for (std::uint32_t i = task.first; i < task.last; ++i) {
    const Place& place = work_.places[i];
    if (place.is_storage) {
      REGRAFT_CHECK(write_storage(i));
    } else {
      const Patch& patch = run_.schedule.layout.header[place.index];
      REGRAFT_CHECK(joined_.write(patch.offset, as_bytes(patch.bytes)));
    }
  }
  return joined_.flush();
}

void TaskWriter::release() {
  joined_.release();
  gatherer_.release();
  values_.release();
}

Status TaskWriter::write_storage(std::uint32_t index) {
  const Place& place = work_.places[index];
  const ScheduledStorage& storage = run_.schedule.storages[place.index];
  REGRAFT_TRY(const CrcWay way, crc_way(run_, storage));
  stream_.begin(place, work_.segments_of(place.index), way.computed);
  const std::uint64_t length = place.end - place.begin;
  if (const auto* range = std::get_if<CopyRange>(&storage.origin)) {
    if (length > 0) REGRAFT_CHECK(copy(*range, place));
  } else if (const auto* gathered = std::get_if<Gather>(&storage.origin)) {
    REGRAFT_CHECK(read_view(run_, gatherer_, gathered->view, stream_));
  } else if (const auto* parts = std::get_if<Parts>(&storage.origin)) {
    REGRAFT_CHECK(write_parts(place.index, *parts, stream_));
  } else if (const auto* convert = std::get_if<Convert>(&storage.origin)) {
    REGRAFT_CHECK(write_converted(place.index, *convert));
  } else {
    REGRAFT_CHECK(write_evaluated(std::get<Evaluate>(storage.origin)));
  }
  if (stream_.taken() != length) {
    return run_.fault("storage " + std::to_string(place.index) + " got " +
                      std::to_string(stream_.taken()) + " of " + std::to_string(length) + " bytes");
  }
  written_.crcs[index] = stream_.crc();
  return Done{};
}

// A fault of values is one of the tensor that they are for.
Diagnostic TaskWriter::at_tensor(Diagnostic fault, const std::string& name) const {
  if (!fault.where.known() && fault.code != Code::interrupted)
    fault.where = file_location(run_.where, std::nullopt, name);
  return fault;
}

// But for what is shared.
Status TaskWriter::copy(const CopyRange& range, const Place& place) {
  REGRAFT_TRY(const StorageReader* source, run_.reader(range.input));
  const auto [begin, end] = written_.shared[place.index];
  const std::uint64_t from = std::clamp(begin, place.begin, place.end);
  const std::uint64_t to = std::clamp(end, from, place.end);
  REGRAFT_CHECK(gatherer_.copy(*source, range.storage, range.offset + place.begin,
                               from - place.begin, stream_, place.offset));
  REGRAFT_CHECK(stream_.pass(to - from));
  return gatherer_.copy(*source, range.storage, range.offset + to, place.end - to, stream_,
                        place.offset + (to - place.begin));
}

Status TaskWriter::write_converted(std::uint32_t storage, const Convert& convert) {
  Converter converter(convert, run_.schedule.storages[storage].dtype, values_, stream_);
  Status written = write_parts(storage, convert.parts, converter);
  if (written) return written;
  const std::uint32_t tensor = work_.tensors_of(storage).front();
  return at_tensor(std::move(written).error(), run_.schedule.tensors[tensor].tensor.name);
}

Status TaskWriter::write_parts(std::uint32_t storage, const Parts& parts, ByteSink& sink) {
  PassingBy passing(run_.kind, sink);
  for (const std::uint32_t tensor : work_.tensors_of(storage)) {
    const PlannedTensor& planned = run_.plan.tensors[run_.schedule.tensors[tensor].planned];
    for (const Load& one : loads_of(*planned.steps())) passing.expect(one, run_.tensor(one));
  }
  for (const Part& part : parts.parts) {
    if (const auto* range = std::get_if<CopyRange>(&part)) {
      REGRAFT_CHECK(read_range(run_, gatherer_, *range, passing));
    } else if (const auto* gathered = std::get_if<Gather>(&part)) {
      passing.from(gathered->view);
      REGRAFT_CHECK(read_view(run_, gatherer_, gathered->view, passing));
    } else {
      REGRAFT_CHECK(repeat(std::get<Repeat>(part), sink));
    }
  }
  passing.finish(written_.inputs);
  return Done{};
}

Status TaskWriter::write_evaluated(const Evaluate& evaluate) {
  const ExprPtr& expr = evaluate.expr;
  EvaluatorLoads loads(run_, gatherer_, written_.inputs, evaluate);
  if (evaluate.rows == 0) return write_values(*expr, loads, *expr);
  const std::int64_t rows = expr->shape.front();
  for (std::int64_t first = 0; first < rows; first += evaluate.rows) {
    const ExprPtr part = tile(expr, first, std::min(evaluate.rows, rows - first));
    REGRAFT_CHECK(write_values(*part, loads, *expr));
  }
  return Done{};
}

// `whole`: what messages are about.
Status TaskWriter::write_values(const Expr& expr, EvaluatorLoads& loads, const Expr& whole) {
  const std::uint64_t size = nbytes(expr);
  std::span<std::byte> values;
  try {
    values = values_.take(size);
  } catch (const std::bad_alloc&) {
    return error(Code::evaluator, file_location(run_.where, std::nullopt, run_.name_of(whole)),
                 "there is no memory for the " + std::to_string(size) + " bytes of this tensor",
                 "it is computed as a whole: it needs a machine with more memory");
  }
  Status computed = evaluator_->evaluate(
      expr, [&](const Load& load, std::span<std::byte> out) { return loads.load(load, out); },
      values);
  if (!computed) return at_tensor(std::move(computed).error(), run_.name_of(whole));
  return hand_on(values, stream_);
}

}  // namespace regraft
