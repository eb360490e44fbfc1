// The planner's own promises: the same names with any pattern set, and counts that add up or say
// so.
#include <random>

#include "catch.h"
#include "compile/program.h"
#include "plan/names.h"
#include "plan/policy/policies.h"
#include "spec/spec.h"

namespace regraft {
namespace {

Program program_of(const std::string& text) {
  Diagnostics diagnostics;
  const auto spec =
      parse_spec(std::make_shared<const SourceText>(SourceText{"spec.yaml", text}), diagnostics);
  REQUIRE(spec);
  CompileInputs inputs;
  inputs.verbs = all_verbs();
  inputs.policies = all_policies();
  auto program = compile(*spec, inputs, diagnostics);
  REQUIRE(program);
  return std::move(*program);
}

Catalog catalog_of(const std::vector<std::string>& names) {
  Catalog catalog;
  catalog.path = "source";
  catalog.containers.emplace_back();
  for (const std::string& name : names) {
    Tensor tensor;
    tensor.name = name;
    tensor.shape = {2};
    tensor.strides = {1};
    tensor.storage = static_cast<std::uint32_t>(catalog.storages.size());
    catalog.storages.push_back({8, name, 0, std::nullopt});
    catalog.tensors.push_back(tensor);
  }
  return catalog;
}

std::vector<std::string> names_of(const Names& names) {
  std::vector<std::string> list;
  for (const Live& live : names.results) list.push_back(live.name);
  return list;
}

TEST_CASE("a pattern set without memory gives the same names") {
  std::string text = "regraft: 1\nrules:\n";
  for (int i = 0; i < 200; ++i) {
    const std::string n = std::to_string(i);
    text += "  - rename: '^(\\w+)\\.l" + n + "\\.(.*)x" + n + "(\\d*)$'\n    to: 'n{\\3 + 1}.l" +
            n + ".\\2y'\n";
  }
  text += "  - drop: {exact: [a.l7.w, b.l8.w]}\n  - copy: 'y$'\n    to: '.copy'\n";
  const Program program = program_of(text);
  std::mt19937 random(20260101);
  std::vector<std::string> list;
  for (int i = 0; i < 3000; ++i) {
    const std::string layer = std::to_string(random() % 220);
    list.push_back(std::string(1, static_cast<char>('a' + i % 3)) + ".l" + layer + ".w" +
                   std::to_string(i) + "x" + layer + std::to_string(random() % 10));
  }
  list.push_back("a.l7.w");
  const Catalog catalog = catalog_of(list);
  Inputs inputs;
  inputs.sources = {&catalog};
  Diagnostics plenty, little;
  const Names expected = run_rules(program, inputs, plenty);
  const Names names = run_rules(program, inputs, little, 1 << 10);
  REQUIRE(expected.complete);
  CHECK(names.complete);
  CHECK(expected.results.size() > 5000);
  CHECK(names_of(names) == names_of(expected));
  REQUIRE(names.rules.size() == expected.rules.size());
  for (std::size_t i = 0; i < names.rules.size(); ++i) {
    CHECK(names.rules[i].matches == expected.rules[i].matches);
    CHECK(names.rules[i].entries == expected.rules[i].entries);
  }
}

TEST_CASE("a plan whose counts do not add up is told") {
  const Program program = program_of("regraft: 1\nrules:\n  - drop: '^b'\n");
  const Catalog catalog = catalog_of({"a", "b", "c"});
  Inputs inputs;
  inputs.sources = {&catalog};
  inputs.target = &catalog;
  Diagnostics diagnostics;
  const Plan plan = make_plan(program, inputs, diagnostics);
  CHECK(check_conservation(plan, inputs) == std::nullopt);

  Plan lost = plan;
  lost.tensors.pop_back();
  CHECK(check_conservation(lost, inputs) == "no decision for 'c'");
  Plan twice = plan;
  twice.tensors.push_back(twice.tensors.front());
  CHECK(check_conservation(twice, inputs) == "two decisions for 'a'");
  Plan lie = plan;
  lie.sources[0][1].disposition = Disposition::used;
  CHECK(check_conservation(lie, inputs) == "disposition and output disagree for 'b'");
  Plan empty = plan;
  empty.tensors.front().expr = nullptr;
  CHECK(check_conservation(empty, inputs) == "decision and expression disagree for 'a'");
  Plan uncounted = plan;
  uncounted.totals.dispositions[static_cast<std::size_t>(Disposition::dropped)].tensors = 0;
  CHECK(check_conservation(uncounted, inputs) ==
        "source tensors do not add up to their dispositions");
}

TEST_CASE("a copy stands right behind its original") {
  const Program program = program_of("regraft: 1\nrules:\n  - copy: '^n(\\d+)$'\n    to: 'c\\1'\n");
  std::vector<std::string> list;
  for (int i = 0; i < 2000; ++i) list.push_back("n" + std::to_string(i));
  const Catalog catalog = catalog_of(list);
  Inputs inputs;
  inputs.sources = {&catalog};
  Diagnostics diagnostics;
  const std::vector<std::string> names = names_of(run_rules(program, inputs, diagnostics));
  REQUIRE(names.size() == 4000);
  for (std::size_t i = 0; i < 2000; ++i) {
    CHECK(names[2 * i] == "n" + std::to_string(i));
    CHECK(names[2 * i + 1] == "c" + std::to_string(i));
  }
}

}  // namespace
}  // namespace regraft
