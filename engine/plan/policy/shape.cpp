// shape: a result has another shape than its name in the target. Settled before dtype.
#include "plan/policy/shape.h"

#include "verbs/parameters.h"

namespace regraft {
namespace {

Settled fail(const Situation& situation) {
  return refuse(Code::shape_mismatch, against(situation),
                "`shape: skip` leaves the target's own values where shapes differ");
}

// skip settles both sides: the target keeps its own values, the source tensor is skipped.
class Skipping final : public BoundAction {
 public:
  explicit Skipping(bool or_omit) : or_omit_(or_omit) {}
  Settled settle(const Situation& situation) const override {
    if (!situation.target_values) return without_values(situation, or_omit_);
    Settled settled;
    settled.decision = Decision::skipped;
    settled.expr = situation.target_values;
    settled.detail = against(situation) + ": target's own values";
    return settled;
  }

 private:
  bool or_omit_;
};

constexpr std::array<Param, 1> kSkipParams = {kOrParam};

class Skip final : public Action {
 public:
  std::string_view name() const override { return "skip"; }
  std::string_view doc() const override {
    return "The target keeps its own values and the source tensor is skipped.";
  }
  std::span<const Param> params() const override { return kSkipParams; }
  std::unique_ptr<const BoundAction> bind(const yaml::Node* parameters,
                                          Diagnostics& diagnostics) const override {
    return std::make_unique<Skipping>(
        Parameters(parameters, kSkipParams, diagnostics).word("or").has_value());
  }
};

Settled reshaped(const Situation& situation) {
  const Shape& from = situation.result->shape;
  const Shape& to = situation.target->shape;
  if (numel(from) != numel(to))
    return refuse(Code::shape_mismatch,
                  against(situation) + ": " + std::to_string(numel(from).value_or(0)) +
                      " elements against " + std::to_string(numel(to).value_or(0)),
                  "`do: reshape` keeps the number of elements; `do: skip` leaves the target's own "
                  "values");
  Settled settled;
  settled.decision = Decision::adapted;
  settled.expr = reshape(situation.result, to);
  settled.continues = true;
  settled.detail = becomes(situation, "reshape");
  return settled;
}

const SimpleAction kError("error", "It is an error.", fail);
const SimpleAction kReshape(
    "reshape", "The same elements in row-major order; another number of them is an error.",
    reshaped);

std::vector<const Action*> all_words() {
  static const Skip skip;
  std::vector<const Action*> words = {&kError, &skip};
  words.insert(words.end(), region_actions().begin(), region_actions().end());
  words.push_back(&kReshape);
  words.push_back(&interpolate_action());
  return words;
}

}  // namespace

std::string against(const Situation& situation) {
  return to_string(situation.result->shape) + " against " + to_string(situation.target->shape);
}

std::string becomes(const Situation& situation, std::string_view word) {
  return to_string(situation.result->shape) + " -> " + to_string(situation.target->shape) + " " +
         std::string(word);
}

Settled without_values(const Situation& situation, bool or_omit) {
  if (!or_omit)
    return refuse(Code::no_values, against(situation) + ", and the target has no values to keep",
                  "add `or: omit` to the case, or give a target with values");
  Settled settled;
  settled.decision = Decision::omitted;
  settled.detail = against(situation) + ": left out, the target has no values";
  return settled;
}

const Policy& shape_policy() {
  static const std::vector<const Action*> actions = all_words();
  static const PolicyTable policy(PolicyKind::shape, "shape",
                                  "Results with another shape than the target.", actions, kError);
  return policy;
}

}  // namespace regraft
