#include <array>
#include <functional>
#include <string>
#include <vector>

#include "catch.h"
#include "formats/format.h"
#include "test_pickle_builder.h"
#include "test_zip_builder.h"

using namespace regraft;
using namespace regraft::test;
using namespace std::string_literals;

namespace {

std::vector<Entry> records(const std::string& value) {
  return {stored("a/data.pkl", "\x80\x02" + value + "."), stored("a/byteorder", "little"),
          stored("a/data/0", std::string(16, 'x')), stored("a/version", "3\n")};
}

struct Opened {
  std::optional<Checkpoint> checkpoint;
  std::optional<Diagnostic> failure;
  [[nodiscard]] const Catalog& catalog() const { return checkpoint->catalog; }
};
Opened open_entries(const std::vector<Entry>& entries, const Limits& limits = {}) {
  TemporaryFile file(make_zip(entries));
  Result<Checkpoint> checkpoint = torch_zip_format().open(file.open(), limits);
  Opened opened;
  if (checkpoint.ok()) {
    opened.checkpoint = *std::move(checkpoint);
  } else {
    opened.failure = checkpoint.error();
    CHECK(opened.failure->where.file == file.path());
  }
  return opened;
}
Opened open_value(const std::string& value, const Limits& limits = {}) {
  return open_entries(records(value), limits);
}
Code code_of(const Opened& opened) {
  REQUIRE(opened.failure.has_value());
  return opened.failure->code;
}
std::string extras(const Catalog& catalog) {
  std::string out;
  for (const Extra& extra : catalog.extras) out += extra.path + "=" + extra.summary + "; ";
  return out;
}

// Writes an output whose storages hold their index over and over.
std::string write(const OutputCatalog& output) {
  const Writer& writer = *torch_zip_format().writer();
  Result<Layout> layout = writer.layout(output);
  REQUIRE(layout.ok());
  std::string bytes(layout->size, '?');
  auto put = [&](const Patch& patch) {
    REQUIRE(patch.offset + patch.bytes.size() <= bytes.size());
    bytes.replace(patch.offset, patch.bytes.size(), patch.bytes);
  };
  for (const Patch& patch : layout->header) put(patch);
  std::vector<std::uint32_t> crcs;
  for (std::size_t i = 0; i < output.storages.size(); ++i) {
    std::string data(output.storages[i].nbytes, static_cast<char>(i));
    put({layout->storage_offsets[i], data});
    crcs.push_back(crc32(as_bytes(data)));
  }
  for (const Patch& patch : writer.finish(output, *layout, crcs)) put(patch);
  return bytes;
}

}  // namespace

TEST_CASE("torch-zip: a dict of tensors") {
  Opened opened = open_value(dict({{text("w"), tensor(storage("0", 4), 1, {1, 2}, {9, 1})},
                                   {text("v"), four()},
                                   {integer(7), text("seven")}}));
  REQUIRE(opened.checkpoint);
  const Catalog& catalog = opened.catalog();
  REQUIRE(catalog.tensors.size() == 2);
  CHECK(catalog.tensors[0].name == "w");
  CHECK(catalog.tensors[0].dtype == DType::float32);
  CHECK(catalog.tensors[0].shape == Shape{1, 2});
  CHECK(catalog.tensors[0].strides == Shape{9, 1});
  CHECK(catalog.tensors[0].offset == 1);
  REQUIRE(catalog.storages.size() == 1);
  CHECK(catalog.storages[0].nbytes == 16);
  CHECK(catalog.storages[0].crc32.has_value());
  CHECK(extras(catalog) == "7=str 'seven'; ");
  REQUIRE(catalog.containers.size() == 1);
  CHECK(catalog.containers[0].entries == 3);
  CHECK(catalog.containers[0].tensors == 2);
  CHECK(catalog.remarks.empty());
  CHECK(catalog.metadata_digest.size() == 32);
  std::array<std::byte, 3> bytes{};
  CHECK(opened.checkpoint->reader->read(0, 5, bytes).ok());
  CHECK(bytes[0] == std::byte{'x'});
  CHECK(opened.checkpoint->reader->direct(0));
}

TEST_CASE("torch-zip: containers, optimizers and what has no tensor") {
  std::string metadata =
      global("collections", "OrderedDict") + ")R(" + text("a") + four() + "u" +
      dict({{text("_metadata"), global("collections", "OrderedDict") + ")R(" + text("") +
                                    dict({{text("version"), integer(2)}, {text("x"), text("no")}}) +
                                    "u"}}) +
      "b";
  Opened opened = open_value(
      dict({{text("model"), metadata},
            {text("opt"),
             dict({{text("state"), dict({{integer(0), four()}})}, {text("param_groups"), "]"}})},
            {text("l"), "](" + four() + "K\x01" + "e"},
            {text("n"), dict({{text("deep"), "](]e"}})},
            {text("o"), global("os", "system") + ")R"},
            {"N", four()}}));
  REQUIRE(opened.checkpoint);
  const Catalog& catalog = opened.catalog();
  std::string shown;
  for (const Container& container : catalog.containers)
    shown += container.path + (container.mapping ? "{}" : "[]") + std::to_string(container.parent) +
             (container.optimizer ? "opt" : "") + " ";
  CHECK(shown == "{}-1 model{}0 opt{}0opt opt.state{}2 l[]0 ");
  CHECK(extras(catalog) ==
        "opt.param_groups=list of 0; l.1=int 1; n=dict of 1; o=os.system; "
        "?=under the key None: a tensor; ");
  REQUIRE(catalog.containers[1].metadata.size() == 1);
  CHECK(catalog.containers[1].metadata[0].ints ==
        std::vector<std::pair<std::string, std::int64_t>>{{"version", 2}});
  REQUIRE(catalog.remarks.size() == 1);
}

TEST_CASE("torch-zip: kinds of tensors") {
  std::string untyped = storage("0", 16, global("torch.storage", "UntypedStorage"));
  std::string half =
      call(rebuild("_rebuild_tensor_v3"), {untyped, integer(2), numbers({2}), numbers({1}), kFalse,
                                           kHooks, global("torch", "float16")});
  std::string odd = call(
      rebuild("_rebuild_tensor_v3"),
      {untyped, integer(0), numbers({2}), numbers({1}), kFalse, kHooks, global("torch", "uint4")});
  std::string conj = call(rebuild("_rebuild_tensor_v3"),
                          {untyped, integer(0), numbers({2}), numbers({1}), kFalse, kHooks,
                           global("torch", "complex64"), dict({{text("conj"), kTrue}})});
  std::string parameter = call(rebuild("_rebuild_parameter"), {half, kTrue, kHooks});
  std::string subclass = call(global("torch._tensor", "_rebuild_from_type_v2"),
                              {rebuild("_rebuild_tensor_v3"), global("my", "Tensor"),
                               tuple({untyped, integer(2), numbers({2}), numbers({1}), kFalse,
                                      kHooks, global("torch", "float16")}),
                               dict({{text("note"), text("x")}})});
  std::string meta = call(rebuild("_rebuild_meta_tensor_no_storage"),
                          {global("torch", "float16"), numbers({2, 3}), numbers({3, 1}), kFalse});
  Opened opened =
      open_value(dict({{text("half"), half},
                       {text("odd"), odd},
                       {text("conj"), conj},
                       {text("parameter"), parameter},
                       {text("subclass"), subclass},
                       {text("meta"), meta},
                       {text("old"), call(rebuild("_rebuild_tensor"),
                                          {untyped, integer(0), numbers({16}), numbers({1})})}}));
  REQUIRE(opened.checkpoint);
  const std::vector<Tensor>& tensors = opened.catalog().tensors;
  REQUIRE(tensors.size() == 7);
  CHECK(tensors[0].dtype == DType::float16);
  CHECK(tensors[1].unsupported == "a tensor of dtype uint4");
  CHECK(tensors[2].conj);
  CHECK((tensors[3].parameter && tensors[3].requires_grad));
  CHECK(tensors[4].unsupported.empty());
  CHECK(tensors[5].unsupported == "a meta tensor, which has no values (float16)");
  CHECK(tensors[5].shape == Shape{2, 3});
  CHECK(tensors[6].dtype == DType::uint8);
  CHECK(extras(opened.catalog()) ==
        "subclass=class of a tensor: my.Tensor; subclass=attributes of a tensor: dict of 1; ");
}

TEST_CASE("torch-zip: wrong arguments of tensors") {
  auto v2 = [](const std::vector<std::string>& arguments) {
    return code_of(open_value(call(rebuild("_rebuild_tensor_v2"), arguments)));
  };
  std::string s = storage("0", 4), n = numbers({4}), one = numbers({1}), zero = integer(0);
  CHECK(v2({}) == Code::tensor_corrupt);
  CHECK(v2({s, zero, n, one, kFalse}) == Code::tensor_corrupt);
  CHECK(v2({s, zero, n, one, kFalse, kHooks, "}", "N"}) == Code::tensor_corrupt);
  CHECK(v2({"N", zero, n, one, kFalse, kHooks}) == Code::tensor_corrupt);
  CHECK(v2({s, "N", n, one, kFalse, kHooks}) == Code::tensor_corrupt);
  CHECK(v2({s, kTrue, n, one, kFalse, kHooks}) == Code::tensor_corrupt);
  CHECK(v2({s, zero, "]", one, kFalse, kHooks}) == Code::tensor_corrupt);
  CHECK(v2({s, zero, n, tuple({"N"}), kFalse, kHooks}) == Code::tensor_corrupt);
  CHECK(v2({s, zero, n, one, "N", kHooks}) == Code::tensor_corrupt);
  CHECK(v2({s, zero, n, one, kFalse, integer(1)}) == Code::tensor_corrupt);
  CHECK(v2({s, zero, n, one, kFalse, kHooks, integer(1)}) == Code::tensor_corrupt);
  CHECK(v2({s, zero, n, one, kFalse, kHooks, dict({{text("conj"), kTrue}})}) ==
        Code::tensor_corrupt);
  CHECK(v2({s, zero, n, one, kFalse, kHooks, dict({{text("neg"), "N"}})}) == Code::tensor_corrupt);
  for (std::string name : {"_rebuild_tensor"s, "_rebuild_tensor_v3"s, "_rebuild_parameter"s,
                           "_rebuild_parameter_with_state"s})
    CHECK(code_of(open_value(call(rebuild(name), {}))) == Code::tensor_corrupt);
  CHECK(code_of(open_value(call(global("torch._tensor", "_rebuild_from_type_v2"),
                                {rebuild("_rebuild_tensor_v2")}))) == Code::tensor_corrupt);
  CHECK(code_of(open_value(call(rebuild("_rebuild_parameter"), {"N", kTrue, kHooks}))) ==
        Code::tensor_corrupt);
  // Parameters of parameters of ...
  std::string deep = four();
  for (int i = 0; i < 12; ++i) deep = call(rebuild("_rebuild_parameter"), {deep, kTrue, kHooks});
  CHECK(code_of(open_value(deep)) == Code::tensor_corrupt);
  // Kinds that are not carried need no right arguments.
  for (std::string name :
       {"_rebuild_qtensor"s, "_rebuild_sparse_tensor"s, "_rebuild_nested_tensor"s,
        "_rebuild_wrapper_subclass"s, "_rebuild_meta_tensor_no_storage"s,
        "_rebuild_device_tensor_from_numpy"s}) {
    Opened opened = open_value(call(rebuild(name), {}));
    REQUIRE(opened.checkpoint);
    CHECK_FALSE(opened.catalog().tensors[0].unsupported.empty());
  }
}

TEST_CASE("torch-zip: views past their storage, wrapping sizes, negative values") {
  std::string s = storage("0", 4);
  const std::int64_t most = INT64_MAX;
  CHECK(open_value(tensor(s, 0, {4}, {1})).checkpoint);
  CHECK(open_value(tensor(s, 3, {}, {})).checkpoint);
  CHECK(open_value(tensor(s, 0, {0, 5}, {5, 1})).checkpoint);
  for (const std::string& value :
       {tensor(s, 0, {5}, {1}), tensor(s, 1, {4}, {1}), tensor(s, 0, {2}, {4}),
        tensor(s, 4, {}, {}), tensor(s, -1, {1}, {1}), tensor(s, 0, {-1}, {1}),
        tensor(s, 0, {2}, {-1}), tensor(s, 0, {2, 2}, {1}), tensor(s, 0, {0x4000000000000001}, {1}),
        tensor(s, 0, {2}, {most}), tensor(s, most, {1}, {1}), tensor(s, 0, {most, most}, {0, 0})})
    CHECK(code_of(open_value(value)) == Code::tensor_corrupt);
}

TEST_CASE("torch-zip: storages") {
  CHECK(code_of(open_value(tensor(storage("0", 3), 0, {3}, {1}))) == Code::tensor_corrupt);
  CHECK(code_of(open_value(tensor(storage("0", 5), 0, {3}, {1}))) == Code::tensor_corrupt);
  CHECK(code_of(open_value(tensor(storage("0", 0x4000000000000004), 0, {3}, {1}))) ==
        Code::tensor_corrupt);
  CHECK(code_of(open_value(tensor(storage("0", -4), 0, {3}, {1}))) == Code::pickle_corrupt);
  CHECK(code_of(open_value(four("1"))) == Code::zip_corrupt);
  CHECK(code_of(open_value(four("../0"))) == Code::zip_corrupt);
  CHECK(code_of(open_value(tensor(storage("0", 4, global("torch", "OddStorage")), 0, {4}, {1}))) ==
        Code::tensor_corrupt);
  CHECK(code_of(open_value(tensor(storage("0", 4, global("os", "FloatStorage")), 0, {4}, {1}))) ==
        Code::tensor_corrupt);
  // One key with two meanings; an untyped storage and one of uint8 are the same.
  std::string ints = storage("0", 4, global("torch", "IntStorage"));
  std::string bytes = storage("0", 16, global("torch", "ByteStorage"));
  std::string untyped = storage("0", 16, global("torch.storage", "UntypedStorage"));
  CHECK(code_of(open_value(tuple({four(), tensor(ints, 0, {4}, {1})}))) == Code::tensor_corrupt);
  CHECK(open_value(tuple({tensor(bytes, 0, {4}, {1}), tensor(untyped, 0, {4}, {1})})).checkpoint);
  // Persistent ids of another kind, wherever they stand.
  for (std::string id : {"N"s, ")"s, text("storage"), tuple({text("module"), "N", "N", "N", "N"}),
                         tuple({text("storage"), text("x"), text("0"), text("cpu"), integer(4)}),
                         tuple({text("storage"), global("torch", "FloatStorage"), integer(0),
                                text("cpu"), integer(4)}),
                         tuple({text("storage"), global("torch", "FloatStorage"), text("0"),
                                text("cpu"), integer(4), "N"})})
    CHECK(code_of(open_value(id + "Q")) == Code::pickle_corrupt);
}

TEST_CASE("torch-zip: keys that stand twice, names that are no text") {
  CHECK(code_of(open_value(dict({{text("a"), four()}, {text("a"), four()}}))) ==
        Code::pickle_corrupt);
  CHECK(code_of(open_value(dict({{integer(1), four()}, {kTrue, four()}}))) == Code::pickle_corrupt);
  Opened opened = open_value(dict({{text("a\0b"s), four()},
                                   {text(""), four()},
                                   {text("../../etc/passwd"), four()},
                                   {text("\xed\xa0\x80"), four()}}));
  REQUIRE(opened.checkpoint);
  CHECK(opened.catalog().tensors[0].name == "a\0b"s);
  CHECK(opened.catalog().tensors[1].name.empty());
  CHECK(opened.catalog().tensors[3].name == "\xed\xa0\x80");
}

TEST_CASE("torch-zip: cycles and values that refer to one another") {
  // {'a': tensor, 'self': itself}
  Opened opened = open_value("}q\x01(" + text("a") + four() + text("self") + "h\x01u");
  REQUIRE(opened.checkpoint);
  CHECK(opened.catalog().tensors.size() == 1);
  CHECK(extras(opened.catalog()) == "self=dict of 2 that contains itself; ");
  // One dict under two names.
  opened = open_value("(" + dict({{text("a"), four()}}) + "2t");
  REQUIRE(opened.checkpoint);
  CHECK(opened.catalog().tensors.size() == 2);
  CHECK(opened.catalog().tensors[1].name == "1.a");
  // Billions of them, with and without tensors.
  for (const std::string& core : {four(), "]"s}) {
    std::string laughs = core;
    for (int i = 0; i < 60; ++i) laughs += "2\x86";
    Limits limits;
    limits.pickle_opcodes = 100'000;
    CHECK(code_of(open_value(laughs, limits)) == Code::limit_exceeded);
  }
  Limits memory;
  memory.pickle_value_bytes = 100'000;
  std::string many = four();
  for (int i = 0; i < 12; ++i) many += "2\x86";
  CHECK(code_of(open_value(many, memory)) == Code::limit_exceeded);
}

TEST_CASE("torch-zip: records") {
  auto change = [](const std::string& name, std::function<void(Entry&)> with) {
    std::vector<Entry> entries = records(four());
    for (Entry& entry : entries)
      if (entry.name == name) with(entry);
    return open_entries(entries);
  };
  auto without = [](const std::string& name) {
    std::vector<Entry> entries = records(four());
    std::erase_if(entries, [&](const Entry& entry) { return entry.name == name; });
    return open_entries(entries);
  };
  CHECK(code_of(without("a/data.pkl")) == Code::zip_corrupt);
  CHECK(code_of(without("a/version")) == Code::zip_corrupt);
  CHECK(code_of(without("a/data/0")) == Code::zip_corrupt);
  CHECK(without("a/byteorder").checkpoint);
  CHECK(code_of(change("a/version", [](Entry& e) { e = stored(e.name, "11\n"); })) ==
        Code::zip_corrupt);
  CHECK(code_of(change("a/version", [](Entry& e) { e = stored(e.name, "x"); })) ==
        Code::zip_corrupt);
  CHECK(code_of(change("a/byteorder", [](Entry& e) { e = stored(e.name, "Little"); })) ==
        Code::zip_corrupt);
  CHECK(code_of(change("a/data.pkl", [](Entry& e) { e.data[0] = 'X'; })) == Code::checksum);
  CHECK(code_of(change("a/version", [](Entry& e) { e.name = "a/constants.pkl"; })) ==
        Code::not_a_checkpoint);
  CHECK(code_of(change("a/version", [](Entry& e) { e.name = "a/code/x.py"; })) ==
        Code::not_a_checkpoint);
  CHECK(code_of(open_entries({})) == Code::not_a_checkpoint);

  std::vector<Entry> entries = records(four());
  entries.push_back(stored("a/data/7", "unused"));
  entries.push_back(stored("a/extra", "x"));
  Opened opened = open_entries(entries);
  REQUIRE(opened.checkpoint);
  CHECK(opened.catalog().remarks ==
        std::vector<std::string>{"1 storages that nothing refers to: a/data/7",
                                 "1 records that are not part of the format: a/extra"});
}

TEST_CASE("torch-zip: big-endian and compressed storages") {
  std::vector<Entry> entries = records(four());
  entries[1] = stored("a/byteorder", "big");
  entries[2] = stored("a/data/0", "0123456789abcdef");
  auto read = [](const Checkpoint& checkpoint, std::uint64_t offset, std::size_t size) {
    std::string out(size, '?');
    Status status = checkpoint.reader->read(0, offset, std::as_writable_bytes(std::span(out)));
    CHECK(status.ok());
    return out;
  };
  for (bool compressed : {false, true}) {
    if (compressed) entries[2] = deflated("a/data/0", "0123456789abcdef");
    TemporaryFile file(make_zip(entries));
    Result<Checkpoint> checkpoint = torch_zip_format().open(file.open(), {});
    REQUIRE(checkpoint.ok());
    CHECK_FALSE(checkpoint->reader->direct(0));
    CHECK(read(*checkpoint, 0, 16) == "32107654ba98fedc");
    CHECK(read(*checkpoint, 3, 7) == "07654ba");
    CHECK(read(*checkpoint, 16, 0).empty());
    CHECK(checkpoint->catalog.remarks.size() == 1);
  }
  // An untyped storage is swapped as its tensors are; two widths cannot be.
  auto view = [](const std::string& dtype) {
    return call(rebuild("_rebuild_tensor_v3"),
                {storage("0", 16, global("torch.storage", "UntypedStorage")), integer(0),
                 numbers({2}), numbers({1}), kFalse, kHooks, global("torch", dtype)});
  };
  entries = records(tuple({view("uint16"), view("float16")}));
  entries[1] = stored("a/byteorder", "big");
  CHECK(open_entries(entries).checkpoint);
  entries[0] = records(tuple({view("uint16"), view("uint32")}))[0];
  CHECK(code_of(open_entries(entries)) == Code::tensor_corrupt);
}

TEST_CASE("torch-zip: what is written is read again") {
  OutputCatalog output;
  output.storages = {{16, DType::float32}, {0, DType::int8}, {9, DType::uint8}, {8, DType::uint16}};
  auto add = [&](std::string name, DType dtype, std::uint32_t from, Shape shape) -> Tensor& {
    Tensor made;
    made.name = std::move(name);
    made.dtype = dtype;
    made.storage = from;
    made.strides = contiguous_strides(shape);
    made.shape = std::move(shape);
    output.tensors.push_back(made);
    return output.tensors.back();
  };
  add("a", DType::float32, 0, {2, 2}).requires_grad = true;
  add("a.tied", DType::float32, 0, {2, 2});
  add("transposed", DType::float32, 0, {2, 2}).strides = {1, 2};
  Tensor& parameter = add("parameter", DType::float32, 0, {});
  parameter.parameter = parameter.requires_grad = true;
  parameter.offset = 3;
  add("empty", DType::int8, 1, {0, 3});
  add("odd bytes", DType::uint8, 2, {9});
  add("another dtype", DType::float16, 2, {4});
  add("untyped", DType::uint16, 3, {4});
  add("neg", DType::uint16, 3, {4}).neg = true;
  add("", DType::uint16, 3, {1, 1, 1, 2, 2});
  add("\xed\xa0\x80", DType::uint16, 3, {2});
  output.has_module_metadata = true;
  output.module_metadata = {{"", {{"version", 1}}}, {"layer", {{"version", 2}}}};

  TemporaryFile file(write(output));
  CHECK(write(output) == write(output));
  Result<Checkpoint> checkpoint = torch_zip_format().open(file.open(), {});
  REQUIRE(checkpoint.ok());
  const Catalog& catalog = checkpoint->catalog;
  CHECK(catalog.extras.empty());
  CHECK(catalog.remarks.empty());
  REQUIRE(catalog.storages.size() == 4);
  REQUIRE(catalog.tensors.size() == output.tensors.size());
  for (std::size_t i = 0; i < catalog.tensors.size(); ++i) {
    const Tensor &a = output.tensors[i], &b = catalog.tensors[i];
    CHECK(a.name == b.name);
    CHECK(a.dtype == b.dtype);
    CHECK(a.shape == b.shape);
    CHECK(a.strides == b.strides);
    CHECK(a.offset == b.offset);
    CHECK(a.storage == b.storage);
    CHECK(a.requires_grad == b.requires_grad);
    CHECK(a.parameter == b.parameter);
    CHECK(a.neg == b.neg);
  }
  for (std::uint32_t i = 0; i < 4; ++i) {
    const Storage& read = catalog.storages[i];
    CHECK(read.nbytes == output.storages[i].nbytes);
    CHECK(read.offset % 64 == 0);
    CHECK(read.crc32 == crc32(as_bytes(std::string(read.nbytes, static_cast<char>(i)))));
  }
  REQUIRE(catalog.containers[0].metadata.size() == 2);
  CHECK(catalog.containers[0].metadata[1].module == "layer");
}

TEST_CASE("torch-zip: what cannot be written is refused") {
  const Writer& writer = *torch_zip_format().writer();
  Tensor tensor_;
  CHECK_FALSE(writer.refuses(tensor_));
  tensor_.name = "\xff";
  CHECK(writer.refuses(tensor_) == "the name is not UTF-8, and names in a .pt file are");
  tensor_.name = "";
  tensor_.unsupported = "a sparse tensor";
  CHECK(writer.refuses(tensor_) == "a .pt file cannot hold a sparse tensor");
  OutputCatalog huge;
  huge.storages = {{1ull << 62, DType::uint8}};
  CHECK(writer.layout(huge).error().code == Code::cannot_write);
}

TEST_CASE("torch-zip: many tensors are written and read without quadratic steps") {
  OutputCatalog output;
  for (std::uint32_t i = 0; i < 20'000; ++i) {
    Tensor made;
    made.name = "layer." + std::to_string(i);
    made.shape = {4};
    made.strides = {1};
    made.storage = i;
    output.tensors.push_back(made);
    output.storages.push_back({16, DType::float32});
  }
  TemporaryFile file(write(output));
  Result<Checkpoint> checkpoint = torch_zip_format().open(file.open(), {});
  REQUIRE(checkpoint.ok());
  CHECK(checkpoint->catalog.tensors.size() == 20'000);
}

TEST_CASE("torch-zip: cut or changed anywhere is an error or the same tensors") {
  std::string bytes = make_zip(records(dict({{text("w"), four()}})));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    TemporaryFile file(bytes.substr(0, size));
    CHECK_FALSE(torch_zip_format().open(file.open(), {}).ok());
  }
  for (std::size_t i = 0; i < bytes.size(); ++i)
    for (int bit : {0, 3, 7}) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ 1 << bit);
      TemporaryFile file(changed);
      Result<Checkpoint> checkpoint = torch_zip_format().open(file.open(), {});
      if (!checkpoint.ok()) continue;
      REQUIRE(checkpoint->catalog.tensors.size() == 1);
      CHECK(checkpoint->catalog.tensors[0].shape == Shape{4});
    }
}
