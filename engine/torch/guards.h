// What an evaluation changes in the thread that it runs on, and takes back on every way out.
#pragma once

#include <ATen/Parallel.h>
#include <c10/core/DispatchKeySet.h>
#include <c10/core/GradMode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <c10/util/Exception.h>

#include <cfenv>
#include <mutex>

namespace regraft {

// ATen keeps a thread count for each thread, and one for threads that meet it later. Setting the
// first sets the second, so a thread that comes to ATen while another evaluates finds our 1.
class OneThread {
 public:
  OneThread() {
    const std::lock_guard lock(state().mutex);
    before_ = at::get_num_threads();
    if (state().running++ == 0)
      state().before_first = before_;
    else if (before_ == 1)
      before_ = state().before_first;
    if (at::get_num_threads() != 1) at::set_num_threads(1);
  }
  ~OneThread() {
    const std::lock_guard lock(state().mutex);
    --state().running;
    if (before_ != 1) at::set_num_threads(before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  struct State {
    std::mutex mutex;
    int running = 0;
    int before_first = 1;
  };
  static State& state() {
    static State one;
    return one;
  }
  int before_ = 1;
};

// Rounding to nearest, with subnormal numbers: the caller may have set them to be flushed.
class PlainArithmetic {
 public:
  PlainArithmetic() {
    std::fegetenv(&before_);
    std::fesetenv(FE_DFL_ENV);
  }
  ~PlainArithmetic() { std::fesetenv(&before_); }
  PlainArithmetic(const PlainArithmetic&) = delete;
  PlainArithmetic& operator=(const PlainArithmetic&) = delete;

 private:
  std::fenv_t before_{};
};

// Warnings go to stderr, past every diagnostic: that a cast of complex numbers drops a part is what
// the spec has asked for.
class NoWarnings {
  struct Handler final : c10::WarningHandler {
    void process(const c10::Warning&) override {}
  };
  Handler handler_;
  c10::WarningUtils::WarningHandlerGuard guard_{&handler_};
};

struct Guards {
  OneThread one_thread;
  PlainArithmetic plain_arithmetic;
  NoWarnings no_warnings;
  c10::NoGradGuard no_grad;
  // Autocast would turn a product of float32 into one of bfloat16.
  c10::impl::ExcludeDispatchKeyGuard no_autocast{c10::autocast_dispatch_keyset};
};

}  // namespace regraft
