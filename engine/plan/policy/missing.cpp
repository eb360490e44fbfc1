// missing: a name of the target that no result reaches.
#include <array>
#include <cmath>

#include "expr/random.h"
#include "plan/policy/action.h"
#include "verbs/parameters.h"

namespace regraft {
namespace {

constexpr std::string_view kRemedy =
    "`missing: keep` leaves the target's own values, `omit` leaves the name out";

Settled fail(const Situation&) {
  return refuse(Code::missing_tensor, "missing", std::string(kRemedy));
}

Settled cannot(std::string message) {
  return refuse(Code::missing_tensor, std::move(message), std::string(kRemedy));
}

Settled keep(const Situation& situation) {
  Settled settled;
  settled.decision = situation.target_values ? Decision::kept : Decision::omitted;
  settled.expr = situation.target_values;
  settled.detail =
      situation.target_values ? "target's own values" : "left out: the target has no values";
  return settled;
}

Settled omit(const Situation&) {
  Settled settled;
  settled.decision = Decision::omitted;
  settled.detail = "left out";
  return settled;
}

Settled initialised(ExprPtr expr, std::string detail) {
  Settled settled;
  settled.decision = Decision::initialised;
  settled.expr = std::move(expr);
  settled.detail = std::move(detail);
  return settled;
}

std::string text(DType dtype) { return std::string(name(dtype)); }

Settled filled(const Situation& situation, std::int64_t value, std::string detail) {
  const DType dtype = situation.target->dtype;
  if (!holds(dtype, value)) return cannot("no " + text(dtype) + " is " + std::to_string(value));
  return initialised(fill(value, dtype, situation.target->shape), std::move(detail));
}

Settled zeros(const Situation& situation) { return filled(situation, 0, "zeros"); }
Settled ones(const Situation& situation) { return filled(situation, 1, "ones"); }

Settled counted(const Situation& situation) {
  const DType dtype = situation.target->dtype;
  const Shape& shape = situation.target->shape;
  if (shape.empty()) return cannot("`arange` needs a dimension, and this has none");
  if (kind(dtype) != Kind::integer && kind(dtype) != Kind::floating)
    return cannot("`arange` gives numbers, and this is " + text(dtype));
  const std::int64_t last = std::max<std::int64_t>(shape.back() - 1, 0);
  for (const std::int64_t number : {std::int64_t{0}, last})
    if (!holds(dtype, number)) return cannot("no " + text(dtype) + " is " + std::to_string(number));
  return initialised(arange(dtype, shape), "arange");
}

constexpr std::array<Param, 3> kNormalParams = {{
    {"mean", ParamType::number, false, "Of the numbers. Default 0."},
    {"std", ParamType::magnitude, false, "Their standard deviation. Default 1."},
    {"seed", ParamType::natural, false, "Another seed, other numbers. Default 0."},
}};

class Normal final : public BoundAction {
 public:
  explicit Normal(Parameters parameters)
      : mean_(parameters.number("mean").value_or(0)),
        std_(parameters.number("std").value_or(1)),
        seed_(parameters.natural("seed").value_or(0)) {}

  Settled settle(const Situation& situation) const override {
    const DType dtype = situation.target->dtype;
    if (kind(dtype) != Kind::floating || !holds(dtype, std::int64_t{-1}))
      return cannot("`normal` gives floats of both signs, and this is " + text(dtype));
    // What 53 random bits can give: the square root of -2 ln(2^-53) is below 8.6.
    for (const double end : {mean_ - 8.6 * std_, mean_ + 8.6 * std_})
      if (!std::isfinite(end) || !holds(dtype, end))
        return cannot("numbers of this mean and std can be too large for " + text(dtype));
    return initialised(
        normal(mean_, std_, random_key(seed_, situation.tied_as), dtype, situation.target->shape),
        "normal, mean " + to_string(Scalar(mean_)) + ", std " + to_string(Scalar(std_)) +
            ", seed " + std::to_string(seed_));
  }

 private:
  double mean_, std_;
  std::int64_t seed_;
};

class NormalAction final : public Action {
 public:
  std::string_view name() const override { return "normal"; }
  std::string_view doc() const override {
    return "Normal numbers by seed and name, the same on every machine; for floats alone.";
  }
  std::span<const Param> params() const override { return kNormalParams; }
  std::unique_ptr<const BoundAction> bind(const yaml::Node* parameters,
                                          Diagnostics& diagnostics) const override {
    return std::make_unique<Normal>(Parameters(parameters, kNormalParams, diagnostics));
  }
};

const SimpleAction kError("error", "It is an error.", fail);
const SimpleAction kKeep(
    "keep", "The target's own values; a target without values leaves the name out and says so.",
    keep);
const SimpleAction kOmit("omit", "The name is left out of the output.", omit);
const SimpleAction kZeros("zeros", "Zeros; a dtype without one is an error.", zeros);
const SimpleAction kOnes("ones", "Ones; a dtype without one is an error.", ones);
const SimpleAction kArange("arange", "0, 1, 2.. on the last dimension, of integers and floats.",
                           counted);

}  // namespace

const Policy& missing_policy() {
  static const NormalAction normal;
  static const std::array<const Action*, 7> actions = {&kError, &kKeep,  &kOmit,  &kZeros,
                                                       &kOnes,  &normal, &kArange};
  static const PolicyTable policy(PolicyKind::missing, "missing",
                                  "Target tensors that no result reaches.", actions, kError);
  return policy;
}

}  // namespace regraft
