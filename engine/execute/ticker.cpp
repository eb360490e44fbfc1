#include "execute/ticker.h"

namespace regraft {
namespace {

constexpr std::uint64_t kProgressStep = 4ull << 20;

}  // namespace

Status Ticker::proceed() {
  if (is_caller()) {
    if (done_.load(std::memory_order_relaxed) - told_ >= kProgressStep) tell();
    if (options_.cancelled && options_.cancelled()) cancelled_ = true;
  }
  if (!cancelled_) return Done{};
  return error(Code::interrupted, {}, "interrupted; nothing was written");
}

Status Ticker::advance(std::uint64_t bytes) {
  done_.fetch_add(bytes, std::memory_order_relaxed);
  return proceed();
}

void Ticker::tell() {
  told_ = done_.load(std::memory_order_relaxed);
  if (options_.progress) options_.progress({told_, total_});
}

}  // namespace regraft
