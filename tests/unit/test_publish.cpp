#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "catch.h"
#include "execute/output_file.h"
#include "test_execute_support.h"

namespace regraft {
namespace {

using test::Folder;
using test::noise;
using test::plan_all;
using test::read_file;
using test::schedule_all;
using test::Source;
using test::write_file;
using Names = std::vector<std::string>;

constexpr const char* kPart = ".out.pt.regraft-part";

// One input in a folder of its own, and a run that writes it to a path.
struct World {
  explicit World(std::size_t bytes = 64) {
    source.tensor("a", DType::uint8, {static_cast<std::int64_t>(bytes)});
    checkpoint = &source.open(inputs / "in");
    plan = plan_all(source.catalog);
    schedule = *schedule_all(source.catalog, torch_zip_format()).schedule;
  }
  Result<Executed> run(const std::string& path, const ExecuteOptions& options = {}) const {
    return execute(schedule, plan, {checkpoint}, path, options);
  }
  // The code of the run's error; Code::usage when there is none.
  Code code(const std::string& path, const ExecuteOptions& options = {}) const {
    const auto result = run(path, options);
    return result.ok() ? Code::usage : result.error().code;
  }
  Folder inputs, outputs;
  Source source;
  const Checkpoint* checkpoint;
  Plan plan;
  Schedule schedule;
};
constexpr Code kDone = Code::usage;

TEST_CASE("an existing output is replaced with force only, and keeps its permissions") {
  const World world;
  const std::string path = world.outputs / "out.pt";
  write_file(path, "old");
  ::chmod(path.c_str(), 0640);
  const auto refused = world.run(path);
  REQUIRE(!refused.ok());
  CHECK(refused.error().code == Code::file_exists);
  CHECK(refused.error().hint.find("--force") != std::string::npos);
  CHECK(read_file(path) == "old");
  ExecuteOptions options;
  options.force = true;
  CHECK(world.code(path, options) == kDone);
  CHECK(read_file(path).size() == world.schedule.layout.size);
  struct stat status{};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0640);
  CHECK(world.outputs.names() == Names{"out.pt"});
}

TEST_CASE("what cannot be an output is refused before anything is written") {
  const World world;
  const Folder& folder = world.outputs;
  const auto refused = [&](const std::string& path, Code code, const std::string& part) {
    CAPTURE(path);
    for (const bool force : {false, true}) {
      const Status status = check_output(path, {world.checkpoint}, force);
      REQUIRE(!status.ok());
      CHECK(status.error().code == code);
      CHECK(status.error().message.find(part) != std::string::npos);
      ExecuteOptions options;
      options.force = force;
      CHECK(world.code(path, options) == code);
    }
  };
  std::filesystem::create_directory(folder / "folder");
  std::filesystem::create_symlink("elsewhere", folder / "link");
  std::filesystem::create_symlink(world.inputs / "in", folder / "link to in");
  std::filesystem::create_hard_link(world.inputs / "in", folder / "hard link");
  ::mkfifo((folder / "fifo").c_str(), 0600);
  const Names before = folder.names();
  refused(folder / "folder", Code::file_write, "a folder");
  refused(folder / "folder/", Code::file_write, "a folder's path");
  refused(folder / "folder/..", Code::file_write, "a folder's path");
  refused(folder / "fifo", Code::file_write, "a FIFO");
  refused("", Code::file_write, "a folder's path");
  refused(folder / "link", Code::file_write, "a symbolic link to 'elsewhere'");
  refused(folder / "link to in", Code::file_is_input, "is the input");
  refused(folder / "hard link", Code::file_is_input, "under another name");
  refused(world.inputs / "in", Code::file_is_input, "is the input");
  refused(folder / "none/out.pt", Code::file_write, "there is no folder");
  refused(folder / "fifo/out.pt", Code::file_write, "not a folder");
  refused(folder / (std::string(242, 'x')), Code::file_write, "242 bytes");
  refused(folder / std::string("a\0b", 3), Code::file_write, "zero bytes");
  CHECK(folder.names() == before);
  CHECK(check_output(folder / std::string(241, 'x'), {world.checkpoint}, false).ok());
  CHECK(check_output(folder / "none/out.pt", {}, false).error().hint ==
        "mkdir -p " + folder.path() + "/none");
  CHECK(world.code(folder / std::string(241, 'x')) == kDone);
}

TEST_CASE("a stale part file is taken over, whatever it is a link to") {
  const World world;
  const std::string part = world.outputs / kPart;
  write_file(world.outputs / "precious", "precious");
  std::filesystem::create_hard_link(world.outputs / "precious", part);
  CHECK(world.code(world.outputs / "out.pt") == kDone);
  CHECK(read_file(world.outputs / "precious") == "precious");
  CHECK(world.outputs.names() == Names{"out.pt", "precious"});
  std::filesystem::remove(world.outputs / "out.pt");
  std::filesystem::create_symlink("precious", part);
  CHECK(world.code(world.outputs / "out.pt") == Code::file_write);
  CHECK(read_file(world.outputs / "precious") == "precious");
  CHECK(world.outputs.names() == Names{kPart, "precious"});
  std::filesystem::remove(part);
  std::filesystem::create_hard_link(world.inputs / "in", part);
  CHECK(world.code(world.outputs / "out.pt") == Code::file_is_input);
  CHECK(std::filesystem::exists(part));
}

TEST_CASE("an output that another process writes is left to it") {
  const World world;
  const std::string part = world.outputs / kPart;
  const int held = ::open(part.c_str(), O_RDWR | O_CREAT, 0600);
  REQUIRE(::flock(held, LOCK_EX) == 0);
  CHECK(world.code(world.outputs / "out.pt") == Code::file_locked);
  CHECK(world.outputs.names() == Names{kPart});
  ::close(held);
  CHECK(world.code(world.outputs / "out.pt") == kDone);
  CHECK(world.outputs.names() == Names{"out.pt"});
}

TEST_CASE("of runs that race for one output, one wins") {
  const World world(1 << 16);
  for (int round = 0; round < 10; ++round) {
    const std::string path = world.outputs / ("out" + std::to_string(round));
    std::atomic<int> done = 0, refused = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 6; ++i) {
      threads.emplace_back([&] {
        ExecuteOptions options;
        options.sync = false;
        const Code code = world.code(path, options);
        if (code == kDone) ++done;
        if (code == Code::file_locked || code == Code::file_exists) ++refused;
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(done == 1);
    CHECK(refused == 5);
    CHECK(read_file(path).size() == world.schedule.layout.size);
  }
  CHECK(world.outputs.names().size() == 10);
}

TEST_CASE("a file that appears meanwhile is not replaced") {
  const World world;
  const std::string path = world.outputs / "out.pt";
  auto file = OutputFile::create(path, {world.checkpoint}, false);
  REQUIRE(file.ok());
  write_file(path, "theirs");
  const Status published = (*file)->publish(false, false);
  REQUIRE(!published.ok());
  CHECK(published.error().code == Code::file_exists);
  *file = nullptr;
  CHECK(read_file(path) == "theirs");
  CHECK(world.outputs.names() == Names{"out.pt"});
}

TEST_CASE("writes are joined and land where they belong") {
  const World world;
  const std::string path = world.outputs / "out.pt";
  auto file = OutputFile::create(path, {}, false);
  REQUIRE(file.ok());
  constexpr std::size_t kSize = 3 << 20;
  REQUIRE((*file)->reserve(kSize).ok());
  std::string expected(kSize, '\0');
  std::uint32_t seed = 9;
  for (std::size_t at = 0; at < kSize;) {
    seed = seed * 1664525u + 1013904223u;
    const std::size_t most = seed % 50 == 0 ? 1'500'000 : 900;
    const std::size_t count = std::min<std::size_t>((seed >> 8) % most, kSize - at);
    const std::string bytes = noise(count, seed);
    if (seed % 7 != 0) {
      REQUIRE((*file)->write(at, as_bytes(bytes)).ok());
      expected.replace(at, count, bytes);
    }
    at += count;
  }
  REQUIRE((*file)->write(5, as_bytes("again")).ok());
  expected.replace(5, 5, "again");
  REQUIRE((*file)->publish(false, true).ok());
  CHECK((read_file(path) == expected));
}

TEST_CASE("a run that is cancelled leaves nothing") {
  const World world(20 << 20);
  std::atomic<bool> cancelled = true;
  ExecuteOptions options;
  options.cancelled = [&] { return cancelled.load(); };
  CHECK(world.code(world.outputs / "out.pt", options) == Code::interrupted);
  CHECK(world.outputs.names().empty());
  cancelled = false;
  std::uint64_t calls = 0;
  options.progress = [&](const Progress& progress) {
    ++calls;
    CHECK(progress.done_bytes <= progress.total_bytes);
    if (progress.done_bytes > 10'000'000) cancelled = true;
  };
  CHECK(world.code(world.outputs / "out.pt", options) == Code::interrupted);
  CHECK(calls == 3);
  CHECK(world.outputs.names().empty());
}

TEST_CASE("an input that changes during the run ends it") {
  const World world(9 << 20);
  ExecuteOptions options;
  options.progress = [&](const Progress&) {
    std::ofstream(world.inputs / "in", std::ios::app) << "more";
  };
  CHECK(world.code(world.outputs / "out.pt", options) == Code::file_changed);
  CHECK(world.outputs.names().empty());
}

TEST_CASE("no room: said with how much is needed, and nothing is left") {
  const World world(1 << 20);
  // A limit on the size of files, in a child of its own; tmpfs would need a mount.
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1 << 19, 1 << 19};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const auto result = world.run(world.outputs / "out.pt");
    const std::string needed = std::to_string(world.schedule.layout.size) + " bytes are needed";
    const bool good = !result.ok() && result.error().code == Code::file_write &&
                      result.error().message.find(needed) != std::string::npos;
    ::_exit(good ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  CHECK(world.outputs.names().empty());
}

TEST_CASE("killed in the middle: the old output stands, and the next run takes over") {
  const World world(20 << 20);
  const std::string path = world.outputs / "out.pt";
  write_file(path, "old");
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ExecuteOptions options;
    options.force = true;
    options.progress = [](const Progress&) { ::kill(::getpid(), SIGKILL); };
    (void)world.run(path, options);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status));
  CHECK(read_file(path) == "old");
  CHECK(world.outputs.names() == Names{kPart, "out.pt"});
  ExecuteOptions options;
  options.force = true;
  CHECK(world.code(path, options) == kDone);
  CHECK(world.outputs.names() == Names{"out.pt"});
}

}  // namespace
}  // namespace regraft
