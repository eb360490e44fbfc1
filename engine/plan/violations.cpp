#include "plan/target.h"

namespace regraft {

void Violations::add(Code code, const Location& where, std::string name, std::string detail,
                     std::string hint) {
  std::string text = quoted(name);
  if (!detail.empty()) text += " (" + detail + ")";
  for (Group& group : groups_) {
    if (group.code != code || group.where.line != where.line || group.where.column != where.column)
      continue;
    group.names.push_back(std::move(text));
    return;
  }
  groups_.push_back({code, where, std::move(hint), {std::move(text)}});
}

void Violations::report(const Program& program, Diagnostics& diagnostics) {
  constexpr std::size_t kShown = 8;  // the report has them all
  for (Group& group : groups_) {
    const std::size_t count = group.names.size();
    std::string message = std::string(info(group.code).name) + ": " + std::to_string(count) +
                          (count == 1 ? " tensor: " : " tensors: ");
    for (std::size_t i = 0; i < std::min(count, kShown); ++i)
      message += (i ? ", " : "") + group.names[i];
    if (count > kShown) message += " and " + std::to_string(count - kShown) + " more";
    if (!group.where.known()) group.where.text = program.text;
    diagnostics.add(error(group.code, std::move(group.where), std::move(message), std::move(group.hint)));
  }
  groups_.clear();
}

}  // namespace regraft
