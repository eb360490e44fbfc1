// What becomes of the content beside the tensors.
#include <algorithm>
#include <map>

#include "plan/target.h"

namespace regraft {
namespace {

constexpr std::size_t kListed = 5;  // in a message; the report has them all

// Empty, or why a value that is to be kept cannot be.
std::string why_left_out(const Inputs& inputs, std::uint32_t input, const Extra& extra) {
  const Catalog& source = *inputs.sources[input];
  if (input > 0) return "only what stands beside the first source's tensors is kept";
  if (source.extra_content)
    return source.extra_content->refuses(extra.place, source.containers.front().place);
  if (source.format == "schema") return {};  // it does not say more than that it is there
  return "what a " + source.format + " file holds beside its tensors is not kept";
}

// Kept values that cannot be, by reason.
void warn_left_out(const Inputs& inputs, const Plan& plan, Diagnostics& diagnostics) {
  std::map<std::string, std::vector<std::string>> by_reason;
  for (const ExtraFate& fate : plan.extras)
    if (!fate.left_out.empty())
      by_reason[fate.left_out].push_back(inputs.sources[fate.input]->extras[fate.extra].path);
  for (const auto& [reason, paths] : by_reason) {
    std::string names;
    for (std::size_t i = 0; i < std::min(paths.size(), kListed); ++i)
      names.append(i > 0 ? ", " : "").append(paths[i].empty() ? "the top" : quoted(paths[i]));
    if (paths.size() > kListed)
      names.append(" and ").append(std::to_string(paths.size() - kListed)).append(" more");
    diagnostics.add(warning(Code::extras_present, {},
                            names.append(paths.size() == 1 ? " is" : " are")
                                .append(" to be kept and cannot be: ")
                                .append(reason),
                            "a case of `extras` with `do: drop` says that this is meant"));
  }
}

std::string described(const std::string& name, const Shape& shape) {
  return quoted(name) + " " + to_string(shape);
}

// An optimizer finds its state by the order of the parameters, or by their names. Empty: the output
// has those of the source in the same order; else what differs first.
std::string first_difference(const Catalog& source, const Plan& plan) {
  std::size_t i = 0;
  for (const PlannedTensor& planned : plan.tensors) {
    if (!planned.expr) continue;
    const std::string now = described(planned.name, planned.expr->shape);
    if (i == source.tensors.size()) return now + " came to them";
    const std::string before = described(source.tensors[i].name, source.tensors[i].shape);
    if (now != before) return std::string(before).append(" is ").append(now).append(" now");
    ++i;
  }
  if (i == source.tensors.size()) return {};
  return described(source.tensors[i].name, source.tensors[i].shape) + " is gone";
}

void warn_of_optimizers(const Inputs& inputs, const Plan& plan, Diagnostics& diagnostics) {
  std::vector<std::string> optimizers;
  for (const ExtraFate& fate : plan.extras) {
    const auto& optimizer = inputs.sources[fate.input]->extras[fate.extra].optimizer;
    if (fate.kept() && optimizer && std::ranges::find(optimizers, *optimizer) == optimizers.end())
      optimizers.push_back(*optimizer);
  }
  if (optimizers.empty()) return;
  const std::string difference = first_difference(*inputs.sources.front(), plan);
  if (difference.empty()) return;
  for (const std::string& optimizer : optimizers)
    diagnostics.add(
        warning(Code::extras_present, {},
                "the optimizer's state " + quoted(optimizer) +
                    " is kept, and is for the parameters as they were: " + difference,
                "a case `{match: {exact: ...}, do: drop}` of `extras` leaves it out; an optimizer "
                "that takes it again finds its entries by the order of the parameters"));
}

}  // namespace

void settle_extras(const Program& program, const Inputs& inputs, Plan& plan,
                   Diagnostics& diagnostics) {
  Violations violations;
  for (std::uint32_t input = 0; input < inputs.sources.size(); ++input) {
    const std::vector<Extra>& extras = inputs.sources[input]->extras;
    for (std::uint32_t i = 0; i < extras.size(); ++i) {
      const PolicyCase& chosen = program.policy(PolicyKind::extras).case_for(extras[i].path);
      const Settled settled =
          chosen.action->settle({extras[i].path, nullptr, nullptr, nullptr, extras[i].path});
      if (settled.decision == Decision::error)
        violations.add(settled.code, chosen.where, extras[i].path, extras[i].summary, settled.hint);
      ExtraFate fate{input, i, chosen.word, {}};
      if (settled.decision == Decision::kept)
        fate.left_out = why_left_out(inputs, input, extras[i]);
      plan.extras.push_back(std::move(fate));
    }
  }
  violations.report(program, diagnostics);
  warn_left_out(inputs, plan, diagnostics);
  if (plan.complete) warn_of_optimizers(inputs, plan, diagnostics);
}

}  // namespace regraft
