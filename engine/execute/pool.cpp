#include "execute/pool.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <numeric>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace regraft {
namespace {

constexpr std::size_t kDefaultThreads = 4;
// How long the caller's thread waits before it looks whether it was interrupted.
constexpr std::chrono::milliseconds kLook{50};

class Pool {
 public:
  Pool(const PoolTasks& tasks, std::size_t threads, std::uint64_t budget, Ticker& ticker)
      : tasks_(tasks),
        budget_(budget),
        ticker_(ticker),
        held_(std::clamp<std::size_t>(threads, 1, std::max<std::size_t>(tasks.count, 1))) {}

  Status run() {
    std::vector<std::thread> others;
    try {
      for (std::size_t worker = 1; worker < held_.size(); ++worker)
        others.emplace_back([this, worker] { work(worker); });
    } catch (const std::system_error&) {  // with those that there are
      const std::lock_guard lock(mutex_);
      held_.resize(others.size() + 1);
    }
    work(0);
    wait_for_others(others.size());
    for (std::thread& other : others) other.join();
    if (thrown_) std::rethrow_exception(thrown_);
    if (failed_) return std::move(*failed_);
    return Done{};
  }

 private:
  void work(std::size_t worker) {
    std::unique_lock lock(mutex_);
    while (const std::optional<std::size_t> task = take(worker, lock)) {
      lock.unlock();
      run_one(*task, worker);
      lock.lock();
      if (waiting_ > 0) give_back(worker);
    }
    give_back(worker);
    ++ended_;
    changed_.notify_all();
  }

  // The next task, once there is room for it; none when there is no more to do.
  std::optional<std::size_t> take(std::size_t worker, std::unique_lock<std::mutex>& lock) {
    while (next_ < tasks_.count && !stop_) {
      const std::uint64_t needed = std::max(tasks_.buffers(next_), held_[worker]);
      const std::uint64_t others = std::reduce(held_.begin(), held_.end()) - held_[worker];
      if (others == 0 || (others <= budget_ && needed <= budget_ - others)) {
        held_[worker] = needed;
        return next_++;
      }
      give_back(worker);
      ++waiting_;
      wait(worker, lock);
      --waiting_;
    }
    return std::nullopt;
  }

  void wait(std::size_t worker, std::unique_lock<std::mutex>& lock) {
    if (worker > 0) return changed_.wait(lock);
    changed_.wait_for(lock, kLook);
    lock.unlock();
    try {
      // A task that runs finds the same, and says so.
      static_cast<void>(ticker_.proceed());
    } catch (...) {
      bad(SIZE_MAX - 1, std::current_exception(), {});
    }
    lock.lock();
  }

  void wait_for_others(std::size_t count) {
    std::unique_lock lock(mutex_);
    while (ended_ < count + 1) wait(0, lock);
  }

  void give_back(std::size_t worker) {
    if (std::exchange(held_[worker], 0) == 0) return;
    tasks_.release(worker);
    changed_.notify_all();
  }

  void run_one(std::size_t task, std::size_t worker) {
    std::exception_ptr thrown;
    std::optional<Diagnostic> failed;
    try {
      if (Status done = tasks_.run(task, worker); !done) failed = std::move(done).error();
    } catch (...) {
      thrown = std::current_exception();
    }
    if (thrown || failed) bad(task, std::move(thrown), std::move(failed));
  }

  void bad(std::size_t task, std::exception_ptr thrown, std::optional<Diagnostic> failed) {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    if (task >= first_bad_) return;
    first_bad_ = task;
    thrown_ = std::move(thrown);
    failed_ = std::move(failed);
  }

  const PoolTasks& tasks_;
  const std::uint64_t budget_;
  Ticker& ticker_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::uint64_t> held_;  // by worker: bytes of its buffers
  std::size_t next_ = 0, waiting_ = 0, ended_ = 0;
  bool stop_ = false;
  std::size_t first_bad_ = SIZE_MAX;
  std::exception_ptr thrown_;
  std::optional<Diagnostic> failed_;
};

}  // namespace

std::size_t default_threads() {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0)
    return std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, kDefaultThreads);
  return std::clamp<std::size_t>(static_cast<std::size_t>(CPU_COUNT(&allowed)), 1, kDefaultThreads);
}

Status run_tasks(const PoolTasks& tasks, std::size_t threads, std::uint64_t budget,
                 Ticker& ticker) {
  return Pool(tasks, threads, budget, ticker).run();
}

}  // namespace regraft
