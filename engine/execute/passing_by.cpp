#include "execute/passing_by.h"

#include <algorithm>

namespace regraft {

void PassingBy::expect(const Load& load, const Tensor& tensor) {
  if (kind_ == DigestKind::none || !tensor.unsupported.empty()) return;
  const View view = view_of(load.input, tensor);
  const auto [begin, end] = byte_extent(view);
  if (begin == end) return;
  const bool contiguous = is_contiguous(view.shape, view.strides);
  expected_[{load.input, tensor.storage}].push_back(
      {load, view, begin, end, contiguous, TensorDigest(kind_), begin});
}

void PassingBy::from(const CopyRange& range, bool checks) {
  const auto found = expected_.find({range.input, range.storage});
  tensors_ = found == expected_.end() ? nullptr : &found->second;
  record_ = &records_[{range.input, range.storage}];
  record_->checks = checks;
  gathered_ = nullptr;
  offset_ = range.offset;
}

void PassingBy::from(const View& view) {
  tensors_ = nullptr;
  record_ = nullptr;
  gathered_ = nullptr;
  const auto found = expected_.find({view.input, view.storage});
  if (found == expected_.end()) return;
  for (Expected& one : found->second)
    if (one.view == view && !one.whole) gathered_ = &one;
  if (gathered_) gathered_->whole = true;
}

Status PassingBy::take(Bytes bytes) {
  if (gathered_) gathered_->digest.update(bytes);
  const std::uint64_t end = offset_ + bytes.size();
  if (tensors_)
    for (Expected& one : *tensors_) {
      const std::uint64_t to = std::min(end, one.end);
      if (!one.contiguous || one.at < offset_ || one.at >= to) continue;
      one.digest.update(bytes.subspan(one.at - offset_, to - one.at));
      one.at = to;
      one.whole = to == one.end;
    }
  if (record_ && record_->checks && record_->at >= offset_ && record_->at < end) {
    record_->crc = crc32(bytes.subspan(record_->at - offset_), record_->crc);
    record_->at = end;
  }
  offset_ = end;
  return next_.take(bytes);
}

std::optional<std::uint32_t> PassingBy::whole_record(std::uint64_t nbytes) const {
  if (!record_ || !record_->checks || record_->at != nbytes) return std::nullopt;
  return record_->crc;
}

void PassingBy::finish(InputDigests& digests) {
  for (auto& [storage, tensors] : expected_)
    for (Expected& one : tensors)
      if (one.whole) digests.put(one.load.input, one.load.tensor, one.digest.finish());
}

}  // namespace regraft
