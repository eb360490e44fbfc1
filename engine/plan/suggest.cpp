// Missing and unexpected names that one rename would settle: `blocks.0.gamma_1` and
// `blocks.0.ls1.gamma` give  - rename: '\.gamma_1$'  to: '.ls1.gamma'.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "plan/target.h"
#include "verbs/rewrite.h"

namespace regraft {
namespace {

constexpr std::size_t kMostNames = 20'000;
constexpr std::size_t kMostCandidates = 64;
constexpr std::size_t kMostSuggestions = 3;

bool plain(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) {
    return c > 0x20 && c < 0x7F && c != '\'' && c != '{' && c != '}' && c != '\\';
  });
}

std::string escape(std::string_view literal) {
  std::string out;
  for (const char c : literal) {
    const bool word =
        c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!word) out += '\\';
    out += c;
  }
  return out;
}

// What differs between two names, widened to whole dotted components.
// Names that share neither their beginning nor their end are no likely pair.
std::optional<Suggestion> difference(std::string_view from, std::string_view to) {
  // A whole prefix less or more.
  if (from.size() > to.size() && from.ends_with(to) && from[from.size() - to.size() - 1] == '.')
    return Suggestion{"^" + escape(from.substr(0, from.size() - to.size())), "", 0};
  if (to.size() > from.size() && to.ends_with(from) && to[to.size() - from.size() - 1] == '.')
    return Suggestion{"^", std::string(to.substr(0, to.size() - from.size())), 0};
  std::size_t begin = 0;
  while (begin < std::min(from.size(), to.size()) && from[begin] == to[begin]) ++begin;
  while (begin > 0 && from[begin - 1] != '.') --begin;
  std::size_t tail = 0;
  while (tail < std::min(from.size(), to.size()) - begin &&
         from[from.size() - 1 - tail] == to[to.size() - 1 - tail])
    ++tail;
  while (tail > 0 && from[from.size() - tail] != '.') --tail;
  if (begin == 0 && tail == 0) return std::nullopt;
  const std::string_view old_part = from.substr(begin, from.size() - begin - tail);
  const std::string_view new_part = to.substr(begin, to.size() - begin - tail);
  // The dot before the part belongs to the pattern, so that `.a` does not match `.ba`.
  Suggestion suggestion;
  suggestion.pattern = begin == 0 ? "^" : "\\.";
  suggestion.to = begin == 0 ? "" : ".";
  suggestion.pattern += escape(old_part);
  suggestion.to += new_part;
  if (tail == 0) suggestion.pattern += "$";
  if (tail > 0 && !old_part.empty() && old_part.back() != '.') {
    suggestion.pattern += "\\.";
    suggestion.to += ".";
  }
  return suggestion;
}

class Suggester {
 public:
  Suggester(const Inputs& inputs, const Plan& plan) {
    for (const PlannedTensor& planned : plan.tensors) {
      if (planned.decision == Decision::error && planned.from.empty() && planned.target != kNone &&
          plain(planned.name))
        missing_.emplace(planned.name, &inputs.target->tensors[planned.target].shape);
      else
        settled_.push_back(planned.name);
    }
    for (const UnexpectedResult& result : plan.unexpected) {
      if (result.policy_word != "error")
        settled_.push_back(result.name);
      else if (plain(result.name))
        unexpected_.push_back(&result);
    }
  }

  std::vector<Suggestion> run() {
    std::vector<Suggestion> suggestions;
    if (missing_.size() > kMostNames || unexpected_.size() > kMostNames) return suggestions;
    while (suggestions.size() < kMostSuggestions && !missing_.empty() && !unexpected_.empty()) {
      std::optional<Suggestion> best = best_of(*unexpected_.front());
      if (!best) {
        unexpected_.erase(unexpected_.begin());
        if (++given_up_ > kMostCandidates) break;
        continue;
      }
      settle(*best);
      suggestions.push_back(std::move(*best));
    }
    return suggestions;
  }

 private:
  std::optional<Suggestion> best_of(const UnexpectedResult& result) const {
    std::vector<std::string_view> candidates;
    for (const auto& [name, shape] : missing_)
      if (*shape == result.shape) candidates.push_back(name);
    // The likeliest first: the names that share most of their ends.
    std::sort(candidates.begin(), candidates.end());
    if (candidates.size() > kMostCandidates) {
      const auto near = std::lower_bound(candidates.begin(), candidates.end(), result.name);
      const auto middle = static_cast<std::size_t>(near - candidates.begin());
      const std::size_t first = std::min(middle - std::min(middle, kMostCandidates / 2),
                                         candidates.size() - kMostCandidates);
      candidates = {candidates.begin() + static_cast<std::ptrdiff_t>(first),
                    candidates.begin() + static_cast<std::ptrdiff_t>(first + kMostCandidates)};
    }
    std::optional<Suggestion> best;
    bool ambiguous =
        false;  // gamma and beta fit weight and bias both ways: a guess would swap them
    for (const std::string_view candidate : candidates) {
      std::optional<Suggestion> suggestion = difference(result.name, candidate);
      if (!suggestion) continue;
      suggestion->tensors = reach(*suggestion, nullptr);
      if (best && suggestion->tensors == best->tensors) ambiguous = true;
      if (suggestion->tensors > (best ? best->tensors : 0)) {
        best = std::move(suggestion);
        ambiguous = false;
      }
    }
    if (ambiguous) return std::nullopt;
    return best;
  }

  // How many unexpected names it settles; 0 when it does anything else. The pairs, if asked for.
  std::size_t reach(const Suggestion& suggestion,
                    std::vector<std::pair<const UnexpectedResult*, std::string>>* pairs) const {
    Diagnostics diagnostics;
    const auto pattern = Pattern::compile(suggestion.pattern, {}, diagnostics);
    if (!pattern) return 0;
    const Scope scope{.variables = &none_, .pattern = &*pattern, .part_index = false};
    const auto to = Template::parse(suggestion.to, {}, scope, diagnostics);
    if (!to) return 0;
    std::unordered_set<std::string> reached;
    for (const UnexpectedResult* result : unexpected_) {
      auto found = pattern->find(result->name);
      if (!found) continue;
      const Match match{result->name, nullptr, 0, &*pattern, std::move(*found)};
      const Result<std::string> renamed = rewrite(match, *to, false, none_);
      if (!renamed) return 0;
      const auto there = missing_.find(*renamed);
      if (there == missing_.end() || *there->second != result->shape ||
          !reached.insert(*renamed).second)
        return 0;
      if (pairs) pairs->emplace_back(result, *renamed);
    }
    for (const std::string_view name : settled_)
      if (pattern->found_in(name)) return 0;
    return reached.size();
  }

  void settle(const Suggestion& suggestion) {
    std::vector<std::pair<const UnexpectedResult*, std::string>> pairs;
    reach(suggestion, &pairs);
    std::unordered_set<const UnexpectedResult*> gone;
    for (const auto& [result, name] : pairs) {
      gone.insert(result);
      missing_.erase(name);
      renamed_.push_back(name);
    }
    for (const std::string& name : renamed_) settled_.push_back(name);
    renamed_.clear();
    std::erase_if(unexpected_,
                  [&](const UnexpectedResult* result) { return gone.contains(result); });
  }

  const Variables none_;
  std::unordered_map<std::string, const Shape*> missing_;
  std::vector<const UnexpectedResult*> unexpected_;
  std::vector<std::string> settled_;  // names that a suggestion may not touch
  std::vector<std::string> renamed_;
  std::size_t given_up_ = 0;
};

}  // namespace

std::vector<Suggestion> suggest(const Inputs& inputs, const Plan& plan) {
  if (!inputs.target) return {};
  return Suggester(inputs, plan).run();
}

}  // namespace regraft
