#include "cli/no_memory.h"

#include <execinfo.h>
#include <malloc.h>
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <new>

#include "base/code.h"
#include "cli/terminal.h"

namespace regraft::cli {

void set_up_allocator() {
#ifdef __GLIBC__
  // The lists of freed objects that glibc joins with their neighbours only when something large is
  // asked for, all at once and again and again.
  ::mallopt(M_MXFAST, 0);
  // The heap grows by more than a page or two, and does not shrink in between.
  ::mallopt(M_TOP_PAD, 64 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 1 << 30);
  // What is large comes from the system and goes back to it at once; setting the two above ends
  // glibc's habit of raising this.
  ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
}

namespace {

// Libraries allocate in destructors (nlohmann-json flattens a tree before it takes it apart), and
// what is thrown there comes here. While an output is being written none of them is at work.
[[noreturn]] void on_terminate() {
  if (const std::exception_ptr thrown = std::current_exception()) {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::bad_alloc&) {
      ::_exit(report_no_memory());
    } catch (...) {
      std::abort();
    }
  }
  std::abort();
}

}  // namespace

void prepare_for_no_memory() {
  std::set_terminate(on_terminate);
  // glibc loads what unwinds through its own functions (pthread_once) when it is first needed, and
  // ends the process if it cannot.
  void* frame = nullptr;
  ::backtrace(&frame, 1);
}

int report_no_memory() noexcept {
  print_err(
      "error[memory]: there is not enough memory\n"
      "  hint: close other programs, raise the limit (`ulimit -v`), or use a larger machine\n");
  return info(Code::memory).exit_status;
}

}  // namespace regraft::cli
