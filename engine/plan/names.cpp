// Each name waits in the bucket of the next rule that finds it, so a rule touches only the names
// that it may match, and a spec of a thousand rules costs one look at the pattern set for each name
// and rename. Names are kept in a linked list: a result stands where its first part stood.
#include "plan/names.h"

#include <algorithm>
#include <deque>

#include "base/name_table.h"
#include "spec/use.h"
#include "verbs/rewrite.h"

namespace regraft {
namespace {

struct Item {
  std::string name;
  ExprPtr expr;
  std::uint32_t step = kNone;
  std::uint32_t previous = kNone, next = kNone;  // in order
  std::uint64_t order = 0;                       // rises along the list
  bool alive = true;
};

struct Waiting {
  std::uint32_t item;
  std::size_t entry;  // of the rule whose bucket this is
};

class Flow {
 public:
  Flow(const Program& program, const Inputs& inputs, Diagnostics& diagnostics,
       std::int64_t set_memory, Trail* trail)
      : program_(program),
        inputs_(inputs),
        diagnostics_(diagnostics),
        trail_(trail),
        set_(all_patterns(program), set_memory) {
    for (std::uint32_t rule = 0; rule < program.rules.size(); ++rule) {
      first_pattern_.push_back(owner_.size());
      for (std::size_t entry = 0; entry < program.rules[rule].entries.size(); ++entry)
        owner_.emplace_back(rule, entry);
      names_.rules.push_back({0, std::vector<std::uint64_t>(program.rules[rule].entries.size())});
    }
    first_pattern_.push_back(owner_.size());
    buckets_.resize(program.rules.size());
  }

  Names run() {
    start();
    for (std::uint32_t rule = 0; rule < program_.rules.size() && names_.complete; ++rule)
      run_rule(rule);
    for (std::uint32_t at = first_; at != kNone; at = items_[at].next)
      names_.results.push_back(
          {std::move(items_[at].name), std::move(items_[at].expr), items_[at].step});
    return std::move(names_);
  }

 private:
  static std::vector<Pattern> all_patterns(const Program& program) {
    std::vector<Pattern> patterns;
    for (const Rule& rule : program.rules)
      for (const RuleEntry& entry : rule.entries) patterns.push_back(entry.pattern);
    return patterns;
  }

  void start() {
    std::size_t count = 0;
    for (const Catalog* source : inputs_.sources) count += source->tensors.size();
    by_name_ = NameTable(count);
    for (std::uint32_t input = 0; input < inputs_.sources.size(); ++input) {
      const std::vector<Tensor>& tensors = inputs_.sources[input]->tensors;
      for (std::uint32_t i = 0; i < tensors.size(); ++i) {
        const std::uint32_t item =
            append(tensors[i].name, load(input, i, tensors[i]), kNone, last_);
        items_[item].order = item;
        if (enter(item) == item)
          wait(item, 0);
        else
          fail(error(Code::collision, {},
                     "two tensors are named " + quoted(tensors[i].name) + ": one of " +
                         quoted(inputs_.sources.front()->path) + ", and one of " +
                         quoted(inputs_.sources[input]->path) + " with its alias",
                     "give the source another alias"));
      }
    }
  }

  // A new item behind `anchor` (kNone: in front).
  std::uint32_t append(std::string name, ExprPtr expr, std::uint32_t step, std::uint32_t anchor) {
    const auto index = static_cast<std::uint32_t>(items_.size());
    if (trail_) trail_->items.push_back({name, expr, {}, kNone, kNone});
    items_.push_back({std::move(name), std::move(expr), step, anchor, kNone, 0, true});
    Item& item = items_.back();
    std::uint32_t& link = anchor == kNone ? first_ : items_[anchor].next;
    item.next = link;
    link = index;
    if (item.next == kNone)
      last_ = index;
    else
      items_[item.next].previous = index;
    return index;
  }

  // The item that is alive under the name of this one: this one, where there was none.
  std::uint32_t enter(std::uint32_t item) {
    std::uint32_t& there =
        by_name_.put(items_[item].name, item,
                     [&](std::uint32_t one) -> std::string_view { return items_[one].name; });
    if (!items_[there].alive) there = item;
    return there;
  }

  void unlink(std::uint32_t index, std::uint32_t rule) {
    if (trail_) trail_->items[index].gone = rule;
    Item& item = items_[index];
    (item.previous == kNone ? first_ : items_[item.previous].next) = item.next;
    (item.next == kNone ? last_ : items_[item.next].previous) = item.previous;
    item.alive = false;
  }

  // Into the bucket of the first rule from `rule` on that finds the name.
  void wait(std::uint32_t item, std::uint32_t rule) {
    if (rule >= program_.rules.size()) return;
    const std::size_t pattern = set_.first_match(items_[item].name, first_pattern_[rule]);
    if (pattern == PatternSet::npos) return;
    const auto [owner, entry] = owner_[pattern];
    buckets_[owner].push_back({item, entry});
  }

  void run_rule(std::uint32_t index) {
    if (trail_) trail_->rules_run = index + 1;
    const Rule& rule = program_.rules[index];
    running_ = &rule;
    std::vector<Waiting> waiting = std::move(buckets_[index]);
    std::erase_if(waiting, [&](const Waiting& one) { return !items_[one.item].alive; });
    std::sort(waiting.begin(), waiting.end(), [&](const Waiting& a, const Waiting& b) {
      return items_[a.item].order < items_[b.item].order;
    });
    std::vector<Match> matches;
    std::vector<std::uint32_t> matched;  // items, parallel to matches
    for (const Waiting& one : waiting) {
      if (std::optional<Match> match = match_of(index, one)) {
        ++names_.rules[index].matches;
        ++names_.rules[index].entries[one.entry];
        matches.push_back(std::move(*match));
        matched.push_back(one.item);
      } else {
        wait(one.item, index + 1);
      }
    }
    check_count(rule, matches.size());
    if (rule.verb->drops_the_rest()) keep_only(index, matched);
    apply(index, rule.bound->apply(matches, *rule.variables), matched, matches);
  }

  std::optional<Match> match_of(std::uint32_t index, const Waiting& one) {
    using Outcome = Trail::Outcome;
    const Rule& rule = program_.rules[index];
    const Item& item = items_[one.item];
    const Pattern& pattern = rule.entries[one.entry].pattern;
    if (any_found(rule.unless, item.name)) return passes(index, one, Outcome::unless);
    if (!rule.where_clause.holds(*item.expr)) return passes(index, one, Outcome::where);
    std::optional<Found> found = pattern.find(item.name);
    if (!found) return std::nullopt;
    if (!rule.when.empty()) {
      const Result<bool> holds = rule.when[one.entry]->holds(
          {.variables = &*rule.variables, .found = &*found, .part_index = std::nullopt});
      if (!holds) fail(for_tensor(holds.error(), item.name));
      if (!holds || !*holds) return passes(index, one, holds ? Outcome::when : Outcome::failed);
    }
    look(index, one, Outcome::matched);
    return Match{item.name, &item.expr, one.entry, &pattern, std::move(*found)};
  }

  std::nullopt_t passes(std::uint32_t rule, const Waiting& one, Trail::Outcome outcome) {
    look(rule, one, outcome);
    return std::nullopt;
  }

  void look(std::uint32_t rule, const Waiting& one, Trail::Outcome outcome) {
    if (trail_)
      trail_->looks.push_back({one.item, rule, static_cast<std::uint32_t>(one.entry), outcome});
  }

  // The names are not what the spec means: rules that follow would only report the consequences.
  void fail(Diagnostic problem) {
    report(std::move(problem));
    names_.complete = false;
  }

  void report(Diagnostic problem) {
    diagnostics_.add(running_ ? through_uses(std::move(problem), running_->uses)
                              : std::move(problem));
  }

  void check_count(const Rule& rule, std::size_t matches) {
    if (rule.verb->drops_the_rest() && matches == 0) {
      fail(error(
          Code::keeps_nothing, rule.where,
          "`" + std::string(rule.verb->name()) + "` matches no name, so nothing would be left",
          "`regraft inspect --keys " + shell_quoted(inputs_.sources.front()->path) +
              "` lists the names"));
    } else if (rule.count && !rule.count->holds(matches)) {
      report(error(Code::count_unmet, rule.where,
                   "the rule matches " + std::to_string(matches) + " names, its `count` is " +
                       rule.count->text));
    }
  }

  void drop(std::uint32_t item, std::uint32_t rule) {
    for (const Load& load : loads_of(*items_[item].expr)) names_.dropped.push_back({load, rule});
    unlink(item, rule);
  }

  void keep_only(std::uint32_t rule, const std::vector<std::uint32_t>& matched) {
    std::vector<bool> keeps(items_.size(), false);
    for (const std::uint32_t item : matched) keeps[item] = true;
    for (std::uint32_t at = first_; at != kNone;) {
      const std::uint32_t next = items_[at].next;
      if (!keeps[at]) drop(at, rule);
      at = next;
    }
  }

  void apply(std::uint32_t rule, Effect effect, const std::vector<std::uint32_t>& matched,
             const std::vector<Match>& matches) {
    names_.rules[rule].idle = !matches.empty() && effect.consumed.empty() && effect.puts.empty() &&
                              !program_.rules[rule].verb->drops_the_rest();
    report(rule, std::move(effect.errors));
    // All names that go, go before any result is put: swaps work.
    std::vector<bool> consumed(matched.size(), false), put_again(matched.size(), false);
    for (const std::uint32_t i : effect.consumed) consumed[i] = true;
    std::vector<std::uint32_t> behind = matched;  // where the next result of a match is put
    struct Parts {
      std::uint32_t of = 0, put = 0;
    };
    std::vector<Parts> parts(matched.size());  // what becomes of each match
    for (const Put& put : effect.puts) ++parts[put.from.front()].of;
    std::vector<std::uint32_t> fresh;
    bool renumber = false;
    for (Put& put : effect.puts) {
      const std::uint32_t anchor = put.from.front();
      Step step{rule,
                static_cast<std::uint32_t>(matches[anchor].entry),
                items_[matched[anchor]].name,
                put.name,
                {},
                parts[anchor].of > 1 ? parts[anchor].put++ : kNone};
      for (const std::uint32_t i : put.from) {
        put_again[i] = true;
        if (items_[matched[i]].step != kNone) step.parents.push_back(items_[matched[i]].step);
      }
      names_.steps.push_back(std::move(step));
      const auto last_step = static_cast<std::uint32_t>(names_.steps.size() - 1);
      const std::uint32_t item =
          append(std::move(put.name), std::move(put.expr), last_step, behind[anchor]);
      if (trail_) {
        trail_->items[item].rule = rule;
        for (const std::uint32_t i : put.from) trail_->items[item].parents.push_back(matched[i]);
      }
      const bool takes_the_place = consumed[anchor] && behind[anchor] == matched[anchor];
      items_[item].order = items_[matched[anchor]].order;
      renumber |= !takes_the_place;
      behind[anchor] = item;
      fresh.push_back(item);
    }
    for (std::size_t i = 0; i < matched.size(); ++i) {
      if (!consumed[i]) continue;
      if (!put_again[i])
        for (const Load& load : loads_of(*items_[matched[i]].expr))
          names_.dropped.push_back({load, rule});
      unlink(matched[i], rule);
    }
    if (renumber) {
      std::uint64_t order = 0;
      for (std::uint32_t at = first_; at != kNone; at = items_[at].next) items_[at].order = order++;
    }
    enter(rule, fresh);
    for (std::size_t i = 0; i < matched.size(); ++i)
      if (!consumed[i]) wait(matched[i], rule + 1);
  }

  // A mistake in a rule is one for every tensor that it meets: the first few tell it.
  void report(std::uint32_t rule, std::vector<Diagnostic> problems) {
    constexpr std::size_t kMostTold = 5;
    struct Told {
      Code code;
      std::string hint;
      std::size_t count;
    };
    std::vector<Told> told;
    for (Diagnostic& problem : problems) {
      const auto same = std::find_if(told.begin(), told.end(), [&](const Told& one) {
        return one.code == problem.code && one.hint == problem.hint;
      });
      if (same == told.end())
        told.push_back({problem.code, problem.hint, 1});
      else if (++same->count > kMostTold)
        continue;
      if (!problem.where.known()) problem.where = program_.rules[rule].where;
      fail(std::move(problem));
    }
    for (const Told& one : told)
      if (one.count > kMostTold)
        fail(error(one.code, program_.rules[rule].where,
                   "the same for " + std::to_string(one.count - kMostTold) + " more"));
  }

  void enter(std::uint32_t rule, const std::vector<std::uint32_t>& fresh) {
    for (const std::uint32_t item : fresh) {
      const std::uint32_t there = enter(item);
      if (there == item) {
        wait(item, rule + 1);
        continue;
      }
      Diagnostic problem =
          error(Code::collision, program_.rules[rule].where,
                "two tensors are named " + quoted(items_[item].name) + " after this rule",
                "drop one of them first, or give it another name");
      problem.notes.push_back(history(there));
      problem.notes.push_back(history(item));
      fail(std::move(problem));
    }
  }

  // Where an item comes from: the rule that named it last, and the name it began with.
  Note history(std::uint32_t item) const {
    std::uint32_t step = items_[item].step;
    if (step == kNone) return {{}, quoted(items_[item].name) + " stands so in the source"};
    const std::uint32_t rule = names_.steps[step].rule;
    while (!names_.steps[step].parents.empty()) step = names_.steps[step].parents.front();
    return {program_.rules[rule].where, "one was " + quoted(names_.steps[step].from) +
                                            " in the source, named by rule " +
                                            std::to_string(rule + 1)};
  }

  const Program& program_;
  const Inputs& inputs_;
  Diagnostics& diagnostics_;
  Trail* trail_;
  PatternSet set_;
  std::vector<std::pair<std::uint32_t, std::size_t>> owner_;  // pattern -> rule and entry
  std::vector<std::size_t> first_pattern_;                    // rule -> its first pattern
  std::vector<std::vector<Waiting>> buckets_;                 // by rule
  std::deque<Item> items_;  // addresses stay: names are keys below and views in matches
  NameTable by_name_;       // of those alive, and of some that went
  std::uint32_t first_ = kNone, last_ = kNone;
  const Rule* running_ = nullptr;  // null before the first
  Names names_;
};

}  // namespace

Names run_rules(const Program& program, const Inputs& inputs, Diagnostics& diagnostics,
                std::int64_t set_memory, Trail* trail) {
  return Flow(program, inputs, diagnostics, set_memory, trail).run();
}

}  // namespace regraft
