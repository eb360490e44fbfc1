// What an evaluation costs and leaves behind, and how it fails.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <atomic>
#include <cfenv>
#include <cstdlib>
#include <stdexcept>
#include <thread>

#include "support.h"
#include "torch/torch_version.h"

namespace regraft {
namespace {

// --- work and memory
// ----------------------------------------------------------------------------------

TEST_CASE("shared subtrees are evaluated once") {
  Inputs in;
  ExprPtr x = in.add<float>(DType::float32, {4}, {1, 2, 3, 4});
  for (int i = 0; i < 60; ++i) x = overlay(x, narrow(x, 0, 0, 1), {3});  // 2^60 paths
  CHECK(in.values<float>(x) == std::vector<float>{1, 2, 3, 1});
  CHECK(in.loads == 1);
  ExprPtr sum = in.add<double>(DType::float64, {1}, {1});
  for (int i = 0; i < 60; ++i) sum = binary(BinaryOp::add, sum, sum);
  CHECK(in.values<double>(sum) == std::vector<double>{0x1p60});
  CHECK(in.loads == 2);
}

TEST_CASE("deep trees") {
  Inputs in;
  ExprPtr x = in.add<float>(DType::float32, {1}, {3});
  for (int i = 0; i < 5000; ++i) x = unary(UnaryOp::neg, x);
  CHECK(in.values<float>(x) == std::vector<float>{3});
}

// Counts what ATen has allocated, and the most of it at one time.
class Counting final : public c10::Allocator {
 public:
  Counting() : before_(c10::GetCPUAllocator()) { c10::SetCPUAllocator(this, 100); }
  ~Counting() override { c10::SetCPUAllocator(before_, 100); }
  Counting(const Counting&) = delete;
  Counting& operator=(const Counting&) = delete;

  c10::DataPtr allocate(std::size_t size) override {
    held_ += size;
    most = std::max(most, held_);
    auto* block = new Block{this, size, std::aligned_alloc(64, (size + 63) / 64 * 64)};
    return {block->memory, block, &release, c10::Device(c10::DeviceType::CPU)};
  }
  void copy_data(void* to, const void* from, std::size_t size) const override {
    std::memcpy(to, from, size);
  }

  std::size_t most = 0;

 private:
  struct Block {
    Counting* owner;
    std::size_t size;
    void* memory;
  };
  static void release(void* context) {
    const std::unique_ptr<Block> block(static_cast<Block*>(context));
    block->owner->held_ -= block->size;
    std::free(block->memory);
  }
  std::size_t held_ = 0;
  c10::Allocator* before_;
};

std::size_t most_memory(Inputs& in, const ExprPtr& expr) {
  Words out(static_cast<std::size_t>(*numel(expr->shape)) * itemsize(expr->dtype));
  Counting counting;
  REQUIRE(in.evaluate(expr, std::as_writable_bytes(std::span(out))).ok());
  return counting.most;
}

TEST_CASE("the output is computed in place") {
  Inputs in;
  const std::size_t mega = std::size_t{1} << 20;
  const std::size_t one = 4 * mega, little = mega / 16;
  std::vector<ExprPtr> parts;
  for (int i = 0; i < 4; ++i) parts.push_back(in.add(DType::float32, {1024, 1024}, Words(one)));
  CHECK(most_memory(in, parts[0]) == 0);
  CHECK(most_memory(in, cat(parts, 0)) == 0);
  CHECK(most_memory(in, cat(parts, 1)) <= one + little);
  CHECK(most_memory(in, permute(cat(parts, 1), {1, 0})) <= one + little);
  CHECK(most_memory(in, reshape(cat(parts, 0), {4 * 1024 * 1024})) == 0);
  CHECK(most_memory(in, pad(parts[0], {1, 0}, {1026, 1024}, 0.0)) <= little);
  CHECK(most_memory(in, pad(parts[0], {1, 1}, {1026, 1026}, 0.0)) <= one + little);
  CHECK(most_memory(in, overlay(cat(parts, 0), parts[1], {5, 0})) <= one + little);
  CHECK(most_memory(in, index_select(parts[0], 0, std::vector<std::int64_t>(4096, 7))) <=
        one + little);
  CHECK(most_memory(in, fill(1.0, DType::float32, {4096, 1024})) <= little);
  CHECK(most_memory(in, arange(DType::float32, {4096, 1024})) <= little);
  CHECK(most_memory(in, normal(0, 1, 3, DType::float32, {4096, 1024})) <= mega);
  CHECK(most_memory(in, cast(parts[0], DType::float64, true)) <= one + little);
  CHECK(most_memory(in, cast(parts[0], DType::float16, true)) <= one + 8 * mega);
  CHECK(most_memory(in, cast(permute(parts[0], {1, 0}), DType::int8, true)) <= one + 8 * mega);
  CHECK(most_memory(in, cast(parts[0], DType::int8, false)) <= one + 12 * mega);
}

TEST_CASE("what is shared is freed with its last use") {
  Inputs in;
  const std::size_t one = std::size_t{1} << 22;
  std::vector<ExprPtr> parts;
  for (int i = 0; i < 6; ++i) {  // each loaded once, used twice
    const ExprPtr x = in.add(DType::float32, {1024, 1024}, Words(one));
    parts.push_back(narrow(x, 0, 0, 512));
    parts.push_back(narrow(x, 0, 512, 512));
  }
  CHECK(most_memory(in, cat(parts, 0)) <= one);
  CHECK(in.loads == 6);
}

// --- the caller's settings
// ----------------------------------------------------------------------------

// An evaluation during which `look` runs.
Status look_inside(const std::function<void()>& look) {
  const ExprPtr x = load(0, 0, [] {
    Tensor one;
    one.shape = {2};
    return one;
  }());
  Words out(8);
  return Inputs::evaluator().evaluate(
      *unary(UnaryOp::neg, x),
      [&](const Load&, std::span<std::byte> into) {
        look();
        std::fill(into.begin(), into.end(), std::byte{0});
        return Status(Done{});
      },
      std::as_writable_bytes(std::span(out)));
}

TEST_CASE("one thread computes, and the caller's thread count comes back") {
  const int before = at::get_num_threads();
  for (const int count : {1, 3, 5}) {
    at::set_num_threads(count);
    int inside = 0;
    REQUIRE(look_inside([&] { inside = at::get_num_threads(); }).ok());
    CHECK(inside == 1);
    CHECK(at::get_num_threads() == count);
    // After a failure, and for threads that come later.
    CHECK_FALSE(look_inside([] { throw std::runtime_error("x"); }).ok());
    CHECK(at::get_num_threads() == count);
    int later = 0;
    std::thread([&] { later = at::get_num_threads(); }).join();
    CHECK(later == count);
  }
  at::set_num_threads(before);
}

TEST_CASE("evaluations at one time: each thread computes alone, counts come back") {
  const int before = at::get_num_threads();
  at::set_num_threads(3);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i)
    threads.emplace_back([&] {
      for (int run = 0; run < 50; ++run) {
        const Status done = look_inside([&] {
          if (at::get_num_threads() != 1) ++wrong;
          std::this_thread::yield();
        });
        if (!done.ok()) ++wrong;
      }
      if (at::get_num_threads() != 3) ++wrong;
    });
  for (std::thread& one : threads) one.join();
  CHECK(wrong == 0);
  CHECK(at::get_num_threads() == 3);
  int later = 0;
  std::thread([&] { later = at::get_num_threads(); }).join();
  CHECK(later == 3);
  at::set_num_threads(before);
}

TEST_CASE("grad mode comes back") {
  for (const bool enabled : {true, false}) {
    const c10::AutoGradMode mode(enabled);
    bool inside = true;
    REQUIRE(look_inside([&] { inside = c10::GradMode::is_enabled(); }).ok());
    CHECK_FALSE(inside);
    CHECK(c10::GradMode::is_enabled() == enabled);
    CHECK_FALSE(look_inside([] { throw std::runtime_error("x"); }).ok());
    CHECK(c10::GradMode::is_enabled() == enabled);
  }
}

TEST_CASE("autocast does not reach in") {
  Inputs in;
  const ExprPtr x = in.add<float>(DType::float32, {1, 1}, {1.001f});
  at::autocast::set_autocast_enabled(at::kCPU, true);
  const auto product = in.values<float>(matmul(x, x));
  CHECK(at::autocast::is_autocast_enabled(at::kCPU));
  at::autocast::set_autocast_enabled(at::kCPU, false);
  CHECK(product == std::vector<float>{1.001f * 1.001f});
}

TEST_CASE("the floating-point environment does not reach in and comes back") {
  Inputs in;
  const ExprPtr tiny = in.add<float>(DType::float32, {1}, {1e-40f});
  const ExprPtr one = in.add<float>(DType::float32, {1}, {1});
  const ExprPtr third = binary(BinaryOp::div, one, in.add<float>(DType::float32, {1}, {3}));
  std::fesetround(FE_UPWARD);
  const bool flushes = at::globalContext().setFlushDenormal(true);
  const auto product = in.values<float>(binary(BinaryOp::mul, tiny, one));
  const auto quotient = in.values<float>(third);
  const volatile float x = 1e-40f;
  const float flushed = x * 2;
  const int rounding = std::fegetround();
  at::globalContext().setFlushDenormal(false);
  std::fesetround(FE_TONEAREST);
  CHECK(product == std::vector<float>{1e-40f});
  CHECK(quotient == std::vector<float>{1.0f / 3});
  CHECK(rounding == FE_UPWARD);
  if (flushes) CHECK(flushed == 0);
}

// --- faults
// -------------------------------------------------------------------------------------------

TEST_CASE("a fault of the reader comes back as it is") {
  const ExprPtr x = load(0, 0, Tensor{});
  Words out(4);
  const Status done = Inputs::evaluator().evaluate(
      *unary(UnaryOp::neg, cast(x, DType::float16, false)),
      [](const Load&, std::span<std::byte>) {
        return Status(error(Code::file_read, {}, "cannot be read", "try again"));
      },
      std::as_writable_bytes(std::span(out)).first(2));
  REQUIRE_FALSE(done.ok());
  CHECK(done.error().code == Code::file_read);
  CHECK(done.error().message == "cannot be read");
}

TEST_CASE("no exception leaves an evaluation") {
  for (const auto& fault : std::initializer_list<std::function<void()>>{
           [] { throw std::runtime_error("first line\nsecond line"); },
           [] { throw std::bad_alloc(); }, [] { throw 7; }}) {
    const Status done = look_inside(fault);
    REQUIRE_FALSE(done.ok());
    CHECK(done.error().code == Code::evaluator);
    CHECK(done.error().message.find('\n') == std::string::npos);
    CHECK_FALSE(done.error().hint.empty());
  }
  CHECK(look_inside([] { throw std::runtime_error("first line\nsecond line"); }).error().message ==
        "libtorch: first line");
}

TEST_CASE("what torch refuses is an error of one line") {
  Inputs in;
  const Diagnostic refused =
      in.error(unary(UnaryOp::neg, in.add<std::uint8_t>(DType::boolean, {1}, {1})));
  CHECK(refused.code == Code::evaluator);
  CHECK(refused.message.find("bool") != std::string::npos);
  CHECK(in.error(unary(UnaryOp::sqrt, in.add<std::uint8_t>(DType::bits8, {1}, {1}))).code ==
        Code::evaluator);
}

TEST_CASE("memory that runs out is an error of one line") {
  Inputs in;
  const ExprPtr x = in.add<float>(DType::float32, {1}, {1});
  const ExprPtr huge = unary(UnaryOp::neg, expand(x, {std::int64_t{1} << 50}));
  const Diagnostic said = in.error(narrow(huge, 0, 0, 1));
  CHECK(said.code == Code::evaluator);
  CHECK(said.hint.find("memory") != std::string::npos);
}

// --- versions
// -----------------------------------------------------------------------------------------

TEST_CASE("the evaluator says what it computes with") {
  const EvaluatorInfo info = Inputs::evaluator().info();
  CHECK(info.library == "libtorch " + loaded_torch_version());
  CHECK(info.library.find("libtorch 2.") == 0);
  CHECK(info.cpu_capability == at::get_cpu_capability());
  CHECK(check_loaded_torch().ok());
}

TEST_CASE("another LibTorch than that of the build is refused by its version") {
  CHECK(check_torch_version("2.13.0", "/a/libtorch_cpu.so", "2.13.0", "/b/libtorch_cpu.so").ok());
  const Status other =
      check_torch_version("2.13.0", "/a/libtorch_cpu.so", "2.12.1", "/b/libtorch_cpu.so");
  REQUIRE_FALSE(other.ok());
  CHECK(other.error().code == Code::no_evaluator);
  CHECK(other.error().message ==
        "built with LibTorch 2.13.0 (/a/libtorch_cpu.so), but loaded is LibTorch 2.12.1 "
        "(/b/libtorch_cpu.so)");
  CHECK_FALSE(other.error().hint.empty());
  const Status unknown = check_torch_version("2.13.0", "/a", "", "/b");
  REQUIRE_FALSE(unknown.ok());
  CHECK(unknown.error().message ==
        "built with LibTorch 2.13.0 (/a), but loaded is LibTorch of unknown version (/b)");
}

}  // namespace
}  // namespace regraft
