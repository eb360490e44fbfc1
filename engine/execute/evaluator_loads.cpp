#include "execute/evaluator_loads.h"

#include <cassert>
#include <cstring>

#include "execute/reading.h"

namespace regraft {
namespace {

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

// Of whole elements from an element on.
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

// Bytes that are put one behind the other.
class Filling final : public ByteSink {
 public:
  Filling(std::span<std::byte> out, Ticker& ticker) : out_(out), ticker_(ticker) {}
  Status take(Bytes bytes) override {
    assert(bytes.size() <= out_.size());
    std::memcpy(out_.data(), bytes.data(), bytes.size());
    out_ = out_.subspan(bytes.size());
    return ticker_.proceed();
  }
  Status proceed() override { return ticker_.proceed(); }

 private:
  std::span<std::byte> out_;
  Ticker& ticker_;
};

}  // namespace

EvaluatorLoads::EvaluatorLoads(const Execution& run, Gatherer& gatherer, InputDigests& digests,
                               const Evaluate& evaluate)
    : run_(run), gatherer_(gatherer), digests_(digests), tiles_(evaluate.rows != 0) {}

Status EvaluatorLoads::load(const Load& load, std::span<std::byte> out) {
  const Tensor& tensor = run_.tensor(load);
  const View view = view_of(load.input, tensor);
  const std::uint64_t size = nbytes(tensor);
  const std::uint64_t first = static_cast<std::uint64_t>(load.first) * itemsize(tensor.dtype);
  if (tiles_ ? first > size || out.size() > size - first : out.size() != size) {
    return run_.fault("the evaluator loads " + quoted(tensor.name) + " into " +
                      std::to_string(out.size()) + " bytes, and it has " + std::to_string(size));
  }
  if (out.size() == size) {
    Filling filling(out, run_.ticker);
    REGRAFT_CHECK(read_view(run_, gatherer_, view, filling));
    if (run_.kind != DigestKind::none) {
      TensorDigest digest(run_.kind);
      digest.update(out);
      digests_.put(load.input, load.tensor, digest.finish());
    }
  } else {
    REGRAFT_CHECK(load_tile(load, view, first, out));
  }
  resolve_bits(tensor, out);
  return Done{};
}

// Each tensor by itself, so that nothing depends on which others are loaded between its tiles: its
// digest, and the checksum of its record where it is all of it.
Status EvaluatorLoads::load_tile(const Load& load, const View& view, std::uint64_t first,
                                 std::span<std::byte> out) {
  const auto [begin, end] = byte_extent(view);  // contiguous
  REGRAFT_TRY(const StorageReader* source, run_.reader(load.input));
  Filling filling(out, run_.ticker);
  REGRAFT_CHECK(gatherer_.copy(*source, view.storage, begin + first, out.size(), filling));
  Loaded& loaded =
      loaded_.try_emplace({load.input, load.tensor}, 0, TensorDigest(run_.kind), 0).first->second;
  if (loaded.bytes != first) return Done{};
  loaded.bytes += out.size();
  loaded.digest.update(out);
  const bool whole = begin == 0 && end == run_.record(load.input, view.storage).nbytes;
  const auto stated = whole ? run_.stated_crc(load.input, view.storage) : std::nullopt;
  if (stated) loaded.crc = crc32(out, loaded.crc);
  if (loaded.bytes != end - begin) return Done{};
  if (stated && loaded.crc != *stated)
    return run_.bad_checksum(load.input, view.storage, loaded.crc);
  if (run_.kind != DigestKind::none) digests_.put(load.input, load.tensor, loaded.digest.finish());
  return Done{};
}

}  // namespace regraft
