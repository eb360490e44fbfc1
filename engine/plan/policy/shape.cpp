// shape: a result has another shape than its name in the target. Settled before dtype.
#include <array>

#include "plan/policy/action.h"

namespace regraft {
namespace {

std::string against(const Situation& situation) {
  return to_string(situation.result->shape) + " against " + to_string(situation.target->shape);
}

Settled fail(const Situation& situation) {
  return refuse(Code::shape_mismatch, against(situation),
                "`shape: skip` leaves the target's own values where shapes differ");
}

// skip settles both sides: the target keeps its own values, the source tensor is skipped.
class Skipping final : public BoundAction {
 public:
  explicit Skipping(bool or_omit) : or_omit_(or_omit) {}
  Settled settle(const Situation& situation) const override {
    Settled settled;
    if (situation.target_values) {
      settled.decision = Decision::skipped;
      settled.expr = situation.target_values;
      settled.detail = against(situation) + ": target's own values";
    } else if (or_omit_) {
      settled.decision = Decision::omitted;
      settled.detail = against(situation) + ": left out, the target has no values";
    } else {
      return refuse(Code::no_values, against(situation) + ", and the target has no values to keep",
                    "add `or: omit` to the case, or give a target with values");
    }
    return settled;
  }

 private:
  bool or_omit_;
};

constexpr std::array<std::string_view, 1> kOrWords = {"omit"};
constexpr std::array<Param, 1> kSkipParams = {
    {{"or", ParamType::word, false, "`omit`: a target without values leaves the name out.",
      kOrWords}}};

class Skip final : public Action {
 public:
  std::string_view name() const override { return "skip"; }
  std::string_view doc() const override {
    return "The target keeps its own values and the source tensor is skipped.";
  }
  std::span<const Param> params() const override { return kSkipParams; }
  std::unique_ptr<const BoundAction> bind(const yaml::Node* parameters,
                                          Diagnostics& diagnostics) const override {
    const yaml::Node* word = parameters ? parameters->find("or") : nullptr;
    if (word && (!word->is_scalar() || word->text != "omit"))
      diagnostics.add(
          error(Code::wrong_type, word->where, "`or` is `omit`, not " + yaml::describe(*word)));
    return std::make_unique<Skipping>(word != nullptr);
  }
};

const SimpleAction kError("error", "It is an error.", fail);

}  // namespace

const Policy& shape_policy() {
  static const Skip skip;
  static const std::array<const Action*, 2> actions = {&kError, &skip};
  static const PolicyTable policy(PolicyKind::shape, "shape",
                                  "Results with another shape than the target.", actions, kError);
  return policy;
}

}  // namespace regraft
