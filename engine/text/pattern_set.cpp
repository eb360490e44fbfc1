#include <re2/re2.h>
#include <re2/set.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <unordered_map>
#include <utility>

#include "text/pattern.h"
#include "text/re2_compat.h"

namespace regraft {
namespace {

// Patterns of one RE2::Set. Its automaton grows faster than the number of patterns, and a set that
// is ordered behind a match need not be asked.
constexpr std::size_t kSetSize = 128;
// Patterns that have one prefix are asked one by one, and prefixes of each length are looked up by
// themselves: where there are more, a set is faster.
constexpr std::size_t kMostOfPrefix = 4, kMostLengths = 16;

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>()(text);
  }
};

// Patterns that stand together in written order, asked all at once where that is possible.
class Group {
 public:
  Group(std::vector<std::size_t> indexes, const std::vector<Pattern>& patterns,
        std::int64_t max_memory)
      : indexes_(std::move(indexes)) {
    re2::RE2::Options options;
    options.set_encoding(re2::RE2::Options::EncodingLatin1);
    options.set_log_errors(false);
    options.set_max_mem(max_memory);
    set_ = std::make_unique<re2::RE2::Set>(options, re2::RE2::UNANCHORED);
    bool all = true;
    for (std::size_t index : indexes_) {
      // unreached: RE2 took each pattern alone
      if (set_->Add(to_piece(patterns[index].text()), nullptr) < 0) all = false;
    }
    // To match a set that is not compiled is to crash. (Its first half is unreached: as above.)
    if (!all || !set_->Compile()) usable_ = false;
  }

  std::size_t last() const { return indexes_.back(); }

  std::size_t first_match(std::string_view name, std::size_t from,
                          const std::vector<Pattern>& patterns) const {
    if (usable_.load(std::memory_order_relaxed)) {
      static thread_local std::vector<int> found;
      re2::RE2::Set::ErrorInfo fault{};
      if (set_->Match(to_piece(name), &found, &fault)) {
        std::size_t best = PatternSet::npos;
        for (int member : found) {
          std::size_t index = indexes_[static_cast<std::size_t>(member)];
          if (index >= from) best = std::min(best, index);
        }
        return best;
      }
      // unreached: RE2 compiles no set that its memory is too small for, but may still say so here
      if (fault.kind == re2::RE2::Set::kNoError) return PatternSet::npos;
      // It would run out of memory again, and take its time for it.
      usable_.store(false, std::memory_order_relaxed);
    }
    for (auto at = std::ranges::lower_bound(indexes_, from); at != indexes_.end(); ++at)
      if (patterns[*at].found_in(name)) return *at;
    return PatternSet::npos;
  }

 private:
  std::vector<std::size_t> indexes_;  // sorted
  std::unique_ptr<re2::RE2::Set> set_;
  mutable std::atomic<bool> usable_ = true;
};

}  // namespace

// Indexes of patterns, rising, by a text that all of them have.
using ByText = std::unordered_map<std::string, std::vector<std::size_t>, TextHash, std::equal_to<>>;

struct PatternSet::Impl {
  std::vector<Pattern> patterns;
  ByText literals;
  ByText prefixes;
  std::vector<std::size_t> lengths;            // of the prefixes, each once
  std::vector<std::unique_ptr<Group>> groups;  // of the others, by their indexes

  // Takes those among `others` whose prefix says enough.
  void find_prefixes(std::vector<std::size_t>& others) {
    std::map<std::size_t, std::size_t> patterns_of;  // by length
    for (const std::size_t index : others)
      if (std::string prefix = patterns[index].prefix(); !prefix.empty())
        prefixes[std::move(prefix)].push_back(index);
    std::erase_if(prefixes, [](const auto& one) { return one.second.size() > kMostOfPrefix; });
    for (const auto& [prefix, indexes] : prefixes) patterns_of[prefix.size()] += indexes.size();
    for (const auto& [length, count] : patterns_of) lengths.push_back(length);
    std::ranges::sort(lengths, std::greater(), [&](std::size_t one) { return patterns_of[one]; });
    if (lengths.size() > kMostLengths) lengths.resize(kMostLengths);
    std::erase_if(prefixes, [&](const auto& one) {
      return std::ranges::find(lengths, one.first.size()) == lengths.end();
    });
    std::vector<bool> taken(patterns.size());
    for (const auto& [prefix, indexes] : prefixes)
      for (const std::size_t index : indexes) taken[index] = true;
    std::erase_if(others, [&](std::size_t index) { return taken[index]; });
  }

  // The first from `from` on and before `best` that is found in the name; `best` if there is none.
  std::size_t first_by_prefix(std::string_view name, std::size_t from, std::size_t best) const {
    for (const std::size_t length : lengths) {
      if (length > name.size()) continue;
      const auto same = prefixes.find(name.substr(0, length));
      if (same == prefixes.end()) continue;
      for (const std::size_t index : same->second)
        if (index >= from && index < best && patterns[index].found_in(name)) best = index;
    }
    return best;
  }
};

PatternSet::PatternSet(std::vector<Pattern> patterns, std::int64_t max_memory) {
  auto impl = std::make_shared<Impl>();
  impl->patterns = std::move(patterns);
  std::vector<std::size_t> others;
  for (std::size_t i = 0; i < impl->patterns.size(); ++i) {
    if (impl->patterns[i].is_literal()) {
      impl->literals[impl->patterns[i].text()].push_back(i);
    } else {
      others.push_back(i);
    }
  }
  impl->find_prefixes(others);
  std::size_t groups = (others.size() + kSetSize - 1) / kSetSize;
  for (std::size_t i = 0; i < others.size(); i += kSetSize) {
    auto begin = others.begin() + static_cast<std::ptrdiff_t>(i);
    auto end = others.begin() + static_cast<std::ptrdiff_t>(std::min(i + kSetSize, others.size()));
    impl->groups.push_back(std::make_unique<Group>(std::vector<std::size_t>(begin, end),
                                                   impl->patterns,
                                                   max_memory / static_cast<std::int64_t>(groups)));
  }
  impl_ = std::move(impl);
}

std::size_t PatternSet::first_match(std::string_view name, std::size_t from) const {
  std::size_t best = npos;
  if (auto literal = impl_->literals.find(name); literal != impl_->literals.end()) {
    auto at = std::ranges::lower_bound(literal->second, from);
    if (at != literal->second.end()) best = *at;
  }
  best = impl_->first_by_prefix(name, from, best);
  for (const auto& group : impl_->groups) {
    if (group->last() < from) continue;
    std::size_t index = group->first_match(name, from, impl_->patterns);
    if (index < best) return index;
    if (group->last() > best) return best;  // what was found comes first
  }
  return best;
}

}  // namespace regraft
