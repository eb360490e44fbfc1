#include "execute/converter.h"

#include <algorithm>

#include "expr/convert.h"
#include "expr/overflow.h"

namespace regraft {

Status Converter::take(Bytes bytes) {
  const std::uint64_t wide = itemsize(convert_.from), narrow = itemsize(to_);
  const std::uint64_t most = kCopyBlock / std::max(wide, narrow);
  while (!bytes.empty()) {
    const std::uint64_t count = std::min<std::uint64_t>(bytes.size() / wide, most);
    const Bytes from = bytes.first(count * wide);
    const std::span<std::byte> block = buffer_.take(kCopyBlock).first(count * narrow);
    if (const auto lost = convert(convert_.from, from, to_, block, convert_.checked)) {
      const float value = as_float(convert_.from, from.subspan(*lost * wide, wide));
      return cast_overflow(digits_of(value), elements_ + *lost, convert_.shape, to_);
    }
    REGRAFT_CHECK(next_.take(block));
    elements_ += count;
    bytes = bytes.subspan(from.size());
  }
  return Done{};
}

}  // namespace regraft
