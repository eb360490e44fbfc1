// A few threads that take tasks in order, within a budget of memory. What a task does may not
// depend on which thread it runs in, nor on the others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/result.h"
#include "execute/ticker.h"

namespace regraft {

struct PoolTasks {
  std::size_t count = 0;
  // The bytes of buffers that a task takes; they stay with its worker until release().
  std::function<std::uint64_t(std::size_t task)> buffers;
  std::function<Status(std::size_t task, std::size_t worker)> run;
  // Gives back the memory of a worker's buffers.
  std::function<void(std::size_t worker)> release;
};

// Worker 0 is the caller's thread; the others live as long as the call. A task waits until its
// buffers fit into `budget` beside those that others hold, and runs alone if it needs more.
//
// After an error or an exception no task begins. Those that began before it end; of what they give,
// the error of the first task in order is returned, so it is the same for any number of threads. A
// run with fewer threads than asked for is one where the system gave no more.
Status run_tasks(const PoolTasks& tasks, std::size_t threads, std::uint64_t budget, Ticker& ticker);

}  // namespace regraft
