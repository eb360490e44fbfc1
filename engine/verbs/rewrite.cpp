#include "verbs/rewrite.h"

namespace regraft {

Diagnostic for_tensor(Diagnostic diagnostic, std::string_view name) {
  diagnostic.message += ", for tensor " + quoted(name);
  return diagnostic;
}

Result<std::string> rewrite(const Match& match, const Template& to, bool all,
                            const Variables& variables, std::optional<std::int64_t> part_index) {
  const std::string_view name = match.name;
  std::string result;
  std::size_t at = 0;
  std::optional<Found> found = match.found;
  std::optional<std::size_t> last_end;
  while (found) {
    result.append(name, at, found->begin - at);
    at = found->begin;
    const bool empty = found->begin == found->end;
    if (empty && last_end == found->begin) {
      // An empty match right behind the last one is not a place of its own.
      if (at == name.size()) break;
      result += name[at++];
      found = match.pattern->find(name, at);
      continue;
    }
    Result<std::string> text =
        to.expand({.variables = &variables, .found = &*found, .part_index = part_index});
    if (!text) return for_tensor(std::move(text).error(), name);
    result += *text;
    at = found->end;
    last_end = at;
    if (!all) break;
    found = match.pattern->find(name, at);
  }
  result.append(name, at);
  return result;
}

}  // namespace regraft
