#include <array>

#include "verbs/verb.h"
#include "verbs/verbs.h"

namespace regraft {

std::span<const Verb* const> all_verbs() {
  static const auto verbs = std::to_array<const Verb*>({
      &keep_verb(),    &drop_verb(),        &rename_verb(),    &copy_verb(),   &cat_verb(),
      &stack_verb(),   &combine_verb(),     &split_verb(),     &unbind_verb(), &transpose_verb(),
      &permute_verb(), &reshape_verb(),     &rearrange_verb(), &slice_verb(),  &index_select_verb(),
      &pad_verb(),     &interpolate_verb(), &cast_verb(),      &use_verb(),
  });
  return verbs;
}

const Verb* verb_by_name(std::string_view name) {
  for (const Verb* verb : all_verbs())
    if (verb->name() == name) return verb;
  return nullptr;
}

}  // namespace regraft
