// The public API, with a model of a few vectors in place of a tensor library.
#include <cstring>

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

  Tensors tensors() const override {
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
  void read(std::size_t storage, std::uint64_t offset, std::span<std::byte> out) const override {
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
    Tensors tensors() const override { return described; }
    void read(std::size_t, std::uint64_t, std::span<std::byte>) const override {
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
  CHECK(mistake.messages().front().where == "spec:2:20");
  CHECK(mistake.exit_status() == 2);
}

TEST_CASE("what has to be computed needs an evaluator") {
  Folder folder;
  Vectors model;
  const std::string source = source_file(folder);
  const MigrationSpec by =
      spec("rules: [{rename: x, to: a}]\npolicy: {missing: zeros, unexpected: drop}\n");
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

}  // namespace
}  // namespace regraft
