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

}  // namespace

Status EvaluatorLoads::Filling::take(Bytes bytes) {
  assert(bytes.size() <= out_.size());
  std::memcpy(out_.data(), bytes.data(), bytes.size());
  out_ = out_.subspan(bytes.size());
  if (digest_) digest_->update(bytes);
  return ticker_.proceed();
}

EvaluatorLoads::EvaluatorLoads(const Execution& run, Gatherer& gatherer, InputDigests& digests,
                               const Evaluate& evaluate)
    : run_(run),
      gatherer_(gatherer),
      digests_(digests),
      tiles_(evaluate.rows != 0),
      filling_(run.ticker),
      passing_(run.kind, filling_) {
  if (!tiles_) return;
  for (const Load& one : loads_of(*evaluate.expr)) passing_.expect(one, run.tensor(one));
}

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
    TensorDigest digest(run_.kind);
    filling_.into(out, &digest);
    REGRAFT_CHECK(read_view(run_, gatherer_, view, filling_));
    if (run_.kind != DigestKind::none) digests_.put(load.input, load.tensor, digest.finish());
  } else {
    filling_.into(out, nullptr);
    const std::uint64_t begin = byte_extent(view).first + first;  // a tile's tensor is contiguous
    REGRAFT_CHECK(
        read_range(run_, gatherer_, {load.input, view.storage, begin, out.size()}, passing_));
  }
  resolve_bits(tensor, out);
  return Done{};
}

}  // namespace regraft
