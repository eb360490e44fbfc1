// The plan: for every output tensor an Expr and a Decision, for every source tensor a Disposition.
// Made from catalogs alone; nothing was read but headers.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "compile/program.h"
#include "expr/expr.h"
#include "formats/format.h"

namespace regraft {

inline constexpr std::uint32_t kNone = 0xFFFFFFFF;

// What one rule did on the way of a name. Chains of steps lead back to the source names.
struct Step {
  std::uint32_t rule;   // index into Program::rules
  std::uint32_t entry;  // of that rule
  std::string from, to;
  std::vector<std::uint32_t> parents;  // earlier steps; empty: `from` is a source's name
  std::uint32_t part = kNone;          // which one of several that became of `from`
};

struct PlannedTensor {
  std::string name;
  Decision decision = Decision::error;
  ExprPtr expr;                  // what the tensor is; null: not in the output
  ExprPtr optimized;             // the same in fewer steps (plan/optimize.h); null: there are none
  std::uint32_t target = kNone;  // index into the target's catalog
  std::uint32_t step = kNone;    // the last rule that touched the result
  std::vector<Load> from;        // source tensors that reached the name, also where it was skipped
  std::optional<DType> result_dtype;  // of what reached the name, before the policies
  Shape result_shape;
  std::string detail;                   // "target's own kept", "cast float32 -> float16"
  std::string_view policy_word;         // "keep"; empty: no policy had a say
  const Location* policy = &nowhere();  // the case in the spec, as the program has it
  // The name that reached it, to which it is tied in the target, where its own was not reached.
  std::optional<std::string> tied_to;
  bool untied = false;                 // was tied in source or target and now stands alone
  bool lossy = false;                  // cast to a dtype that cannot hold every value of its own
  std::optional<CopiedRegion> copied;  // of a result that a shape policy took over in part

  // What is executed. What the tensor is tied to follows from `expr`, whatever was optimized.
  [[nodiscard]] const ExprPtr& steps() const { return optimized ? optimized : expr; }
};

// A result that is no name of the target, whatever the policy made of it.
struct UnexpectedResult {
  std::string name;
  DType dtype{};
  Shape shape;
  std::vector<Load> from;
  std::string_view policy_word;  // "error", "drop", "keep"
  const Location* policy = &nowhere();
};

struct SourceFate {
  Disposition disposition = Disposition::error;
  std::uint32_t rule = kNone;  // that dropped it
  std::string_view policy_word;
  const Location* policy = &nowhere();
};

struct RuleUse {
  std::uint64_t matches = 0;           // names, before the effect
  std::vector<std::uint64_t> entries;  // the same for each entry
  bool idle = false;                   // names matched, and no group of them was complete
};

struct ExtraFate {
  std::uint32_t input;    // source
  std::uint32_t extra;    // index into its catalog's extras
  std::string_view word;  // what the policy says: "drop", "keep", "error"
  std::string left_out;   // why it is not kept although the policy says so
  [[nodiscard]] bool kept() const { return word == "keep" && left_out.empty(); }
};

struct Tally {
  std::uint64_t tensors = 0, parameters = 0, bytes = 0;  // parameters: elements
};

struct Totals {
  std::array<Tally, 9> decisions{};     // by Decision
  std::array<Tally, 6> dispositions{};  // by Disposition
  Tally target;                         // all target names; without a target, all output names
  Tally sources;
  std::uint64_t loaded_elements = 0;  // of target elements, those filled from a source
};

// A rename that would settle missing and unexpected names: shown in the report, ready to paste.
struct Suggestion {
  std::string pattern, to;  // `- rename: 'pattern'` / `to: 'to'`
  std::uint64_t tensors = 0;
};

struct Plan {
  bool has_target = false;
  bool complete = false;  // false: a rule failed, so the target was not consulted
  // Target order, then kept unexpected results in the source's; without a target, the source's
  // order.
  std::vector<PlannedTensor> tensors;
  std::vector<UnexpectedResult> unexpected;      // in the source's order
  std::vector<std::vector<SourceFate>> sources;  // by input, by tensor of its catalog
  std::vector<Step> steps;
  std::vector<RuleUse> rules;  // by Program::rules
  std::vector<ExtraFate> extras;
  std::vector<ModuleMetadata> module_metadata;
  bool has_module_metadata = false;
  std::vector<Suggestion> suggestions;
  Totals totals;
};

// The catalogs of a run: sources in order, then the target if there is one.
struct Inputs {
  std::vector<const Catalog*> sources;  // names below their roots (select_root)
  const Catalog* target = nullptr;
  [[nodiscard]] std::vector<const Catalog*> all() const;  // by input index of Load
  [[nodiscard]] std::uint32_t target_index() const {
    return static_cast<std::uint32_t>(sources.size());
  }
  // The alias of a source that a name begins with; empty without one.
  [[nodiscard]] std::string_view alias_of(std::string_view name) const;
};

// Plans a run. Every violation of policy, expect, count and require is in `diagnostics`; the plan
// is whole all the same, so that a report can show it.
Plan make_plan(const Program& program, const Inputs& inputs, Diagnostics& diagnostics);

// Law 1: the counts add up. Empty, or what does not; called on every run.
std::optional<std::string> check_conservation(const Plan& plan, const Inputs& inputs);

// Stable text, for `plan --print plan` and golden tests.
std::string print(const Plan& plan, const Program& program, const Inputs& inputs);

}  // namespace regraft
