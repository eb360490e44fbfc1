#include "cli/no_memory.h"

#include <execinfo.h>
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <new>

#include "base/code.h"
#include "cli/terminal.h"

namespace regraft::cli {
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
