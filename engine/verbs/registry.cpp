#include <array>

#include "verbs/verb.h"
#include "verbs/verbs.h"

namespace regraft {

std::span<const Verb* const> all_verbs() {
  static const std::array<const Verb*, 4> verbs = {&keep_verb(), &drop_verb(), &rename_verb(),
                                                   &copy_verb()};
  return verbs;
}

const Verb* verb_by_name(std::string_view name) {
  for (const Verb* verb : all_verbs())
    if (verb->name() == name) return verb;
  return nullptr;
}

}  // namespace regraft
