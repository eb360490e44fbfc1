#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "catch.h"
#include "formats/format.h"
#include "temporary_file.h"

namespace regraft {
namespace {

std::string length_bytes(std::uint64_t length) {
  std::string bytes;
  for (int i = 0; i < 8; ++i, length >>= 8) bytes += static_cast<char>(length & 0xff);
  return bytes;
}

std::string file_of(const std::string& header, const std::string& data) {
  return length_bytes(header.size()) + header + data;
}

Checkpoint read(const std::string& bytes) {
  const test::TemporaryFile file(bytes, ".safetensors");
  auto checkpoint = open_checkpoint(file.path());
  if (!checkpoint.ok()) FAIL(render(checkpoint.error(), false));
  return std::move(checkpoint).value();
}

// The message for a file that is refused; the code is safetensors-corrupt.
Diagnostic refused(const std::string& bytes, const Limits& limits = {}) {
  const test::TemporaryFile file(bytes, ".safetensors");
  auto checkpoint = open_checkpoint(file.path(), limits);
  REQUIRE_FALSE(checkpoint.ok());
  CHECK(checkpoint.error().where.file == file.path());
  CHECK(checkpoint.error().where.offset);
  return std::move(checkpoint).error();
}

std::string complaint(const std::string& header, std::size_t data_bytes) {
  const Diagnostic diagnostic = refused(file_of(header, std::string(data_bytes, 'x')));
  CHECK(diagnostic.code == Code::safetensors_corrupt);
  return diagnostic.message;
}

// A header of one tensor named w.
std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return "{\"w\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets +
         "}}";
}

std::string bytes_of(const Checkpoint& checkpoint, std::uint32_t storage) {
  std::string bytes(checkpoint.catalog.storages[storage].nbytes, '\0');
  const Status status =
      checkpoint.reader->read(storage, 0, std::as_writable_bytes(std::span(bytes)));
  REQUIRE(status.ok());
  return bytes;
}

TEST_CASE("safetensors: a file as the reference writes it") {
  const std::string header = R"({"__metadata__":{"z":"1","format":"pt"},)"
                             R"("b":{"dtype":"F64","shape":[],"data_offsets":[0,8]},)"
                             R"("a\u00e9\n":{"dtype":"I16","shape":[1,2],"data_offsets":[8,12]},)"
                             R"("e":{"dtype":"F32","shape":[0,3],"data_offsets":[12,12]}}   )";
  const Checkpoint file = read(file_of(header, "12345678abcd"));
  const Catalog& catalog = file.catalog;
  CHECK(catalog.format == "safetensors");
  CHECK(catalog.file_bytes == 8 + header.size() + 12);
  CHECK(catalog.metadata_digest.size() == 32);
  CHECK(catalog.has_values);
  CHECK(catalog.metadata ==
        std::vector<std::pair<std::string, std::string>>{{"z", "1"}, {"format", "pt"}});
  REQUIRE(catalog.tensors.size() == 3);
  CHECK(catalog.tensors[0].name == "b");
  CHECK(catalog.tensors[0].dtype == DType::float64);
  CHECK(catalog.tensors[0].shape.empty());
  CHECK(catalog.tensors[1].name == "a\u00e9\n");
  CHECK(catalog.tensors[1].shape == Shape{1, 2});
  CHECK(catalog.tensors[1].strides == Shape{2, 1});
  CHECK(catalog.tensors[2].shape == Shape{0, 3});
  CHECK(catalog.storages[1].offset == 8 + header.size() + 8);
  CHECK_FALSE(catalog.storages[1].crc32);
  CHECK(bytes_of(file, 0) == "12345678");
  CHECK(bytes_of(file, 1) == "abcd");
  CHECK(bytes_of(file, 2).empty());
  CHECK(file.reader->direct(0));
  CHECK(file.reader->file()->size() == catalog.file_bytes);
  REQUIRE(catalog.containers.size() == 1);
  CHECK(catalog.containers[0].entries == 3);
  CHECK(catalog.containers[0].tensors == 3);
  for (const Tensor& tensor : catalog.tensors) CHECK(check_view(catalog, tensor, 0).ok());
  CHECK(select_root(catalog, {}).ok());
}

TEST_CASE("safetensors: order in the header and order of the data may differ") {
  const Checkpoint file = read(file_of(R"({"z":{"dtype":"U8","shape":[2],"data_offsets":[4,6]},)"
                                       R"("a":{"shape":[1],"data_offsets":[0,4],"dtype":"F32"}})",
                                       "aaaazz"));
  CHECK(file.catalog.tensors[0].name == "z");
  CHECK(bytes_of(file, 0) == "zz");
  CHECK(bytes_of(file, 1) == "aaaa");
}

TEST_CASE("safetensors: every dtype of the format is read") {
  for (const DTypeInfo& dtype : all_dtypes()) {
    if (dtype.safetensors.empty()) continue;
    CAPTURE(std::string(dtype.name));
    const bool packed = dtype.dtype == DType::float4_e2m1fn_x2;
    const std::string end = std::to_string(2 * dtype.itemsize);
    const Checkpoint file = read(
        file_of(one(std::string(dtype.safetensors), packed ? "[1,4]" : "[1,2]", "[0," + end + "]"),
                std::string(2 * std::size_t{dtype.itemsize}, 'x')));
    CHECK(file.catalog.tensors[0].dtype == dtype.dtype);
    CHECK(file.catalog.tensors[0].shape == Shape{1, 2});
  }
  CHECK(complaint(one("F6_E2M3", "[4]", "[0,3]"), 3) ==
        "the tensor has the dtype F6_E2M3, which torch has not");
  CHECK(complaint(one("F33", "[1]", "[0,4]"), 4) == "the tensor has an unknown dtype 'F33'");
  CHECK(complaint(one("f32", "[1]", "[0,4]"), 4) == "the tensor has an unknown dtype 'f32'");
  CHECK(complaint(one("", "[1]", "[0,4]"), 4) == "the tensor has an unknown dtype ''");
  CHECK(complaint(one("F4", "[2,3]", "[0,3]"), 3).find("an even last size") != std::string::npos);
  CHECK(complaint(one("F4", "[]", "[0,1]"), 1).find("an even last size") != std::string::npos);
}

TEST_CASE("safetensors: empty files of the format are files") {
  CHECK(read(file_of("{}", "")).catalog.tensors.empty());
  CHECK(read(file_of(R"({"__metadata__":{}})", "")).catalog.tensors.empty());
  CHECK(complaint("{}", 1) == "1 bytes follow the data of the last tensor");
}

TEST_CASE("safetensors: header lengths (61)") {
  CHECK(refused("abc").message == "the file ends inside the length of its header");
  CHECK(refused(length_bytes(0)).message == "the header has 0 bytes, fewer than {} has");
  CHECK(refused(length_bytes(1) + "{").message == "the header has 1 bytes, fewer than {} has");
  CHECK(refused(length_bytes(1ull << 63) + "{}").message ==
        "the header has 9223372036854775808 bytes, but 2 follow");
  CHECK(refused(length_bytes(~0ull) + "{}").message.find("but 2 follow") != std::string::npos);
  CHECK(refused(length_bytes(3) + "{}").message == "the header has 3 bytes, but 2 follow");
  Limits limits;
  limits.safetensors_header_bytes = 10;
  CHECK(refused(file_of("{         }", ""), limits).code == Code::limit_exceeded);
  const test::TemporaryFile at_limit(file_of("{        }", ""), ".safetensors");
  CHECK(open_checkpoint(at_limit.path(), limits).ok());
}

TEST_CASE("safetensors: truncated at every byte") {
  const std::string whole = file_of(one("F32", "[2]", "[0,8]"), "12345678");
  CHECK(read(whole).catalog.tensors.size() == 1);
  for (std::size_t length = 1; length < whole.size(); ++length) {
    CAPTURE(length);
    CHECK(refused(whole.substr(0, length)).code == Code::safetensors_corrupt);
  }
}

TEST_CASE("safetensors: duplicates (62, 63)") {
  const std::string w = R"({"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  CHECK(complaint("{\"w\":" + w + ",\"w\":" + w + "}", 1).find("'w'") != std::string::npos);
  CHECK(complaint("{\"a\":" + w + ",\"\\u0061\":" + w + "}", 1).find("'a'") != std::string::npos);
  CHECK_FALSE(complaint(R"({"__metadata__":{"a":"1","a":"1"}})", 0).empty());
  CHECK_FALSE(complaint(R"({"__metadata__":{},"__metadata__":{}})", 0).empty());
  CHECK_FALSE(complaint(R"({"w":{"dtype":"U8","dtype":"U8"}})", 1).empty());
}

TEST_CASE("safetensors: hole, overlap, trailing bytes (64)") {
  const auto two = [](const std::string& a, const std::string& b, std::size_t bytes) {
    return complaint(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)" + a +
                         R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" + b + "}}",
                     bytes);
  };
  CHECK(two("[0,2]", "[3,5]", 5) == "there is a hole of 1 bytes before the tensor's data");
  CHECK(two("[1,3]", "[3,5]", 5) == "there is a hole of 1 bytes before the tensor's data");
  CHECK(two("[0,2]", "[1,3]", 3) == "the tensor's data overlaps that of 'a'");
  CHECK(two("[0,2]", "[0,2]", 2).find("overlaps") != std::string::npos);
  CHECK(two("[0,2]", "[2,4]", 6) == "2 bytes follow the data of the last tensor");
  CHECK(two("[0,2]", "[2,4]", 3) ==
        "the tensor has data_offsets [2, 4] outside of the 3 bytes of data");
  CHECK(two("[2,0]", "[2,4]", 4).find("[2, 0] outside") != std::string::npos);
  CHECK(two("[0,1]", "[1,3]", 3) ==
        "the tensor has 1 bytes at data_offsets [0, 1], but its dtype and shape make 2");
  // An empty tensor inside of another one.
  CHECK(complaint(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                  R"("b":{"dtype":"U8","shape":[0],"data_offsets":[1,1]}})",
                  2)
            .find("overlaps") != std::string::npos);
}

TEST_CASE("safetensors: shapes that overflow (65)") {
  for (const std::string shape :
       {"[0,9223372036854775807,2]", "[2,9223372036854775807,0]", "[9223372036854775807,2]",
        "[9223372036854775807,0,9223372036854775807]", "[4294967296,4294967296]"}) {
    CAPTURE(shape);
    CHECK(complaint(one("F32", shape, "[0,0]"), 0).find("64 bits can count") != std::string::npos);
  }
  // 2^63 and 2^64 - 1 are no sizes to begin with.
  for (const std::string shape : {"[0,18446744073709551615,2]", "[2,18446744073709551615,0]"}) {
    CHECK(complaint(one("F32", shape, "[0,0]"), 0) ==
          "the tensor has a size that is no integer from 0 to 2^63 - 1");
  }
  // The elements can be counted, their bytes cannot.
  CHECK(complaint(one("F64", "[4611686018427387904]", "[0,0]"), 0).find("bytes than 64 bits") !=
        std::string::npos);
}

TEST_CASE("safetensors: numbers and types (66)") {
  const std::string size = "the tensor has a size that is no integer from 0 to 2^63 - 1";
  for (const std::string shape : {"[1.0]", "[-1]", "[1e0]", "[18446744073709551616]", "[\"1\"]",
                                  "[null]", "[true]", "[[1]]"}) {
    CAPTURE(shape);
    CHECK(complaint(one("U8", shape, "[0,1]"), 1) == size);
  }
  CHECK(complaint(one("U8", "1", "[0,1]"), 1) == "the tensor has a shape that is no list");
  const std::string pair = "the tensor has data_offsets that are not two integers from 0 on";
  for (const std::string offsets :
       {"[0]", "[0,1,1]", "[0,1.0]", "[-1,0]", "\"0,1\"", "[]", "{}", "[0,18446744073709551616]"}) {
    CAPTURE(offsets);
    CHECK(complaint(one("U8", "[1]", offsets), 1) == pair);
  }
  CHECK(complaint(R"({"w":{"dtype":5,"shape":[1],"data_offsets":[0,1]}})", 1) ==
        "the tensor has a dtype that is no string");
}

TEST_CASE("safetensors: fields, space and other values (67, 68)") {
  CHECK(complaint(R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}})", 1) ==
        "the tensor has an unknown field 'x'");
  CHECK(complaint(R"({"w":{"dtype":"U8","shape":[1]}})", 0) ==
        "the tensor has no field 'data_offsets'");
  CHECK(complaint(R"({"w":{"shape":[1],"data_offsets":[0,1]}})", 1) ==
        "the tensor has no field 'dtype'");
  CHECK(complaint(R"({"w":["U8",[1],[0,1]]})", 1) == "the tensor is not a JSON object");
  CHECK(complaint(R"({"w":null})", 0) == "the tensor is not a JSON object");
  CHECK(complaint(R"({"__metadata__":null})", 0) == "the metadata is not a JSON object");
  CHECK(complaint(R"({"__metadata__":{"a":1}})", 0) == "the entry 'a' is not a string");
  CHECK(complaint(" {}", 0) == "the header does not begin with {");
  CHECK(complaint("[]", 0) == "the header does not begin with {");
  CHECK(complaint("\xef\xbb\xbf{}", 0) == "the header does not begin with {");
  CHECK_FALSE(complaint(std::string("{}\0\0", 4), 0).empty());
  CHECK_FALSE(complaint("{}{}", 0).empty());
  CHECK_FALSE(complaint("{\"w\":}", 0).empty());
  CHECK_FALSE(complaint("{\"\xff\":{}}", 0).empty());
  std::string deep = "{\"w\":";
  for (int i = 0; i < 100'000; ++i) deep += '[';
  CHECK_FALSE(complaint(deep, 0).empty());
}

TEST_CASE("safetensors: errors say where they are") {
  const Diagnostic diagnostic = refused(file_of(one("F33", "[1]", "[0,4]"), "1234"));
  CHECK(diagnostic.where.key == "w");
  CHECK(diagnostic.where.offset == 8 + 14);
}

TEST_CASE("safetensors: a file that shrinks is an error (70)") {
  const test::TemporaryFile file(file_of(one("U8", "[4]", "[0,4]"), "1234"));
  auto checkpoint = open_checkpoint(file.path());
  REQUIRE(checkpoint.ok());
  std::filesystem::resize_file(file.path(), 20);
  std::byte bytes[4];
  const Status status = checkpoint->reader->read(0, 0, bytes);
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().code == Code::file_read);
}

// ---- Writing ----

Tensor tensor_of(const std::string& name, DType dtype, Shape shape, std::uint32_t storage = 0) {
  Tensor tensor;
  tensor.name = name;
  tensor.dtype = dtype;
  tensor.strides = contiguous_strides(shape);
  tensor.shape = std::move(shape);
  tensor.storage = storage;
  return tensor;
}

OutputCatalog output_of(std::vector<Tensor> tensors) {
  OutputCatalog output;
  output.storages.resize(tensors.size());
  for (std::uint32_t i = 0; i < tensors.size(); ++i) {
    tensors[i].storage = i;
    output.storages[i] = {nbytes(tensors[i]), tensors[i].dtype};
  }
  output.tensors = std::move(tensors);
  return output;
}

const Writer& writer() { return *safetensors_format().writer(); }

// The file that a layout makes, with storage i filled with the letter 'a' + i.
std::string written(const OutputCatalog& output) {
  const auto layout = writer().layout(output);
  if (!layout.ok()) FAIL(render(layout.error(), false));
  std::string bytes(layout->size, '\0');
  std::string covered(layout->size, '-');
  const auto put = [&](std::uint64_t offset, const std::string& data) {
    REQUIRE(offset + data.size() <= bytes.size());
    CHECK(std::all_of(covered.begin() + static_cast<std::ptrdiff_t>(offset),
                      covered.begin() + static_cast<std::ptrdiff_t>(offset + data.size()),
                      [](char c) { return c == '-'; }));
    bytes.replace(offset, data.size(), data);
    covered.replace(offset, data.size(), std::string(data.size(), '+'));
  };
  for (const Patch& patch : layout->header) put(patch.offset, patch.bytes);
  for (std::size_t i = 0; i < output.storages.size(); ++i) {
    put(layout->storage_offsets[i],
        std::string(output.storages[i].nbytes, static_cast<char>('a' + i % 26)));
  }
  CHECK(covered.find('-') == std::string::npos);
  CHECK(writer().finish(output, *layout, {}).empty());
  return bytes;
}

TEST_CASE("safetensors: the writer's traits") {
  CHECK_FALSE(writer().shares_storages());
  CHECK_FALSE(writer().holds_strides());
  CHECK_FALSE(writer().wants_crc32());
}

TEST_CASE("safetensors: the bytes of a small file") {
  const std::string bytes =
      written(output_of({tensor_of("b", DType::uint8, {3}), tensor_of("a", DType::float64, {}),
                         tensor_of("e", DType::float32, {0, 3})}));
  std::string header =
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]},)"
      R"("a":{"dtype":"F64","shape":[],"data_offsets":[0,8]},)"
      R"("e":{"dtype":"F32","shape":[0,3],"data_offsets":[8,8]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  CHECK(bytes == file_of(header, "bbbbbbbbaaa"));
  const Checkpoint file = read(bytes);
  CHECK(file.catalog.tensors[0].name == "b");
  CHECK(bytes_of(file, 0) == "aaa");
  CHECK(bytes_of(file, 1) == "bbbbbbbb");
}

TEST_CASE("safetensors: an empty file can be written") {
  CHECK(read(written({})).catalog.metadata[0].first == "format");
}

TEST_CASE("safetensors: metadata is written in order, format: pt unless set") {
  OutputCatalog output;
  output.metadata = {{"z", "1"}, {"a", "\"\\\b\f\n\r\t\x01\u2028\u00e9/"}};
  using Texts = std::vector<std::pair<std::string, std::string>>;
  CHECK(read(written(output)).catalog.metadata ==
        Texts{{"format", "pt"}, {"z", "1"}, {"a", output.metadata[1].second}});
  output.metadata = {{"z", "1"}, {"format", "tf"}};
  CHECK(read(written(output)).catalog.metadata == Texts{{"z", "1"}, {"format", "tf"}});

  output.metadata = {{"z", "1"}, {"z", "2"}};
  CHECK(writer().layout(output).error().code == Code::cannot_write);
  output.metadata = {{"z", "\xff"}};
  CHECK(writer().layout(output).error().code == Code::cannot_write);
  output.metadata = {{"\xff", "z"}};
  CHECK(writer().layout(output).error().code == Code::cannot_write);
}

TEST_CASE("safetensors: every dtype is aligned and comes back") {
  std::vector<Tensor> tensors;
  for (const DTypeInfo& dtype : all_dtypes()) {
    if (dtype.safetensors.empty()) {
      CHECK(writer().refuses(tensor_of("w", dtype.dtype, {1})) ==
            "safetensors has no dtype " + std::string(dtype.name));
      continue;
    }
    tensors.push_back(tensor_of(std::string(dtype.name), dtype.dtype, {3}));
    CHECK_FALSE(writer().refuses(tensors.back()));
  }
  const OutputCatalog output = output_of(tensors);
  const auto layout = writer().layout(output);
  REQUIRE(layout.ok());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    CHECK(layout->storage_offsets[i] % itemsize(tensors[i].dtype) == 0);
  }
  const Checkpoint file = read(written(output));
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    CHECK(file.catalog.tensors[i].name == tensors[i].name);
    CHECK(file.catalog.tensors[i].dtype == tensors[i].dtype);
    CHECK(file.catalog.tensors[i].shape == tensors[i].shape);
    CHECK(bytes_of(file, static_cast<std::uint32_t>(i)) ==
          std::string(nbytes(tensors[i]), static_cast<char>('a' + i)));
  }
}

TEST_CASE("safetensors: the layout does not depend on storage numbers") {
  OutputCatalog output =
      output_of({tensor_of("a", DType::uint8, {2}), tensor_of("b", DType::float32, {1})});
  std::swap(output.tensors[0].storage, output.tensors[1].storage);
  std::swap(output.storages[0], output.storages[1]);
  const auto layout = writer().layout(output);
  REQUIRE(layout.ok());
  CHECK(layout->storage_offsets[1] == layout->storage_offsets[0] + 4);
}

TEST_CASE("safetensors: what cannot be written") {
  const Tensor good = tensor_of("w", DType::float32, {1});
  CHECK_FALSE(writer().refuses(good));
  const auto refusal = [&](auto change) {
    Tensor tensor = good;
    change(tensor);
    return writer().refuses(tensor).value_or("");
  };
  CHECK(refusal([](Tensor& t) { t.name = "__metadata__"; }) ==
        "safetensors keeps the name '__metadata__' for itself");
  CHECK(refusal([](Tensor& t) { t.name = "a\xff"; }) ==
        "safetensors has no names that are not UTF-8");
  CHECK(refusal([](Tensor& t) { t.name = "\xed\xa0\x80"; }) ==
        "safetensors has no names that are not UTF-8");
  CHECK(refusal([](Tensor& t) { t.conj = true; }) == "safetensors has no conjugate bit");
  CHECK(refusal([](Tensor& t) { t.neg = true; }) == "safetensors has no negative bit");
  CHECK(refusal([](Tensor& t) { t.unsupported = "a sparse tensor"; }) ==
        "safetensors cannot hold a sparse tensor");
  CHECK(refusal([](Tensor& t) {
          t.dtype = DType::float4_e2m1fn_x2;
          t.shape = t.strides = {};
        }) == "safetensors holds float4_e2m1fn_x2 with at least one dimension only");
}

TEST_CASE("safetensors: a header that is too long is not written") {
  OutputCatalog output;
  output.metadata = {{"a", std::string(100'000'000, 'x')}};
  const auto layout = writer().layout(output);
  REQUIRE_FALSE(layout.ok());
  CHECK(layout.error().code == Code::cannot_write);
}

}  // namespace
}  // namespace regraft
