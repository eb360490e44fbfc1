// Policies: what happens where the result and the target disagree. The interface that plan/policy/
// implements, one file a policy; `compile` binds the spec's words and cases to it.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/diagnostic.h"
#include "expr/expr.h"
#include "verbs/verb.h"

namespace regraft {

// What became of a name of the target (law 1: every one has exactly one).
enum class Decision {
  loaded,       // values as in the source; name and policy dtype aside
  transformed,  // by rules
  adapted,      // by a shape policy
  kept,         // the target's own values: no result reached it
  initialised,
  skipped,  // the target's own values: a result reached it and does not fit
  omitted,  // not in the output
  error,
  unexpected,  // no name of the target: a result that is kept all the same
};
std::string_view name(Decision decision);

// What became of a tensor of a source (law 1).
enum class Disposition { used, dropped, skipped, unexpected_dropped, unexpected_kept, error };
std::string_view name(Disposition disposition);

// One disagreement. `result` is null for `missing`, `target` for `unexpected`.
struct Situation {
  std::string_view name;
  const Tensor* target = nullptr;
  ExprPtr target_values;  // null: the target has none
  ExprPtr result;
  std::string_view tied_as;     // the first of the names it is tied to in the target, or its own
  std::string_view alias = {};  // of `unexpected`: the source's that the name still begins with
};

// The part of a result that a shape policy carries over. One number a dimension, in elements.
struct CopiedRegion {
  std::vector<std::int64_t> from;  // where it begins in the result
  std::vector<std::int64_t> to;    // where it is laid in the target
  Shape size;
};
// What stands around it: the target's own values, or one number.
struct OwnValues {};
using Surround = std::variant<OwnValues, Scalar>;

// What a policy makes of it.
struct Settled {
  Decision decision = Decision::error;
  ExprPtr expr;            // null for omitted and error
  bool continues = false;  // the next policy (dtype after shape) still has a say
  bool lossy = false;      // values may have been rounded
  // Of shape policies that take over a region: `expr` is that region alone, and the planner lays it
  // into `surround` once its dtype is settled, so that what stands around it is never rounded. The
  // policy has seen to it that the target has values, where they are asked for.
  std::optional<CopiedRegion> copied;
  std::optional<Surround> surround;  // empty: the region is the whole target
  std::string detail;                // for the report
  Code code = Code::usage;           // of errors
  std::string message;               // of errors; the planner adds the place
  std::string hint;
};

class BoundAction {
 public:
  virtual ~BoundAction() = default;
  [[nodiscard]] virtual Settled settle(const Situation& situation) const = 0;
};

// One word that can stand after `do`.
class Action {
 public:
  virtual ~Action() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  [[nodiscard]] virtual std::string_view doc() const = 0;
  [[nodiscard]] virtual std::span<const Param> params() const { return {}; }
  // `parameters`: the case's mapping, its keys checked against params(); null for a bare word.
  [[nodiscard]] virtual std::unique_ptr<const BoundAction> bind(const yaml::Node* parameters,
                                                                Diagnostics& diagnostics) const = 0;
};

enum class PolicyKind { missing, unexpected, shape, dtype, extras };

class Policy {
 public:
  virtual ~Policy() = default;
  [[nodiscard]] virtual PolicyKind kind() const = 0;
  [[nodiscard]] virtual std::string_view name() const = 0;
  [[nodiscard]] virtual std::string_view doc() const = 0;
  [[nodiscard]] virtual std::span<const Action* const> actions() const = 0;
  [[nodiscard]] virtual const Action& otherwise() const = 0;  // the default
};

struct PolicyCase {
  std::vector<RuleEntry> match;  // empty: everything
  std::vector<RuleEntry> unless;
  std::shared_ptr<const BoundAction> action;
  std::string_view word;  // the action's name
  Location where;         // unknown for the default
  bool always = false;    // no match and no unless
};

// The cases of one policy in order, the default last.
struct BoundPolicy {
  PolicyKind kind{};
  std::vector<PolicyCase> cases;
  // The first case that takes the name; there always is one.
  [[nodiscard]] const PolicyCase& case_for(std::string_view name) const;
};

}  // namespace regraft
