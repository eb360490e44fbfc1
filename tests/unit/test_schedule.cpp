#include "catch.h"
#include "schedule/gather_way.h"
#include "test_execute_support.h"

namespace regraft {
namespace {

using test::noise;
using test::plan_all;
using test::schedule_all;
using test::schedule_of;
using test::Source;

const CopyRange& range(const Schedule& schedule, std::size_t storage) {
  return std::get<CopyRange>(schedule.storages[storage].origin);
}
std::vector<std::string> messages(const Diagnostics& diagnostics) {
  std::vector<std::string> texts;
  for (const Diagnostic& item : diagnostics.items()) texts.push_back(item.message);
  return texts;
}
using Texts = std::vector<std::string>;

TEST_CASE("safetensors: every tensor has contiguous bytes of its own") {
  Source source;
  const std::uint32_t shared = source.storage(noise(48));
  source.tensor("row", DType::float32, {4}, shared, 4);
  source.tensor("column", DType::float32, {3}, shared, 1, Shape{4});
  source.tensor("empty", DType::float32, {0, 3}, shared, 99);
  const auto made = schedule_all(source.catalog, safetensors_format());
  REQUIRE(made.schedule);
  const Schedule& schedule = *made.schedule;
  REQUIRE(schedule.storages.size() == 3);
  CHECK(range(schedule, 0).offset == 16);
  CHECK(range(schedule, 0).length == 16);
  CHECK(std::get<Gather>(schedule.storages[1].origin).view.strides == Shape{4});
  CHECK(schedule.storages[1].nbytes == 12);
  CHECK(schedule.tensors[1].tensor.strides == Shape{1});
  CHECK(schedule.tensors[1].tensor.offset == 0);
  CHECK(range(schedule, 2).offset == 0);
  CHECK(range(schedule, 2).length == 0);
  CHECK(schedule.remarks ==
        Texts{"2 tensors have bytes in common with another and are written apart: safetensors "
              "holds no shared storages"});
  CHECK(schedule.bytes_written == schedule.layout.size);
  CHECK(schedule.bytes_read == 16 + 36);
}

TEST_CASE("safetensors: ties") {
  Source source;
  source.tensor("a", DType::float32, {4});
  source.tensor("b", DType::float32, {4}, 0);
  source.tensor("other", DType::float32, {2});
  source.tensor("c", DType::float32, {4}, 0);
  Program program;

  const auto twice = schedule_all(source.catalog, safetensors_format(), program);
  REQUIRE(twice.schedule);
  CHECK(twice.schedule->storages.size() == 4);
  CHECK(twice.schedule->remarks ==
        Texts{"2 tied tensors are written again: safetensors holds no ties"});

  program.output.ties = TiesMode::first;
  const auto first = schedule_all(source.catalog, safetensors_format(), program);
  REQUIRE(first.schedule);
  CHECK(first.schedule->storages.size() == 2);
  CHECK(first.schedule->left_out == Texts{"b", "c"});
  CHECK(first.schedule->remarks ==
        Texts{"2 tied names are left out after the first: safetensors holds no ties"});

  program.output.ties = TiesMode::error;
  const auto refused = schedule_all(source.catalog, safetensors_format(), program);
  CHECK(!refused.schedule);
  CHECK(messages(refused.diagnostics) ==
        Texts{"tied tensors: 'a', 'b', 'c'; safetensors holds no ties, and `output.ties` is "
              "error"});
  const auto shares = schedule_all(source.catalog, torch_zip_format(), program);
  REQUIRE(shares.schedule);
  CHECK(shares.schedule->storages.size() == 2);
  CHECK(shares.schedule->tensors[3].shares);
  CHECK(!shares.schedule->tensors[2].shares);
}

TEST_CASE("names of one reshaped tensor are tied") {
  Source source;
  source.tensor("strided", DType::float32, {2, 3}, source.storage(noise(24)), 0, Shape{1, 2});
  Plan plan = plan_all(source.catalog);
  plan.tensors[0].expr = reshape(plan.tensors[0].expr, {6});
  plan.tensors.push_back(plan.tensors[0]);
  plan.tensors[1].name = "twin";
  plan.tensors[1].expr = reshape(load(0, 0, source.catalog.tensors[0]), {6});
  const auto made = schedule_of(plan, source.catalog, torch_zip_format());
  REQUIRE(made.schedule);
  REQUIRE(made.schedule->storages.size() == 1);
  CHECK(std::get<Gather>(made.schedule->storages[0].origin).view.shape == Shape{2, 3});
  CHECK(made.schedule->tensors[1].tensor.shape == Shape{6});
  CHECK(made.schedule->tensors[1].shares);
}

TEST_CASE("what was optimized is tied as it was") {
  Source source;
  source.tensor("x", DType::float32, {2, 3}, source.storage(noise(24), true));
  const ExprPtr x = load(0, 0, source.catalog.tensors[0]);
  Plan plan = plan_all(source.catalog);
  const auto put = [&](const std::string& name, const ExprPtr& expr, ExprPtr optimized = nullptr) {
    PlannedTensor planned;
    planned.name = name;
    planned.decision = Decision::transformed;
    planned.expr = expr;
    planned.optimized = std::move(optimized);
    plan.tensors.push_back(planned);
  };
  const auto there_and_back = [&] { return cat({narrow(x, 0, 0, 1), narrow(x, 0, 1, 1)}, 0); };
  put("back", there_and_back(), x);
  put("back too", there_and_back(), x);
  put("by another way", cat({narrow(x, 1, 0, 1), narrow(x, 1, 1, 2)}, 1), x);
  const auto made = schedule_of(plan, source.catalog, torch_zip_format());
  for (PlannedTensor& planned : plan.tensors) planned.optimized = nullptr;
  const auto plain =
      schedule_of(plan, source.catalog, torch_zip_format(), {}, {.byte_ranges = false});
  REQUIRE(made.schedule);
  REQUIRE(plain.schedule);
  REQUIRE(made.schedule->storages.size() == 3);
  for (const auto* schedule : {&*made.schedule, &*plain.schedule}) {
    std::vector<std::uint32_t> storages;
    for (const ScheduledTensor& tensor : schedule->tensors)
      storages.push_back(tensor.tensor.storage);
    CHECK(storages == std::vector<std::uint32_t>{0, 1, 1, 2});
  }
  CHECK(made.schedule->layout.storage_offsets == plain.schedule->layout.storage_offsets);
  // Copied whole: the record's checksum is known.
  CHECK(range(*made.schedule, 1).length == 24);
  CHECK(made.schedule->storages[1].known_crc);
  CHECK(std::holds_alternative<Evaluate>(plain.schedule->storages[1].origin));
}

TEST_CASE("bits beside the bytes stay with views, and go where tensors are put together") {
  Source source;
  source.tensor("x", DType::float32, {4}).neg = true;
  const ExprPtr x = load(0, 0, source.catalog.tensors[0]);
  Plan plan = plan_all(source.catalog);
  plan.tensors[0].expr = cat({narrow(x, 0, 0, 1), narrow(x, 0, 1, 3)}, 0);
  plan.tensors[0].optimized = x;
  const auto made = schedule_of(plan, source.catalog, safetensors_format());
  REQUIRE(made.schedule);
  CHECK(std::holds_alternative<Evaluate>(made.schedule->storages[0].origin));
  CHECK_FALSE(made.schedule->tensors[0].tensor.neg);
}

TEST_CASE(".pt: a storage is written whole, or its views are compacted") {
  Source source;
  const std::uint32_t storage = source.storage(noise(400), true);
  SECTION("half of it is used") {
    source.tensor("a", DType::float32, {25}, storage, 50);
    source.tensor("b", DType::float32, {5, 5}, storage, 10, Shape{1, 5});
    const auto made = schedule_all(source.catalog, torch_zip_format());
    REQUIRE(made.schedule);
    REQUIRE(made.schedule->storages.size() == 1);
    CHECK(range(*made.schedule, 0).length == 400);
    CHECK(made.schedule->tensors[1].tensor.strides == Shape{1, 5});
    CHECK(made.schedule->tensors[1].tensor.offset == 10);
    CHECK(made.schedule->tensors[0].shares);
    CHECK(made.schedule->remarks.empty());
  }
  SECTION("one view less than half") {
    source.tensor("a", DType::float32, {49}, storage, 50);
    source.tensor("tie", DType::float32, {49}, storage, 50);
    const auto made = schedule_all(source.catalog, torch_zip_format());
    REQUIRE(made.schedule);
    REQUIRE(made.schedule->storages.size() == 1);
    CHECK(range(*made.schedule, 0).offset == 200);
    CHECK(range(*made.schedule, 0).length == 196);
    CHECK(!made.schedule->storages[0].known_crc);
    CHECK(made.schedule->tensors[1].tensor.offset == 0);
    CHECK(made.schedule->tensors[1].compacted);
    CHECK(made.schedule->tensors[1].shares);
    CHECK(made.schedule->remarks ==
          Texts{"2 tensors were compacted: they used less than half of their storage"});
  }
  SECTION("two small views apart, one of them strided") {
    source.tensor("a", DType::float32, {10}, storage);
    source.tensor("b", DType::float32, {10}, storage, 50, Shape{2});
    const auto made = schedule_all(source.catalog, torch_zip_format());
    REQUIRE(made.schedule);
    REQUIRE(made.schedule->storages.size() == 2);
    CHECK(std::holds_alternative<Gather>(made.schedule->storages[1].origin));
    CHECK(made.schedule->tensors[1].tensor.strides == Shape{1});
    CHECK(!made.schedule->tensors[1].shares);
  }
  SECTION("two small views that overlap") {
    source.tensor("a", DType::float32, {10}, storage);
    source.tensor("b", DType::uint8, {2}, storage, 39);
    const auto made = schedule_all(source.catalog, torch_zip_format());
    REQUIRE(made.schedule);
    CHECK(made.schedule->storages.size() == 1);
    CHECK(made.schedule->storages[0].nbytes == 400);
  }
  SECTION("an expanded element would be larger by itself") {
    source.tensor("a", DType::float32, {1000}, storage, 3, Shape{0});
    const auto made = schedule_all(source.catalog, torch_zip_format());
    REQUIRE(made.schedule);
    CHECK(made.schedule->storages[0].nbytes == 400);
  }
  SECTION("a view of nothing") {
    source.tensor("a", DType::float32, {0}, storage, 3);
    const auto made = schedule_all(source.catalog, torch_zip_format());
    REQUIRE(made.schedule);
    CHECK(made.schedule->storages[0].nbytes == 0);
  }
}

TEST_CASE("flags of the tensor are carried over, and a reshape keeps sharing") {
  Source source;
  Tensor& tensor = source.tensor("a", DType::complex64, {2, 2});
  tensor.requires_grad = tensor.parameter = tensor.conj = true;
  source.tensor("b", DType::complex64, {4}, 0);
  Plan plan = plan_all(source.catalog);
  plan.tensors[0].expr = reshape(plan.tensors[0].expr, {4, 1});
  const auto made = schedule_of(plan, source.catalog, torch_zip_format());
  REQUIRE(made.schedule);
  CHECK(made.schedule->storages.size() == 1);
  const Tensor& written = made.schedule->tensors[0].tensor;
  CHECK((written.requires_grad && written.parameter && written.conj && !written.neg));
  CHECK(written.shape == Shape{4, 1});
  CHECK(!made.schedule->tensors[1].tensor.conj);
}

TEST_CASE("a parameter that was cast to integers requires no gradient") {
  Source source;
  for (const char* name : {"a", "b", "c"}) {
    Tensor& tensor = source.tensor(name, DType::float32, {2});
    tensor.requires_grad = tensor.parameter = true;
  }
  Plan plan = plan_all(source.catalog);
  plan.tensors[0].expr = cast(plan.tensors[0].expr, DType::int64, true);
  plan.tensors[1].expr = cast(plan.tensors[1].expr, DType::complex64, true);
  const auto made = schedule_of(plan, source.catalog, torch_zip_format());
  REQUIRE(made.schedule);
  std::vector<bool> required;
  for (const ScheduledTensor& one : made.schedule->tensors) {
    CHECK(one.tensor.parameter);
    required.push_back(one.tensor.requires_grad);
  }
  CHECK(required == std::vector<bool>{false, true, true});
}

TEST_CASE("checksums are reused, compared or computed") {
  Source source;
  const std::uint32_t stated = source.storage(noise(16), true);
  source.tensor("a", DType::float32, {4}, stated);
  source.tensor("b", DType::float32, {4});
  auto made = schedule_all(source.catalog, torch_zip_format());
  REQUIRE(made.schedule);
  CHECK(made.schedule->storages[0].checksum == Checksum::compute);
  CHECK(made.schedule->storages[0].known_crc == source.catalog.storages[0].crc32);
  CHECK(made.schedule->storages[1].checksum == Checksum::compute);
  CHECK(!made.schedule->storages[1].known_crc);
  made = schedule_all(source.catalog, torch_zip_format(), {}, {.verify = false});
  CHECK(made.schedule->storages[0].checksum == Checksum::reuse);
  CHECK(made.schedule->storages[1].checksum == Checksum::compute);
  made = schedule_all(source.catalog, safetensors_format());
  CHECK(made.schedule->storages[0].checksum == Checksum::none);
  CHECK(made.schedule->storages[0].known_crc);
}

TEST_CASE("all refusals are in one run, at the spec") {
  Source source;
  source.tensor("quantized", DType::int8, {4}).unsupported = "a quantized tensor (qint8)";
  source.tensor("it's", DType::complex32, {4});
  source.tensor("\xff", DType::float32, {4});
  Program program;
  program.text = std::make_shared<const SourceText>(SourceText{"spec.yaml", ""});
  auto made = schedule_all(source.catalog, safetensors_format(), program);
  CHECK(!made.schedule);
  REQUIRE(made.diagnostics.items().size() == 3);
  CHECK(render(made.diagnostics.items()[0], false) ==
        "spec.yaml: error[cannot-carry]: the tensor 'quantized' cannot be carried: it is a "
        "quantized tensor (qint8)\n  hint: drop it with a rule: `- drop: {exact: 'quantized'}`\n");
  CHECK(render(made.diagnostics.items()[1], false) ==
        "spec.yaml: error[cannot-write]: the tensor 'it's' cannot be written: safetensors has no "
        "dtype complex32\n  hint: write a .pt file, or drop it with a rule: "
        "`- drop: {exact: 'it''s'}`\n");
  CHECK(made.diagnostics.items()[2].code == Code::cannot_write);

  Source plain;
  plain.tensor("a", DType::float32, {1});
  program.output.metadata = {{"k", "v"}};
  made = schedule_all(plain.catalog, torch_zip_format(), program);
  CHECK(!made.schedule);
  CHECK(messages(made.diagnostics) ==
        Texts{"`output.metadata` is set, and a torch-zip file has no header that could hold it"});
  made = schedule_all(plain.catalog, safetensors_format(), program);
  REQUIRE(made.schedule);
  CHECK(made.schedule->output.metadata == program.output.metadata);
}

TEST_CASE("metadata that has no place in the output is remarked upon") {
  Source source;
  source.tensor("a", DType::float32, {1});
  source.catalog.path = "old.safetensors";
  source.catalog.metadata = {{"format", "pt"}, {"author", "x"}};
  Plan plan = plan_all(source.catalog);
  plan.has_module_metadata = true;
  plan.module_metadata = {{"", {{"version", 1}}}};
  auto made = schedule_of(plan, source.catalog, safetensors_format());
  REQUIRE(made.schedule);
  CHECK(made.schedule->remarks ==
        Texts{"the `_metadata` of the state dict is not kept: safetensors has no place for it",
              "the metadata of 'old.safetensors' is dropped: 'author'"});
  made = schedule_of(plan, source.catalog, torch_zip_format());
  REQUIRE(made.schedule);
  CHECK(made.schedule->output.has_module_metadata);
  CHECK(made.schedule->output.module_metadata.size() == 1);
  CHECK(made.schedule->remarks.size() == 1);
}

TEST_CASE("a view of few bytes does not make a large file") {
  Source source;
  source.tensor("huge", DType::float32, {1ll << 40}, source.storage(noise(24)), 0, Shape{0});
  auto made = schedule_all(source.catalog, safetensors_format());
  CHECK(!made.schedule);
  REQUIRE(made.diagnostics.items().size() == 1);
  CHECK(made.diagnostics.items()[0].code == Code::limit_exceeded);
  CHECK(schedule_all(source.catalog, safetensors_format(), {}, {.max_growth = 0}).schedule);
  CHECK(schedule_all(source.catalog, torch_zip_format()).schedule);
}

TEST_CASE("a schedule prints its storages and tensors") {
  Source source;
  source.tensor("a", DType::float32, {2, 2});
  source.tensor("t", DType::float32, {2, 2}, 0, 0, Shape{1, 2});
  const auto made = schedule_all(source.catalog, safetensors_format());
  REQUIRE(made.schedule);
  Inputs inputs;
  inputs.sources = {&source.catalog};
  const std::string header = std::to_string(made.schedule->layout.storage_offsets[0]);
  const std::string next = std::to_string(made.schedule->layout.storage_offsets[1]);
  CHECK(print(*made.schedule, inputs) ==
        "schedule safetensors: " + std::to_string(made.schedule->layout.size) +
            " bytes, 32 read, " + std::to_string(made.schedule->peak_bytes) +
            " of memory\n"
            "storage 0 at " +
            header +
            ": 16 bytes float32, copy input 0 'data/0' from 0\n"
            "storage 1 at " +
            next +
            ": 16 bytes float32, gather input 0 'data/0' [2, 2] strides "
            "[1, 2] from element 0\n"
            "tensor 'a': float32 [2, 2] in storage 0\n"
            "tensor 't': float32 [2, 2] in storage 1\n"
            "remark 2 tensors have bytes in common with another and are written apart: safetensors "
            "holds no shared storages\n");
}

TEST_CASE("the way of a gather bounds its memory") {
  const auto way = [](Shape shape, Shape strides) {
    return gather_way({0, 0, DType::float32, std::move(shape), std::move(strides), 0});
  };
  CHECK(way({100, 100}, {100, 1}) == GatherWay::stream);
  CHECK(way({100, 100}, {1, 100}) == GatherWay::extent);
  CHECK(way({10000, 10000}, {1, 10000}) == GatherWay::extent);  // the tensor's own size
  CHECK(way({10000, 10000}, {20000, 2}) == GatherWay::rows);
  CHECK(way({10000, 10000}, {2, 20000}) == GatherWay::scatter);
  CHECK(way({1ll << 30, 10}, {0, 3}) == GatherWay::extent);
  CHECK(gather_bytes({0, 0, DType::float32, {1ll << 40}, {0}, 0}) == 4 + kCopyBlock);
}

}  // namespace
}  // namespace regraft
