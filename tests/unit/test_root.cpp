#include <map>
#include <optional>

#include "catalog/catalog.h"
#include "catch.h"

namespace regraft {
namespace {

using Roots = std::vector<std::string>;

// Builds the catalog that a reader would give for nested mappings and lists.
class Checkpoint {
 public:
  Checkpoint() {
    catalog_.path = "a.pt";
    catalog_.containers.emplace_back();
    catalog_.storages.emplace_back();
  }
  std::uint32_t mapping(const std::string& key, std::uint32_t parent = 0) {
    Container container;
    container.parent = static_cast<std::int32_t>(parent);
    container.path = joined(parent, key);
    ++catalog_.containers[parent].entries;
    catalog_.containers.push_back(container);
    return static_cast<std::uint32_t>(catalog_.containers.size() - 1);
  }
  std::uint32_t list(const std::string& key, std::uint32_t parent = 0) {
    const std::uint32_t index = mapping(key, parent);
    catalog_.containers[index].mapping = false;
    return index;
  }
  Checkpoint& tensor(const std::string& key, std::uint32_t parent = 0) {
    Tensor result;
    result.name = joined(parent, key);
    result.shape = {3};
    result.strides = {1};
    result.container = parent;
    catalog_.tensors.push_back(result);
    ++catalog_.containers[parent].entries;
    ++catalog_.containers[parent].tensors;
    return *this;
  }
  Checkpoint& tensors(int count, std::uint32_t parent = 0) {
    for (int i = 0; i < count; ++i) tensor("t" + std::to_string(i), parent);
    return *this;
  }
  Checkpoint& extra(const std::string& key, const std::string& summary, std::uint32_t parent = 0) {
    catalog_.extras.push_back({joined(parent, key), summary});
    ++catalog_.containers[parent].entries;
    return *this;
  }
  Catalog& catalog() { return catalog_; }

  Catalog select(const Roots& roots = {}) const {
    auto result = select_root(catalog_, roots);
    if (!result.ok()) FAIL(render(result.error(), false));
    return std::move(result).value();
  }
  Diagnostic fail(const Roots& roots = {}) const {
    auto result = select_root(catalog_, roots);
    REQUIRE_FALSE(result.ok());
    return std::move(result).error();
  }

 private:
  std::string joined(std::uint32_t parent, const std::string& key) const {
    return parent == 0 ? key : catalog_.containers[parent].path + "." + key;
  }
  Catalog catalog_;
};

Roots names(const Catalog& catalog) {
  Roots result;
  for (const Tensor& tensor : catalog.tensors) result.push_back(tensor.name);
  return result;
}

Roots notes(const Diagnostic& diagnostic) {
  Roots result;
  for (const Note& note : diagnostic.notes) result.push_back(note.message);
  return result;
}

TEST_CASE("a flat state dict is its own root") {
  Checkpoint file;
  file.tensor("a.weight").tensor("a.bias").extra("epoch", "int 3");
  const Catalog catalog = file.select();
  CHECK(names(catalog) == Roots{"a.weight", "a.bias"});
  CHECK(catalog.extras.size() == 1);
  CHECK(catalog.containers.size() == 1);
  CHECK(names(file.select({""})) == names(catalog));
}

TEST_CASE("the one mapping of tensors is found, and all else becomes extras") {
  Checkpoint file;
  file.extra("epoch", "int 3").tensor("decay");
  const auto model = file.mapping("model");
  file.catalog().containers[model].metadata.push_back({"", {{"version", 2}}});
  file.tensor("w", model).tensor("b", model);
  const auto head = file.mapping("head", model);
  file.tensor("w", head);
  const Catalog catalog = file.select();
  CHECK(names(catalog) == Roots{"w", "b", "head.w"});
  REQUIRE(catalog.extras.size() == 2);
  CHECK(catalog.extras[0].path == "epoch");
  CHECK(catalog.extras[1].path == "decay");
  CHECK(catalog.extras[1].summary == "tensor float32 [3]");
  REQUIRE(catalog.containers.size() == 2);
  CHECK(catalog.containers[0].parent == -1);
  CHECK(catalog.containers[0].path == "model");
  CHECK(catalog.containers[0].metadata.size() == 1);
  CHECK(catalog.containers[1].parent == 0);
  CHECK(catalog.tensors[0].container == 0);
  CHECK(catalog.tensors[2].container == 1);
  CHECK(catalog.storages.size() == 1);
}

TEST_CASE("half of the values is not most") {
  Checkpoint file;
  file.tensor("a").extra("b", "int 1");
  CHECK(file.fail().code == Code::root_not_found);
  file.tensor("c");
  CHECK(file.select().tensors.size() == 2);
}

TEST_CASE("optimizers are not searched, but can be given") {
  Checkpoint file;
  const auto optimizer = file.mapping("optimizer");
  file.catalog().containers[optimizer].optimizer = true;
  const auto state = file.mapping("state", optimizer);
  const auto zero = file.mapping("0", state);
  file.tensor("exp_avg", zero).tensor("exp_avg_sq", zero);
  const auto model = file.mapping("model");
  file.tensor("w", model);
  CHECK(names(file.select()) == Roots{"w"});
  CHECK(names(file.select({"optimizer"})) == Roots{"state.0.exp_avg", "state.0.exp_avg_sq"});
  CHECK(names(file.select({"optimizer.state.0"})) == Roots{"exp_avg", "exp_avg_sq"});
}

TEST_CASE("several state dicts are ambiguous") {
  Checkpoint file;
  file.tensors(2, file.mapping("model"));
  file.tensors(1, file.mapping("model_ema"));
  file.tensors(3, file.mapping("it's: odd"));
  file.tensors(1, file.mapping("yes"));
  file.tensors(1, file.mapping("0"));
  file.tensors(1, file.mapping("tab\there"));
  const Diagnostic diagnostic = file.fail();
  CHECK(diagnostic.code == Code::root_ambiguous);
  CHECK(diagnostic.where.file == "a.pt");
  CHECK(diagnostic.message == "the checkpoint holds 6 state dicts");
  CHECK(diagnostic.hint == "say in the spec which one is meant, with one of these lines");
  CHECK(notes(diagnostic) ==
        Roots{"`source: {root: model}`: 2 tensors below 'model'",
              "`source: {root: model_ema}`: 1 tensor below 'model_ema'",
              "`source: {root: 'it''s: odd'}`: 3 tensors below 'it's: odd'",
              "`source: {root: 'yes'}`: 1 tensor below 'yes'",
              "`source: {root: '0'}`: 1 tensor below '0'",
              "`source: {root: \"tab\\x09here\"}`: 1 tensor below 'tab\\x09here'"});
}

TEST_CASE("long lists of candidates are cut visibly") {
  Checkpoint file;
  for (int i = 0; i < 13; ++i) file.tensors(1, file.mapping("m" + std::to_string(i)));
  const Roots found = notes(file.fail());
  REQUIRE(found.size() == 11);
  CHECK(found.back() == "and 3 more");
}

TEST_CASE("tensors without a state dict") {
  Checkpoint file;
  file.tensor("a").extra("b", "int 1").extra("c", "int 1");
  const Diagnostic top = file.fail();
  CHECK(top.code == Code::root_not_found);
  CHECK(top.message == "no mapping in the checkpoint consists mostly of tensors");
  CHECK(notes(top) == Roots{"`source: {root: ''}`: 1 tensor at the top"});
  CHECK(file.select({""}).tensors.size() == 1);

  Checkpoint listed;
  listed.tensors(2, listed.list("shadow_params"));
  CHECK(notes(listed.fail()) ==
        Roots{"`source: {root: shadow_params}`: 2 tensors below 'shadow_params'"});
  CHECK(names(listed.select({"shadow_params"})) == Roots{"t0", "t1"});

  Checkpoint optimizer;
  const auto state = optimizer.mapping("opt");
  optimizer.catalog().containers[state].optimizer = true;
  optimizer.tensors(4, optimizer.mapping("state", state));
  CHECK(notes(optimizer.fail()) ==
        Roots{"`source: {root: opt.state}`: 4 tensors below 'opt.state'"});
}

TEST_CASE("a state dict inside a list is found") {
  Checkpoint file;
  const auto models = file.list("models");
  file.tensor("w", file.mapping("0", models));
  CHECK(names(file.select()) == Roots{"w"});
  CHECK(names(file.select({"models"})) == Roots{"0.w"});
}

TEST_CASE("a checkpoint without tensors") {
  Checkpoint file;
  file.extra("epoch", "int 3");
  CHECK(file.fail().code == Code::root_not_found);
  CHECK(file.fail().message == "the checkpoint holds no tensors");
  CHECK(file.fail({""}).code == Code::root_not_found);
  CHECK(notes(file.fail()).empty());
  file.extra("model", "a pickled module (net.Net)");
  const Diagnostic diagnostic = file.fail();
  CHECK(diagnostic.message == "the checkpoint holds no tensors outside of pickled modules");
  CHECK(notes(diagnostic) == Roots{"'model' is a pickled module (net.Net)"});
  CHECK(diagnostic.hint == "load it where its classes are installed and save module.state_dict()");
}

TEST_CASE("given roots are tried in order") {
  Checkpoint file;
  file.tensor("w", file.mapping("model"));
  file.tensor("w", file.mapping("ema"));
  file.mapping("empty");
  file.tensor("loose");
  CHECK(file.select({"state_dict", "ema", "model"}).containers[0].path == "ema");
  CHECK(file.select({"empty", "model"}).containers[0].path == "model");
  CHECK(names(file.select({""})) == Roots{"model.w", "ema.w", "loose"});

  const Diagnostic misspelt = file.fail({"modle"});
  CHECK(misspelt.code == Code::root_not_found);
  CHECK(misspelt.message == "the checkpoint has no tensors under the root 'modle'");
  CHECK(misspelt.hint == "did you mean `source: {root: model}`?");
  CHECK(notes(misspelt) == Roots{"`source: {root: model}`: 1 tensor below 'model'",
                                 "`source: {root: ema}`: 1 tensor below 'ema'"});
  const Diagnostic other = file.fail({"loose", "empty", "xyz"});
  CHECK(other.message ==
        "the checkpoint has no tensors under any of the roots 'loose', 'empty', 'xyz'");
  CHECK(other.hint == "change the root in the spec to one of these, or leave it out");
  CHECK(notes(other)[0] == "'loose' is a tensor, not a mapping of tensors");
  CHECK(notes(other)[1] == "'empty' is there, but holds no tensors");
}

TEST_CASE("a key with a dot is not two keys") {
  Checkpoint file;
  const auto a = file.mapping("a");
  file.tensor("b", a).tensor("a.c");
  CHECK(names(file.select({"a"})) == Roots{"b"});
  CHECK(file.select({"a"}).extras[0].path == "a.c");

  file.tensor("x", file.mapping("b", a));
  file.tensor("y", file.mapping("a.b"));
  const Diagnostic diagnostic = file.fail({"a.b"});
  CHECK(diagnostic.code == Code::root_ambiguous);
  CHECK(diagnostic.message == "2 containers have the dotted path 'a.b'");
  CHECK(notes(diagnostic) ==
        Roots{"one directly in 'a' holds 1 tensor", "one directly at the top holds 1 tensor"});
}

TEST_CASE("two tensors with one dotted name") {
  Checkpoint file;
  file.tensor("a.b").tensor("c").tensor("d");
  file.tensor("b", file.mapping("a"));
  const Diagnostic diagnostic = file.fail();
  CHECK(diagnostic.code == Code::tensor_corrupt);
  CHECK(diagnostic.message ==
        "two tensors have the dotted name 'a.b': 'a.b' at the top and 'b' in 'a'");
  // Below 'a' there is one.
  CHECK(names(file.select({"a"})) == Roots{"b"});
}

TEST_CASE("an empty key gives no second top") {
  Checkpoint file;
  const auto empty = file.mapping("");
  file.tensor("w", empty);
  CHECK(file.catalog().tensors[0].name == ".w");
  CHECK(names(file.select({""})) == Roots{".w"});
  CHECK(names(file.select()) == Roots{"w"});
}

TEST_CASE("tensors that cannot be carried become extras by what they are") {
  Checkpoint file;
  file.tensor("w", file.mapping("model"));
  file.tensor("q").extra("a", "int 1");
  file.catalog().tensors[1].unsupported = "a sparse tensor";
  const Catalog catalog = file.select();
  CHECK(catalog.extras[1].path == "q");
  CHECK(catalog.extras[1].summary == "a sparse tensor");
}

}  // namespace
}  // namespace regraft
