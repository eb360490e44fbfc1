#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "catch.h"
#include "formats/format.h"
#include "formats/schema.h"
#include "temporary_file.h"

namespace regraft {
namespace {

Catalog read(std::string_view text, const std::string& suffix = ".yaml") {
  const test::TemporaryFile file(text, suffix);
  auto checkpoint = open_checkpoint(file.path());
  if (!checkpoint.ok()) FAIL(render(checkpoint.error(), false));
  CHECK(checkpoint->reader == nullptr);
  CHECK(checkpoint->catalog.path == file.path());
  CHECK(checkpoint->catalog.file_bytes == text.size());
  return std::move(checkpoint->catalog);
}

Diagnostic refused(std::string_view text, const std::string& suffix = ".yaml") {
  const test::TemporaryFile file(text, suffix);
  auto checkpoint = open_checkpoint(file.path());
  REQUIRE_FALSE(checkpoint.ok());
  CHECK(checkpoint.error().code == Code::schema_corrupt);
  CHECK(checkpoint.error().where.path() == file.path());
  return std::move(checkpoint).error();
}

// `line:column: message` of the first mistake in tensors.
std::string complaint(const std::string& tensors) {
  const Diagnostic diagnostic = refused("regraft_schema: 1\ntensors:\n" + tensors);
  return std::to_string(diagnostic.where.line) + ":" + std::to_string(diagnostic.where.column) +
         ": " + diagnostic.message;
}

void check_equal(const Catalog& a, const Catalog& b) {
  REQUIRE(a.tensors.size() == b.tensors.size());
  for (std::size_t i = 0; i < a.tensors.size(); ++i) {
    const Tensor& x = a.tensors[i];
    const Tensor& y = b.tensors[i];
    CAPTURE(x.name);
    CHECK(x.name == y.name);
    CHECK(x.dtype == y.dtype);
    CHECK(x.shape == y.shape);
    CHECK(x.strides == y.strides);
    CHECK(x.offset == y.offset);
    CHECK(x.conj == y.conj);
    CHECK(x.neg == y.neg);
    CHECK(x.parameter == y.parameter);
    CHECK(x.requires_grad == y.requires_grad);
    CHECK(x.unsupported == y.unsupported);
    if (x.unsupported.empty()) {
      CHECK(a.storages[x.storage].nbytes == b.storages[y.storage].nbytes);
      for (std::size_t j = 0; j < i; ++j) {
        if (!a.tensors[j].unsupported.empty()) continue;
        CHECK((a.tensors[j].storage == x.storage) == (b.tensors[j].storage == y.storage));
      }
    }
  }
  CHECK(a.metadata == b.metadata);
}

TEST_CASE("schema: tensors, ties, views and what stands beside") {
  const Catalog catalog = read(R"(regraft_schema: 1
tensors:
  embed.weight: {dtype: float32, shape: [10, 4], tie: head.weight}
  head.weight: {dtype: torch.float32, shape: [10, 4], parameter: true, requires_grad: true}
  row: {dtype: float32, shape: [2], storage: s, strides: [1], offset: 3}
  column: {dtype: int32, shape: [2, 1], storage: s, strides: [5, 9]}
  other: {dtype: half, shape: [], storage: t}
  q: {dtype: int8, shape: [4], unsupported: a quantized tensor (qint8)}
  'null': {dtype: bool, shape: [0, 7]}
  z: {dtype: complex64, shape: [1], conj: true, neg: true}
storages:
  s: {nbytes: 400}
metadata: {license: mit, number: 1.0}
module_metadata:
  '': {version: 1}
  head: {version: 2, extra: -1}
extras: {epoch: int 3}
)");
  CHECK(catalog.format == "schema");
  CHECK_FALSE(catalog.has_values);
  CHECK(catalog.metadata_digest.size() == 32);
  REQUIRE(catalog.tensors.size() == 8);
  CHECK(catalog.tensors[0].name == "embed.weight");
  CHECK(tied(catalog.tensors[0], catalog.tensors[1]));
  CHECK_FALSE(catalog.tensors[0].parameter);
  CHECK(catalog.tensors[1].parameter);
  CHECK(catalog.tensors[1].requires_grad);
  CHECK(catalog.storages[catalog.tensors[1].storage].nbytes == 160);
  CHECK(catalog.tensors[2].storage == catalog.tensors[3].storage);
  CHECK(catalog.storages[catalog.tensors[2].storage].nbytes == 400);
  CHECK(catalog.tensors[2].offset == 3);
  CHECK(catalog.tensors[3].strides == Shape{5, 9});
  CHECK(catalog.storages[catalog.tensors[4].storage].nbytes == 2);
  CHECK(catalog.tensors[5].unsupported == "a quantized tensor (qint8)");
  CHECK(catalog.tensors[6].name == "null");
  CHECK(catalog.tensors[6].dtype == DType::boolean);
  CHECK(catalog.tensors[7].conj);
  CHECK(catalog.tensors[7].neg);
  CHECK(catalog.metadata ==
        std::vector<std::pair<std::string, std::string>>{{"license", "mit"}, {"number", "1.0"}});
  REQUIRE(catalog.containers.size() == 1);
  REQUIRE(catalog.containers[0].metadata.size() == 2);
  CHECK(catalog.containers[0].metadata[1].module == "head");
  CHECK(catalog.containers[0].metadata[1].ints[1].second == -1);
  REQUIRE(catalog.extras.size() == 1);
  CHECK(catalog.extras[0].summary == "int 3");
  CHECK(select_root(catalog, {}).ok());
}

TEST_CASE("schema: JSON has the same shape") {
  const Catalog catalog = read(R"({"regraft_schema": 1, "tensors": {
    "a": {"dtype": "float32", "shape": [2, 3], "requires_grad": true},
    "b\u00e9": {"dtype": "float32", "shape": [2, 3], "tie": "a"}}})",
                               ".json");
  REQUIRE(catalog.tensors.size() == 2);
  CHECK(catalog.tensors[0].requires_grad);
  CHECK(catalog.tensors[1].name == "b\u00e9");
  CHECK(tied(catalog.tensors[0], catalog.tensors[1]));

  const Diagnostic type = refused(
      "{\"regraft_schema\": 1,\n \"tensors\": {\"a\": {\"dtype\": "
      "\"float33\", \"shape\": [\"2\"]}}}",
      ".json");
  CHECK(type.where.line == 2);
  CHECK(type.where.column == 29);
  CHECK(type.message == "there is no dtype 'float33'");
  CHECK(type.hint == "did you mean float32?");
  REQUIRE(type.notes.size() == 1);
  CHECK(type.notes[0].message == "each of shape is an integer from 0 on, not the text '2'");

  CHECK(refused("{\"regraft_schema\": 1, \"regraft_schema\": 1}", ".json").where.offset);
  CHECK(refused(R"({"weight_map": {}})", ".json").message ==
        "this is the index of a sharded checkpoint, not a target schema");
  CHECK(refused("[1, null, true, -2, 1.5]", ".json").message ==
        "a schema is a mapping, not a list");
}

TEST_CASE("schema: files that are none") {
  CHECK(refused("regraft: 1\n").message ==
        "this is a migration spec, not a checkpoint or a target schema");
  CHECK(refused("a: 1\n").message == "the file is no target schema: it has no key regraft_schema");
  CHECK(refused("text\n").message == "a schema is a mapping, not the text 'text'");
  CHECK(refused("# nothing\n").message == "a schema is a mapping, not null");
  CHECK(refused("regraft_schema: 2\ntensors: {}\n").message ==
        "the schema is of a version other than 1");
  CHECK(refused("regraft_schema: 1\n").message == "the schema has no key tensors");
  CHECK(refused("regraft_schema: 1\ntensors: [1]\n").message == "tensors is a mapping, not a list");
  const Diagnostic key = refused("regraft_schema: 1\ntensor: {}\ntensors: {}\n");
  CHECK(key.message == "unknown key 'tensor'");
  CHECK(key.hint == "did you mean tensors?");
  CHECK_FALSE(refused("regraft_schema: 1\ntensors: {\n").message.empty());
  CHECK_FALSE(refused("regraft_schema: 1\ntensors: {a: {dtype: int8, shape: [1]},\n"
                      "  a: {dtype: int8, shape: [1]}}\n")
                  .message.empty());
}

TEST_CASE("schema: mistakes in tensors") {
  CHECK(complaint("  a: 1\n") ==
        "3:6: tensor 'a' is `{dtype: ..., shape: [...]}`, not the number 1");
  CHECK(complaint("  a: {shape: [1]}\n") == "3:6: tensor 'a' has no dtype");
  CHECK(complaint("  a: {dtype: int8}\n") == "3:6: tensor 'a' has no shape");
  CHECK(complaint("  a: {dtype: [], shape: [1]}\n") == "3:14: dtype is a text, not a list");
  CHECK(complaint("  a: {dtype: int8, shape: 1}\n") ==
        "3:27: shape is a list of integers, not the number 1");
  CHECK(complaint("  a: {dtype: int8, shape: [-1]}\n") ==
        "3:28: each of shape is an integer from 0 on, not the number -1");
  CHECK(complaint("  a: {dtype: int8, shape: [1.0]}\n") ==
        "3:28: each of shape is an integer from 0 on, not the number 1.0");
  CHECK(complaint("  a: {dtype: int8, shape: [9223372036854775807, 2, 0]}\n") ==
        "3:27: more elements than 64 bits can count: [9223372036854775807, 2, 0]");
  CHECK(complaint("  a: {dtype: int8, shape: [1], stride: [1]}\n") == "3:32: unknown key 'stride'");
  CHECK(complaint("  a: {dtype: int8, shape: [1], strides: [1, 1]}\n") ==
        "3:41: 2 strides for 1 dimensions");
  CHECK(complaint("  a: {dtype: int8, shape: [1], strides: [-1]}\n")
            .starts_with("3:42: each of strides"));
  CHECK(complaint("  a: {dtype: int8, shape: [1], offset: -1}\n") ==
        "3:40: offset is an integer from 0 on, not the number -1");
  CHECK(complaint("  a: {dtype: int8, shape: [1], conj: 1}\n") ==
        "3:38: conj is true or false, not the number 1");
  CHECK(complaint("  a: {dtype: int8, shape: [1], unsupported: ''}\n").find("unsupported says") !=
        std::string::npos);
  CHECK(complaint("  a: {dtype: int8, shape: [1], storage: [x]}\n") ==
        "3:41: storage is a text, not a list");
  CHECK(complaint("  a: {dtype: int64, shape: [4611686018427387904]}\n")
            .find("3:3: the tensor has more bytes than 64 bits can count") == 0);
  CHECK(complaint("  a: {dtype: int8, shape: [3], storage: s}\nstorages: {s: {nbytes: 2}}\n")
            .find("3:3: the tensor reaches past its storage 's': 3 bytes needed, 2 there") == 0);
  CHECK(complaint("  a: {dtype: int8, shape: [3], strides: [9223372036854775807]}\n")
            .find("3:3: the tensor reaches past its storage") == 0);
}

TEST_CASE("schema: mistakes in ties") {
  const std::string a = "  weight: {dtype: int8, shape: [2]}\n";
  const Diagnostic nearly = refused("regraft_schema: 1\ntensors:\n" + a +
                                    "  b: {dtype: int8, shape: [2], tie: weigth}\n");
  CHECK(nearly.message == "there is no tensor 'weigth'");
  CHECK(nearly.hint == "did you mean 'weight'?");
  CHECK(complaint(a + "  b: {dtype: int8, shape: [3], tie: weight}\n") ==
        "4:6: tied to 'weight', which is int8 [2]");
  CHECK(complaint(a + "  b: {dtype: uint8, shape: [2], tie: weight}\n") ==
        "4:6: tied to 'weight', which is int8 [2]");
  CHECK(complaint(a + "  b: {dtype: int8, shape: [2], tie: weight, offset: 0}\n") ==
        "4:53: offset beside tie");
  CHECK(complaint("  b: {dtype: int8, shape: [2], tie: b}\n") == "3:37: 'b' has a tie itself");
}

TEST_CASE("schema: mistakes beside the tensors") {
  const auto message = [](const std::string& text) {
    return refused("regraft_schema: 1\ntensors: {}\n" + text).message;
  };
  CHECK(message("storages: {s: 4}\n") == "storage 's' needs `{nbytes: ...}`");
  CHECK(message("storages: {s: {nbytes: -4}}\n").find("nbytes is an integer from 0 on") == 0);
  CHECK(message("storages: {s: {nbytes: 4, size: 4}}\n") == "unknown key 'size'");
  CHECK(message("metadata: {a: [1]}\n") == "'a' is a text, not a list");
  CHECK(message("metadata: 1\n") == "metadata is a mapping, not the number 1");
  CHECK(message("extras: {a: ~}\n") == "'a' is a text, not null");
  CHECK(message("module_metadata: {a: 1}\n") ==
        "metadata of a module is a mapping, not the number 1");
  CHECK(message("module_metadata: {a: {version: x}}\n") ==
        "'version' is an integer, not the text 'x'");
}

TEST_CASE("schema: all mistakes are told, in one diagnostic") {
  std::string text = "regraft_schema: 1\ntensors:\n";
  for (int i = 0; i < 60; ++i) text += "  t" + std::to_string(i) + ": {shape: [1]}\n";
  const Diagnostic diagnostic = refused(text);
  CHECK(diagnostic.message == "tensor 't0' has no dtype");
  REQUIRE(diagnostic.notes.size() == 51);
  CHECK(diagnostic.notes[0].message == "tensor 't1' has no dtype");
  CHECK(diagnostic.notes[0].where.line == 4);
  CHECK(diagnostic.notes[50].message == "and 9 more mistakes");
}

TEST_CASE("schema: what is written reads back") {
  const Catalog catalog = read(R"(regraft_schema: 1
tensors:
  a.weight: {dtype: float32, shape: [10, 4]}
  tied: {dtype: float32, shape: [10, 4], tie: a.weight}
  row: {dtype: float32, shape: [2], storage: x, offset: 3}
  row2: {dtype: float32, shape: [2], tie: row}
  part: {dtype: float16, shape: [2], storage: y}
  whole: {dtype: float16, shape: [4], storage: y}
  transposed: {dtype: int64, shape: [2, 3], strides: [1, 2]}
  scalar: {dtype: bool, shape: []}
  empty: {dtype: uint8, shape: [0]}
  q: {dtype: int8, shape: [4], unsupported: 'a quantized tensor: {qint8}'}
  bits: {dtype: complex64, shape: [1], conj: true, neg: true, parameter: true, requires_grad: true}
  'null': {dtype: int8, shape: [1]}
  '1': {dtype: int8, shape: [1]}
  '': {dtype: int8, shape: [1]}
  'a: b, {c} # d': {dtype: int8, shape: [1]}
  '- ''x''': {dtype: int8, shape: [1]}
  "line\nbreak": {dtype: int8, shape: [1]}
  't, ie': {dtype: int8, shape: [1], tie: "line\nbreak"}
storages: {x: {nbytes: 64}}
metadata: {a: 'x: y'}
module_metadata: {'': {version: 1}, 'a: b': {version: 2, 'k,': 3}}
)");
  const std::string text = write_schema(catalog);
  INFO(text);
  const Catalog again = read(text);
  check_equal(catalog, again);
  REQUIRE(again.containers[0].metadata.size() == 2);
  CHECK(again.containers[0].metadata[1].module == "a: b");
  CHECK(again.containers[0].metadata[1].ints == catalog.containers[0].metadata[1].ints);
  CHECK(write_schema(again) == text);
}

TEST_CASE("schema: the text that is written") {
  Catalog catalog;
  CHECK(write_schema(catalog) == "regraft_schema: 1\ntensors: {}\n");
  catalog.storages.resize(1);
  catalog.storages[0].nbytes = 24;
  Tensor tensor;
  tensor.name = "w";
  tensor.shape = {2, 3};
  tensor.strides = {3, 1};
  catalog.tensors.push_back(tensor);
  tensor.name = "v";
  catalog.tensors.push_back(tensor);
  CHECK(write_schema(catalog) ==
        "regraft_schema: 1\n"
        "tensors:\n"
        "  w: {dtype: float32, shape: [2, 3]}\n"
        "  v: {dtype: float32, shape: [2, 3], tie: w}\n");
  catalog.tensors[1].strides = {1, 2};
  CHECK(write_schema(catalog) ==
        "regraft_schema: 1\n"
        "storages:\n"
        "  s0: {nbytes: 24}\n"
        "tensors:\n"
        "  w: {dtype: float32, shape: [2, 3], storage: s0}\n"
        "  v: {dtype: float32, shape: [2, 3], storage: s0, strides: [1, 2]}\n");
}

TEST_CASE("schema: names that YAML cannot spell are shown") {
  Catalog catalog;
  catalog.storages.resize(1);
  catalog.storages[0].nbytes = 4;
  Tensor tensor;
  catalog.tensors.assign(3, tensor);
  for (Tensor& each : catalog.tensors) each.name.clear();
  catalog.tensors[0].name = "a\xff";
  catalog.tensors[1].name = std::string("a\0b", 3);
  catalog.tensors[2].name = std::string(3000, 'n');
  const Catalog again = read(write_schema(catalog));
  CHECK(again.tensors[0].name == "a\\xff");
  CHECK(again.tensors[1].name == "a\\x00b");
  CHECK(again.tensors[2].name == catalog.tensors[2].name);
  REQUIRE(unwritable_name(catalog) != nullptr);
  CHECK(*unwritable_name(catalog) == "a\xff");
  CHECK(unwritable_name(again) == nullptr);
}

}  // namespace
}  // namespace regraft
