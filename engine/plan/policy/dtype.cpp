// dtype: a result has another dtype than its name in the target.
#include <array>

#include "plan/policy/action.h"

namespace regraft {
namespace {

std::string against(const Situation& situation) {
  return std::string(name(situation.result->dtype)) + " against " +
         std::string(name(situation.target->dtype));
}

Settled source(const Situation& situation) {
  Settled settled;
  settled.decision = Decision::loaded;
  settled.expr = situation.result;
  settled.detail = against(situation) + ": the source's dtype stays";
  return settled;
}

Settled fail(const Situation& situation) {
  return refuse(Code::dtype_mismatch, against(situation),
                "`dtype: source` keeps the source's dtype");
}

bool is_whole(DType dtype) { return kind(dtype) == Kind::integer || kind(dtype) == Kind::boolean; }

// Casts that nobody has to ask for.
bool is_usual(DType from, DType to) {
  if (is_common_float(from)) return is_common_float(to);
  if (kind(from) == Kind::complex) return kind(to) == Kind::complex;
  return is_whole(from) && is_whole(to) && widens(from, to);
}

// What a cast that is not usual does to values.
std::string effect(DType from, DType to) {
  if (kind(to) == Kind::boolean) return "all but zero would become true";
  if (kind(from) == Kind::floating && !is_common_float(from))
    return "float8 values may be scaled, and a cast does not undo it";
  if (kind(from) == Kind::complex) return "imaginary parts would be lost";
  if (widens(from, to)) return "the kind of number would change";
  if (is_whole(from) && is_whole(to)) return "numbers could be out of its range";
  return is_whole(to) ? "fractions would be lost" : "digits would be lost";
}

class Casting final : public BoundAction {
 public:
  explicit Casting(bool asked_for) : asked_for_(asked_for) {}
  Settled settle(const Situation& situation) const override {
    const DType from = situation.result->dtype, to = situation.target->dtype;
    if (!convertible(from, to))
      return refuse(Code::dtype_mismatch, against(situation) + ", and torch converts no such dtype",
                    "`dtype: source` keeps the source's dtype");
    if (!asked_for_ && !is_usual(from, to))
      return refuse(Code::dtype_mismatch, against(situation) + ": " + effect(from, to),
                    "a case of `dtype` casts all the same: `- {match: {exact: " +
                        yaml::quoted_scalar(situation.name) + "}, do: cast}`");
    Settled settled;
    settled.decision = Decision::loaded;
    settled.expr = cast(situation.result, to, true);
    settled.lossy = !widens(from, to);
    settled.detail = std::string(name(from)) + " -> " + std::string(name(to));
    return settled;
  }

 private:
  bool asked_for_;
};

class CastAction final : public Action {
 public:
  std::string_view name() const override { return "cast"; }
  std::string_view doc() const override {
    return "To the target's dtype. The word alone casts between float64, float32, float16 and "
           "bfloat16, between complex dtypes and to wider integers; a case (`- {match: .., do: "
           "cast}`) casts whatever torch converts. A value that the dtype cannot hold, even "
           "rounded, stops the run.";
  }
  std::unique_ptr<const BoundAction> bind(const yaml::Node* parameters,
                                          Diagnostics&) const override {
    return std::make_unique<Casting>(parameters != nullptr);
  }
};

const SimpleAction kSource("source", "As it is in the source.", source);
const SimpleAction kError("error", "It is an error.", fail);

}  // namespace

const Policy& dtype_policy() {
  static const CastAction cast_action;
  static const std::array<const Action*, 3> actions = {&cast_action, &kSource, &kError};
  static const PolicyTable policy(PolicyKind::dtype, "dtype",
                                  "Results with another dtype than the target.", actions,
                                  cast_action);
  return policy;
}

}  // namespace regraft
