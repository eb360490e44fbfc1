#include "plan/target.h"

#include <algorithm>
#include <map>

#include "base/name_table.h"

namespace regraft {
namespace {

// Names of the target that are one view of one storage: group -> indexes, in order.
class TiedNames {
 public:
  explicit TiedNames(const Catalog& target) : group_of_(target.tensors.size(), kNone) {
    std::map<std::tuple<std::uint32_t, std::int64_t, DType, Shape, Shape, bool, bool>,
             std::vector<std::uint32_t>>
        views;
    for (std::uint32_t i = 0; i < target.tensors.size(); ++i) {
      const Tensor& tensor = target.tensors[i];
      if (!tensor.unsupported.empty()) continue;
      views[{tensor.storage, tensor.offset, tensor.dtype, tensor.shape, tensor.strides, tensor.conj,
             tensor.neg}]
          .push_back(i);
    }
    for (auto& [view, members] : views) {
      if (members.size() < 2) continue;
      for (const std::uint32_t member : members)
        group_of_[member] = static_cast<std::uint32_t>(groups_.size());
      groups_.push_back(std::move(members));
    }
  }

  // The other names that `tensor` is tied to, itself included; empty when it stands alone.
  [[nodiscard]] std::span<const std::uint32_t> group(std::uint32_t tensor) const {
    if (group_of_[tensor] == kNone) return {};
    return groups_[group_of_[tensor]];
  }
  // The first of them in the target's order; `tensor` itself when it stands alone.
  [[nodiscard]] std::uint32_t first(std::uint32_t tensor) const {
    return group_of_[tensor] == kNone ? tensor : groups_[group_of_[tensor]].front();
  }

 private:
  std::vector<std::uint32_t> group_of_;
  std::vector<std::vector<std::uint32_t>> groups_;
};

class Matcher {
 public:
  Matcher(const Program& program, const Inputs& inputs, const std::vector<Live>& results,
          Plan& plan, Diagnostics& diagnostics)
      : program_(program),
        inputs_(inputs),
        all_(inputs.all()),
        results_(results),
        plan_(plan),
        diagnostics_(diagnostics) {}

  void without_target() {
    plan_.tensors.reserve(results_.size());
    for (const Live& result : results_) {
      if (!inputs_.alias_of(result.name).empty()) {
        unexpected(result);
        continue;
      }
      PlannedTensor& planned = plan_.tensors.emplace_back();
      take(result, planned);
      finish(planned, result.expr, result.expr);
    }
    violations_.report(program_, diagnostics_);
  }

  void with_target() {
    const Catalog& target = *inputs_.target;
    const TiedNames ties(target);
    by_name_ = NameTable(results_.size());
    for (std::uint32_t i = 0; i < results_.size(); ++i)
      by_name_.put(results_[i].name, i, [&](std::uint32_t one) { return name_of(one); });
    plan_.tensors.reserve(target.tensors.size());
    for (std::uint32_t i = 0; i < target.tensors.size(); ++i) one(i, ties);
    unexpected();
    violations_.report(program_, diagnostics_);
  }

 private:
  // What the rules made of the name.
  static void take(const Live& result, PlannedTensor& planned) {
    planned.name = result.name;
    planned.step = result.step;
    planned.from = loads_of(*result.expr);
    planned.result_dtype = result.expr->dtype;
    planned.result_shape = result.expr->shape;
  }

  // False, and said, when a tensor that it loads is of a kind that nothing can be made of.
  bool can_carry(PlannedTensor& planned, const Expr& expr) {
    for (const Load& load : loads_of(expr)) {
      const Tensor& tensor = tensor_of(load, inputs_);
      if (tensor.unsupported.empty()) continue;
      const std::string exact = "{exact: " + yaml::quoted_scalar(tensor.name) + "}";
      planned.decision = Decision::error;
      planned.expr = nullptr;
      planned.detail = "it is " + tensor.unsupported;
      violations_.add(
          Code::cannot_carry, {}, planned.name, planned.detail,
          load.input == inputs_.target_index()
              ? "leave it out with a case of `missing`: `- {match: " + exact + ", do: omit}`"
              : "leave it out with a rule, for instance `- drop: " + exact + "`");
      return false;
    }
    return true;
  }

  // "float32", "int64, float16": each once.
  std::string dtypes(const std::vector<Load>& loads) const {
    std::vector<std::string_view> names;
    for (const Load& load : loads)
      if (const auto one = name(tensor_of(load, inputs_).dtype);
          std::find(names.begin(), names.end(), one) == names.end())
        names.push_back(one);
    std::string out;
    for (const std::string_view one : names) out.append(out.empty() ? "" : ", ").append(one);
    return out;
  }

  // A result that fits: loaded, or transformed when a rule changed more than its name.
  void finish(PlannedTensor& planned, const ExprPtr& result, const ExprPtr& expr) {
    if (!can_carry(planned, *expr)) return;
    planned.decision =
        std::holds_alternative<Load>(result->op) ? Decision::loaded : Decision::transformed;
    planned.expr = expr;
    if (!has_lossy_cast(*result)) return;
    planned.lossy = true;
    if (planned.detail.empty())
      planned.detail = dtypes(planned.from) + " -> " + std::string(name(result->dtype));
  }

  // What the policy's case makes of it; false when the name is settled.
  bool consult(PolicyKind kind, const Situation& situation, PlannedTensor& planned, ExprPtr& expr) {
    const PolicyCase& chosen = program_.policy(kind).case_for(situation.name);
    Settled settled = chosen.action->settle(situation);
    if (planned.decision == Decision::adapted && settled.decision != Decision::error) {
      // dtype after shape: the shape's case is the one that is named, its detail comes first.
      planned.detail += "; " + settled.detail;
    } else {
      planned.policy_word = chosen.word;
      planned.policy = &chosen.where;
      planned.detail = settled.detail;
    }
    planned.lossy = planned.lossy || settled.lossy;
    if (settled.copied) {
      planned.copied = std::move(settled.copied);
      surround_ = settled.surround;
    }
    if (settled.decision == Decision::error) {
      planned.decision = Decision::error;
      planned.copied.reset();
      planned.detail = settled.message;
      // The word `error` has nothing to add to what the code says.
      const bool says_all = chosen.word == "error" && (settled.code == Code::missing_tensor ||
                                                       settled.code == Code::unexpected_tensor);
      violations_.add(settled.code, chosen.where, planned.name, says_all ? "" : settled.message,
                      settled.hint, !situation.alias.empty());
      return false;
    }
    if (settled.decision == Decision::loaded || settled.continues) {
      expr = settled.expr;
      if (settled.continues) planned.decision = settled.decision;
      return true;
    }
    planned.decision = settled.decision;
    planned.expr = settled.expr;
    if (planned.expr) can_carry(planned, *settled.expr);
    return false;
  }

  // The result that reaches a target name: its own, or one that reaches a name it is tied to.
  const Live* reaching(std::uint32_t index, const TiedNames& ties, PlannedTensor& planned) {
    const Catalog& target = *inputs_.target;
    const Live* chosen = result_named(target.tensors[index].name);
    for (const std::uint32_t member : ties.group(index)) {
      const Live* other = member == index ? nullptr : result_named(target.tensors[member].name);
      if (!other) continue;
      if (!chosen) {
        chosen = other;
        planned.tied_to = other->name;
      } else if (identity(*chosen->expr, all_) != identity(*other->expr, all_)) {
        conflict_ = other;
      }
    }
    return chosen;
  }

  std::string_view name_of(std::uint32_t result) const { return results_[result].name; }
  const Live* result_named(std::string_view name) const {
    const std::uint32_t found =
        by_name_.find(name, [&](std::uint32_t one) { return name_of(one); });
    return found == NameTable::kNone ? nullptr : &results_[found];
  }

  void one(std::uint32_t index, const TiedNames& ties) {
    const Tensor& target = inputs_.target->tensors[index];
    PlannedTensor& planned = plan_.tensors.emplace_back();
    conflict_ = nullptr;
    surround_.reset();
    const Live* result = reaching(index, ties, planned);
    if (result) take(*result, planned);
    planned.name = target.name;
    planned.target = index;
    if (conflict_) {
      planned.detail =
          "tied in the target to a name that another tensor reaches: " + quoted(conflict_->name);
      violations_.add(Code::tie_conflict, {}, target.name, planned.detail,
                      "drop one of them, or rename both from one source tensor");
    } else {
      settle(target, inputs_.target->tensors[ties.first(index)].name, result, planned);
    }
  }

  void settle(const Tensor& target, std::string_view tied_as, const Live* result,
              PlannedTensor& planned) {
    Situation situation{target.name, &target, nullptr, result ? result->expr : nullptr, tied_as};
    if (inputs_.target->has_values && !target.meta)
      situation.target_values = load(inputs_.target_index(), planned.target, target);
    ExprPtr expr = situation.result;
    if (!result) {
      consult(PolicyKind::missing, situation, planned, expr);
      return;
    }
    if (situation.result->shape != target.shape) {
      // load_state_dict lets [1] onto []: files of torch before 0.4 have no 0-d tensors.
      if (target.shape.empty() && situation.result->shape == Shape{1})
        expr = reshape(expr, {});
      else if (!consult(PolicyKind::shape, situation, planned, expr))
        return;
      situation.result = expr;
    }
    const bool adapted = planned.decision == Decision::adapted;
    if (expr->dtype != target.dtype && !consult(PolicyKind::dtype, situation, planned, expr))
      return;
    if (surround_ && !lay_into_surround(situation, planned, expr)) return;
    finish(planned, result->expr, expr);
    if (adapted && planned.expr) planned.decision = Decision::adapted;
  }

  // A region that a shape policy took over, with what stands around it in the target. The dtype is
  // settled, so neither the target's own values nor a number are rounded on the way.
  bool lay_into_surround(const Situation& situation, PlannedTensor& planned, ExprPtr& expr) {
    if (const auto* number = std::get_if<Scalar>(&*surround_)) {
      if (holds(expr->dtype, *number)) {
        expr = pad(expr, planned.copied->to, situation.target->shape, *number);
        return true;
      }
      planned.decision = Decision::error;
      planned.detail = "`fill` is " + to_string(*number) + ", which no " +
                       std::string(name(expr->dtype)) + " can be";
      violations_.add(Code::shape_mismatch, *planned.policy, planned.name, planned.detail,
                      "give a number that the dtype holds, or `fill: keep`");
      return false;
    }
    const ExprPtr base = cast(situation.target_values, expr->dtype, true);
    planned.lossy = planned.lossy || !widens(situation.target->dtype, expr->dtype);
    expr = overlay(base, expr, planned.copied->to);
    return true;
  }

  void unexpected() {
    const std::vector<Tensor>& tensors = inputs_.target->tensors;
    const auto name_of = [&](std::uint32_t one) -> std::string_view { return tensors[one].name; };
    NameTable known(tensors.size());
    for (std::uint32_t i = 0; i < tensors.size(); ++i) known.put(tensors[i].name, i, name_of);
    for (const Live& result : results_)
      if (known.find(result.name, name_of) == NameTable::kNone) unexpected(result);
  }

  void unexpected(const Live& result) {
    PlannedTensor planned;
    take(result, planned);
    ExprPtr expr = result.expr;
    const Situation situation{result.name, nullptr,     nullptr,
                              result.expr, result.name, inputs_.alias_of(result.name)};
    consult(PolicyKind::unexpected, situation, planned, expr);
    plan_.unexpected.push_back(
        {result.name, expr->dtype, expr->shape, planned.from, planned.policy_word, planned.policy});
    if (planned.decision != Decision::unexpected) return;
    finish(planned, expr, expr);
    if (planned.expr) planned.decision = Decision::unexpected;
    plan_.tensors.push_back(std::move(planned));
  }

  const Program& program_;
  const Inputs& inputs_;
  std::vector<const Catalog*> all_;
  const std::vector<Live>& results_;
  Plan& plan_;
  Diagnostics& diagnostics_;
  Violations violations_;
  NameTable by_name_;  // results
  // Of the name that is being settled.
  const Live* conflict_ = nullptr;
  std::optional<Surround> surround_;
};

}  // namespace

const Tensor& tensor_of(const Load& load, const Inputs& inputs) {
  const Catalog* catalog =
      load.input < inputs.sources.size() ? inputs.sources[load.input] : inputs.target;
  return catalog->tensors[load.tensor];
}

void match_target(const Program& program, const Inputs& inputs, const std::vector<Live>& results,
                  Plan& plan, Diagnostics& diagnostics) {
  Matcher matcher(program, inputs, results, plan, diagnostics);
  if (inputs.target)
    matcher.with_target();
  else
    matcher.without_target();
}

}  // namespace regraft
