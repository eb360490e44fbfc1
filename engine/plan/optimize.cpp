#include "plan/optimize.h"

#include <algorithm>

#include "base/nearest.h"

namespace regraft {
namespace {

constexpr std::string_view kByteRanges = "byte-ranges", kCasts = "casts", kTiles = "tiles";

Diagnostic no_such_pass(const std::string& name) {
  std::vector<std::string_view> known;
  std::string all;
  for (const auto& [pass, doc] : pass_names()) {
    known.push_back(pass);
    all += (all.empty() ? "" : ", ") + std::string(pass);
  }
  const std::string near = nearest(name, known);
  return error(Code::usage, {}, "there is no pass " + quoted(name),
               near.empty() ? "the passes are " + all : "did you mean `" + near + "`?");
}

}  // namespace

std::vector<std::pair<std::string_view, std::string_view>> pass_names() {
  std::vector<std::pair<std::string_view, std::string_view>> names;
  for (const Pass& pass : all_passes()) names.emplace_back(pass.name, pass.doc);
  names.emplace_back(kByteRanges, "what is bytes of inputs one after the other is not computed");
  names.emplace_back(kCasts, "common floats are cast while they are copied");
  names.emplace_back(kTiles, "what is made row by row is computed in parts");
  return names;
}

Result<Passes> passes_without(std::span<const std::string> names) {
  const std::span<const Pass> all = all_passes();
  Passes passes{{all.begin(), all.end()}};
  for (const std::string& name : names) {
    const auto is_named = [&](const Pass& pass) { return pass.name == name; };
    if (name == kByteRanges)
      passes.byte_ranges = false;
    else if (name == kCasts)
      passes.casts = false;
    else if (name == kTiles)
      passes.tiles = false;
    else if (std::none_of(all.begin(), all.end(), is_named))
      return no_such_pass(name);
    std::erase_if(passes.rewrites, is_named);
  }
  return passes;
}

std::optional<std::string> optimize(Plan& plan, std::span<const Pass> passes) {
  Optimizer optimizer(passes);
  for (PlannedTensor& planned : plan.tensors) {
    if (!planned.expr || planned.expr->args.empty()) continue;
    ExprPtr optimized = optimizer.optimize(planned.expr);
    if (!optimized) return optimizer.fault() + ", of " + quoted(planned.name);
    if (optimized != planned.expr) planned.optimized = std::move(optimized);
  }
  return std::nullopt;
}

}  // namespace regraft
