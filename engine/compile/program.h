// A spec that was checked: rules bound, patterns compiled, policies and promises typed.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "compile/policy.h"
#include "spec/spec.h"
#include "text/expression.h"
#include "verbs/verb.h"

namespace regraft {

// `8`, `'>= 1'`, `'>= 98%'`: a comparison with a number that the spec writes.
struct Comparison {
  enum class Op { equal, not_equal, less, less_equal, greater, greater_equal };
  Op op = Op::equal;
  std::int64_t number = 0;  // counts
  double fraction = 0;      // percentages, 0..1
  std::string text;         // as written
  [[nodiscard]] bool holds(std::uint64_t count) const;
  // part of whole against `fraction`; nothing of nothing is all of it.
  [[nodiscard]] bool holds(std::uint64_t part, std::uint64_t whole) const;
};

// `where: {ndim: 2, dtype: float16, shape: [~, 768]}`
struct Where {
  std::optional<std::int64_t> ndim;
  std::optional<DType> dtype;
  std::optional<std::vector<std::optional<std::int64_t>>> shape;  // empty element: any size
  [[nodiscard]] bool holds(const Expr& expr) const;
};

struct Rule {
  const Verb* verb = nullptr;
  std::vector<RuleEntry> entries;
  std::unique_ptr<const BoundVerb> bound;
  std::vector<RuleEntry> unless;
  Where where_clause;
  std::vector<std::optional<Expression>>
      when;  // one for each entry (captures differ); empty: always
  std::optional<Comparison> count;
  std::string id, note;
  Location where;                              // of the verb
  std::shared_ptr<const yaml::Node> node;      // as written
  std::shared_ptr<const Variables> variables;  // of the spec that has it
  std::vector<Location> uses;                  // that lead to it, the nearest first
  bool table = false;                          // entries are a table's
};

// A promise of `expect` about names.
enum class Promise { missing, skipped, unexpected, dropped, adapted, kept, initialised };
std::string_view name(Promise promise);
struct NamePromise {
  Promise promise{};
  std::vector<RuleEntry> patterns;  // every such name must match one; none: there must be none
  Location where;
};
struct Expectations {
  std::vector<NamePromise> names;
  std::optional<Comparison> loaded;
  Location loaded_where;
  bool unused_rules_are_errors = false;
  Location unused_rules_where;
};

enum class TiesMode { duplicate, first, error };
// Where the state dict goes: to the top, or back to where it was in the source. `automatic`: back
// where the spec keeps what stands beside it.
enum class ContainerMode { automatic, flat, source };
struct OutputOptions {
  std::vector<std::pair<std::string, std::string>> metadata;
  TiesMode ties = TiesMode::duplicate;
  ContainerMode container = ContainerMode::automatic;
};

// What a source has to be.
struct SourceNeeds {
  std::string alias;  // "" for the first
  std::vector<std::string> roots;
  std::vector<RuleEntry> require;  // of names without `alias::`
};

struct Program {
  std::string name, revision, revises, fingerprint;
  SourceTextPtr text;  // of the spec; null when it was put together
  Variables variables;
  std::vector<std::string> unused_variables;
  SourceNeeds source;
  std::vector<SourceNeeds> aliases;  // what the spec says of further sources
  std::vector<Rule> rules;
  std::array<BoundPolicy, 5> policies;  // by PolicyKind
  Expectations expect;
  OutputOptions output;
  [[nodiscard]] const BoundPolicy& policy(PolicyKind kind) const {
    return policies[static_cast<std::size_t>(kind)];
  }
  // Whether the policy for content beside the tensors has a case that keeps some.
  [[nodiscard]] bool keeps_extras() const;
  // Null when the spec does not speak of that source.
  [[nodiscard]] const SourceNeeds* needs(std::string_view alias) const;
};

// What a spec's meaning depends on beside its text.
struct CompileInputs {
  std::vector<std::pair<std::string, std::string>> set;  // --set NAME=VALUE, in order
  std::string spec_directory;                            // for `from: ./F`; "" is the current one
  // By alias, the first source's under "": for `from: F` and `from: alias::F`, and for the aliases
  // that have to be given. Empty: not known yet (`check`).
  std::optional<std::map<std::string, std::string, std::less<>>> source_directories;
  // For `names: target`, in stored order. Empty: not known yet (`check`), or there is no target.
  std::optional<std::vector<std::string>> target_names;
  bool no_target = false;  // it will not be known
  std::span<const Verb* const> verbs;
  std::span<const Policy* const> policies;
};

// Whether a variable is a list of the target's names, so that compile() has to know them.
bool asks_for_target_names(const Spec& spec);

// Reports every mistake; empty when there is any error, also one that was found before.
std::optional<Program> compile(const Spec& spec, const CompileInputs& inputs,
                               Diagnostics& diagnostics);

// compile's parts, each in a file of its own.
// `given` stands in place of what the spec says; an empty value is not known yet.
using GivenValues = std::map<std::string, std::optional<Value>, std::less<>>;
Variables read_variables(const Spec& spec, const CompileInputs& inputs, Diagnostics& diagnostics,
                         const GivenValues& given = {});
// A value under `with`: its texts may have `{...}` over the variables of the spec around it.
std::optional<Value> read_given(const yaml::Node& node, const Variables& outer,
                                std::vector<std::string>& used_variables, Diagnostics& diagnostics);
std::vector<Rule> compile_rules(const Spec& spec, const CompileInputs& inputs,
                                const std::shared_ptr<const Variables>& variables,
                                std::vector<std::string>& used_variables, Diagnostics& diagnostics);
// The rules of `used` in place of a `use` rule, whose keys have been checked.
std::vector<Rule> compile_use(const yaml::Node& rule, const Spec& used, const CompileInputs& inputs,
                              const Variables& outer, std::vector<std::string>& used_variables,
                              Diagnostics& diagnostics);
std::array<BoundPolicy, 5> compile_policies(const Spec& spec,
                                            std::span<const Policy* const> policies,
                                            Diagnostics& diagnostics);
Expectations compile_expect(const Spec& spec, Diagnostics& diagnostics);
std::optional<Comparison> read_comparison(const yaml::Node& node, bool percentage,
                                          Diagnostics& diagnostics);

// What `regraft check` says beyond mistakes: unused variables, entries and cases never reached.
void lint(const Program& program, const Spec& spec, Diagnostics& diagnostics);

// A program as text, for `plan --print program` and tests: stable, one line a fact.
std::string print(const Program& program);

}  // namespace regraft
