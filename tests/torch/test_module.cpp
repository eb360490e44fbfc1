// Checkpoints into torch::nn::Module: which tensors come out changed, and how they stay what they
// are.
#include <ATen/ATen.h>
#include <torch/nn/module.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>
#include <utility>

#include "regraft/torch.h"
#include "support.h"
#include "torch/dtypes.h"

namespace regraft {
namespace {

class File {
 public:
  // safetensors; the dtype is the module's name of it: "F32".
  struct Entry {
    std::string name, dtype;
    at::Tensor values;
  };
  explicit File(const std::vector<Entry>& entries) {
    std::string pattern = (std::filesystem::temp_directory_path() / "regraft-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    path_ = folder_ + "/source.safetensors";
    std::string header = "{", data;
    for (const Entry& one : entries) {
      const at::Tensor flat = one.values.contiguous();
      const std::string begin = std::to_string(data.size());
      data.append(static_cast<const char*>(flat.const_data_ptr()), flat.nbytes());
      header += (header.size() > 1 ? ",\"" : "\"") + one.name + R"(":{"dtype":")" + one.dtype +
                R"(","shape":[)";
      for (std::int64_t k = 0; k < flat.dim(); ++k)
        header += (k > 0 ? "," : "") + std::to_string(flat.size(k) * (one.dtype == "F4" ? 2 : 1));
      header += "],\"data_offsets\":[" + begin + "," + std::to_string(data.size()) + "]}";
    }
    header += "}";
    header.resize((header.size() + 7) / 8 * 8, ' ');
    std::string size(8, '\0');
    for (std::size_t i = 0; i < 8; ++i) size[i] = static_cast<char>(header.size() >> (8 * i) & 255);
    std::ofstream(path_, std::ios::binary) << size << header << data;
  }
  ~File() { std::filesystem::remove_all(folder_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  operator const std::string&() const { return path_; }

 private:
  std::string folder_, path_;
};

MigrationSpec spec(const std::string& body = "") {
  return MigrationSpec::from_text("regraft: 1\n" + body, "spec");
}
const std::string kLenient = "policy: {missing: keep, unexpected: drop}\n";

std::string code_of(const MigrationReport& report) {
  return report.ok() ? "ok" : report.messages().front().code;
}

struct Bag : torch::nn::Module {
  at::Tensor parameter(const std::string& name, at::Tensor tensor) {
    return register_parameter(name, std::move(tensor), /*requires_grad=*/true);
  }
  at::Tensor buffer(const std::string& name, at::Tensor tensor) {
    return register_buffer(name, std::move(tensor));
  }
};

at::Tensor numbers(at::IntArrayRef shape, double first = 1) {
  return at::arange(c10::multiply_integers(shape)).to(at::kFloat).add(first).reshape(shape);
}

TEST_CASE("a module's tensors stay what they are, with other values") {
  Bag net;
  const at::Tensor weight = net.parameter("weight", at::zeros({2, 3}));
  const at::Tensor steps = net.buffer("steps", at::zeros({}, at::kLong));
  at::Tensor none = net.register_parameter("bias", {}, false);  // as Linear without bias has it
  const File source(
      {{"weight", "F32", numbers({2, 3})}, {"steps", "I64", at::full({}, 7, at::kLong)}});
  const void* memory = weight.const_data_ptr();
  const auto version = weight._version();
  const MigrationReport report = load_state_dict(net, source, spec());
  INFO(report.text());
  REQUIRE(report.ok());
  CHECK(at::equal(weight, numbers({2, 3})));
  CHECK(steps.item<std::int64_t>() == 7);
  CHECK(weight.const_data_ptr() == memory);
  CHECK(weight.is_leaf());
  CHECK(weight.requires_grad());
  CHECK(weight._version() > version);  // what autograd has saved of it is out of date
  CHECK(report.tensors().size() == 2);
  weight.mul(2).sum().backward();
  CHECK(at::equal(weight.grad(), at::full({2, 3}, 2.f)));
}

TEST_CASE("names are those of nested modules, in their order") {
  Bag net;
  auto inner = std::make_shared<Bag>();
  inner->parameter("w", at::zeros({1}));
  inner->buffer("b", at::zeros({1}));
  net.register_module("first", inner);
  net.register_module("again", inner);  // one module under two names
  net.buffer("own", at::zeros({1}));
  const MigrationReport report = load_state_dict(
      net, File({{"first.w", "F32", numbers({1}, 5)}, {"own", "F32", numbers({1}, 6)}}),
      spec(kLenient));
  INFO(report.text());
  REQUIRE(report.ok());
  std::vector<std::string> names;
  for (const TensorOutcome& one : report.tensors()) names.push_back(one.name);
  CHECK(names == std::vector<std::string>{"own", "first.w", "first.b", "again.w", "again.b"});
  CHECK(report.missing_keys() == std::vector<std::string>{"first.b", "again.b"});
  CHECK(inner->named_parameters()["w"].item<float>() == 5);
}

TEST_CASE("tied tensors stay tied") {
  Bag net;
  const at::Tensor weight = net.parameter("embed", at::zeros({2, 2}));
  const at::Tensor tied = net.parameter("head", weight);
  CHECK(load_state_dict(net, File({{"head", "F32", numbers({2, 2})}}), spec()).ok());
  CHECK(at::equal(weight, numbers({2, 2})));
  CHECK(weight.is_same(tied));
  const File two({{"head", "F32", numbers({2, 2}, 5)}, {"embed", "F32", numbers({2, 2}, 9)}});
  CHECK(code_of(load_state_dict(net, two, spec())) == "tie-conflict");
  CHECK(at::equal(weight, numbers({2, 2})));
}

TEST_CASE("strides, and bytes beside a view, stay") {
  Bag net;
  const at::Tensor whole = at::full({4, 4}, -1.f);
  const at::Tensor turned = net.parameter("turned", at::zeros({3, 2}).t());
  const at::Tensor part = net.buffer("part", whole.slice(0, 1, 3).slice(1, 1, 4, 2));
  const at::Tensor last =
      net.parameter("last", at::zeros({2, 3, 2, 2}).contiguous(at::MemoryFormat::ChannelsLast));
  const File source({{"turned", "F32", numbers({2, 3})},
                     {"part", "F32", numbers({2, 2})},
                     {"last", "F32", numbers({2, 3, 2, 2})}});
  REQUIRE(load_state_dict(net, source, spec()).ok());
  CHECK(at::equal(turned, numbers({2, 3})));
  CHECK(turned.strides() == at::IntArrayRef({1, 2}));
  CHECK(at::equal(last, numbers({2, 3, 2, 2})));
  CHECK(last.is_contiguous(at::MemoryFormat::ChannelsLast));
  at::Tensor expected = at::full({4, 4}, -1.f);
  expected.slice(0, 1, 3).slice(1, 1, 4, 2).copy_(numbers({2, 2}));
  CHECK(at::equal(whole, expected));
}

// Alternating bytes, whatever is to be computed.
class Stripes final : public Evaluator {
 public:
  EvaluatorInfo info() const override { return {"stripes", "any"}; }
  Status evaluate(const Expr&, const LoadTensor&, std::span<std::byte> out) override {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = std::byte(i & 1);
    return Done{};
  }
};

TEST_CASE("every dtype is read and filled") {
  MigrationOptions options;
  options.evaluator = std::make_shared<Stripes>();
  options.no_passes = {"byte-ranges"};  // zeros would be copied and not evaluated
  for (const DTypeInfo& one : all_dtypes()) {
    if (kind(one.dtype) == Kind::bits) continue;  // only a .pt file can have them
    INFO(one.name);
    Bag net;
    const auto bytes = static_cast<std::int64_t>(4 * itemsize(one.dtype));
    const auto type = scalar_type(one.dtype);
    const at::Tensor filled = at::zeros({bytes}, at::kByte), kept = at::ones({bytes}, at::kByte);
    const at::Tensor stripes = at::arange(bytes, at::kByte).bitwise_and(1);
    net.buffer("filled", filled.view(type));
    net.buffer("kept", kept.view(type));
    // Not every dtype is one of safetensors.
    std::vector<File::Entry> entries = {{"unused", "F32", numbers({1})}};
    if (!one.safetensors.empty())
      entries.push_back({"filled", std::string(one.safetensors), stripes.view(type)});
    const File source(entries);
    const MigrationReport report = load_state_dict(
        net, source,
        spec("policy: {missing: [{match: filled, do: zeros}, {do: keep}], unexpected: drop}\n"),
        options);
    INFO(report.text());
    REQUIRE(report.ok());
    CHECK(at::equal(filled, stripes));
    CHECK(at::equal(kept, at::ones({bytes}, at::kByte)));
  }
}

TEST_CASE("dtypes become the module's") {
  Bag net;
  const at::Tensor half = net.parameter("half", at::zeros({3}, at::kHalf));
  const at::Tensor brain = net.parameter("brain", at::zeros({3}, at::kBFloat16));
  const at::Tensor wide = net.parameter("wide", at::zeros({3}, at::kDouble));
  const at::Tensor flags = net.buffer("flags", at::zeros({3}, at::kBool));
  const at::Tensor values = at::tensor({0.1f, -2.f, 1000.5f});
  const at::Tensor mask = at::tensor({1, 0, 1}).to(at::kBool);
  const File source({{"half", "F32", values},
                     {"brain", "F32", values},
                     {"wide", "F32", values},
                     {"flags", "BOOL", mask}});
  const MigrationReport report = load_state_dict(net, source, spec());
  INFO(report.text());
  REQUIRE(report.ok());
  CHECK(at::equal(half, values.to(at::kHalf)));
  CHECK(at::equal(brain, values.to(at::kBFloat16)));
  CHECK(at::equal(wide, values.to(at::kDouble)));
  CHECK(at::equal(flags, mask));
  CHECK(report.tensors()[0].lossy);
}

TEST_CASE("what the module has stays around what is padded") {
  Bag net;
  const at::Tensor table = net.parameter("table", at::full({4, 3}, 9.f).t());
  const at::Tensor head = net.parameter("head", at::full({2}, 8.f));
  const at::Tensor fresh = net.buffer("fresh", at::full({2}, 7.f, at::kHalf));
  const File source({{"table", "F32", numbers({2, 2})}, {"head", "F32", numbers({5})}});
  const MigrationReport report = load_state_dict(net, source, spec(R"(policy:
  missing: ones
  shape:
    - match: ^table
      do: pad
      fill: keep
    - match: ^head
      do: skip
)"));
  INFO(report.text());
  REQUIRE(report.ok());
  at::Tensor expected = at::full({3, 4}, 9.f);
  expected.slice(0, 0, 2).slice(1, 0, 2).copy_(numbers({2, 2}));
  CHECK(at::equal(table, expected));
  CHECK(at::equal(head, at::full({2}, 8.f)));
  CHECK(at::equal(fresh, at::ones({2}, at::kHalf)));
}

TEST_CASE("a view that is kept does not undo what its base was given") {
  Bag net;
  const at::Tensor base = net.parameter("base", at::zeros({2, 2}));
  const at::Tensor row = net.buffer("row", base.detach()[0]);
  REQUIRE(load_state_dict(net, File({{"base", "F32", numbers({2, 2})}}), spec(kLenient)).ok());
  CHECK(at::equal(base, numbers({2, 2})));
  CHECK(at::equal(row, numbers({2})));
}

TEST_CASE("tensors that cannot be filled") {
  const auto kinds = std::vector<std::pair<std::string, at::Tensor>>{
      {"meta", at::empty({2}, at::TensorOptions(at::kMeta))},
      {"sparse", numbers({2}).to_sparse()},
      {"quantized", at::quantize_per_tensor(numbers({2}), 0.1, 0, at::kQInt8)},
      {"expanded", at::zeros({1}).expand({2})},
  };
  for (const auto& [name, tensor] : kinds) {
    INFO(name);
    Bag net;
    const at::Tensor before = net.parameter("before", at::zeros({2}));
    net.buffer("x", tensor);
    const File both({{"before", "F32", numbers({2})}, {"x", "F32", numbers({2})}});
    const MigrationReport reached = load_state_dict(net, both, spec());
    INFO(reached.text());
    CHECK_FALSE(reached.ok());
    CHECK(reached.text().find(name) != std::string::npos);
    CHECK(at::equal(before, at::zeros({2})));
    const MigrationReport omitted =
        load_state_dict(net, both, spec("rules: [{drop: ^x$}]\npolicy: {missing: omit}\n"));
    INFO(omitted.text());
    CHECK(omitted.ok());
    CHECK(at::equal(before, numbers({2})));
  }
}

TEST_CASE("conjugate and negative bits") {
  Bag net;
  const at::Tensor z = at::complex(at::zeros({2}), at::zeros({2}));
  const at::Tensor conj = net.buffer("conj", at::conj(z));
  const at::Tensor imag =
      net.buffer("imag", at::imag(at::conj(at::complex(at::zeros({2}), at::zeros({2})))));
  REQUIRE(conj.is_conj());
  REQUIRE(imag.is_neg());
  const at::Tensor values = at::complex(numbers({2}), numbers({2}, 5));
  REQUIRE(
      load_state_dict(net, File({{"conj", "C64", values}, {"imag", "F32", numbers({2})}}), spec())
          .ok());
  CHECK(at::equal(conj.resolve_conj(), values));
  CHECK(at::equal(z, values.conj().resolve_conj()));
  CHECK(at::equal(imag.resolve_neg(), numbers({2})));
}

TEST_CASE("a module made in inference mode") {
  Bag net;
  const at::Tensor before = net.parameter("before", at::zeros({2}));
  at::Tensor inside, conj;
  {
    const c10::InferenceMode mode;
    inside = net.buffer("inside", at::zeros({2}));
    conj = net.buffer("conj", at::conj(at::complex(at::zeros({2}), at::zeros({2}))));
  }
  REQUIRE(inside.is_inference());
  const at::Tensor values = at::complex(numbers({2}), numbers({2}, 5));
  const File source({{"before", "F32", numbers({2})},
                     {"inside", "F32", numbers({2}, 5)},
                     {"conj", "C64", values}});
  const MigrationReport report = load_state_dict(net, source, spec());
  INFO(report.text());
  REQUIRE(report.ok());
  CHECK(at::equal(before, numbers({2})));
  CHECK(before.is_leaf());
  CHECK(at::equal(inside, numbers({2}, 5)));
  CHECK(at::equal(conj.resolve_conj(), values));
  const c10::InferenceMode mode;
  CHECK(load_state_dict(net, File({{"inside", "F32", numbers({2})}}), spec(kLenient)).ok());
  CHECK(at::equal(inside, numbers({2})));
}

TEST_CASE("whenever it is cancelled, the module is as it was") {
  Bag net;
  const at::Tensor moved = net.parameter("moved", at::zeros({600, 600}));
  const at::Tensor cast = net.parameter("cast", at::zeros({600, 600}, at::kHalf));
  const File source({{"moved", "F32", numbers({600, 600})}, {"cast", "F32", at::ones({600, 600})}});
  MigrationOptions options;
  int asked = 0, until = 0;
  options.cancelled = [&] { return asked++ == until; };
  MigrationReport report = load_state_dict(net, source, spec(), options);
  for (; !report.ok(); ++until, asked = 0, report = load_state_dict(net, source, spec(), options)) {
    CHECK(report.exit_status() == 130);
    REQUIRE(at::equal(moved, at::zeros({600, 600})));
    REQUIRE(at::equal(cast, at::zeros({600, 600}, at::kHalf)));
    REQUIRE(until < 1000);
  }
  CHECK(until > 3);
  CHECK(at::equal(moved, numbers({600, 600})));
  CHECK(at::equal(cast, at::ones({600, 600}, at::kHalf)));
}

TEST_CASE("what a callback throws comes out, also from within an evaluation") {
  Bag net;
  const at::Tensor cast = net.parameter("cast", at::zeros({600, 600}, at::kHalf));
  const File source({{"cast", "F32", at::ones({600, 600})}});
  for (int until = 0; until < 3; ++until) {
    MigrationOptions options;
    int asked = 0;
    options.cancelled = [&]() -> bool {
      if (asked++ == until) throw std::domain_error("mine");
      return false;
    };
    CHECK_THROWS_AS(load_state_dict(net, source, spec(), options), std::domain_error);
    CHECK(at::equal(cast, at::zeros({600, 600}, at::kHalf)));
  }
}

TEST_CASE("modules are loaded in several threads at once") {
  const File source({{"w", "F32", numbers({50, 50})}, {"h", "F32", at::ones({50, 50})}});
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int run = 0; run < 20; ++run) {
        Bag net;
        const at::Tensor w = net.parameter("w", at::zeros({50, 50}));
        const at::Tensor h = net.parameter("h", at::zeros({50, 50}, at::kHalf));
        if (!load_state_dict(net, source, spec()).ok()) ++wrong;
        if (!at::equal(w, numbers({50, 50}))) ++wrong;
        if (!at::equal(h, at::ones({50, 50}, at::kHalf))) ++wrong;
      }
    });
  for (std::thread& one : threads) one.join();
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace regraft
