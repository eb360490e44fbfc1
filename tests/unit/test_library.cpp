// The public API, with a model of a few vectors in place of a tensor library.
#include <atomic>
#include <cstring>
#include <set>
#include <stdexcept>
#include <thread>
#include <type_traits>

#include "catch.h"
#include "execute/evaluator.h"
#include "regraft/regraft.h"
#include "test_execute_support.h"

namespace regraft {
namespace {

using test::Folder;

// Two parameters and a name that is tied to the first.
class Vectors final : public Model {
 public:
  std::vector<float> a = {1, 2, 3, 4}, b = {5, 6};
  bool refuses = false;
  int assigned = 0;

  Tensors tensors() override {
    Tensors all;
    all.storage_sizes = {a.size() * 4, b.size() * 4};
    Tensor one;
    one.dtype = "float32";
    one.name = "a";
    one.shape = {2, 2};
    all.tensors.push_back(one);
    one.name = "b";
    one.shape = {2};
    one.storage = 1;
    all.tensors.push_back(one);
    one.name = "tied";
    one.shape = {2, 2};
    one.storage = 0;
    all.tensors.push_back(one);
    return all;
  }
  void read(std::size_t storage, std::uint64_t offset, std::span<std::byte> out) override {
    const std::vector<float>& from = storage == 0 ? a : b;
    std::memcpy(out.data(), reinterpret_cast<const std::byte*>(from.data()) + offset, out.size());
  }
  void assign(std::span<const Loaded> loaded) override {
    if (refuses) throw std::runtime_error("the device is gone");
    ++assigned;
    for (const Loaded& one : loaded) {
      std::vector<float>& to = one.tensor == 1 ? b : a;
      std::memcpy(to.data(), one.data, to.size() * 4);
    }
  }
};

// A source with tensors x [2, 2] and y [2] of float32.
std::string source_file(const Folder& folder) {
  const std::string values("\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40\0\0\x80\x40\0\0\xa0\x40\0\0\xc0\x40",
                           24);
  std::string header = R"({"x":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},)"
                       R"("y":{"dtype":"F32","shape":[2],"data_offsets":[16,24]}})";
  while (header.size() % 8 != 0) header += ' ';
  std::string file(8, '\0');
  file[0] = static_cast<char>(header.size());
  const std::string path = folder / "source.safetensors";
  test::write_file(path, file + header + values);
  return path;
}

MigrationSpec spec(const std::string& body) {
  return MigrationSpec::from_text("regraft: 1\n" + body, "spec");
}

TEST_CASE("a checkpoint is loaded into a model in memory") {
  Folder folder;
  Vectors model;
  model.a = model.b = {};
  model.a.resize(4);
  model.b.resize(2);
  const MigrationReport report =
      load_into(model, spec("rules: [{rename: {x: a, y: b}}]\n"), source_file(folder));
  INFO(report.text());
  REQUIRE(report.ok());
  CHECK(report.exit_status() == 0);
  CHECK(model.a == std::vector<float>{1, 2, 3, 4});
  CHECK(model.b == std::vector<float>{5, 6});
  CHECK(model.assigned == 1);
  CHECK(report.missing_keys().empty());
  CHECK(report.unexpected_keys().empty());
  CHECK(report.coverage() == 1);
  REQUIRE(report.tensors().size() == 3);
  CHECK(report.tensors()[0].name == "a");
  CHECK(report.tensors()[0].status == "loaded");
  CHECK(report.tensors()[0].sources == std::vector<std::string>{"x"});
  CHECK(report.tensors()[2].sources == std::vector<std::string>{"x"});  // through its tie
  CHECK(report.text().find("loaded into the model") != std::string::npos);
}

TEST_CASE("a model keeps its own values where the policy says so") {
  Folder folder;
  Vectors model;
  const MigrationReport report = load_into(
      model, spec("rules: [{rename: x, to: a}]\npolicy: {missing: keep, unexpected: drop}\n"),
      source_file(folder));
  REQUIRE(report.ok());
  CHECK(model.b == std::vector<float>{5, 6});
  CHECK(report.missing_keys() == std::vector<std::string>{"b"});
  CHECK(report.unexpected_keys() == std::vector<std::string>{"y"});
  CHECK(report.coverage() == Approx(8.0 / 10));
}

TEST_CASE("further sources have an alias") {
  Folder folder;
  Vectors model;
  const std::string source = source_file(folder);
  const auto load = [&](std::vector<std::pair<std::string, std::string>> sources) {
    return load_into(model,
                     spec("rules:\n  - keep: [^x, ^more::y]\n  - rename: {x: a, ^more::y: b}\n"),
                     source, {.sources = std::move(sources)});
  };
  const MigrationReport report = load({{"more", source}});
  INFO(report.text());
  REQUIRE(report.ok());
  CHECK(report.tensors()[1].sources == std::vector<std::string>{"more::y"});
  CHECK(model.b == std::vector<float>{5, 6});
  for (const auto& wrong : {std::pair<std::string, std::string>{"", source}, {"More", source}}) {
    const MigrationReport refused = load({wrong});
    REQUIRE(refused.messages().size() == 1);
    CHECK(refused.messages()[0].code == "usage");
  }
  CHECK(load({{"more", source}, {"more", source}}).messages()[0].code == "usage");
}

TEST_CASE("a model is as it was when anything fails") {
  Folder folder;
  Vectors model;
  const std::vector<float> a = model.a, b = model.b;
  const std::string source = source_file(folder);
  const auto refused = [&](const MigrationSpec& by, const std::string& code) {
    const MigrationReport report = load_into(model, by, source);
    INFO(report.text());
    REQUIRE_FALSE(report.ok());
    CHECK(report.messages().front().code == code);
    CHECK(model.a == a);
    CHECK(model.b == b);
    CHECK_THROWS_AS(report.or_throw(), MigrationError);
  };
  refused(spec("rules: [{rename: x, to: a}]\npolicy: {unexpected: drop}\n"), "missing");
  refused(spec("rules: [{rename: x, to: a}]\npolicy: {missing: keep}\n"), "unexpected");
  refused(spec("rules: [{rename: {x: b, y: a}}]\n"), "shape-mismatch");
  refused(spec("rules: [{rename: x, to: a}]\npolicy: {missing: keep, unexpected: keep}\n"),
          "cannot-write");
  refused(spec("rulez: []\n"), "unknown-key");
  refused(MigrationSpec::from_file(folder / "none.yaml"), "file-open");
  CHECK(model.assigned == 0);
  model.refuses = true;
  refused(spec("rules: [{rename: {x: a, y: b}}]\n"), "model");
}

TEST_CASE("what a model may not say of itself") {
  Folder folder;
  class Odd final : public Model {
   public:
    Tensors described;
    Tensors tensors() override { return described; }
    void read(std::size_t, std::uint64_t, std::span<std::byte>) override {
      throw std::runtime_error("no values here");
    }
    void assign(std::span<const Loaded>) override {}
  };
  Odd model;
  Model::Tensor x;
  x.name = "x";
  x.dtype = "float32";
  x.shape = {2, 2};
  const auto code = [&] {
    const MigrationReport report =
        load_into(model, spec("policy: {unexpected: drop, missing: keep}\n"), source_file(folder));
    return report.ok() ? std::string("ok") : report.messages().front().code;
  };
  model.described = {{x}, {16}};
  CHECK(code() == "ok");
  model.described = {{x, x}, {16}};
  CHECK(code() == "tensor-corrupt");
  model.described = {{x}, {15}};
  CHECK(code() == "tensor-corrupt");
  model.described = {{x}, {}};
  CHECK(code() == "tensor-corrupt");
  Model::Tensor own = x;
  own.name = "own";
  model.described = {{own}, {16}};
  CHECK(code() == "model");  // it is kept, so it is read
  own.unsupported = "a sparse tensor";
  model.described = {{own}, {16}};
  CHECK(code() == "cannot-carry");
  own.unsupported.clear();
  own.dtype = "float7";
  model.described = {{own}, {16}};
  CHECK(code() == "cannot-carry");
}

TEST_CASE("plan, apply and check as a program calls them") {
  Folder folder;
  const std::string source = source_file(folder);
  const std::string output = folder / "out.pt";
  MigrationSpec by = spec("vars: {new: z}\nrules: [{rename: x, to: '{new}'}]\n");
  CHECK(check(by).ok());
  CHECK(plan(by, source).ok());
  CHECK(folder.names() == std::vector<std::string>{"source.safetensors"});
  std::uint64_t seen = 0, all = 0;
  MigrationOptions options;
  options.digest = Digest::sha256;
  options.progress = [&](std::uint64_t done, std::uint64_t total) {
    seen = done;
    all = total;
  };
  by.set("new", "w");
  const MigrationReport report = apply(by, source, output, options);
  REQUIRE(report.ok());
  CHECK(report.tensors().front().name == "w");
  CHECK(seen == 24);
  CHECK(all == 24);
  CHECK(report.json().find("\"digest_kind\": \"sha256\"") != std::string::npos);
  CHECK(report.html().find("<html") != std::string::npos);
  CHECK(apply(by, source, output).messages().front().code == "file-exists");
  options.force = true;
  options.cancelled = [] { return true; };
  const MigrationReport stopped = apply(by, source, output, options);
  CHECK(stopped.exit_status() == 130);
  CHECK(check(spec("vars: {unused: 1}\nrules: [{drop: x}]\n")).messages().front().code ==
        "unused-var");
  const MigrationReport mistake = check(spec("rules: [{rename: x, too: y}]\n"));
  CHECK(mistake.messages().front().where == "spec:2:21");
  CHECK(mistake.exit_status() == 2);
}

TEST_CASE("what has to be computed needs an evaluator") {
  Folder folder;
  Vectors model;
  const std::string source = source_file(folder);
  const MigrationSpec by =
      spec("rules: [{rename: x, to: a}]\npolicy: {missing: normal, unexpected: drop}\n");
  const MigrationReport report = load_into(model, by, source);
  REQUIRE_FALSE(report.ok());
  CHECK(report.messages().front().code == "no-evaluator");
  CHECK(model.assigned == 0);

  class Zeros final : public Evaluator {
   public:
    EvaluatorInfo info() const override { return {"zeros 1", "any"}; }
    Status evaluate(const Expr&, const LoadTensor&, std::span<std::byte> out) override {
      std::fill(out.begin(), out.end(), std::byte{0});
      return Done{};
    }
  };
  MigrationOptions options;
  options.evaluator = std::make_shared<Zeros>();
  const MigrationReport computed = load_into(model, by, source, options);
  INFO(computed.text());
  REQUIRE(computed.ok());
  CHECK(model.b == std::vector<float>{0, 0});
  CHECK(computed.json().find("zeros 1") != std::string::npos);
}

TEST_CASE("a pass that is left out changes what is computed, and not what is loaded") {
  Folder folder;
  const std::string source = source_file(folder);
  const MigrationSpec by =
      spec("rules: [{rename: x, to: a}]\npolicy: {missing: zeros, unexpected: drop}\n");
  Vectors model;
  model.b = {3, 3};
  MigrationOptions options;
  CHECK(load_into(model, by, source, options).ok());
  CHECK(model.b == std::vector<float>{0, 0});
  options.no_passes = {"byte-ranges"};
  const MigrationReport computed = load_into(model, by, source, options);
  REQUIRE_FALSE(computed.ok());
  CHECK(computed.messages().front().code == "no-evaluator");
  options.no_passes = {"byte-range"};
  const MigrationReport refused = plan(by, source, options);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.messages().front().code == "usage");
  CHECK(refused.messages().front().hint == "did you mean `byte-ranges`?");
}

TEST_CASE("limits of the readers, in a program") {
  Folder folder;
  const std::string source = source_file(folder);
  const MigrationSpec by = spec("rules: [{rename: x, to: a}]\n");
  MigrationOptions options;
  options.limits = {{"header-bytes", 10}, {"pickle-bytes", 10}};
  const MigrationReport refused = plan(by, source, options);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.messages().front().code == "limit");
  options.limits = {{"header-bytes", 1 << 20}, {"pickle-bytes", 1 << 20}};
  CHECK(plan(by, source, options).ok());
  options.limits = {{"header-byte", 5}};
  const MigrationReport misspelt = plan(by, source, options);
  CHECK(misspelt.messages().front().code == "usage");
  CHECK(misspelt.messages().front().hint == "did you mean `header-bytes`?");
  options.limits = {{"header-bytes", 0}};
  CHECK(plan(by, source, options).messages().front().code == "usage");
}

// --- models of every kind ------------------------------------------------------------------------

// A storage of floats, described as a test wants it; every name it is given is filled.
class Views final : public Model {
 public:
  explicit Views(std::vector<float> floats) : values(std::move(floats)) {}
  std::vector<float> values;
  std::vector<Tensor> described;
  std::set<std::size_t> assigned;

  void add(std::string name, std::vector<std::int64_t> shape,
           std::vector<std::int64_t> strides = {}, std::int64_t offset = 0) {
    Tensor one;
    one.name = std::move(name);
    one.dtype = "float32";
    one.shape = std::move(shape);
    one.strides = std::move(strides);
    one.offset = offset;
    described.push_back(std::move(one));
  }
  Tensors tensors() override { return {described, {values.size() * 4}}; }
  void read(std::size_t, std::uint64_t offset, std::span<std::byte> out) override {
    std::memcpy(out.data(), reinterpret_cast<const std::byte*>(values.data()) + offset, out.size());
  }
  void assign(std::span<const Loaded> loaded) override {
    for (const Loaded& one : loaded) {
      assigned.insert(one.tensor);
      const Tensor& to = described[one.tensor];
      const Shape strides = to.strides.empty() ? contiguous_strides(to.shape) : to.strides;
      const auto* from = reinterpret_cast<const float*>(one.data);
      const std::int64_t rows = to.shape.size() < 2 ? 1 : to.shape[0], columns = to.shape.back();
      for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t k = 0; k < columns; ++k) {
          const auto at = [&](const Shape& steps) {
            return (steps.size() < 2 ? 0 : i * steps[0]) + k * steps.back();
          };
          values[static_cast<std::size_t>(to.offset + at(strides))] = from[at(one.strides)];
        }
    }
  }
};

TEST_CASE("a model with strides of its own") {
  Folder folder;
  Views model(std::vector<float>(6, -1));
  model.add("x", {2, 2}, {1, 2}, 1);  // its first column, then its second
  model.add("y", {2}, {5}, 0);
  const MigrationReport report = load_into(model, spec(""), source_file(folder));
  INFO(report.text());
  REQUIRE(report.ok());
  CHECK(model.values == std::vector<float>{5, 1, 3, 2, 4, 6});
}

TEST_CASE("what a model keeps is not handed back to it") {
  Folder folder;
  Views model(std::vector<float>(6));
  model.add("x", {2, 2});
  model.add("row", {2});  // the first of x
  model.add("y", {3}, {}, 3);
  const MigrationReport report =
      load_into(model, spec("policy: {missing: keep, shape: skip}\n"), source_file(folder));
  INFO(report.text());
  REQUIRE(report.ok());
  CHECK(model.assigned == std::set<std::size_t>{0});
  CHECK(model.values == std::vector<float>{1, 2, 3, 4, 0, 0});
}

TEST_CASE("descriptions that contradict themselves") {
  Folder folder;
  const auto refused = [&](const auto& describe) {
    Views model(std::vector<float>(4, 1));
    describe(model);
    const MigrationReport report =
        load_into(model, spec("policy: {missing: keep, unexpected: drop}\n"), source_file(folder));
    INFO(report.text());
    REQUIRE_FALSE(report.ok());
    CHECK(report.messages().front().code == "tensor-corrupt");
    CHECK(report.messages().front().where == "the model");
    CHECK(report.text().find("torch") == std::string::npos);  // no file is damaged
    CHECK(model.assigned.empty());
    CHECK(report.json().find("\"failed\"") != std::string::npos);
  };
  refused([](Views& model) { model.add("x", {2, 2}, {1}); });
  refused([](Views& model) { model.add("x", {2, 2}, {-1, 1}); });
  refused([](Views& model) { model.add("x", {-2}); });
  refused([](Views& model) { model.add("x", {2, 2}, {2, 1}, 1); });
  refused([](Views& model) { model.add("x", {2, 2}, {2, 1}, -1); });
  refused([](Views& model) { model.add("x", {INT64_MAX, 4}); });
  refused([](Views& model) {
    model.add("x", {2, 2});
    model.described[0].storage = std::size_t{1} << 32;
  });
}

TEST_CASE("a tensor that cannot be filled may stay") {
  Folder folder;
  Views model({0, 0, 0, 0});
  model.add("x", {2, 2});
  model.add("y", {2});
  model.described[1].unsupported = "a sparse tensor";
  const MigrationReport reached = load_into(model, spec(""), source_file(folder));
  INFO(reached.text());
  REQUIRE_FALSE(reached.ok());
  CHECK(reached.messages().front().code == "cannot-write");
  CHECK(reached.messages().front().text.find("a sparse tensor") != std::string::npos);
  CHECK(model.assigned.empty());
  CHECK(load_into(model, spec("rules: [{drop: y}]\npolicy: {missing: omit}\n"), source_file(folder))
            .ok());
  CHECK(model.values == std::vector<float>{1, 2, 3, 4});
}

TEST_CASE("scalars and empty tensors") {
  Folder folder;
  std::string header = R"({"n":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)"
                       R"("none":{"dtype":"F32","shape":[0,3],"data_offsets":[4,4]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::string size(8, '\0');
  size[0] = static_cast<char>(header.size());
  test::write_file(folder / "s.safetensors", size + header + std::string("\0\0\xe0\x40", 4));
  class Scalar final : public Model {
   public:
    float value = 0;
    int names = 0;
    Tensors tensors() override {
      Tensor n, none;
      n.name = "n";
      none.name = "none";
      n.dtype = none.dtype = "float32";
      none.shape = {0, 3};
      none.storage = 1;
      return {{n, none}, {4, 0}};
    }
    void read(std::size_t, std::uint64_t, std::span<std::byte>) override {}
    void assign(std::span<const Loaded> loaded) override {
      names = static_cast<int>(loaded.size());
      std::memcpy(&value, loaded[0].data, 4);
    }
  } scalar;
  const MigrationReport report = load_into(scalar, spec(""), folder / "s.safetensors");
  INFO(report.text());
  REQUIRE(report.ok());
  CHECK(scalar.value == 7);
  CHECK(scalar.names == 2);
}

TEST_CASE("whatever a model throws is a message") {
  Folder folder;
  class Throws final : public Model {
   public:
    int at = 0;
    Tensors tensors() override {
      if (at == 0) throw 7;
      Tensor y;
      y.name = "y";
      y.dtype = "float32";
      y.shape = {2};
      return {{y}, {8}};
    }
    void read(std::size_t, std::uint64_t, std::span<std::byte>) override {}
    void assign(std::span<const Loaded>) override { throw 8; }
  } model;
  const std::string source = source_file(folder);
  for (; model.at < 2; ++model.at) {
    const MigrationReport report = load_into(model, spec("policy: {unexpected: drop}\n"), source);
    INFO(report.text());
    REQUIRE(report.messages().size() == 1);
    CHECK(report.messages()[0].code == "model");
    CHECK(report.exit_status() == 3);
  }
}

// --- calls that cannot work ----------------------------------------------------------------------

TEST_CASE("names that name nothing") {
  Folder folder;
  const std::string source = source_file(folder);
  Vectors model;
  const auto code = [](const MigrationReport& report) {
    INFO(report.text());
    REQUIRE_FALSE(report.ok());
    CHECK_FALSE(report.html().empty());
    CHECK_FALSE(report.text().empty());
    return report.messages().front().code;
  };
  CHECK(code(plan(spec(""), "")) == "file-open");
  CHECK(code(plan(spec(""), folder.path())) == "file-open");
  CHECK(code(plan(spec(""), folder / "none.pt")) == "file-open");
  CHECK(code(apply(spec(""), "", folder / "out.pt")) == "file-open");
  CHECK(code(load_into(model, spec(""), "")) == "file-open");
  CHECK(code(check(MigrationSpec::from_file(""))) == "file-open");
  CHECK(code(check(MigrationSpec::from_text(""))) == "wrong-type");
  CHECK(code(apply(spec(""), source, "")) == "usage");
  CHECK(code(apply(spec(""), source, folder / "out")) == "usage");
  CHECK(code(apply(spec(""), source, folder / "none/out.pt")) == "file-write");
  CHECK(code(apply(spec(""), source, source)) == "file-is-input");
  CHECK(code(check(spec("vars: {x: 1}\n").set("y", "2"))) == "bad-var");
  MigrationOptions options;
  options.target = folder / "none.pt";
  CHECK(code(plan(spec(""), source, options)) == "file-open");
  CHECK(code(load_into(model, spec(""), source, options)) == "usage");
  CHECK(folder.names() == std::vector<std::string>{"source.safetensors"});
  CHECK(model.assigned == 0);
}

// --- callbacks -----------------------------------------------------------------------------------

TEST_CASE("whenever a run is cancelled, nothing has changed") {
  Folder folder;
  const std::string source = source_file(folder);
  MigrationOptions options;
  int asked = 0, until = 0;
  options.cancelled = [&] { return asked++ == until; };
  const auto cancel = [&](const auto& call, const auto& unchanged) {
    for (until = 0;; ++until) {
      asked = 0;
      const MigrationReport report = call();
      if (report.ok()) break;
      CHECK(report.exit_status() == 130);
      CHECK(report.messages().front().code == "interrupted");
      CHECK(unchanged());
      REQUIRE(until < 100);
    }
    CHECK(until > 2);
  };
  Vectors model;
  model.a = {9, 9, 9, 9};
  const MigrationSpec into = spec("rules: [{rename: {x: a, y: b}}]\n");
  cancel([&] { return load_into(model, into, source, options); },
         [&] { return model.assigned == 0; });
  CHECK(model.a == std::vector<float>{1, 2, 3, 4});
  cancel([&] { return apply(spec(""), source, folder / "out.pt", options); },
         [&] { return folder.names().size() == 1; });
  CHECK(folder.names() == std::vector<std::string>{"out.pt", "source.safetensors"});
}

TEST_CASE("what a callback throws leaves the call, and nothing has changed") {
  Folder folder;
  const std::string source = source_file(folder);
  // Swallows what it meets, as evaluators may.
  class Swallows final : public Evaluator {
   public:
    EvaluatorInfo info() const override { return {"swallows 1", "any"}; }
    Status evaluate(const Expr& expr, const LoadTensor& load, std::span<std::byte> out) override {
      try {
        const Load one = loads_of(expr).front();
        return load(one, out.first(16));
      } catch (...) {
        return error(Code::evaluator, {}, "swallowed");
      }
    }
  };
  Views model(std::vector<float>(6, -1));
  model.add("x", {3, 2});
  const MigrationSpec pads = spec("rules: [{drop: y}]\npolicy: {shape: pad}\n");
  MigrationOptions options;
  options.evaluator = std::make_shared<Swallows>();
  options.no_passes = {"byte-ranges"};  // so that it is asked
  const auto throws = [&] {
    CHECK_THROWS_AS(apply(spec(""), source, folder / "out.pt", options), std::domain_error);
    CHECK(folder.names() == std::vector<std::string>{"source.safetensors"});
    CHECK_THROWS_AS(load_into(model, pads, source, options), std::domain_error);
    CHECK(model.assigned.empty());
  };
  options.progress = [](std::uint64_t, std::uint64_t) { throw std::domain_error("progress"); };
  throws();
  options.progress = nullptr;
  int until = 0, asked = 0;
  options.cancelled = [&]() -> bool {
    if (asked++ == until) throw std::domain_error("cancelled");
    return false;
  };
  for (bool thrown = true; thrown; ++until) {
    REQUIRE(until < 100);
    asked = 0;
    try {
      const MigrationReport report = load_into(model, pads, source, options);
      INFO(report.text());
      REQUIRE(report.ok());
      thrown = false;
    } catch (const std::domain_error&) {
      CHECK(model.assigned.empty());
    }
  }
  CHECK(until > 3);
  CHECK(model.values[3] == 4);
  until = asked = 0;
  CHECK_THROWS_AS(apply(spec(""), source, folder / "out.pt", options), std::domain_error);
  CHECK(folder.names() == std::vector<std::string>{"source.safetensors"});
}

// --- reports and threads -------------------------------------------------------------------------

static_assert(!std::is_default_constructible_v<MigrationReport>);  // there is no report of nothing

TEST_CASE("a report outlives everything that it is about") {
  const MigrationReport report = [] {
    Folder folder;
    Vectors model;
    MigrationOptions options;
    options.digest_inputs = true;
    return load_into(
        model, spec("rules: [{rename: x, to: a}]\npolicy: {missing: keep, unexpected: drop}\n"),
        source_file(folder), options);
  }();
  REQUIRE(report.ok());
  CHECK(report.json().find("\"the model\"") != std::string::npos);
  CHECK(report.html().find("tied") != std::string::npos);
  CHECK(report.text().find("kept") != std::string::npos);
}

TEST_CASE("an error says all that was found") {
  const MigrationSpec by = spec("rules: [{rename: x, too: y}, {drip: z}]\n");
  try {
    check(by).or_throw();
    FAIL("nothing was thrown");
  } catch (const MigrationError& error) {
    const std::string what = error.what();
    CHECK(what.find("spec:2:21: error[unknown-key]") != std::string::npos);
    CHECK(what.find("'drip'") != std::string::npos);
    CHECK(error.report().exit_status() == 2);
    CHECK(error.report().messages().size() >= 2);
  }
}

TEST_CASE("calls run at the same time") {
  Folder folder;
  const std::string source = source_file(folder);
  const MigrationSpec renames = spec("rules: [{rename: {x: a, y: b}}]\n");
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      for (int run = 0; run < 10; ++run) {
        Vectors model;
        model.a = {0, 0, 0, 0};
        if (!load_into(model, renames, source).ok() || model.a[3] != 4) ++wrong;
        const std::string out = folder / (std::to_string(i) + "-" + std::to_string(run) + ".pt");
        if (apply(renames, source, out).tensors().size() != 2) ++wrong;
        if (!plan(spec(""), out).messages().empty()) ++wrong;
      }
    });
  for (std::thread& one : threads) one.join();
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace regraft
