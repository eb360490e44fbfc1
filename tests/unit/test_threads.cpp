// Threads change nothing: not what is written, not what is reported, not which error it is. Built
// with ThreadSanitizer too (./dev threads).
#include <algorithm>
#include <atomic>
#include <mutex>
#include <new>
#include <set>
#include <thread>

#include "catch.h"
#include "execute/pool.h"
#include "execute/work.h"
#include "test_execute_support.h"

namespace regraft {
namespace {

using test::Folder;
using test::noise;
using test::plan_all;
using test::read_file;
using test::schedule_of;
using test::Source;

constexpr std::uint64_t kMiB = 1 << 20;

TEST_CASE("tasks run once each, in order of their beginning, within the budget", "[threads]") {
  const std::size_t threads = GENERATE(1, 2, 5);
  const std::uint64_t budget = GENERATE(std::uint64_t{0}, 7, 100, UINT64_MAX);
  CAPTURE(threads, budget);
  std::mutex mutex;
  std::vector<int> runs(200);
  std::vector<std::uint64_t> held(threads);
  std::size_t begun = 0;
  bool within = true;
  ExecuteOptions options;
  Ticker ticker(options);
  PoolTasks tasks;
  tasks.count = runs.size();
  tasks.buffers = [](std::size_t task) { return std::uint64_t{task * 7 % 13}; };
  tasks.run = [&](std::size_t task, std::size_t worker) -> Status {
    {
      const std::lock_guard lock(mutex);
      ++runs[task];
      ++begun;
      held[worker] = std::max(held[worker], tasks.buffers(task));
      std::uint64_t all = 0;
      for (const std::uint64_t one : held) all += one;
      // What is larger than the budget is alone.
      within = within && (all <= budget || all == *std::ranges::max_element(held));
    }
    std::this_thread::yield();
    return Done{};
  };
  tasks.release = [&](std::size_t worker) {
    const std::lock_guard lock(mutex);
    held[worker] = 0;
  };
  REQUIRE(run_tasks(tasks, threads, budget, ticker).ok());
  CHECK(begun == runs.size());
  CHECK(std::set<int>(runs.begin(), runs.end()) == std::set<int>{1});
  CHECK(within);
  CHECK(held == std::vector<std::uint64_t>(threads));
}

TEST_CASE("of several errors it is the first one in order", "[threads]") {
  const std::size_t threads = GENERATE(1, 2, 8);
  for (int round = 0; round < 20; ++round) {
    ExecuteOptions options;
    Ticker ticker(options);
    std::atomic<int> after{0};
    PoolTasks tasks;
    tasks.count = 1000;
    tasks.buffers = [](std::size_t) { return std::uint64_t{1}; };
    tasks.run = [&](std::size_t task, std::size_t) -> Status {
      if (task == 11) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      if (task > 200) ++after;
      if (task < 11) return Done{};
      return error(Code::file_read, {}, std::to_string(task));
    };
    tasks.release = [](std::size_t) {};
    const Status done = run_tasks(tasks, threads, UINT64_MAX, ticker);
    REQUIRE(!done.ok());
    CHECK(done.error().message == "11");
    CHECK(after == 0);
  }
}

TEST_CASE("an exception of a task reaches the caller, when all have ended", "[threads]") {
  const std::size_t threads = GENERATE(1, 4);
  ExecuteOptions options;
  Ticker ticker(options);
  std::atomic<int> running{0};
  PoolTasks tasks;
  tasks.count = 100;
  tasks.buffers = [](std::size_t) { return std::uint64_t{1}; };
  tasks.run = [&](std::size_t task, std::size_t) -> Status {
    ++running;
    if (task == 5) --running, throw std::bad_alloc();
    std::this_thread::yield();
    --running;
    return Done{};
  };
  tasks.release = [](std::size_t) {};
  CHECK_THROWS_AS(run_tasks(tasks, threads, UINT64_MAX, ticker), std::bad_alloc);
  CHECK(running == 0);
}

TEST_CASE("callbacks come in the caller's thread alone, and end the work of all", "[threads]") {
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<int> asked{0}, told{0}, wrong{0};
  ExecuteOptions options;
  options.cancelled = [&] {
    wrong += std::this_thread::get_id() == caller ? 0 : 1;
    return ++asked > 3;
  };
  options.progress = [&](const Progress& progress) {
    wrong += std::this_thread::get_id() == caller ? 0 : 1;
    told = static_cast<int>(progress.done_bytes / kMiB);
  };
  Ticker ticker(options);
  PoolTasks tasks;
  tasks.count = 2;
  tasks.buffers = [](std::size_t) { return std::uint64_t{1}; };
  // One of the two goes on until the other's thread is told to stop: also when that is the
  // caller's, which has nothing to do then but to wait.
  tasks.run = [&](std::size_t, std::size_t worker) -> Status {
    if (worker == 0) return Done{};
    while (true) {
      REGRAFT_CHECK(ticker.advance(kMiB));
      std::this_thread::yield();
    }
  };
  tasks.release = [](std::size_t) {};
  // Worker 0 may have taken both tasks before the other thread began.
  for (int round = 0; round < 100; ++round) {
    asked = 0;
    const Status done = run_tasks(tasks, 2, UINT64_MAX, ticker);
    if (done.ok()) continue;
    CHECK(done.error().code == Code::interrupted);
    break;
  }
  CHECK(wrong == 0);
}

// Everything a schedule can hold: copies of several chunks, shared and overlapping storages, views
// in another order, parts, fillings, and what is computed.
struct Everything {
  Everything() {
    for (const std::int64_t rows : {2, 1, 3})
      source.tensor("large" + std::to_string(rows), DType::float32, {rows, 700'001},
                    source.storage(noise(static_cast<std::size_t>(rows) * 700'001 * 4,
                                         static_cast<std::uint32_t>(rows)),
                                   rows != 2));
    const std::uint32_t shared = source.storage(noise(14 * kMiB, 9), true);
    source.tensor("front", DType::uint8, {5 * kMiB + 5}, shared, 3);
    source.tensor("behind", DType::uint8, {6 * kMiB}, shared, 5 * kMiB + 100);
    source.tensor("tied", DType::uint8, {6 * kMiB}, shared, 5 * kMiB + 100);
    source.tensor("across", DType::uint8, {2 * kMiB}, shared, 4 * kMiB);
    source.tensor("strided", DType::float16, {1024, 1024}, shared, 64, Shape{1, 1024});
    source.tensor("last", DType::float16, {512, 512}, shared, 6 * kMiB);
    for (int i = 0; i < 300; ++i)
      source.tensor("small" + std::to_string(i), DType::int8, {i * 7 % 900});
    source.tensor("turned", DType::float32, {700, 1000}, source.storage(noise(2'800'000, 5)), 0,
                  Shape{1, 700});
    plan = plan_all(source.catalog);
    const auto input = [&](std::uint32_t i) { return load(0, i, source.catalog.tensors[i]); };
    const auto put = [&](const char* name, const ExprPtr& expr) {
      PlannedTensor planned;
      planned.name = name;
      planned.decision = Decision::transformed;
      planned.expr = expr;
      planned.from = loads_of(*expr);
      plan.tensors.push_back(planned);
    };
    put("parts", pad(cat({input(1), input(0), input(2)}, 0), {1, 0}, {8, 700'001}, 0.0));
    put("columns", narrow(input(2), 1, 5, 500'000));
    put("filled", fill(1.0, DType::float16, {2'200'000}));
  }

  Source source;
  Plan plan;
};

TEST_CASE("a run is the same for any number of threads and any memory", "[threads]") {
  Folder folder;
  Everything all;
  const Checkpoint& checkpoint = all.source.open(folder / "in");
  for (const Format* format : {&torch_zip_format(), &safetensors_format()}) {
    const auto made = schedule_of(all.plan, all.source.catalog, *format);
    REQUIRE(made.schedule);
    const auto run = [&](std::size_t threads, std::uint64_t memory, DigestKind digest,
                         const std::string& name) {
      ExecuteOptions options;
      options.threads = threads;
      options.max_memory = memory;
      options.digest = digest;
      options.digest_inputs = digest != DigestKind::none;
      options.verify = options.verify_output = digest != DigestKind::none;
      options.sync = false;
      options.force = true;
      auto executed = execute(*made.schedule, all.plan, {&checkpoint}, folder / name, options);
      if (!executed.ok()) FAIL(render(executed.error(), false));
      return std::pair(read_file(folder / name), *executed);
    };
    const auto [bytes, executed] = run(1, 64 * kMiB, DigestKind::xxh3, "first");
    for (const std::size_t threads : {2, 4, 9}) {
      for (const std::uint64_t memory : {std::uint64_t{1}, 5 * kMiB, 64 * kMiB}) {
        CAPTURE(threads, memory);
        const auto [again, found] = run(threads, memory, DigestKind::xxh3, "again");
        CHECK((again == bytes));
        CHECK((found.tensor_digests == executed.tensor_digests));
        CHECK((found.input_digests == executed.input_digests));
        CHECK(found.output_digest == executed.output_digest);
      }
      CHECK((run(threads, 64 * kMiB, DigestKind::none, "again").first == bytes));
    }
  }
}

TEST_CASE("a damaged record is the same error for any number of threads", "[threads]") {
  Folder folder;
  Source source;
  for (std::uint32_t i = 0; i < 6; ++i)
    source.tensor("t" + std::to_string(i), DType::uint8, {9 * static_cast<std::int64_t>(kMiB)},
                  source.storage(noise(9 * kMiB, i), true));
  *source.catalog.storages[2].crc32 ^= 1;
  *source.catalog.storages[4].crc32 ^= 1;
  const Checkpoint& checkpoint = source.open(folder / "in");
  const Plan plan = plan_all(source.catalog);
  for (const Format* format : {&torch_zip_format(), &safetensors_format()}) {
    const auto made = schedule_of(plan, source.catalog, *format);
    REQUIRE(made.schedule);
    for (const std::size_t threads : {1, 2, 5}) {
      ExecuteOptions options;
      options.threads = threads;
      const auto executed = execute(*made.schedule, plan, {&checkpoint}, folder / "out", options);
      REQUIRE(!executed.ok());
      CHECK(executed.error().code == Code::checksum);
      CHECK(executed.error().where.key == "data/2");
      CHECK(folder.names() == std::vector<std::string>{"in"});
    }
  }
}

TEST_CASE("storages are cut where digests of their tensors are", "[threads]") {
  Folder folder;
  Everything all;
  const Checkpoint& checkpoint = all.source.open(folder / "in");
  const auto made = schedule_of(all.plan, checkpoint.catalog, torch_zip_format());
  REQUIRE(made.schedule);
  for (const bool digests : {true, false}) {
    const Work work = cut(*made.schedule, digests);
    CHECK(work.segments.empty() != digests);
    std::vector<std::uint64_t> reached(made.schedule->storages.size());
    std::uint64_t offset = 0;
    std::size_t cuts = 0;
    for (const Place& place : work.places) {
      if (place.end > place.begin) CHECK(place.offset >= offset);
      offset = place.offset + (place.end - place.begin);
      if (!place.is_storage) continue;
      CHECK(place.begin == reached[place.index]);
      CHECK((place.end > place.begin || made.schedule->storages[place.index].nbytes == 0));
      reached[place.index] = place.end;
      cuts += place.begin > 0 ? 1 : 0;
      for (const Segment& segment : work.segments_of(place.index))
        if (segment.begin < place.begin && place.begin < segment.end)
          CHECK((place.begin - segment.begin) % TensorDigest::kChunk == 0);
    }
    CHECK(cuts >= 5);
    for (std::size_t i = 0; i < reached.size(); ++i)
      CHECK(reached[i] == made.schedule->storages[i].nbytes);
    std::uint32_t next = 0;
    for (const Task& task : work.tasks) {
      CHECK(task.first == next);
      CHECK(task.last > task.first);
      next = task.last;
    }
    CHECK(next == work.places.size());
  }
}

}  // namespace
}  // namespace regraft
