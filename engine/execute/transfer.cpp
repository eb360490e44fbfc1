#include "execute/transfer.h"

#include <algorithm>
#include <cassert>
#include <deque>
#include <map>
#include <tuple>
#include <utility>

#include "execute/pool.h"
#include "execute/rereading.h"

namespace regraft {
namespace {

// Verifying compares digests, also where nobody wants to see them.
DigestKind kind_of_digests(const ExecuteOptions& options) {
  return options.digest == DigestKind::none && options.verify_output ? DigestKind::xxh3
                                                                     : options.digest;
}

// Bytes of the tensors that are hashed chunk by chunk; the others take no room.
std::vector<std::uint64_t> chunked(const Schedule& schedule, const Work& work) {
  std::vector<std::uint64_t> nbytes(schedule.tensors.size());
  for (const Segment& segment : work.segments) nbytes[segment.tensor] = segment.end - segment.begin;
  return nbytes;
}

std::vector<std::vector<std::string>> no_digests(
    const std::vector<const Checkpoint*>& checkpoints) {
  std::vector<std::vector<std::string>> digests;
  for (const Checkpoint* checkpoint : checkpoints)
    digests.emplace_back(checkpoint->catalog.tensors.size());
  return digests;
}

}  // namespace

Transfer::Transfer(const Schedule& schedule, const Plan& plan,
                   const std::vector<const Checkpoint*>& checkpoints, std::string where,
                   const ExecuteOptions& options)
    : ticker_(options),
      run_{schedule, plan, checkpoints, std::move(where), options, kind_of_digests(options),
           ticker_},
      work_(cut(schedule, run_.kind != DigestKind::none)),
      written_{std::vector<std::uint32_t>(work_.places.size()),
               ChunkTable(run_.kind, chunked(schedule, work_)),
               InputDigests(no_digests(checkpoints)),
               std::vector<Sink::Shared>(schedule.storages.size())} {
  executed_.output_bytes = run_.schedule.layout.size;
  executed_.tensor_digests.resize(run_.schedule.tensors.size());
  for (const ScheduledStorage& storage : run_.schedule.storages) ticker_.expect(storage.nbytes);
  if (run_.options.verify_output)
    for (const ScheduledTensor& tensor : run_.schedule.tensors)
      ticker_.expect(nbytes(tensor.tensor));
}

Status Transfer::prepare() {
  REGRAFT_CHECK(ticker_.proceed());
  const auto first =
      std::ranges::find_if(run_.schedule.storages, [](const ScheduledStorage& storage) {
        return std::holds_alternative<Evaluate>(storage.origin);
      });
  if (first == run_.schedule.storages.end()) return Done{};
  if (!run_.options.evaluator) {
    return error(Code::no_evaluator, {},
                 "the tensor " + quoted(run_.name_of(*std::get<Evaluate>(first->origin).expr)) +
                     " has to be computed, and no evaluator was given",
                 "pass one in the options: regraft::torch_evaluator() of <regraft/torch.h>");
  }
  REGRAFT_TRY(evaluator_, run_.options.evaluator());
  executed_.evaluator = evaluator_->info();
  return Done{};
}

Status Transfer::share(Sink& sink) {
  if (!run_.options.reflink || run_.kind != DigestKind::none) return Done{};
  for (std::size_t i = 0; i < run_.schedule.storages.size(); ++i) {
    const ScheduledStorage& storage = run_.schedule.storages[i];
    const auto* range = std::get_if<CopyRange>(&storage.origin);
    if (!range || !run_.schedule.output.storages[i].source_offset) continue;
    REGRAFT_TRY(const CrcWay way, crc_way(run_, storage));
    REGRAFT_TRY(const StorageReader* source, run_.reader(range->input));
    if (way.computed || !source->direct(range->storage) || !source->file()) continue;
    REGRAFT_CHECK(ticker_.proceed());
    written_.shared[i] =
        sink.share(run_.schedule.layout.storage_offsets[i], *source->file(),
                   *run_.schedule.output.storages[i].source_offset, storage.nbytes);
  }
  return Done{};
}

Status Transfer::write(Sink& sink) {
  REGRAFT_CHECK(write_tasks(sink));
  REGRAFT_TRY(crcs_, checksums());
  for (const Patch& patch :
       run_.schedule.format->writer()->finish(run_.schedule.output, run_.schedule.layout, crcs_)) {
    REGRAFT_CHECK(sink.write(patch.offset, as_bytes(patch.bytes)));
  }
  return Done{};
}

Status Transfer::write_tasks(Sink& sink) {
  // No more than there are tasks: each has buffers.
  std::deque<TaskWriter> writers;
  for (std::size_t i = 0; i < std::clamp<std::size_t>(work_.tasks.size(), 1, run_.options.threads);
       ++i)
    writers.emplace_back(run_, work_, evaluator_, written_, sink);
  PoolTasks tasks;
  tasks.count = work_.tasks.size();
  tasks.buffers = [&](std::size_t i) { return work_.tasks[i].buffers; };
  tasks.run = [&](std::size_t i, std::size_t worker) {
    return writers[worker].write(work_.tasks[i]);
  };
  tasks.release = [&](std::size_t worker) { writers[worker].release(); };
  return run_tasks(tasks, writers.size(), run_.options.max_memory, ticker_);
}

Result<std::vector<std::uint32_t>> Transfer::checksums() const {
  std::vector<std::uint32_t> crcs(run_.schedule.storages.size());
  // The places of a storage come in order.
  for (std::size_t i = 0; i < work_.places.size(); ++i) {
    const Place& place = work_.places[i];
    if (!place.is_storage) continue;
    std::uint32_t& crc = crcs[place.index];
    crc = place.begin == 0 ? written_.crcs[i]
                           : crc32_combine(crc, written_.crcs[i], place.end - place.begin);
    const ScheduledStorage& storage = run_.schedule.storages[place.index];
    if (place.end < storage.nbytes) continue;
    REGRAFT_TRY(const CrcWay way, crc_way(run_, storage));
    if (way.stated && *way.stated != crc) {
      const auto& range = std::get<CopyRange>(storage.origin);
      return run_.bad_checksum(range.input, range.storage, crc);
    }
    if (way.reused) crc = *way.reused;
  }
  return crcs;
}

Status Transfer::digest_rest() {
  if (run_.kind == DigestKind::none) return Done{};
  for (const Segment& segment : work_.segments)
    executed_.tensor_digests[segment.tensor] = written_.chunks.finish(segment.tensor);
  for (const std::uint32_t tensor : work_.empty)
    executed_.tensor_digests[tensor] = digest(run_.kind, {});
  for (const auto& [tensor, first] : work_.same)
    executed_.tensor_digests[tensor] = executed_.tensor_digests[first];
  REGRAFT_CHECK(digest_later());
  note_input_digests();
  return run_.options.digest_inputs ? digest_inputs() : Status(Done{});
}

// Tensors that are not bytes in a row of a storage that was copied whole are read again.
Status Transfer::digest_later() {
  using ViewKey = std::tuple<std::uint32_t, std::uint32_t, DType, std::int64_t, Shape, Shape>;
  std::map<ViewKey, std::uint32_t> known;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> same;
  std::vector<Reread> tensors;
  for (const std::uint32_t index : work_.later) {
    const Tensor& tensor = run_.schedule.tensors[index].tensor;
    const auto* range = std::get_if<CopyRange>(&run_.schedule.storages[tensor.storage].origin);
    assert(range != nullptr);  // what is gathered or computed is one tensor in row-major order
    View view = view_of(range->input, tensor);
    view.storage = range->storage;
    view.offset += static_cast<std::int64_t>(range->offset / itemsize(view.dtype));
    const auto [found, is_new] = known.emplace(
        ViewKey{view.input, view.storage, view.dtype, view.offset, view.shape, view.strides},
        index);
    if (is_new) {
      REGRAFT_TRY(const StorageReader* source, run_.reader(view.input));
      tensors.push_back({source, std::move(view), &executed_.tensor_digests[index]});
    } else {
      same.emplace_back(index, found->second);
    }
  }
  REGRAFT_CHECK(reread(run_, tensors, false));
  for (const auto& [tensor, first] : same)
    executed_.tensor_digests[tensor] = executed_.tensor_digests[first];
  return Done{};
}

// Where values went through unchanged, the digest of the output's tensor is that of the input's.
void Transfer::note_input_digests() {
  for (std::size_t i = 0; i < run_.schedule.tensors.size(); ++i) {
    const ExprPtr& expr = run_.plan.tensors[run_.schedule.tensors[i].planned].steps();
    if (!expr || !moves_only(*expr)) continue;
    const Load loaded = loads_of(*expr).front();
    written_.inputs.put(loaded.input, loaded.tensor, executed_.tensor_digests[i]);
  }
}

Status Transfer::digest_inputs() {
  std::vector<Reread> tensors;
  std::vector<std::pair<std::string*, const std::string*>> same;
  for (std::uint32_t input = 0; input < run_.checkpoints.size(); ++input) {
    const Checkpoint& checkpoint = *run_.checkpoints[input];
    if (!checkpoint.reader) continue;
    std::vector<std::string>& digests = written_.inputs.all()[input];
    const std::vector<Tensor>& catalog = checkpoint.catalog.tensors;
    // Tied tensors are read once.
    std::map<std::tuple<std::uint32_t, std::uint64_t, std::uint64_t>, std::uint32_t> known;
    for (const bool done : {true, false}) {
      for (std::uint32_t i = 0; i < catalog.size(); ++i) {
        const Tensor& tensor = catalog[i];
        if (!tensor.unsupported.empty() || digests[i].empty() == done) continue;
        const auto [begin, end] = byte_extent(tensor);
        auto found = known.end();
        bool is_new = true;
        if (is_contiguous(tensor.shape, tensor.strides)) {
          std::tie(found, is_new) = known.emplace(std::tuple(tensor.storage, begin, end), i);
        }
        if (done) continue;
        if (is_new) {
          ticker_.expect(nbytes(tensor));
          tensors.push_back({checkpoint.reader.get(), view_of(input, tensor), &digests[i]});
        } else {
          same.emplace_back(&digests[i], &digests[found->second]);
        }
      }
    }
  }
  REGRAFT_CHECK(reread(run_, tensors, true));
  for (const auto& [digest, first] : same) *digest = *first;
  return Done{};
}

Status Transfer::compare(const Checkpoint& written) {
  std::vector<std::string> found(run_.schedule.tensors.size());
  std::vector<Reread> tensors;
  for (std::uint32_t i = 0; i < found.size(); ++i)
    tensors.push_back({written.reader.get(), view_of(0, written.catalog.tensors[i]), &found[i]});
  REGRAFT_CHECK(reread(run_, tensors, true));
  for (std::uint32_t i = 0; i < found.size(); ++i) {
    if (found[i] == executed_.tensor_digests[i]) continue;
    const Tensor& tensor = written.catalog.tensors[i];
    const Storage& storage = written.catalog.storages[tensor.storage];
    return error(Code::file_write, file_location(run_.where, storage.offset, storage.key),
                 "the tensor " + quoted(tensor.name) +
                     " reads otherwise than it was written: its digest is " + hex(found[i]) +
                     ", not " + hex(executed_.tensor_digests[i]),
                 "the disk or the memory is faulty; nothing was published");
  }
  return compare_kept(written);
}

// Of storages that no tensor of the state dict uses, the checksums that were written.
Status Transfer::compare_kept(const Checkpoint& written) {
  std::map<std::uint64_t, std::uint32_t> by_offset;
  for (const auto& [source, index] : run_.schedule.output.surroundings.storages)
    if (work_.tensors_of(index).empty() && run_.schedule.storages[index].nbytes > 0)
      by_offset[run_.schedule.layout.storage_offsets[index]] = index;
  std::vector<std::byte> block(kCopyBlock);
  for (std::uint32_t i = 0; i < written.catalog.storages.size(); ++i) {
    const Storage& storage = written.catalog.storages[i];
    const auto kept = by_offset.find(storage.offset);
    if (kept == by_offset.end()) continue;
    std::uint32_t crc = 0;
    for (std::uint64_t at = 0; at < storage.nbytes; at += block.size()) {
      const auto part = std::span(block).first(
          static_cast<std::size_t>(std::min<std::uint64_t>(block.size(), storage.nbytes - at)));
      REGRAFT_CHECK(written.reader->read(i, at, part));
      REGRAFT_CHECK(ticker_.proceed());
      crc = crc32(part, crc);
    }
    if (crc != crcs_[kept->second])
      return error(Code::file_write, file_location(run_.where, storage.offset, storage.key),
                   "what is kept beside the tensors reads otherwise than it was written",
                   "the disk or the memory is faulty; nothing was published");
  }
  return Done{};
}

Status Transfer::inputs_unchanged() const {
  for (const Checkpoint* checkpoint : run_.checkpoints)
    if (checkpoint->reader && checkpoint->reader->file())
      REGRAFT_CHECK(checkpoint->reader->file()->unchanged());
  return Done{};
}

Executed Transfer::finish() && {
  executed_.input_digests = std::move(written_.inputs.all());
  if (run_.options.digest == DigestKind::none) {  // they were for verifying only
    executed_.tensor_digests.assign(executed_.tensor_digests.size(), {});
    for (auto& digests : executed_.input_digests) digests.assign(digests.size(), {});
  }
  executed_.output_digest =
      table_digest(run_.options.digest, run_.schedule.output.tensors, executed_.tensor_digests);
  for (std::size_t input = 0; input < run_.checkpoints.size(); ++input)
    executed_.input_table_digests.push_back(table_digest(run_.options.digest,
                                                         run_.checkpoints[input]->catalog.tensors,
                                                         executed_.input_digests[input]));
  return std::move(executed_);
}

}  // namespace regraft
