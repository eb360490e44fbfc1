#include <chrono>
#include <random>

#include "catch.h"
#include "execute/gather.h"
#include "test_execute_support.h"

namespace regraft {
namespace {

using test::elements;
using test::Folder;
using test::noise;
using test::plan_all;
using test::read_file;
using test::schedule_all;
using test::schedule_of;
using test::Source;

class Collect final : public ByteSink {
 public:
  Status take(Bytes bytes) override {
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return Done{};
  }
  std::string text;
};

// A storage of any size, made up as it is read.
class MadeUp final : public StorageReader {
 public:
  static std::uint8_t byte(std::uint64_t at) {
    return static_cast<std::uint8_t>((at * 0x9E3779B97F4A7C15ull) >> 56);
  }
  Status read(std::uint32_t, std::uint64_t offset, std::span<std::byte> out) const override {
    for (std::byte& b : out) b = static_cast<std::byte>(byte(offset++));
    ++reads;
    return Done{};
  }
  bool direct(std::uint32_t) const override { return true; }
  const InputFile* file() const override { return nullptr; }
  mutable std::uint64_t reads = 0;
};

TEST_CASE("gather gives any view in row-major order") {
  std::mt19937 random(7);
  const auto draw = [&](unsigned most) { return static_cast<std::int64_t>(random() % most); };
  Folder folder;
  Source source;
  const std::uint32_t storage = source.storage(noise(300'000));
  constexpr DType kTypes[] = {DType::uint8, DType::float16, DType::float32, DType::int64,
                              DType::complex128};
  for (int i = 0; i < 300; ++i) {
    Shape shape, strides;
    for (std::int64_t k = draw(5); k-- > 0;) {
      shape.push_back(draw(i % 9 == 0 ? 2 : 8) + (i % 9 == 0 ? 0 : 1));
      strides.push_back(draw(60));
    }
    source.tensor(std::to_string(i), kTypes[draw(5)], shape, storage, draw(100), strides);
  }
  // Larger than a tile, in both orders.
  source.tensor("t", DType::float16, {150, 71}, storage, 3, Shape{1, 150});
  source.tensor("u", DType::float32, {3, 71, 150}, storage, 3, Shape{71 * 150, 1, 71});
  const Checkpoint& checkpoint = source.open(folder / "in");
  Gatherer gatherer;
  for (const Tensor& tensor : source.catalog.tensors) {
    CAPTURE(tensor.name, to_string(tensor.shape), to_string(tensor.strides));
    REQUIRE(check_view(source.catalog, tensor, 0).ok());
    Collect sink;
    const View view{0, storage, tensor.dtype, tensor.shape, tensor.strides, tensor.offset};
    REQUIRE(gatherer.gather(*checkpoint.reader, view, sink).ok());
    CHECK((sink.text == source.elements(tensor)));
  }
}

TEST_CASE("gather of views that span more than the window") {
  const auto check = [](const View& view, GatherWay way, std::uint64_t most_reads) {
    CAPTURE(to_string(view.shape), to_string(view.strides));
    CHECK(gather_way(view) == way);
    const MadeUp reader;
    Collect sink;
    Gatherer gatherer;
    REQUIRE(gatherer.gather(reader, view, sink).ok());
    REQUIRE(sink.text.size() == nbytes(view));
    CHECK(reader.reads <= most_reads);
    const std::uint64_t size = itemsize(view.dtype);
    std::uint64_t wrong = 0;
    for (std::uint64_t i = 0; i < sink.text.size() / size; ++i) {
      std::uint64_t rest = i, at = static_cast<std::uint64_t>(view.offset);
      for (std::size_t k = view.shape.size(); k-- > 0;) {
        const auto length = static_cast<std::uint64_t>(view.shape[k]);
        at += rest % length * static_cast<std::uint64_t>(view.strides[k]);
        rest /= length;
      }
      for (std::uint64_t b = 0; b < size; ++b) {
        wrong += static_cast<std::uint8_t>(sink.text[i * size + b]) != MadeUp::byte(at * size + b);
      }
    }
    CHECK(wrong == 0);
  };
  // Half of every row; the rows are read along. Then rows that are far apart, then single elements.
  check({0, 0, DType::complex128, {2000, 300}, {600, 1}, 5}, GatherWay::rows, 10);
  check({0, 0, DType::complex128, {300, 60}, {60'000, 2}, 0}, GatherWay::rows, 300);
  check({0, 0, DType::float32, {2000}, {20'000}, 1}, GatherWay::rows, 2000);
  // A row that is longer than the window.
  check({0, 0, DType::complex128, {2, 500'000}, {1'500'000, 3}, 0}, GatherWay::rows, 20);
  check({0, 0, DType::complex128, {4, 600'000}, {1, 8}, 0}, GatherWay::scatter, 10);
  // Transposed and dense: the tensor's own size in memory.
  check({0, 0, DType::complex128, {1100, 1000}, {1, 1100}, 0}, GatherWay::extent, 2);
  check({0, 0, DType::complex128, {7, 1000, 3}, {0, 3, 1}, 0}, GatherWay::extent, 1);
}

// Schedules all of `source`, executes it and opens the output.
struct Outcome {
  Executed executed;
  Checkpoint written;
};
Outcome execute_all(Source& source, const Checkpoint& checkpoint, const std::string& path,
                    const Format& format, const ExecuteOptions& options = {}) {
  const Plan plan = plan_all(source.catalog);
  auto made = schedule_of(plan, checkpoint.catalog, format, {}, {.verify = options.verify});
  REQUIRE(made.schedule);
  auto executed = execute(*made.schedule, plan, {&checkpoint}, path, options);
  if (!executed.ok()) FAIL(render(executed.error(), false));
  CHECK(executed->output_bytes == std::filesystem::file_size(path));
  auto file = InputFile::open(path);
  REQUIRE(file.ok());
  auto written = format.open(*file, {});
  if (!written.ok()) FAIL(render(written.error(), false));
  return {*executed, *written};
}

std::string digest_of(const std::string& bytes) {
  TensorDigest digest(DigestKind::xxh3);
  digest.update(as_bytes(bytes));
  return digest.finish();
}

TEST_CASE("tensors arrive with their values and digests") {
  Folder folder;
  Source source;
  source.tensor("plain", DType::float32, {20, 7});
  const std::uint32_t shared = source.storage(noise(3'000'000, 5), true);
  source.tensor("front", DType::float16, {1000, 700}, shared);
  source.tensor("back", DType::float16, {300}, shared, 800'000);
  source.tensor("middle", DType::float16, {1000}, shared, 699'900);
  source.tensor("turned", DType::float16, {1000, 900}, shared, 0, Shape{1, 1000});
  source.tensor("turned again", DType::float16, {1000, 900}, shared, 0, Shape{1, 1000});
  source.tensor("tie", DType::float16, {300}, shared, 800'000);
  source.tensor("scalar", DType::int64, {});
  source.tensor("empty", DType::int8, {0, 4});
  const std::uint32_t large = source.storage(noise(400'000), true);
  source.tensor("small part", DType::float64, {100, 3}, large, 7, Shape{4, 1});
  source.tensor("expanded", DType::bfloat16, {50, 3}, source.storage(noise(6)), 0, Shape{0, 1});
  const Checkpoint& checkpoint = source.open(folder / "in");
  for (const Format* format : {&torch_zip_format(), &safetensors_format()}) {
    CAPTURE(std::string(format->name()));
    const std::string path = folder / ("out" + std::string(format->suffixes()[0]));
    ExecuteOptions options;
    options.verify_output = true;
    const Outcome outcome = execute_all(source, checkpoint, path, *format, options);
    REQUIRE(outcome.written.catalog.tensors.size() == source.catalog.tensors.size());
    for (std::size_t i = 0; i < source.catalog.tensors.size(); ++i) {
      CAPTURE(source.catalog.tensors[i].name);
      const std::string expected = source.elements(source.catalog.tensors[i]);
      CHECK((elements(outcome.written, outcome.written.catalog.tensors[i]) == expected));
      CHECK(outcome.executed.tensor_digests[i] == digest_of(expected));
      CHECK(outcome.executed.input_digests[0][i] == digest_of(expected));
    }
    CHECK(outcome.executed.output_digest == outcome.executed.input_table_digests[0]);
    CHECK(folder.names().size() == (format == &torch_zip_format() ? 2 : 3));
  }
  // The same bytes from the same inputs, whatever is verified on the way.
  ExecuteOptions quick;
  quick.verify = quick.sync = false;
  quick.digest = DigestKind::none;
  const Outcome again =
      execute_all(source, checkpoint, folder / "again.pt", torch_zip_format(), quick);
  CHECK((read_file(folder / "again.pt") == read_file(folder / "out.pt")));
  CHECK(again.executed.output_digest.empty());
  CHECK(again.executed.tensor_digests[0].empty());
  quick.verify_output = true;
  CHECK(execute_all(source, checkpoint, folder / "verified.pt", torch_zip_format(), quick)
            .executed.tensor_digests[0]
            .empty());
}

TEST_CASE("digests of inputs: what was read, or everything") {
  Folder folder;
  Source source;
  source.tensor("used", DType::float32, {4});
  source.tensor("dropped", DType::float32, {2, 3}, source.storage(noise(24)), 0, Shape{1, 2});
  source.tensor("tie of used", DType::float32, {4}, 0);
  source.tensor("quantized", DType::int8, {4}).unsupported = "a quantized tensor";
  const Checkpoint& checkpoint = source.open(folder / "in");
  Plan plan = plan_all(source.catalog);
  plan.tensors.resize(1);
  const auto made = schedule_of(plan, source.catalog, safetensors_format());
  REQUIRE(made.schedule);
  auto executed = execute(*made.schedule, plan, {&checkpoint}, folder / "a.safetensors", {});
  REQUIRE(executed.ok());
  CHECK(!executed->input_digests[0][0].empty());
  CHECK(executed->input_digests[0][1].empty());
  ExecuteOptions options;
  options.digest_inputs = true;
  executed = execute(*made.schedule, plan, {&checkpoint}, folder / "b.safetensors", options);
  REQUIRE(executed.ok());
  CHECK(executed->input_digests[0][1] == digest_of(source.elements(source.catalog.tensors[1])));
  CHECK(executed->input_digests[0][2] == executed->input_digests[0][0]);
  CHECK(executed->input_digests[0][3].empty());
}

TEST_CASE("a record that is read whole has its checksum compared") {
  Folder folder;
  Source source;
  const bool turned = GENERATE(false, true);
  source.tensor("first", DType::float32, {4});
  const std::uint32_t storage = source.storage(noise(64), true);
  source.tensor("a", DType::float32, {4, 4}, storage, 0, turned ? Shape{1, 4} : Shape{4, 1});
  *source.catalog.storages[storage].crc32 ^= 1;
  const Checkpoint& checkpoint = source.open(folder / "in");
  for (const Format* format : {&torch_zip_format(), &safetensors_format()}) {
    const std::string path = folder / "out";
    const Plan plan = plan_all(source.catalog);
    const auto made = schedule_all(source.catalog, *format);
    REQUIRE(made.schedule);
    auto executed = execute(*made.schedule, plan, {&checkpoint}, path, {});
    REQUIRE(!executed.ok());
    CHECK(executed.error().code == Code::checksum);
    CHECK(executed.error().where.file == folder / "in");
    CHECK(executed.error().where.key == "data/1");
    CHECK(executed.error().where.offset == 16u);
    CHECK(folder.names() == std::vector<std::string>{"in"});
    ExecuteOptions options;
    options.verify = false;
    CHECK(execute(*made.schedule, plan, {&checkpoint}, path, options).ok());
    std::filesystem::remove(path);
    // What a reader changed on the way has no stated checksum.
    const Checkpoint& swapped = source.open(folder / "in", false);
    CHECK(execute(*made.schedule, plan, {&swapped}, path, {}).ok());
    std::filesystem::remove(path);
    source.open(folder / "in");
  }
}

class Doubler final : public Evaluator {
 public:
  EvaluatorInfo info() const override { return {"doubler 1", "any"}; }
  Status evaluate(const Expr& expr, const LoadTensor& load, std::span<std::byte> out) override {
    const std::vector<Load> loads = loads_of(expr);
    REGRAFT_CHECK(load(loads.front(), out));
    for (std::byte& b : out) b = static_cast<std::byte>(static_cast<unsigned>(b) * 2);
    return Done{};
  }
};

TEST_CASE("what has to be computed is asked of the evaluator") {
  Folder folder;
  Source source;
  source.tensor("a", DType::uint8, {2, 3}, source.storage(noise(6)), 0, Shape{1, 2});
  const Checkpoint& checkpoint = source.open(folder / "in");
  const Plan plan = plan_all(source.catalog);
  auto made = schedule_of(plan, source.catalog, torch_zip_format());
  REQUIRE(made.schedule);
  // No plan asks for it yet, so the schedule is changed by hand.
  Schedule& schedule = *made.schedule;
  schedule.storages[0].origin = Evaluate{plan.tensors[0].expr};
  schedule.tensors[0].tensor.strides = schedule.output.tensors[0].strides = {3, 1};
  schedule.layout = *schedule.format->writer()->layout(schedule.output);
  auto executed = execute(schedule, plan, {&checkpoint}, folder / "out.pt", {});
  REQUIRE(!executed.ok());
  CHECK(executed.error().code == Code::no_evaluator);
  CHECK(folder.names() == std::vector<std::string>{"in"});
  Doubler doubler;
  ExecuteOptions options;
  options.evaluator = [&]() -> Result<Evaluator*> { return &doubler; };
  executed = execute(schedule, plan, {&checkpoint}, folder / "out.pt", options);
  REQUIRE(executed.ok());
  std::string doubled = source.elements(source.catalog.tensors[0]);
  for (char& c : doubled) c = static_cast<char>(static_cast<unsigned char>(c) * 2);
  CHECK(executed->tensor_digests[0] == digest_of(doubled));
}

TEST_CASE("parts of the inputs are written without an evaluator") {
  Folder folder;
  Source source;
  source.tensor("a", DType::float32, {2, 3}, source.storage(noise(24), true));
  source.tensor("b", DType::float32, {4, 3}, source.storage(noise(48, 2), true));
  source.tensor("t", DType::float32, {3, 2}, source.storage(noise(24, 3)), 0, Shape{1, 3});
  source.tensor("v", DType::float32, {3}, source.storage(noise(24, 4)));
  const Checkpoint& checkpoint = source.open(folder / "in");
  const auto input = [&](std::uint32_t i) { return load(0, i, source.catalog.tensors[i]); };
  const std::string a = source.elements(source.catalog.tensors[0]),
                    b = source.elements(source.catalog.tensors[1]),
                    t = source.elements(source.catalog.tensors[2]);
  Plan plan;
  std::vector<std::string> bytes;
  const auto put = [&](const ExprPtr& expr, std::string expected) {
    PlannedTensor planned;
    planned.name = "w" + std::to_string(plan.tensors.size());
    planned.decision = Decision::transformed;
    planned.expr = expr;
    planned.from = loads_of(*expr);
    plan.tensors.push_back(planned);
    bytes.push_back(std::move(expected));
  };
  const std::string zeros(12, '\0');
  SECTION("one after the other, with a filling") {
    put(pad(cat({input(1), input(0)}, 0), {1, 0}, {8, 3}, 0.0), zeros + b + a + zeros);
    put(cat({reshape(input(2), {2, 3}), input(0)}, 0), t + a);
    put(fill(1.0, DType::float16, {3'000'000}), [] {
      std::string ones;
      for (int i = 0; i < 3'000'000; ++i) ones += {0, 0x3C};
      return ones;
    }());
    put(cat({narrow(input(3), 0, 1, 2), narrow(input(3), 0, 0, 2)}, 0),
        source.elements(source.catalog.tensors[3]).substr(4, 8) +
            source.elements(source.catalog.tensors[3]).substr(0, 8));
  }
  SECTION("row by row") {
    put(cat({input(0), narrow(input(1), 0, 2, 2)}, 1),
        a.substr(0, 12) + b.substr(24, 12) + a.substr(12) + b.substr(36));
    put(cat({input(1), narrow(input(1), 1, 0, 1)}, 1), [&] {
      std::string rows;
      for (std::size_t i = 0; i < 48; i += 12) rows += b.substr(i, 12) + b.substr(i, 4);
      return rows;
    }());
    put(narrow(cat({input(0), narrow(input(1), 0, 0, 2)}, 1), 1, 2, 2),
        a.substr(8, 4) + b.substr(0, 4) + a.substr(20, 4) + b.substr(12, 4));
  }
  for (const Format* format : {&torch_zip_format(), &safetensors_format()}) {
    CAPTURE(format->name());
    const auto made = schedule_of(plan, source.catalog, *format);
    REQUIRE(made.schedule);
    for (const ScheduledStorage& storage : made.schedule->storages) {
      CHECK(std::holds_alternative<Parts>(storage.origin));
      CHECK(!storage.known_crc);
    }
    const std::string path = folder / ("out" + std::string(format->suffixes()[0]));
    ExecuteOptions options;
    options.verify_output = true;
    const auto executed = execute(*made.schedule, plan, {&checkpoint}, path, options);
    REQUIRE(executed.ok());
    CHECK_FALSE(executed->evaluator);
    const auto written = open_checkpoint(path);
    REQUIRE(written.ok());
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      CHECK((elements(*written, written->catalog.tensors[i]) == bytes[i]));
      CHECK(executed->tensor_digests[i] == digest_of(bytes[i]));
    }
    // Those that passed by as a whole.
    const std::vector<std::string>& digests = executed->input_digests[0];
    const bool first_section = plan.tensors.size() == 4;
    CHECK(digests[0] == digest_of(a));
    CHECK(digests[1] == digest_of(b));
    CHECK(digests[2] == (first_section ? digest_of(t) : ""));
    CHECK(digests[3].empty());
  }
  // So are the checksums of records: of a and of b, which is read row by row.
  for (const auto& [place, key] : {std::pair(0, "data/0"), std::pair(24 + 40, "data/1")}) {
    std::string damaged = read_file(folder / "in");
    damaged[static_cast<std::size_t>(place)] ^= 1;
    test::write_file(folder / "in", damaged);
    const Checkpoint bad{checkpoint.catalog,
                         std::make_shared<test::PlainReader>(*InputFile::open(folder / "in"),
                                                             source.catalog.storages, true)};
    const auto made = schedule_of(plan, source.catalog, torch_zip_format());
    const auto refused = execute(*made.schedule, plan, {&bad}, folder / "bad.pt", {});
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == Code::checksum);
    CHECK(refused.error().where.key == key);
    ExecuteOptions options;
    options.verify = false;
    options.force = true;
    CHECK(execute(*made.schedule, plan, {&bad}, folder / "bad.pt", options).ok());
    std::filesystem::remove(folder / "bad.pt");
    damaged[static_cast<std::size_t>(place)] ^= 1;
    test::write_file(folder / "in", damaged);
  }
}

TEST_CASE("a hundred thousand small tensors", "[.slow]") {
  Folder folder;
  Source source;
  for (int i = 0; i < 100'000; ++i) {
    source.tensor("layers." + std::to_string(i) + ".weight", DType::float32, {128});
  }
  const Checkpoint& checkpoint = source.open(folder / "in");
  const Plan plan = plan_all(source.catalog);
  for (const Format* format : {&torch_zip_format(), &safetensors_format()}) {
    const auto start = std::chrono::steady_clock::now();
    const auto made = schedule_all(source.catalog, *format);
    const auto planned = std::chrono::steady_clock::now();
    ExecuteOptions options;
    options.sync = false;
    const std::string path = folder / ("x" + std::string(format->suffixes()[0]));
    REQUIRE(execute(*made.schedule, plan, {&checkpoint}, path, options).ok());
    const auto end = std::chrono::steady_clock::now();
    WARN(format->name() << ": schedule " << std::chrono::duration<double>(planned - start).count()
                        << " s, execute " << std::chrono::duration<double>(end - planned).count());
  }
}

}  // namespace
}  // namespace regraft
