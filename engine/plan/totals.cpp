// The counts, and law 1: they add up.
#include "plan/target.h"

namespace regraft {
namespace {

void count(Tally& tally, DType dtype, const Shape& shape) {
  const auto elements = static_cast<std::uint64_t>(numel(shape).value_or(0));
  ++tally.tensors;
  tally.parameters += elements;
  tally.bytes += elements * itemsize(dtype);
}

// Elements of the target that a source fills.
std::uint64_t filled(const PlannedTensor& planned, const Shape& shape) {
  switch (planned.decision) {
    case Decision::loaded:
    case Decision::transformed:
    case Decision::adapted:
      return static_cast<std::uint64_t>(
          numel(planned.copied ? planned.copied->size : shape).value_or(0));
    default:
      return 0;
  }
}

template <std::size_t N>
std::uint64_t sum(const std::array<Tally, N>& tallies) {
  std::uint64_t total = 0;
  for (const Tally& tally : tallies) total += tally.tensors;
  return total;
}

}  // namespace

void count_totals(const Inputs& inputs, Plan& plan) {
  Totals& totals = plan.totals;
  for (const PlannedTensor& planned : plan.tensors) {
    const Tensor* target =
        planned.target == kNone ? nullptr : &inputs.target->tensors[planned.target];
    const DType dtype = planned.expr ? planned.expr->dtype
                        : target     ? target->dtype
                                     : *planned.result_dtype;
    const Shape& shape = planned.expr ? planned.expr->shape
                         : target     ? target->shape
                                      : planned.result_shape;
    count(totals.decisions[static_cast<std::size_t>(planned.decision)], dtype, shape);
    if (planned.decision == Decision::unexpected) continue;
    count(totals.target, target ? target->dtype : dtype, target ? target->shape : shape);
    totals.loaded_elements += filled(planned, shape);
  }
  for (std::size_t input = 0; input < plan.sources.size(); ++input)
    for (std::size_t i = 0; i < plan.sources[input].size(); ++i) {
      const Tensor& tensor = inputs.sources[input]->tensors[i];
      count(totals.dispositions[static_cast<std::size_t>(plan.sources[input][i].disposition)],
            tensor.dtype, tensor.shape);
      count(totals.sources, tensor.dtype, tensor.shape);
    }
}

std::optional<std::string> check_conservation(const Plan& plan, const Inputs& inputs) {
  std::uint64_t sources = 0;
  std::vector<std::vector<bool>> loaded;
  for (const Catalog* source : inputs.sources) {
    sources += source->tensors.size();
    loaded.emplace_back(source->tensors.size(), false);
  }
  if (sum(plan.totals.dispositions) != sources)
    return "source tensors do not add up to their dispositions";
  if (!plan.complete) return std::nullopt;
  std::vector<bool> seen(inputs.target ? inputs.target->tensors.size() : 0, false);
  std::uint64_t unexpected = 0;
  for (const PlannedTensor& planned : plan.tensors) {
    if (planned.target != kNone) {
      if (seen[planned.target]) return "two decisions for " + quoted(planned.name);
      seen[planned.target] = true;
    } else if (inputs.target && planned.decision != Decision::unexpected &&
               planned.decision != Decision::error) {
      return "a decision for " + quoted(planned.name) + ", which the target does not have";
    }
    unexpected += planned.decision == Decision::unexpected;
    const bool writes =
        planned.decision != Decision::omitted && planned.decision != Decision::error;
    if (writes != (planned.expr != nullptr))
      return "decision and expression disagree for " + quoted(planned.name);
    if (!planned.expr) continue;
    for (const Load& load : loads_of(*planned.expr))
      if (load.input < loaded.size()) loaded[load.input][load.tensor] = true;
  }
  for (std::size_t i = 0; i < seen.size(); ++i)
    if (!seen[i]) return "no decision for " + quoted(inputs.target->tensors[i].name);
  if (sum(plan.totals.decisions) != plan.tensors.size())
    return "decisions do not add up to the tensors";
  if (plan.totals.target.tensors + unexpected != plan.tensors.size())
    return "target tensors do not add up";
  for (std::size_t input = 0; input < loaded.size(); ++input)
    for (std::size_t i = 0; i < loaded[input].size(); ++i) {
      const Disposition disposition = plan.sources[input][i].disposition;
      const bool reaches =
          disposition == Disposition::used || disposition == Disposition::unexpected_kept;
      if (reaches != loaded[input][i])
        return "disposition and output disagree for " +
               quoted(inputs.sources[input]->tensors[i].name);
    }
  return std::nullopt;
}

}  // namespace regraft
