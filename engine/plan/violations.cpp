#include "plan/target.h"

namespace regraft {
namespace {

// "2 tensors have another shape than the target".
std::string observation(Code code, std::size_t count, bool aliased) {
  const bool one = count == 1;
  const std::string tensors = std::to_string(count) + (one ? " tensor" : " tensors");
  if (aliased) return tensors + (one ? " still has" : " still have") + " the alias of a source";
  switch (code) {
    case Code::missing_tensor:
      return "nothing reaches " + tensors + " of the target";
    case Code::unexpected_tensor:
      return "the target does not have " + tensors + " of the result";
    case Code::shape_mismatch:
      return tensors + (one ? " has" : " have") + " another shape than the target";
    case Code::dtype_mismatch:
      return tensors + (one ? " has" : " have") + " another dtype than the target";
    case Code::extras_present:
      return "the checkpoint holds " + std::to_string(count) + " values beside the tensors";
    case Code::tie_conflict:
      return "different tensors reach names that are tied in the target, " + tensors;
    case Code::cannot_carry:
      return tensors + " of the result cannot be carried";
    default:
      return tensors + (one ? " does" : " do") + " not fit";
  }
}

}  // namespace

void Violations::add(Code code, const Location& where, const std::string& name,
                     const std::string& detail, std::string hint, bool aliased) {
  std::string text = quoted(name);
  if (!detail.empty()) text += " (" + detail + ")";
  for (Group& group : groups_) {
    if (group.code != code || group.where.line != where.line ||
        group.where.column != where.column || group.aliased != aliased)
      continue;
    group.names.push_back(std::move(text));
    return;
  }
  groups_.push_back({code, where, std::move(hint), aliased, {std::move(text)}});
}

void Violations::report(const Program& program, Diagnostics& diagnostics) {
  constexpr std::size_t kShown = 8;  // the report has them all
  for (Group& group : groups_) {
    const std::size_t count = group.names.size();
    std::string message = observation(group.code, count, group.aliased) + ": ";
    for (std::size_t i = 0; i < std::min(count, kShown); ++i)
      message += (i ? ", " : "") + group.names[i];
    if (count > kShown) message += " and " + std::to_string(count - kShown) + " more";
    if (!group.where.known()) group.where.text = program.text;
    diagnostics.add(
        error(group.code, std::move(group.where), std::move(message), std::move(group.hint)));
  }
  groups_.clear();
}

}  // namespace regraft
