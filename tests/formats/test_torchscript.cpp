#include <array>
#include <string>
#include <vector>

#include "catch.h"
#include "formats/format.h"
#include "formats/torch/script_source.h"
#include "test_pickle_builder.h"
#include "test_zip_builder.h"

using namespace regraft;
using namespace regraft::test;
using namespace std::string_literals;

namespace {

using Attributes = std::vector<std::pair<std::string, std::string>>;

// An object as torch.jit.save writes it.
std::string object(const std::string& qualifier, const std::string& name,
                   const std::string& state) {
  return global(qualifier, name) + ")\x81" + state + "b";
}
std::string module(const std::string& name, const Attributes& attributes) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& [key, value] : attributes) pairs.emplace_back(text(key), value);
  return object("__torch__", name, dict(pairs));
}
const std::string kNone = "N";

const std::string kNet =
    "class Net(Module):\n"
    "  __parameters__ = [\"w\", ]\n"
    "  __buffers__ = []\n"
    "  w : Tensor\n";

std::vector<Entry> records(const std::string& value, const std::string& code = kNet) {
  return {stored("m/data/0", std::string(16, 'x')),
          stored("m/data.pkl", "\x80\x02" + value + "."),
          deflated("m/code/__torch__.py", code),
          stored("m/constants.pkl", "\x80\x02)."),
          stored("m/version", "3\n"),
          stored("m/byteorder", "little")};
}

struct Opened {
  std::optional<Checkpoint> checkpoint;
  std::optional<Diagnostic> failure;
  [[nodiscard]] const Catalog& catalog() const { return checkpoint->catalog; }
};
Opened open_entries(const std::vector<Entry>& entries, const Limits& limits = {}) {
  TemporaryFile file(make_zip(entries));
  Result<Checkpoint> checkpoint = open_checkpoint(file.path(), limits);
  Opened opened;
  if (checkpoint.ok()) {
    opened.checkpoint = *std::move(checkpoint);
  } else {
    opened.failure = checkpoint.error();
    CHECK(opened.failure->where.file == file.path());
  }
  return opened;
}
Opened open_value(const std::string& value, const std::string& code = kNet,
                  const Limits& limits = {}) {
  return open_entries(records(value, code), limits);
}
Code code_of(const Opened& opened) {
  REQUIRE(opened.failure.has_value());
  return opened.failure->code;
}
std::string message_of(const Opened& opened) {
  REQUIRE(opened.failure.has_value());
  return opened.failure->message;
}
std::string names(const Catalog& catalog) {
  std::string out;
  for (const Tensor& tensor : catalog.tensors) out += tensor.name + (tensor.parameter ? "* " : " ");
  return out;
}
std::string extras(const Catalog& catalog) {
  std::string out;
  for (const Extra& extra : catalog.extras) out += extra.path + "=" + extra.summary + "; ";
  return out;
}

// `name/role/type` of the attributes of each class, or the error.
std::string classes_of(std::string_view source) {
  PickleOrigin origin{"f", 100, "code/x.py"};
  Result<std::vector<ScriptClass>> classes = read_script_source(source, origin);
  if (!classes) {
    CHECK(classes.error().code == Code::zip_corrupt);
    CHECK(classes.error().where.file == "f");
    CHECK(classes.error().where.key == "code/x.py");
    CHECK(classes.error().where.offset >= 100);
    CHECK_FALSE(classes.error().hint.empty());
    return classes.error().message;
  }
  std::string out;
  for (const ScriptClass& one : *classes) {
    out += one.name + (one.module ? "(Module)" : "") + (one.sets_state ? "!" : "") + "[";
    for (const ScriptAttribute& attribute : one.attributes)
      out += attribute.name + "/"s + "-pb"[static_cast<int>(attribute.role)] + "/"s +
             "tn-"[static_cast<int>(attribute.type)] + " ";
    out += "] ";
  }
  return out;
}
std::string of_body(const std::string& body) { return classes_of("class A(Module):\n" + body); }

}  // namespace

TEST_CASE("torchscript: the state dict of a module") {
  const std::string code =
      "class Net(Module):\n"
      "  __parameters__ = [\"late\", \"bias\", ]\n"
      "  __buffers__ = [\"mean\", \"maybe\", ]\n"
      "  mean : Tensor\n"
      "  maybe : Optional[Tensor]\n"
      "  inner : __torch__.Inner\n"
      "  late : Tensor\n"
      "  bias : NoneType\n"
      "  plain : Tensor\n"
      "  training : bool\n"
      "  size : int\n"
      "  again : __torch__.Inner\n"
      "  pair : Tuple[Tensor, int]\n"
      "  steps : Final[int] = 3\n"
      "  def forward(self: __torch__.Net,\n"
      "    x: Tensor) -> Tensor:\n"
      "    return torch.add(x, \"class B(Module):\", )\n"
      "class Inner(Module):\n"
      "  __parameters__ = [\"w\", ]\n"
      "  __buffers__ = []\n"
      "  __annotations__ = []\n"
      "  __annotations__[\"0\"] = __torch__.Leaf\n"
      "  w : Tensor\n"
      "class Leaf(Module):\n"
      "  __parameters__ = []\n"
      "  __buffers__ = [\"b\", ]\n"
      "  b : Tensor\n"
      "class Pair(NamedTuple):\n"
      "  __parameters__ : Tensor\n";
  const std::string grad =
      call(rebuild("_rebuild_tensor_v2"),
           {storage("0", 4), integer(2), numbers({2}), numbers({1}), kTrue, kHooks});
  const std::string leaf = module("Leaf", {{"b", tensor(storage("0", 4), 0, {2}, {2})}});
  const std::string inner = module("Inner", {{"w", grad}, {"0", leaf}}) + "q\x05";
  Opened opened = open_value(
      // The pickle's order is not that of the state dict.
      module("Net", {{"bias", kNone},
                     {"inner", inner},
                     {"again", "h\x05"},
                     {"late", four()},
                     {"mean", four()},
                     {"maybe", four()},
                     {"plain", four()},
                     {"training", kTrue},
                     {"size", integer(7)},
                     {"more", text("x")},
                     {"pair", call(global("torch.jit._pickle", "build_intlist"), {"](e"})}}),
      code);
  REQUIRE(opened.checkpoint);
  const Catalog& catalog = opened.catalog();
  CHECK(catalog.format == "torchscript");
  CHECK(names(catalog) == "late* mean inner.w* inner.0.b again.w* again.0.b ");
  CHECK(extras(catalog) ==
        "maybe=tensor float32 [4], a buffer that may be None; "
        "plain=tensor float32 [4], neither a parameter nor a buffer; size=int 7; "
        "pair=list of 0; ");
  CHECK(catalog.tensors[2].requires_grad);
  CHECK(catalog.tensors[2].offset == 2);
  CHECK(tied(catalog.tensors[2], catalog.tensors[4]));
  CHECK_FALSE(tied(catalog.tensors[0], catalog.tensors[2]));
  CHECK(catalog.tensors[3].strides == Shape{2});
  REQUIRE(catalog.containers.size() == 1);
  CHECK(catalog.containers[0].mapping);
  CHECK(catalog.containers[0].entries == 6);
  CHECK(catalog.containers[0].tensors == 6);
  CHECK(catalog.remarks.empty());
  CHECK(catalog.metadata_digest.size() == 32);
  std::array<std::byte, 3> bytes{};
  CHECK(opened.checkpoint->reader->read(0, 5, bytes).ok());
  CHECK(bytes[0] == std::byte{'x'});
  CHECK(opened.checkpoint->reader->direct(0));
  CHECK(select_root(catalog, {}).ok());
}

TEST_CASE("torchscript: what else an archive holds") {
  std::vector<Entry> entries = records(module("Net", {{"w", four()}}));
  for (const std::string name :
       {"m/constants/0", "m/extra/", "m/extra/notes.txt", "m/traced_inputs.pkl",
        "m/traced_inputs/0", "m/bytecode.pkl", "m/code/__torch__.py.debug_pkl", "m/other"})
    entries.push_back(stored(name, name.ends_with('/') ? "" : "abc"));
  Opened opened = open_entries(entries);
  REQUIRE(opened.checkpoint);
  CHECK(extras(opened.catalog()) == "extra/notes.txt=a file of 3 bytes; ");
  REQUIRE(opened.catalog().remarks.size() == 2);
  CHECK(opened.catalog().remarks[0].starts_with("1 tensors stand in the code"));
  CHECK(opened.catalog().remarks[1] == "1 records that are not part of the format: m/other");

  // A module without tensors says where they went.
  entries = records(module("Net", {}), "class Net(Module):\n  __parameters__ = []\n");
  entries[0].name = "m/constants/0";
  opened = open_entries(entries);
  REQUIRE(opened.checkpoint);
  CHECK(opened.catalog().tensors.empty());
  CHECK(opened.catalog().remarks.size() == 2);  // and that no list of buffers is there
  Result<Catalog> none = select_root(opened.catalog(), {});
  REQUIRE_FALSE(none.ok());
  CHECK(none.error().notes.size() == 2);
}

TEST_CASE("torchscript: the metadata's digest is of the class files too") {
  const std::string value = module("Net", {{"w", four()}});
  const std::string first = open_value(value).catalog().metadata_digest;
  CHECK(open_value(value).catalog().metadata_digest == first);
  // The directory has the sizes and checksums of the records, and is the same here.
  std::vector<Entry> a = records(value, kNet + "# a\n"), b = records(value, kNet + "# b\n");
  for (auto* entries : {&a, &b}) {
    std::string content = kNet + (entries == &a ? "# a\n" : "# b\n");
    (*entries)[2] = stored("m/code/__torch__.py", content);
    (*entries)[2].crc = 0;
  }
  CHECK(open_entries(a).catalog().metadata_digest != open_entries(b).catalog().metadata_digest);
}

TEST_CASE("torchscript: kinds of archives") {
  const std::string net = module("Net", {{"w", four()}});
  auto without = [&](const std::string& name) {
    std::vector<Entry> entries = records(net);
    std::erase_if(entries, [&](const Entry& entry) { return entry.name == name; });
    return open_entries(entries);
  };
  CHECK(open_value(net).catalog().format == "torchscript");
  CHECK(code_of(without("m/constants.pkl")) == Code::not_a_checkpoint);
  CHECK(message_of(without("m/constants.pkl")).find("TorchScript") != std::string::npos);
  CHECK(code_of(without("m/data.pkl")) == Code::zip_corrupt);
  CHECK(code_of(without("m/version")) == Code::zip_corrupt);
  CHECK(code_of(without("m/data/0")) == Code::zip_corrupt);
  Opened no_code = without("m/code/__torch__.py");
  CHECK(code_of(no_code) == Code::zip_corrupt);
  CHECK(message_of(no_code) ==
        "the record 'code/__torch__.py' with the class '__torch__.Net' is missing");
  Opened no_class = open_value(module("Nat", {{"w", four()}}));
  CHECK(code_of(no_class) == Code::zip_corrupt);
  CHECK(message_of(no_class) ==
        "the class file does not define 'Nat', of which data.pkl has an object");
  CHECK(no_class.failure->where.key == "m/code/__torch__.py (inflated)");
  // A package of torch.package may have a folder of that name.
  std::vector<Entry> package = records(net);
  package[3].name = "m/.data/extern_modules";
  CHECK(message_of(open_entries(package)) == "the file is a torch.package archive");
  // The name alone does not count.
  std::vector<Entry> other = {stored("m/data.pkl", "\x80\x02" + dict({{text("w"), four()}}) + "."),
                              stored("m/data/0", std::string(16, 'x')), stored("m/version", "3\n"),
                              stored("m/extra/constants.pkl", "x")};
  CHECK(open_entries(other).catalog().format == "torch-zip");
}

TEST_CASE("torchscript: what is no module") {
  for (const std::string& root :
       {"N"s, four(), dict({{text("w"), four()}}), tuple({module("Net", {{"w", four()}})}),
        object("__torch__.torch.classes.rnn", "Cell", "}"), object("os", "system", "}"),
        global("__torch__", "Net") + integer(1) + "R"}) {
    Opened opened = open_value(root);
    CHECK(code_of(opened) == Code::not_a_checkpoint);
    CHECK(message_of(opened).starts_with("the TorchScript archive holds no module, but "));
  }
  // As an attribute it stands beside the tensors.
  const std::string code = kNet +
                           "  a : __torch__.Plain\n  b : __torch__.torch.classes.rnn.Cell\n"
                           "  c : __torch__.Color\n"
                           "class Plain:\n  w : Tensor\nclass Color(Enum):\n  RED = 1\n";
  Opened opened = open_value(
      module("Net", {{"w", four()},
                     {"a", module("Plain", {{"w", four()}})},
                     {"b", object("__torch__.torch.classes.rnn", "Cell", tuple({four()}))},
                     {"c", global("__torch__", "Color") + integer(1) + "R"}}),
      code);
  REQUIRE(opened.checkpoint);
  CHECK(names(opened.catalog()) == "w* ");
  CHECK(extras(opened.catalog()) ==
        "a=__torch__.Plain; b=__torch__.torch.classes.rnn.Cell; c=__torch__.Color; ");
}

TEST_CASE("torchscript: objects that are not as their class says") {
  auto check = [](const std::string& value, Code code, const std::string& message,
                  const std::string& source = kNet) {
    Opened opened = open_value(value, source);
    CHECK(code_of(opened) == code);
    CHECK(message_of(opened) == message);
    CHECK(opened.failure->where.key == "m/data.pkl");
    CHECK(opened.failure->where.offset.has_value());
    CHECK_FALSE(opened.failure->hint.empty());
  };
  check(module("Net", {}), Code::pickle_corrupt,
        "the module at the top has no attribute 'w', which its class 'Net' declares");
  check(module("Net", {{"w", integer(3)}}), Code::tensor_corrupt,
        "the module at the top has int 3 as its parameter 'w'");
  check(module("Net", {{"w", tuple({four()})}}), Code::tensor_corrupt,
        "the module at the top has tuple of 1 as its parameter 'w'");
  check(module("Net", {{"w", four()}, {"w", four()}}), Code::pickle_corrupt,
        "a dict has the key str 'w' twice");
  const std::string not_a_dict =
      "the module at the top is not made of a class and a dict of attributes";
  check(object("__torch__", "Net", tuple({four()})), Code::pickle_corrupt, not_a_dict);
  check(global("__torch__", "Net") + ")\x81", Code::pickle_corrupt, not_a_dict);
  check(
      global("__torch__", "Net") + tuple({integer(1)}) + "\x81" + dict({{text("w"), four()}}) + "b",
      Code::pickle_corrupt, not_a_dict);
  check(object("__torch__", "Net", dict({{integer(1), four()}, {text("w"), four()}})),
        Code::pickle_corrupt, "the module at the top has an attribute without a name");
  const std::string holder =
      "class Net(Module):\n  __parameters__ = []\n  l : __torch__.L\n"
      "class L(Module):\n  __parameters__ = []\n  __buffers__ = [\"b\"]\n  b : Tensor\n";
  check(module("Net", {{"l", module("L", {{"b", text("x")}})}}), Code::tensor_corrupt,
        "the module 'l' has str 'x' as its buffer 'b'", holder);
  // Past its storage.
  Opened past = open_value(module("Net", {{"w", tensor(storage("0", 4), 1, {4}, {1})}}));
  CHECK(code_of(past) == Code::tensor_corrupt);
}

TEST_CASE("torchscript: tensors as torch.jit.save writes them") {
  const std::string code =
      "class Net(Module):\n  __parameters__ = [\"meta\"]\n  __buffers__ = [\"conj\", \"u\", "
      "\"s\"]\n"
      "  meta : Tensor\n  conj : Tensor\n  u : Tensor\n  s : Tensor\n";
  auto one = [](const std::string& type, const std::string& key, const std::string& location,
                std::int64_t count) {
    return tuple({text("storage"), global("torch", type), text(key), text(location),
                  integer(count)}) +
           "Q";
  };
  const std::string tagged = call(global("torch.jit._pickle", "restore_type_tag"),
                                  {dict({{text("conj"), kTrue}}), text("Dict[str, bool]")});
  const std::string conj =
      call(rebuild("_rebuild_tensor_v2"), {one("ComplexFloatStorage", "0", "cpu", 2), integer(0),
                                           numbers({2}), numbers({1}), kFalse, kHooks, tagged});
  const std::string sparse =
      call(rebuild("_rebuild_sparse_tensor"),
           {integer(1), numbers({5, 6}), kFalse,
            tensor(one("UInt16Storage", "2", "cpu", 2), 0, {2}, {1}),
            tensor(one("UInt16Storage", "2", "cpu", 2), 0, {2}, {1}), kHooks});
  std::vector<Entry> entries = records(
      module("Net", {{"meta", tensor(one("FloatStorage", "1", "meta", 6), 0, {2, 3}, {3, 1})},
                     {"conj", conj},
                     {"u", tensor(one("UInt16Storage", "2", "cpu", 2), 0, {2}, {1})},
                     {"s", sparse}}),
      code);
  entries.push_back(stored("m/data/1", ""));
  entries.push_back(stored("m/data/2", "abcd"));
  Opened opened = open_entries(entries);
  REQUIRE(opened.checkpoint);
  const std::vector<Tensor>& tensors = opened.catalog().tensors;
  REQUIRE(tensors.size() == 4);
  CHECK(tensors[0].meta);
  CHECK(tensors[0].parameter);
  CHECK(tensors[0].unsupported == "a meta tensor, which has no values (float32)");
  CHECK(tensors[0].shape == Shape{2, 3});
  CHECK(tensors[1].conj);
  CHECK(tensors[2].dtype == DType::uint16);
  CHECK(tensors[3].unsupported == "a sparse tensor (uint16)");
  CHECK(tensors[3].shape == Shape{5, 6});
  // Only a meta storage may be without its bytes.
  entries[1] = records(module("Net", {{"meta", tensor(storage("1", 6), 0, {2, 3}, {3, 1})},
                                      {"conj", kNone},
                                      {"u", kNone},
                                      {"s", kNone}}))[1];
  CHECK(code_of(open_entries(entries)) == Code::tensor_corrupt);
}

TEST_CASE("torchscript: a state that code makes") {
  const std::string code =
      "class Net(Module):\n  __parameters__ = [\"w\", \"none\"]\n  __buffers__ = [\"b\", \"o\"]\n"
      "  b : Tensor\n  w : Tensor\n  none : NoneType\n  o : Optional[Tensor]\n"
      "  def __getstate__(self: __torch__.Net) -> Tuple[Tensor, Tensor]:\n"
      "    return (self.w, self.b)\n"
      "  def __setstate__(self: __torch__.Net,\n    state: Tuple[Tensor, Tensor]) -> NoneType:\n"
      "    self.w = (state)[0]\n";
  Opened opened = open_value(object("__torch__", "Net", tuple({four(), four()})), code);
  REQUIRE(opened.checkpoint);
  CHECK(names(opened.catalog()) == "w* b ");
  for (const Tensor& tensor : opened.catalog().tensors)
    CHECK(tensor.unsupported == "a tensor that the module's __setstate__ makes");
  CHECK(extras(opened.catalog()) == "=what Net keeps with __getstate__: tuple of 2; ");
}

TEST_CASE("torchscript: modules in one another") {
  const std::string code =
      "class Node(Module):\n  __parameters__ = [\"w\"]\n  __buffers__ = []\n  w : Tensor\n"
      "  a : __torch__.Node\n  b : __torch__.Node\n";
  // A module that is in itself: memoized before its state is set.
  const std::string cycle = global("__torch__", "Node") + ")\x81q\x01" +
                            dict({{text("w"), four()}, {text("a"), "h\x01"}, {text("b"), kNone}}) +
                            "b";
  Opened opened = open_value(cycle, code);
  CHECK(code_of(opened) == Code::pickle_corrupt);
  CHECK(message_of(opened) == "the module 'a' contains itself as a module");

  // Each is twice in the next one: 2^40 names.
  std::string value = module("Node", {{"w", four()}, {"a", kNone}, {"b", kNone}});
  auto deeper = [&](int levels, bool twice) {
    std::string all = value;
    for (int i = 0; i < levels; ++i)
      all = module("Node", {{"w", four()}, {"a", all + "q\x01"}, {"b", twice ? "h\x01" : kNone}});
    return all;
  };
  Limits limits;
  limits.pickle_opcodes = 100'000;
  CHECK(code_of(open_value(deeper(40, true), code, limits)) == Code::limit_exceeded);
  limits = {};
  limits.pickle_value_bytes = 1'000'000;
  CHECK(code_of(open_value(deeper(40, true), code, limits)) == Code::limit_exceeded);
  CHECK(open_value(deeper(5, true), code, limits).catalog().tensors.size() == 63);
  // Long names of modules that hold no tensors.
  const std::string name(10'000, 'n');
  const std::string long_code =
      "class Net(Module):\n  __parameters__ = []\n  " + name + " : Optional[__torch__.Net]\n";
  std::string chain = module("Net", {{name, kNone}});
  for (int i = 0; i < 100; ++i) chain = module("Net", {{name, chain}});
  CHECK(open_value(chain, long_code).checkpoint);
  limits.pickle_value_bytes = 10'000'000;
  CHECK(code_of(open_value(chain, long_code, limits)) == Code::limit_exceeded);
  // A state dict is one deeper than the object, and so is its object.
  limits = {};
  limits.pickle_depth = 5;
  CHECK(code_of(open_value(deeper(5, false), code, limits)) == Code::limit_exceeded);
  CHECK(open_value(deeper(100, false), code).checkpoint);
}

TEST_CASE("torchscript: the limit of class files") {
  const std::string value = module("Net", {{"w", four()}});
  Limits limits;
  limits.script_bytes = kNet.size();
  CHECK(open_value(value, kNet, limits).checkpoint);
  --limits.script_bytes;
  Opened opened = open_value(value, kNet, limits);
  CHECK(code_of(opened) == Code::limit_exceeded);
  CHECK(opened.failure->where.key == "m/code/__torch__.py");
  // Of all files together.
  const std::string holder =
      "class Net(Module):\n  __parameters__ = []\n  __buffers__ = []\n"
      "  l : __torch__.a.b.___torch_mangle_3.L\n";
  const std::string inner = "class L(Module):\n  __parameters__ = [\"w\"]\n  w : Tensor\n";
  std::vector<Entry> entries = records(
      module("Net",
             {{"l", object("__torch__.a.b.___torch_mangle_3", "L", dict({{text("w"), four()}}))}}),
      holder);
  entries.push_back(stored("m/code/__torch__/a/b/___torch_mangle_3.py", inner));
  limits.script_bytes = holder.size() + inner.size();
  Opened both = open_entries(entries, limits);
  REQUIRE(both.checkpoint);
  CHECK(names(both.catalog()) == "l.w* ");
  --limits.script_bytes;
  CHECK(code_of(open_entries(entries, limits)) == Code::limit_exceeded);
}

TEST_CASE("torchscript: class files") {
  CHECK(classes_of("") == "");
  CHECK(
      classes_of("op_version_set = 1\nimport __torch__.a\ndef f(x: Tensor,\n    y: int=3) -> int:\n"
                 "  __parameters__ = 3\n  return x\nclass A(Module):\n  x : Tensor") ==
      "A(Module)[x/-/t ] ");
  CHECK(of_body("  __parameters__ = ['a', \"b\"]\n  __buffers__ = [\n\"c\"\n,]\n  c : Tensor\n"
                "  b : NoneType\n  a : Optional[Tensor]\n") == "A(Module)[c/b/t b/p/n a/p/- ] ");
  // Names that are no identifiers, as torch prints and reads them.
  CHECK(of_body("  __parameters__ = [\"\xc3\xbc x\", \"\\\"\\\\\\101\\n\"]\n"
                "  __annotations__[\"\xc3\xbc x\"] = Tensor\n"
                "  __annotations__[\"\\\"\\\\A\n\"\"\"\n") ==
        "a string has no end, in line 4 of the class file");
  CHECK(of_body("  __parameters__ = [\"\xc3\xbc x\", \"\\\"\\\\\\101\\t\"]\n"
                "  __annotations__[\"\xc3\xbc x\"] = Tensor\n"
                "  __annotations__[\"\"\"\"\\\\A\t\"\"\"] = NoneType\n") ==
        "A(Module)[\xc3\xbc x/p/t \"\\A\t/p/n ] ");
  // Bodies of functions, constants, hooks, comments, blank lines and line breaks in brackets.
  CHECK(of_body("  # __parameters__ = ['x']\n\n  __forward_hooks__ = [\"h\", ]\n"
                "  d : Dict[str,\nTensor]\n  eps : Final[float] = 1.0000000000000001e-05\n"
                "  def f(self,\n   x: int = 3) -> int:\n\n    __parameters__ = [\"x\"]\n"
                "    if x:\n        __buffers__ = 1\n    return \"\"\"\nclass B(Module):\n\"\"\"\n"
                "  last : Tensor\n\n  # end") == "A(Module)[d/-/- last/-/t ] ");
  // For torch, tokens follow a comment on a type.
  CHECK(of_body("  def f(self):\n    x = 1 # type: \"\"\"\n  hidden : Tensor\n\"\"\"\n"
                "  shown : Tensor\n") == "A(Module)[shown/-/t ] ");
  CHECK(classes_of(
            "class A:\n  __parameters__ = 3\nclass B(Enum):\n  X = \"1\"\n"
            "class C(ModuleInterface):\n  def f(self) -> int:\n    pass\nclass D():\n  x : int\n"
            "class E(Module):\n") == "A[] B[] C[] D[] E(Module)[] ");
  CHECK(of_body("  def __setstate__(self, x: int) -> NoneType:\n    pass\n") == "A(Module)[] ");
  CHECK(of_body("  def __setstate__(self, x: int) -> NoneType:\n    pass\n"
                "  def __getstate__(self) -> int:\n    pass\n") == "A(Module)![] ");
}

TEST_CASE("torchscript: class files that cannot be meant") {
  const std::string list = "  __parameters__ = ";
  auto at = [](const std::string& what, int line) {
    return what + ", in line " + std::to_string(line) + " of the class file";
  };
  CHECK(of_body(list + "[\"a\n") == at("a string has no end", 2));
  CHECK(of_body(list + "[\"a\\\"]\n") == at("a string has no end", 2));
  CHECK(of_body(list + "[\"\"\"a\"]\n\n") == at("a string has no end", 2));
  CHECK(of_body(list + "[\"a\\") == at("a string has no end", 2));
  CHECK(of_body(list + "[\"a\",\n\n") == at("a bracket is not closed", 2));
  CHECK(of_body("  x : List[int\n") == at("a bracket is not closed", 2));
  CHECK(of_body("  x : int]\n") == at("a bracket is closed that was not opened", 2));
  CHECK(of_body("  x : \\\n  int\n") == at("a backslash stands outside of a string", 2));
  for (const char* escape : {"\\x41", "\\u0041", "\\r", "\\8", "\\400", "\\12", "\\q"})
    CHECK(of_body(list + "[\"" + escape + "\"]\n") ==
          at("the name of an attribute has an unknown escape", 2));
  for (const char* wrong : {"3", "\"a\"", "[\"a\"] + [\"b\"]", "[\"a\"][0]", "[\"a\" \"b\"]"})
    CHECK(of_body("  a : Tensor\n" + list + wrong + "\n") ==
          at("__parameters__ is not a list of names", 3));
  CHECK(of_body("  __buffers__ : Tensor\n") == at("__buffers__ is not a list of names", 2));
  for (const char* wrong : {"[a]", "[,]", "[[\"a\"]]", "[3]"})
    CHECK(of_body(list + wrong + "\n") == at("the name of an attribute is not a string", 2));
  CHECK(of_body("  __annotations__[0] = Tensor\n") ==
        at("the name of an attribute is not a string", 2));
  CHECK(of_body("  __annotations__[\"0\"] : Tensor\n") ==
        at("the declaration of an attribute cannot be read", 2));
  CHECK(of_body(list + "[]\n" + list + "[]\n") == at("a class has two lists __parameters__", 3));
  CHECK(of_body("  __buffers__ = []\n  __buffers__ = []\n") ==
        at("a class has two lists __buffers__", 3));
  CHECK(of_body("  a : int\n  a : int\n") == at("the attribute 'a' is declared twice", 3));
  CHECK(of_body(list + "[\"a\"]\n  b : Tensor\n") ==
        at("a list names 'a', which is no attribute of the class 'A'", 2));
  CHECK(of_body(list + "[\"a\", \"a\"]\n  a : Tensor\n") ==
        at("'a' stands twice among the parameters and buffers", 2));
  CHECK(of_body(list + "[\"a\"]\n  __buffers__ = [\"a\"]\n  a : Tensor\n") ==
        at("'a' stands twice among the parameters and buffers", 3));
  CHECK(of_body("  a : int\n b : int\n") == at("the body of a class is not indented evenly", 3));
  CHECK(classes_of("class A(Module):\n  x : int\nclass B:\n  x : int\nclass A(Module):\n") ==
        at("the class 'A' is defined twice", 5));
  for (const char* head :
       {"class", "class A", "class A(", "class (Module):", "class A(Module)\n  x : int\n",
        "class A(Module, B):\n", "class A(Module): x : int\n", "class A(a.Module):\n",
        "class \"A\"(Module):\n"}) {
    const std::string said = classes_of(head);
    CHECK((said == at("the head of a class cannot be read", 1) ||
           said == at("a bracket is not closed", 1)));
  }
  // Deep nesting costs nothing.
  const std::string deep(1'000'000, '[');
  CHECK(of_body("  x : " + deep) == at("a bracket is not closed", 2));
  CHECK(of_body("  x : " + deep + std::string(1'000'000, ']') + "\n") == "A(Module)[x/-/- ] ");
}

TEST_CASE("torchscript: cut or changed anywhere is an error or the same tensors") {
  const std::string code =
      "class Net(Module):\n  __parameters__ = [\"w\", ]\n  __buffers__ = [\"b\", ]\n"
      "  w : Tensor\n  b : Tensor\n  def forward(self: __torch__.Net) -> Tensor:\n"
      "    return torch.add(self.w, {\"a\": 1}, )\n";
  for (std::size_t i = 0; i < code.size(); ++i) {
    (void)classes_of(code.substr(0, i));
    for (const char* other : {"\"", "\\", "\n", "(", "]", "#", " ", "", "=\n"}) {
      std::string changed = code;
      changed.replace(i, 1, other);
      (void)classes_of(changed);
    }
  }
  const std::string bytes = make_zip(records(module("Net", {{"w", four()}, {"b", four()}}), code));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    TemporaryFile file(bytes.substr(0, i));
    CHECK_FALSE(open_checkpoint(file.path()).ok());
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 0x21);
    TemporaryFile file(changed);
    Result<Checkpoint> checkpoint = open_checkpoint(file.path());
    if (!checkpoint.ok()) continue;
    CHECK(names(checkpoint->catalog) == "w* b ");
  }
}
