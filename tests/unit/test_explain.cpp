// Explanations of what golden cases cannot have: rules that join names, and part them.
#include <numeric>

#include "catch.h"
#include "plan/policy/policies.h"
#include "report/explain.h"
#include "spec/spec.h"

namespace regraft {
namespace {

using Step = Explanation::Step;
using Strings = std::vector<std::string>;

// All that it matches becomes one result.
class Joining final : public BoundVerb {
 public:
  Effect apply(std::span<const Match> matches, const Variables&) const override {
    Effect effect;
    effect.consumed.resize(matches.size());
    std::iota(effect.consumed.begin(), effect.consumed.end(), 0u);
    std::vector<ExprPtr> parts;
    for (const Match& match : matches) parts.push_back(*match.expr);
    effect.puts.push_back({"joined", cat(std::move(parts), 0), effect.consumed});
    return effect;
  }
};

// Each becomes two halves.
class Parting final : public BoundVerb {
 public:
  Effect apply(std::span<const Match> matches, const Variables&) const override {
    Effect effect;
    for (std::uint32_t i = 0; i < matches.size(); ++i) {
      effect.consumed.push_back(i);
      const ExprPtr& expr = *matches[i].expr;
      const std::int64_t half = expr->shape[0] / 2;
      effect.puts.push_back({"upper", narrow(expr, 0, 0, half), {i}});
      effect.puts.push_back({"lower", narrow(expr, 0, half, half), {i}});
    }
    return effect;
  }
};

struct Made {
  Program program;
  Catalog source;
  Inputs inputs;
  Plan plan;
  Diagnostics diagnostics;

  Made() {
    const auto text = std::make_shared<const SourceText>(SourceText{
        "spec.yaml",
        "regraft: 1\nrules:\n  - drop: '^part\\.'\n  - drop: '^joined$'\n  - drop: '^lower$'\n"});
    const auto spec = parse_spec(text, diagnostics);
    REQUIRE(spec);
    CompileInputs known;
    known.verbs = all_verbs();
    known.policies = all_policies();
    program = std::move(*compile(*spec, known, diagnostics));
    program.rules[0].bound = std::make_unique<Joining>();
    program.rules[1].bound = std::make_unique<Parting>();
    source.path = "/somewhere/source.pt";
    source.containers.emplace_back();
    for (const char* name : {"part.a", "part.b", "other"}) {
      Tensor tensor;
      tensor.name = name;
      tensor.shape = {2};
      tensor.strides = {1};
      tensor.storage = static_cast<std::uint32_t>(source.storages.size());
      source.storages.push_back({8, name, 0, std::nullopt});
      source.tensors.push_back(tensor);
    }
    inputs.sources = {&source};
    plan = make_plan(program, inputs, diagnostics);
    REQUIRE(plan.complete);
  }

  [[nodiscard]] Explanation::Telling only(std::string_view name) const {
    Report report;
    report.program = &program;
    report.inputs = &inputs;
    report.plan = &plan;
    report.diagnostics = &diagnostics;
    const Result<Explanation> explanation = explain(report, name);
    REQUIRE(explanation);
    CHECK(to_text(*explanation).find("/somewhere") == std::string::npos);
    CHECK(to_json(*explanation).find("/somewhere") == std::string::npos);
    REQUIRE(explanation->tellings.size() == 1);
    return explanation->tellings[0];
  }
};

TEST_CASE("a part is followed through what it is joined into") {
  const Explanation::Telling told = Made().only("part.b");
  REQUIRE(told.steps.size() == 3);
  // The name that is asked for comes first.
  CHECK(told.steps[0].from == Strings{"part.b", "part.a"});
  CHECK(told.steps[0].to == Strings{"joined"});
  CHECK(told.steps[1].from == Strings{"joined"});
  CHECK(told.steps[1].to == Strings{"upper", "lower"});
  CHECK(told.steps[2].from == Strings{"lower"});
  CHECK(told.steps[2].to.empty());
  REQUIRE(told.ends.size() == 2);
  CHECK(told.ends[0].name == "upper");
  CHECK(told.ends[0].status == "transformed");
  CHECK(told.ends[1].name == "lower");
  CHECK(told.ends[1].status == "dropped");
}

TEST_CASE("a result is led back to all its parts, and what else became of them is left out") {
  const Explanation::Telling told = Made().only("upper");
  REQUIRE(told.sources.size() == 2);
  CHECK(told.sources[0].name == "part.a");
  CHECK(told.sources[1].name == "part.b");
  REQUIRE(told.steps.size() == 2);
  CHECK(told.steps[0].from == Strings{"part.a", "part.b"});
  CHECK(told.steps[1].to == Strings{"upper"});
  REQUIRE(told.ends.size() == 1);
  CHECK(told.ends[0].expression == "narrow(cat(load(0, 'part.a'), load(0, 'part.b'), 0), 0, 0, 2)");
}

TEST_CASE("a name between two rules is told with its way to both sides") {
  const Explanation::Telling told = Made().only("joined");
  CHECK(told.role == Explanation::Role::between);
  CHECK(told.sources.size() == 2);
  REQUIRE(told.steps.size() == 3);
  CHECK(told.steps[0].from == Strings{"part.a", "part.b"});
  CHECK(told.ends.size() == 2);
}

}  // namespace
}  // namespace regraft
