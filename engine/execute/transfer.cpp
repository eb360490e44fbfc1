#include "execute/transfer.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdio>
#include <cstring>
#include <new>
#include <tuple>

#include "execute/passing_by.h"

namespace regraft {

// One storage on its way to the output: written, and hashed in the same pass.
class StorageStream final : public ByteSink {
 public:
  StorageStream(Sink& output, Ticker& ticker, DigestKind kind, std::vector<std::string>& digests)
      : output_(output), ticker_(ticker), digest_(kind), digests_(digests) {}

  // `segments` are in order, not empty, without bytes in common, and stay where they are.
  void begin(std::uint64_t offset, std::span<const Segment> segments, bool with_crc) {
    offset_ = offset;
    at_ = 0;
    crc_ = 0;
    segments_ = segments;
    with_crc_ = with_crc;
  }
  Status take(Bytes bytes) override {
    if (with_crc_) crc_ = crc32(bytes, crc_);
    hash(bytes);
    REGRAFT_CHECK(output_.write(offset_ + at_, bytes));
    at_ += bytes.size();
    return ticker_.advance(bytes.size());
  }
  Status proceed() override { return ticker_.proceed(); }
  [[nodiscard]] std::uint32_t crc() const { return crc_; }
  [[nodiscard]] std::uint64_t taken() const { return at_; }

 private:
  void hash(Bytes bytes) {
    const std::uint64_t end = at_ + bytes.size();
    while (!segments_.empty() && segments_.front().begin < end) {
      const Segment& segment = segments_.front();
      const std::uint64_t from = std::max(segment.begin, at_), to = std::min(segment.end, end);
      digest_.update(bytes.subspan(from - at_, to - from));
      if (segment.end > end) return;
      digests_[segment.tensor] = digest_.finish();
      segments_ = segments_.subspan(1);
    }
  }

  Sink& output_;
  Ticker& ticker_;
  TensorDigest digest_;
  std::vector<std::string>& digests_;
  std::span<const Segment> segments_;
  std::uint64_t offset_ = 0, at_ = 0;
  std::uint32_t crc_ = 0;
  bool with_crc_ = false;
};

namespace {

constexpr std::uint64_t kProgressStep = 4ull << 20;

// Bytes that are read for their digest alone.
class DigestSink final : public ByteSink {
 public:
  DigestSink(Ticker& ticker, DigestKind kind, bool counts)
      : ticker_(ticker), digest_(kind), counts_(counts) {}
  Status take(Bytes bytes) override {
    digest_.update(bytes);
    return counts_ ? ticker_.advance(bytes.size()) : ticker_.proceed();
  }
  Status proceed() override { return ticker_.proceed(); }
  std::string finish() { return digest_.finish(); }

 private:
  Ticker& ticker_;
  TensorDigest digest_;
  bool counts_;  // towards the progress
};

// Bytes for the evaluator; hashed on the way.
class BufferSink final : public ByteSink {
 public:
  BufferSink(std::span<std::byte> out, Ticker& ticker, DigestKind kind)
      : out_(out), ticker_(ticker), digest_(kind) {}
  Status take(Bytes bytes) override {
    assert(bytes.size() <= out_.size());
    std::memcpy(out_.data(), bytes.data(), bytes.size());
    out_ = out_.subspan(bytes.size());
    digest_.update(bytes);
    return ticker_.proceed();
  }
  Status proceed() override { return ticker_.proceed(); }
  std::string finish() { return digest_.finish(); }

 private:
  std::span<std::byte> out_;
  Ticker& ticker_;
  TensorDigest digest_;
};

// torch keeps the conjugate and the negative of a tensor as bits beside the same bytes.
template <typename Word>
void flip_signs(std::span<std::byte> bytes, std::size_t first, std::size_t step) {
  constexpr Word kSign = static_cast<Word>(Word{1} << (sizeof(Word) * 8 - 1));
  for (std::size_t at = first * sizeof(Word); at < bytes.size(); at += step * sizeof(Word)) {
    Word word{};
    std::memcpy(&word, bytes.data() + at, sizeof(Word));
    word = static_cast<Word>(word ^ kSign);
    std::memcpy(bytes.data() + at, &word, sizeof(Word));
  }
}

void resolve_bits(const Tensor& tensor, std::span<std::byte> bytes) {
  const auto flip = [&](std::size_t first, std::size_t step) {
    switch (info(tensor.dtype).swap_width) {
      case 8:
        return flip_signs<std::uint64_t>(bytes, first, step);
      case 4:
        return flip_signs<std::uint32_t>(bytes, first, step);
      case 2:
        return flip_signs<std::uint16_t>(bytes, first, step);
      default:
        return flip_signs<std::uint8_t>(bytes, first, step);
    }
  };
  if (tensor.conj) flip(1, 2);  // imaginary parts
  if (tensor.neg) flip(0, 1);
}

View view_of(std::uint32_t input, const Tensor& tensor) {
  return {input,          tensor.storage, tensor.dtype, tensor.shape,
          tensor.strides, tensor.offset,  tensor.conj,  tensor.neg};
}

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

std::string hex_of(std::uint32_t crc) {
  std::array<char, 9> digits{};
  std::snprintf(digits.data(), digits.size(), "%08x", crc);
  return digits.data();
}
}  // namespace

Status Ticker::proceed() const {
  if (!options_.cancelled || !options_.cancelled()) return Done{};
  return error(Code::interrupted, {}, "interrupted; nothing was written");
}

Status Ticker::advance(std::uint64_t bytes) {
  progress_.done_bytes += bytes;
  if (options_.progress && progress_.done_bytes - told_ >= kProgressStep) tell();
  return proceed();
}

void Ticker::tell() {
  told_ = progress_.done_bytes;
  if (options_.progress) options_.progress(progress_);
}

Transfer::Transfer(const Schedule& schedule, const Plan& plan,
                   const std::vector<const Checkpoint*>& checkpoints, std::string where,
                   const ExecuteOptions& options)
    : schedule_(schedule),
      plan_(plan),
      checkpoints_(checkpoints),
      where_(std::move(where)),
      options_(options),
      // Verifying compares digests, also where nobody wants to see them.
      kind_(options.digest == DigestKind::none && options.verify_output ? DigestKind::xxh3
                                                                        : options.digest),
      ticker_(options) {
  executed_.output_bytes = schedule_.layout.size;
  executed_.tensor_digests.resize(schedule_.tensors.size());
  for (const Checkpoint* checkpoint : checkpoints_)
    executed_.input_digests.emplace_back(checkpoint->catalog.tensors.size());
  for (const ScheduledStorage& storage : schedule_.storages) ticker_.expect(storage.nbytes);
  if (options_.verify_output)
    for (const ScheduledTensor& tensor : schedule_.tensors) ticker_.expect(nbytes(tensor.tensor));
}

Status Transfer::prepare() {
  REGRAFT_CHECK(ticker_.proceed());
  const ScheduledStorage* first = nullptr;
  for (const ScheduledStorage& storage : schedule_.storages)
    if (std::holds_alternative<Evaluate>(storage.origin)) {
      first = &storage;
      break;
    }
  if (!first) return Done{};
  if (!options_.evaluator) {
    return error(Code::no_evaluator, {},
                 "the tensor " + quoted(name_of(*std::get<Evaluate>(first->origin).expr)) +
                     " has to be computed, and no evaluator was given",
                 "pass one in the options: regraft::torch_evaluator() of <regraft/torch.h>");
  }
  REGRAFT_TRY(evaluator_, options_.evaluator());
  executed_.evaluator = evaluator_->info();
  return Done{};
}

// The reader of an input that the schedule takes bytes from.
Result<const StorageReader*> Transfer::reader(std::uint32_t input) const {
  if (input < checkpoints_.size() && checkpoints_[input]->reader)
    return checkpoints_[input]->reader.get();
  return fault("the schedule reads input " + std::to_string(input) + ", which has no values");
}

Diagnostic Transfer::fault(const std::string& what) const {
  return error(Code::file_write, file_location(where_), "internal fault: " + what,
               "nothing was published; please report this");
}

Status Transfer::write(Sink& sink) {
  struct Place {
    std::uint64_t offset;
    std::uint32_t index;
    bool is_storage;
  };
  const Layout& layout = schedule_.layout;
  std::vector<Place> parts;
  parts.reserve(layout.header.size() + schedule_.storages.size());
  for (std::uint32_t i = 0; i < layout.header.size(); ++i) {
    parts.push_back({layout.header[i].offset, i, false});
  }
  for (std::uint32_t i = 0; i < schedule_.storages.size(); ++i) {
    parts.push_back({layout.storage_offsets[i], i, true});
  }
  std::stable_sort(parts.begin(), parts.end(),
                   [](const Place& a, const Place& b) { return a.offset < b.offset; });

  group_by_storage();
  crcs_.resize(schedule_.storages.size());
  StorageStream stream(sink, ticker_, kind_, executed_.tensor_digests);
  for (const Place& part : parts) {
    if (part.is_storage) {
      REGRAFT_CHECK(write_storage(part.index, stream));
    } else {
      const Patch& patch = layout.header[part.index];
      REGRAFT_CHECK(sink.write(patch.offset, as_bytes(patch.bytes)));
    }
  }
  for (const Patch& patch : schedule_.format->writer()->finish(schedule_.output, layout, crcs_)) {
    REGRAFT_CHECK(sink.write(patch.offset, as_bytes(patch.bytes)));
  }
  return sink.flush();
}

// tensors_[first_tensor_[i]] .. tensors_[first_tensor_[i + 1]] are views of storage i.
void Transfer::group_by_storage() {
  first_tensor_.assign(schedule_.storages.size() + 1, 0);
  for (const ScheduledTensor& tensor : schedule_.tensors) {
    ++first_tensor_[tensor.tensor.storage + 1];
  }
  for (std::size_t i = 1; i < first_tensor_.size(); ++i) first_tensor_[i] += first_tensor_[i - 1];
  tensors_.resize(schedule_.tensors.size());
  std::vector<std::uint32_t> next(first_tensor_.begin(), first_tensor_.end() - 1);
  for (std::uint32_t i = 0; i < tensors_.size(); ++i) {
    tensors_[next[schedule_.tensors[i].tensor.storage]++] = i;
  }
}

// Which digests fall out of copying the storage from front to back; the rest is left for later.
void Transfer::find_segments(std::uint32_t storage) {
  segments_.clear();
  same_.clear();
  if (kind_ == DigestKind::none) return;
  for (std::uint32_t i = first_tensor_[storage]; i < first_tensor_[storage + 1]; ++i) {
    const Tensor& tensor = schedule_.tensors[tensors_[i]].tensor;
    const auto [begin, end] = byte_extent(tensor);
    if (begin == end) {
      executed_.tensor_digests[tensors_[i]] = TensorDigest(kind_).finish();
    } else if (is_contiguous(tensor.shape, tensor.strides)) {
      segments_.push_back({begin, end, tensors_[i]});
    } else {
      later_.push_back(tensors_[i]);
    }
  }
  if (segments_.size() < 2) return;
  std::sort(segments_.begin(), segments_.end(), [](const Segment& a, const Segment& b) {
    return std::tie(a.begin, a.end, a.tensor) < std::tie(b.begin, b.end, b.tensor);
  });
  std::size_t kept = 1;
  for (std::size_t i = 1; i < segments_.size(); ++i) {
    const Segment& last = segments_[kept - 1];
    const Segment& next = segments_[i];
    if (next.begin == last.begin && next.end == last.end) {
      same_.emplace_back(next.tensor, last.tensor);
    } else if (next.begin < last.end) {
      later_.push_back(next.tensor);
    } else {
      segments_[kept++] = next;
    }
  }
  segments_.resize(kept);
}

Status Transfer::write_storage(std::uint32_t index, StorageStream& stream) {
  const ScheduledStorage& storage = schedule_.storages[index];
  find_segments(index);
  const auto* range = std::get_if<CopyRange>(&storage.origin);
  // A reader that changes the bytes (another byte order) is not what a stated checksum is about.
  bool stated = storage.known_crc.has_value();
  if (stated && range && range->length > 0) {
    REGRAFT_TRY(const StorageReader* source, reader(range->input));
    stated = source->direct(range->storage);
  }
  const std::uint32_t known = stated ? *storage.known_crc : 0;
  const bool reused = storage.checksum == Checksum::reuse && stated && !options_.verify;
  const bool verifies = stated && options_.verify;
  const bool with_crc = (storage.checksum != Checksum::none && !reused) || verifies;
  stream.begin(schedule_.layout.storage_offsets[index], segments_, with_crc);
  if (range) {
    if (range->length > 0) {
      REGRAFT_TRY(const StorageReader* source, reader(range->input));
      REGRAFT_CHECK(gatherer_.copy(*source, range->storage, range->offset, range->length, stream));
    }
    if (verifies && stream.crc() != known) {
      return bad_checksum(range->input, range->storage, stream.crc());
    }
  } else if (const auto* gather = std::get_if<Gather>(&storage.origin)) {
    REGRAFT_CHECK(this->gather(gather->view.input, gather->view, stream));
  } else if (std::holds_alternative<Parts>(storage.origin)) {
    REGRAFT_CHECK(write_parts(index, stream));
  } else {
    REGRAFT_CHECK(write_evaluated(*std::get<Evaluate>(storage.origin).expr, storage, stream));
  }
  if (stream.taken() != storage.nbytes) {
    return fault("storage " + std::to_string(index) + " got " + std::to_string(stream.taken()) +
                 " of " + std::to_string(storage.nbytes) + " bytes");
  }
  crcs_[index] = reused ? known : with_crc ? stream.crc() : 0;
  for (const auto& [tensor, first] : same_) {
    executed_.tensor_digests[tensor] = executed_.tensor_digests[first];
  }
  return Done{};
}

// A view in row-major order. A record that is read whole on the way has its checksum checked.
Status Transfer::gather(std::uint32_t input, const View& view, ByteSink& sink) {
  REGRAFT_TRY(const StorageReader* source, reader(input));
  const Storage& storage = checkpoints_[input]->catalog.storages[view.storage];
  WholeStorage whole{storage.nbytes, std::nullopt};
  const bool checks = options_.verify && storage.crc32 && source->direct(view.storage);
  REGRAFT_CHECK(gatherer_.gather(*source, view, sink, checks ? &whole : nullptr));
  if (whole.crc && *whole.crc != *storage.crc32)
    return bad_checksum(input, view.storage, *whole.crc);
  return Done{};
}

Status Transfer::write_parts(std::uint32_t index, StorageStream& stream) {
  PassingBy passing(kind_, stream);
  for (std::uint32_t i = first_tensor_[index]; i < first_tensor_[index + 1]; ++i)
    for (const Load& one : loads_of(*plan_.tensors[schedule_.tensors[tensors_[i]].planned].steps()))
      passing.expect(one, checkpoints_[one.input]->catalog.tensors[one.tensor]);
  for (const Part& part : std::get<Parts>(schedule_.storages[index].origin).parts) {
    if (const auto* range = std::get_if<CopyRange>(&part)) {
      REGRAFT_TRY(const StorageReader* source, reader(range->input));
      const Storage& storage = checkpoints_[range->input]->catalog.storages[range->storage];
      const bool checks = options_.verify && storage.crc32 && source->direct(range->storage);
      passing.from(*range, checks);
      REGRAFT_CHECK(gatherer_.copy(*source, range->storage, range->offset, range->length, passing));
      if (const auto crc = passing.whole_record(storage.nbytes); crc && *crc != *storage.crc32)
        return bad_checksum(range->input, range->storage, *crc);
    } else if (const auto* gathered = std::get_if<Gather>(&part)) {
      passing.from(gathered->view);
      REGRAFT_CHECK(gather(gathered->view.input, gathered->view, passing));
    } else {
      REGRAFT_CHECK(repeat(std::get<Repeat>(part), stream));
    }
  }
  passing.finish(executed_.input_digests);
  return Done{};
}

Status Transfer::write_evaluated(const Expr& expr, const ScheduledStorage& storage,
                                 StorageStream& stream) {
  std::span<std::byte> values;
  try {
    values = values_.take(storage.nbytes);
  } catch (const std::bad_alloc&) {
    return error(
        Code::evaluator, file_location(where_, std::nullopt, name_of(expr)),
        "there is no memory for the " + std::to_string(storage.nbytes) + " bytes of this tensor",
        "it is computed as a whole: it needs a machine with more memory");
  }
  Status computed = evaluator_->evaluate(
      expr,
      [&](const Load& loaded, std::span<std::byte> out) { return load_for_evaluator(loaded, out); },
      values);
  if (!computed) {
    Diagnostic problem = std::move(computed).error();
    if (!problem.where.known()) problem.where = file_location(where_, std::nullopt, name_of(expr));
    return problem;
  }
  for (std::size_t at = 0; at < values.size(); at += kCopyBlock) {
    const std::size_t count = std::min<std::size_t>(kCopyBlock, values.size() - at);
    REGRAFT_CHECK(stream.take(values.subspan(at, count)));
  }
  return Done{};
}

Status Transfer::load_for_evaluator(const Load& loaded, std::span<std::byte> out) {
  const Tensor& tensor = checkpoints_[loaded.input]->catalog.tensors[loaded.tensor];
  if (out.size() != nbytes(tensor)) {
    return fault("the evaluator loads " + quoted(tensor.name) + " into " +
                 std::to_string(out.size()) + " bytes, and it has " +
                 std::to_string(nbytes(tensor)));
  }
  BufferSink sink(out, ticker_, kind_);
  REGRAFT_CHECK(gather(loaded.input, view_of(loaded.input, tensor), sink));
  executed_.input_digests[loaded.input][loaded.tensor] = sink.finish();
  resolve_bits(tensor, out);
  return Done{};
}

// The output's tensor that an expression is for, for messages.
std::string Transfer::name_of(const Expr& expr) const {
  for (const PlannedTensor& planned : plan_.tensors)
    if (planned.steps().get() == &expr) return planned.name;
  return to_string(expr);
}

Diagnostic Transfer::bad_checksum(std::uint32_t input, std::uint32_t index,
                                  std::uint32_t found) const {
  const Catalog& catalog = checkpoints_[input]->catalog;
  const Storage& storage = catalog.storages[index];
  return error(Code::checksum, file_location(catalog.path, storage.offset, storage.key),
               "the bytes have the CRC-32 " + hex_of(found) + ", and the file states " +
                   hex_of(storage.crc32.value_or(0)),
               "the file is damaged: get it again; --no-verify carries its bytes as they are");
}

Status Transfer::digest_rest() {
  if (kind_ == DigestKind::none) return Done{};
  REGRAFT_CHECK(digest_later());
  note_input_digests();
  return options_.digest_inputs ? digest_inputs() : Status(Done{});
}

// Tensors that are not bytes in a row of a storage that was copied whole are read again.
Status Transfer::digest_later() {
  using ViewKey = std::tuple<std::uint32_t, std::uint32_t, DType, std::int64_t, Shape, Shape>;
  std::map<ViewKey, std::uint32_t> known;
  DigestSink sink(ticker_, kind_, false);
  for (const std::uint32_t index : later_) {
    const Tensor& tensor = schedule_.tensors[index].tensor;
    const auto* range = std::get_if<CopyRange>(&schedule_.storages[tensor.storage].origin);
    assert(range != nullptr);  // what is gathered or computed is one tensor in row-major order
    View view = view_of(range->input, tensor);
    view.storage = range->storage;
    view.offset += static_cast<std::int64_t>(range->offset / itemsize(view.dtype));
    const auto [found, is_new] = known.emplace(
        ViewKey{view.input, view.storage, view.dtype, view.offset, view.shape, view.strides},
        index);
    if (is_new) {
      REGRAFT_TRY(const StorageReader* source, reader(view.input));
      REGRAFT_CHECK(gatherer_.gather(*source, view, sink));
      executed_.tensor_digests[index] = sink.finish();
    } else {
      executed_.tensor_digests[index] = executed_.tensor_digests[found->second];
    }
  }
  return Done{};
}

// Where values went through unchanged, the digest of the output's tensor is that of the input's.
void Transfer::note_input_digests() {
  for (std::size_t i = 0; i < schedule_.tensors.size(); ++i) {
    const ExprPtr& expr = plan_.tensors[schedule_.tensors[i].planned].steps();
    if (!expr || !moves_only(*expr)) continue;
    const Load loaded = loads_of(*expr).front();
    executed_.input_digests[loaded.input][loaded.tensor] = executed_.tensor_digests[i];
  }
}

Status Transfer::digest_inputs() {
  DigestSink sink(ticker_, kind_, true);
  for (std::uint32_t input = 0; input < checkpoints_.size(); ++input) {
    const Checkpoint& checkpoint = *checkpoints_[input];
    if (!checkpoint.reader) continue;
    std::vector<std::string>& digests = executed_.input_digests[input];
    const std::vector<Tensor>& tensors = checkpoint.catalog.tensors;
    // Tied tensors are read once.
    std::map<std::tuple<std::uint32_t, std::uint64_t, std::uint64_t>, std::uint32_t> known;
    for (const bool done : {true, false}) {
      for (std::uint32_t i = 0; i < tensors.size(); ++i) {
        const Tensor& tensor = tensors[i];
        if (!tensor.unsupported.empty() || digests[i].empty() == done) continue;
        const auto [begin, end] = byte_extent(tensor);
        auto found = known.end();
        bool is_new = true;
        if (is_contiguous(tensor.shape, tensor.strides)) {
          std::tie(found, is_new) = known.emplace(std::tuple(tensor.storage, begin, end), i);
        }
        if (done) continue;
        if (is_new) {
          REGRAFT_CHECK(gatherer_.gather(*checkpoint.reader, view_of(input, tensor), sink));
          digests[i] = sink.finish();
        } else {
          digests[i] = digests[found->second];
        }
      }
    }
  }
  return Done{};
}

Status Transfer::compare(const Checkpoint& written) {
  DigestSink sink(ticker_, kind_, true);
  for (std::uint32_t i = 0; i < schedule_.tensors.size(); ++i) {
    const Tensor& tensor = written.catalog.tensors[i];
    REGRAFT_CHECK(gatherer_.gather(*written.reader, view_of(0, tensor), sink));
    const std::string found = sink.finish();
    if (found == executed_.tensor_digests[i]) continue;
    const Storage& storage = written.catalog.storages[tensor.storage];
    return error(Code::file_write, file_location(where_, storage.offset, storage.key),
                 "the tensor " + quoted(tensor.name) +
                     " reads otherwise than it was written: its digest is " + hex(found) +
                     ", not " + hex(executed_.tensor_digests[i]),
                 "the disk or the memory is faulty; nothing was published");
  }
  return compare_kept(written);
}

// Of storages that no tensor of the state dict uses, the checksums that were written.
Status Transfer::compare_kept(const Checkpoint& written) {
  std::map<std::uint64_t, std::uint32_t> by_offset;
  for (const auto& [source, index] : schedule_.output.surroundings.storages)
    if (first_tensor_[index] == first_tensor_[index + 1] && schedule_.storages[index].nbytes > 0)
      by_offset[schedule_.layout.storage_offsets[index]] = index;
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
      return error(Code::file_write, file_location(where_, storage.offset, storage.key),
                   "what is kept beside the tensors reads otherwise than it was written",
                   "the disk or the memory is faulty; nothing was published");
  }
  return Done{};
}

Status Transfer::inputs_unchanged() const {
  for (const Checkpoint* checkpoint : checkpoints_)
    if (checkpoint->reader && checkpoint->reader->file())
      REGRAFT_CHECK(checkpoint->reader->file()->unchanged());
  return Done{};
}

Executed Transfer::finish() && {
  if (options_.digest == DigestKind::none) {  // they were for verifying only
    executed_.tensor_digests.assign(executed_.tensor_digests.size(), {});
    for (auto& digests : executed_.input_digests) digests.assign(digests.size(), {});
  }
  executed_.output_digest =
      table_digest(options_.digest, schedule_.output.tensors, executed_.tensor_digests);
  for (std::size_t input = 0; input < checkpoints_.size(); ++input)
    executed_.input_table_digests.push_back(table_digest(
        options_.digest, checkpoints_[input]->catalog.tensors, executed_.input_digests[input]));
  return std::move(executed_);
}

}  // namespace regraft
