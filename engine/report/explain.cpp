// The rules run once more, with a trail: what they said of each name is nothing that a plan keeps.
#include "report/explain.h"

#include <algorithm>
#include <unordered_map>

#include "base/nearest.h"
#include "plan/names.h"
#include "plan/target.h"
#include "report/facts.h"
#include "verbs/rewrite.h"

namespace regraft {
namespace {

using Step = Explanation::Step;
using End = Explanation::End;
using Telling = Explanation::Telling;
using Role = Explanation::Role;

constexpr std::size_t kMostNear = 3;
constexpr std::size_t kMostOfShape = 4;

bool is_same_place(const Location& a, const Location& b) {
  return a.line == b.line && a.column == b.column;
}

// "\1 is '2', last is the number 2": what a condition was evaluated with.
std::string bindings(const Expression& when, const Pattern& pattern, const Found& found,
                     const Variables& variables) {
  std::string out;
  const auto add = [&](const std::string& name, const std::string& value) {
    out += (out.empty() ? "" : ", ") + name + " is " + value;
  };
  for (const int group : when.groups()) {
    std::string name = "\\" + std::to_string(group);
    for (const auto& [known, number] : pattern.group_names())
      if (number == group) name = known;
    add(name, quoted(found.groups[static_cast<std::size_t>(group)]));
  }
  for (const std::string& name : when.variables()) {
    const auto variable = variables.find(name);
    if (variable != variables.end() && variable->second.value)
      add(name, describe(*variable->second.value));
  }
  return out;
}

std::string text_of(const std::vector<std::optional<std::int64_t>>& sizes) {
  std::string out;
  for (const auto& size : sizes)
    out += (out.empty() ? "" : ", ") + (size ? std::to_string(*size) : std::string("~"));
  return "[" + out + "]";
}

// Which part of `where` does not hold.
std::string misfit(const Where& where, const Expr& expr) {
  const auto dimensions = static_cast<std::int64_t>(expr.shape.size());
  if (where.ndim && *where.ndim != dimensions)
    return "`where` asks for ndim " + std::to_string(*where.ndim) + ", and it has " +
           std::to_string(dimensions);
  if (where.dtype && *where.dtype != expr.dtype)
    return "`where` asks for dtype " + std::string(name(*where.dtype)) + ", and it is " +
           std::string(name(expr.dtype));
  return "`where` asks for shape " + (where.shape ? text_of(*where.shape) : "[]") + ", and it is " +
         to_string(expr.shape);
}

// How much two names have in common at their ends.
std::size_t likeness(std::string_view a, std::string_view b) {
  const std::size_t shorter = std::min(a.size(), b.size());
  std::size_t front = 0, back = 0;
  while (front < shorter && a[front] == b[front]) ++front;
  while (back < shorter - front && a[a.size() - 1 - back] == b[b.size() - 1 - back]) ++back;
  return front + back;
}

// Whether one name has the other as whole components: `module.a.b` and `a.b`.
bool contains_whole(std::string_view whole, std::string_view part) {
  if (part.empty()) return false;
  for (std::size_t at = whole.find(part); at != std::string_view::npos;
       at = whole.find(part, at + 1)) {
    const std::size_t end = at + part.size();
    if ((at == 0 || whole[at - 1] == '.') && (end == whole.size() || whole[end] == '.'))
      return true;
  }
  return false;
}

class Explainer {
 public:
  Explainer(const Report& report, std::string_view name, bool all_rules)
      : program_(*report.program),
        inputs_(*report.inputs),
        plan_(*report.plan),
        problems_(*report.diagnostics),
        scrub_(report),
        name_(name),
        all_rules_(all_rules) {
    run_rules(program_, inputs_, rule_problems_, 64 << 20, &trail_);
    std::stable_sort(trail_.looks.begin(), trail_.looks.end(),
                     [](const Trail::Look& a, const Trail::Look& b) {
                       return std::pair(a.item, a.rule) < std::pair(b.item, b.rule);
                     });
    children_.resize(trail_.items.size());
    for (std::uint32_t item = 0; item < trail_.items.size(); ++item)
      for (const std::uint32_t parent : trail_.items[item].parents)
        if (children_[parent].empty() || children_[parent].back() != item)
          children_[parent].push_back(item);
    told_.resize(trail_.items.size());
  }

  Result<Explanation> run() {
    Explanation explanation;
    explanation.name = name_;
    explanation.program = &program_;
    explanation.complete = plan_.complete;
    tellings_ = &explanation.tellings;
    sources();
    if (const std::optional<std::uint32_t> index = target_index())
      target(*index);
    else if (plan_.complete)
      results();
    between();
    if (explanation.tellings.empty()) return not_found();
    return explanation;
  }

 private:
  using Items = std::vector<bool>;  // by item

  // --- what has the name -------------------------------------------------------------------------

  void sources() {
    std::uint32_t item = 0;
    for (std::uint32_t input = 0; input < inputs_.sources.size(); ++input) {
      const Catalog& catalog = *inputs_.sources[input];
      for (std::uint32_t i = 0; i < catalog.tensors.size(); ++i, ++item) {
        if (catalog.tensors[i].name != name_) continue;
        Telling& telling = begin(Role::source, catalog, catalog.tensors[i]);
        Items related(trail_.items.size());
        add_descendants(item, related);
        steps(telling, related, item);
        ends(telling, related, item);
        if (!plan_.complete || plan_.sources[input][i].disposition != Disposition::dropped)
          continue;
        for (End& end : telling.ends)
          if (end.status == "dropped") check_promise(Promise::dropped, name_, end);
      }
    }
  }

  [[nodiscard]] std::optional<std::uint32_t> target_index() const {
    if (!inputs_.target) return std::nullopt;
    const std::vector<Tensor>& tensors = inputs_.target->tensors;
    const auto found = std::find_if(tensors.begin(), tensors.end(),
                                    [&](const Tensor& tensor) { return tensor.name == name_; });
    if (found == tensors.end()) return std::nullopt;
    return static_cast<std::uint32_t>(found - tensors.begin());
  }

  void target(std::uint32_t index) {
    const Tensor& tensor = inputs_.target->tensors[index];
    Telling& telling = begin(Role::target, *inputs_.target, tensor);
    if (!plan_.complete) {
      tell_way(telling, alive(name_));
      telling.ends.push_back(undecided(name_));
      return;
    }
    const PlannedTensor& planned = plan_.tensors[index];
    telling.ends.push_back(end_of(planned));
    if (planned.from.empty())
      alternatives(telling, tensor);
    else
      tell_way(telling, alive(reaching(planned)));
  }

  // Without a target, the output's names; with one, those that it does not have, and names that
  // still have an alias. What is a name of the source that no rule changed has been told.
  void results() {
    const bool unexpected = plan_.has_target || !inputs_.alias_of(name_).empty();
    for (const std::uint32_t item : alive(name_)) {
      if (unexpected && told_[item] && trail_.items[item].rule == kNone) continue;
      Telling& telling = begin(unexpected ? Role::result : Role::output, item);
      tell_way(telling, {item});
      ends_of_result(telling, item);
    }
  }

  void between() {
    for (std::uint32_t item = 0; item < trail_.items.size(); ++item) {
      if (told_[item] || trail_.items[item].name != name_) continue;
      Telling& telling = begin(Role::between, item);
      Items related(trail_.items.size());
      add_ancestors(item, related);
      add_sources(telling, related);
      add_descendants(item, related);
      steps(telling, related, item);
      ends(telling, related, item);
    }
  }

  Telling& begin(Role role, const Catalog& catalog, const Tensor& tensor) {
    Telling& telling = tellings_->emplace_back();
    telling.role = role;
    telling.tensor = told(catalog, tensor);
    if (!catalog.containers.empty()) telling.tensor.below = catalog.containers[0].path;
    if (!tensor.unsupported.empty()) return telling;
    for (const Tensor& other : catalog.tensors)
      if (&other != &tensor && other.unsupported.empty() && tied(tensor, other))
        telling.tied.push_back(other.name);
    return telling;
  }

  Telling& begin(Role role, std::uint32_t item) {
    Telling& telling = tellings_->emplace_back();
    telling.role = role;
    const Expr& expr = *trail_.items[item].expr;
    telling.tensor.name = trail_.items[item].name;
    telling.tensor.dtype = expr.dtype;
    telling.tensor.shape = expr.shape;
    return telling;
  }

  static Explanation::Tensor told(const Catalog& catalog, const Tensor& tensor) {
    Explanation::Tensor told;
    told.name = tensor.name;
    told.dtype = tensor.dtype;
    told.shape = tensor.shape;
    told.file = shown_path(catalog.path);
    told.unsupported = tensor.unsupported;
    return told;
  }

  // The result's name that reached a name of the target: its own, or one it is tied to there.
  static const std::string& reaching(const PlannedTensor& planned) {
    return planned.tied_to ? *planned.tied_to : planned.name;
  }

  // --- the trail ---------------------------------------------------------------------------------

  // Those under a name when the last rule has run; two after a collision.
  [[nodiscard]] std::vector<std::uint32_t> alive(std::string_view name) const {
    std::vector<std::uint32_t> found;
    for (std::uint32_t item = 0; item < trail_.items.size(); ++item)
      if (trail_.items[item].gone == kNone && trail_.items[item].name == name)
        found.push_back(item);
    return found;
  }

  // Items are numbered as they come about: parents before children.
  void add_descendants(std::uint32_t of, Items& related) {
    related[of] = true;
    for (std::uint32_t item = of; item < related.size(); ++item) {
      if (!related[item]) continue;
      told_[item] = true;
      for (const std::uint32_t child : children_[item]) related[child] = true;
    }
  }

  void add_ancestors(std::uint32_t of, Items& related) {
    related[of] = true;
    for (std::uint32_t item = of + 1; item-- > 0;) {
      if (!related[item]) continue;
      told_[item] = true;
      for (const std::uint32_t parent : trail_.items[item].parents) related[parent] = true;
    }
  }

  // From the sources to what stands at the end.
  void tell_way(Telling& telling, const std::vector<std::uint32_t>& to) {
    if (to.empty()) return;
    Items related(trail_.items.size());
    for (const std::uint32_t item : to) add_ancestors(item, related);
    add_sources(telling, related);
    steps(telling, related, to.back());
  }

  void add_sources(Telling& telling, const Items& related) const {
    std::uint32_t item = 0;
    for (const Catalog* catalog : inputs_.sources)
      for (const Tensor& tensor : catalog->tensors)
        if (related[item++]) telling.sources.push_back(told(*catalog, tensor));
  }

  [[nodiscard]] const Trail::Look* look_at(std::uint32_t item, std::uint32_t rule) const {
    const auto found = std::lower_bound(
        trail_.looks.begin(), trail_.looks.end(), std::pair(item, rule),
        [](const auto& look, const auto& at) { return std::pair(look.item, look.rule) < at; });
    const bool there = found != trail_.looks.end() && found->item == item && found->rule == rule;
    return there ? &*found : nullptr;
  }

  // --- steps -------------------------------------------------------------------------------------

  // What the rules said of related names: of those from which `goal` is made, only what led to it.
  void steps(Telling& telling, const Items& related, std::uint32_t goal) const {
    std::vector<std::pair<std::pair<std::uint32_t, std::uint32_t>, Step>> found;
    for (std::uint32_t item = 0; item < related.size(); ++item) {
      if (!related[item]) continue;
      const Trail::Item& one = trail_.items[item];
      std::uint32_t end = 0;
      if (item < goal)
        for (const std::uint32_t child : children_[item])
          if (related[child]) end = std::max(end, trail_.items[child].rule + 1);
      if (end == 0) end = one.gone == kNone ? trail_.rules_run : one.gone + 1;
      for (std::uint32_t rule = one.rule == kNone ? 0 : one.rule + 1; rule < end; ++rule)
        for (Step& step : steps_of(item, rule, related))
          found.emplace_back(std::pair(rule, item), std::move(step));
    }
    std::stable_sort(found.begin(), found.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& [at, step] : found) telling.steps.push_back(std::move(step));
  }

  [[nodiscard]] std::vector<Step> steps_of(std::uint32_t item, std::uint32_t rule,
                                           const Items& related) const {
    const Trail::Item& one = trail_.items[item];
    const Trail::Look* look = look_at(item, rule);
    Step step;
    step.rule = rule;
    step.from.push_back(one.name);
    step.stays = one.gone != rule;
    if (look) step.entry = &program_.rules[rule].entries[look->entry];
    if (!look) {
      const bool outside = program_.rules[rule].verb->drops_the_rest();
      step.kind = outside ? Step::Kind::outside : Step::Kind::passes;
      if (!outside && !all_rules_) return {};
    } else if (look->outcome != Trail::Outcome::matched) {
      step.kind = kind_of(look->outcome);
      step.reason = reason(*look);
    } else {
      bool makes_others = false;
      std::vector<Step> made = made_of(item, step, related, makes_others);
      if (makes_others) return made;
      if (step.stays && !plan_.complete && rule + 1 == trail_.rules_run &&
          !program_.rules[rule].verb->drops_the_rest())
        step.kind = Step::Kind::failed;
    }
    return {std::move(step)};
  }

  // The new names that a rule makes of an item, one step for those with equal parts. `any`: there
  // are some, related or not.
  [[nodiscard]] std::vector<Step> made_of(std::uint32_t item, const Step& start,
                                          const Items& related, bool& any) const {
    std::vector<Step> steps;
    const std::vector<std::uint32_t>* parts = nullptr;
    for (const std::uint32_t child : children_[item]) {
      const Trail::Item& put = trail_.items[child];
      if (put.rule != start.rule) continue;
      any = true;
      // Told with the first of its parts that is told at all.
      const auto first = std::find_if(put.parents.begin(), put.parents.end(),
                                      [&](std::uint32_t part) { return related[part]; });
      if (!related[child] || *first != item) continue;
      if (!parts || *parts != put.parents) {
        parts = &put.parents;
        steps.push_back(start);
        for (const std::uint32_t part : put.parents)
          if (part != item) steps.back().from.push_back(trail_.items[part].name);
      }
      steps.back().to.push_back(put.name);
    }
    return steps;
  }

  static Step::Kind kind_of(Trail::Outcome outcome) {
    switch (outcome) {
      case Trail::Outcome::unless:
        return Step::Kind::unless;
      case Trail::Outcome::where:
        return Step::Kind::where;
      case Trail::Outcome::when:
        return Step::Kind::when;
      case Trail::Outcome::failed:
        return Step::Kind::failed;
      case Trail::Outcome::matched:
        break;
    }
    return Step::Kind::takes;
  }

  // Why a rule whose pattern is found passes over a name.
  [[nodiscard]] std::string reason(const Trail::Look& look) const {
    const Rule& rule = program_.rules[look.rule];
    const Trail::Item& item = trail_.items[look.item];
    const Pattern& pattern = rule.entries[look.entry].pattern;
    if (look.outcome == Trail::Outcome::unless) {
      for (const RuleEntry& entry : rule.unless)
        if (entry.pattern.found_in(item.name))
          return "so is `unless` " + quoted(entry.pattern.text());
      return "so is `unless`";
    }
    if (look.outcome == Trail::Outcome::where) return misfit(rule.where_clause, *item.expr);
    if (look.outcome == Trail::Outcome::failed) return "`when` has no value";
    const Expression& when = *rule.when[look.entry];
    std::string out = "`when` does not hold: " + when.text();
    const std::optional<Found> found = pattern.find(item.name);
    const std::string with =
        found ? bindings(when, pattern, *found, *rule.variables) : std::string();
    return with.empty() ? out : out + " (" + with + ")";
  }

  // --- ends --------------------------------------------------------------------------------------

  // What became of an item and of all that was made of it.
  void ends(Telling& telling, const Items& related, std::uint32_t first) const {
    for (std::uint32_t item = first; item < related.size(); ++item) {
      if (!related[item]) continue;
      const Trail::Item& one = trail_.items[item];
      if (one.gone != kNone) {
        const bool goes_on =
            std::any_of(children_[item].begin(), children_[item].end(),
                        [&](std::uint32_t child) { return trail_.items[child].rule == one.gone; });
        if (!goes_on) telling.ends.push_back(dropped(one));
      } else if (plan_.complete) {
        ends_of_result(telling, item);
      } else {
        telling.ends.push_back(undecided(one.name));
      }
    }
  }

  [[nodiscard]] End dropped(const Trail::Item& item) const {
    End end;
    end.status = "dropped";
    end.name = item.name;
    end.rule = item.gone;
    for (const Diagnostic& problem : rule_problems_.items())
      if (problem.code == Code::keeps_nothing &&
          is_same_place(problem.where, program_.rules[item.gone].where))
        blame(problem, end);
    return end;
  }

  // A rule failed while the name was on its way.
  [[nodiscard]] End undecided(std::string_view name) const {
    End end;
    end.status = "undecided";
    end.name = name;
    end.rule = trail_.rules_run == 0 ? kNone : trail_.rules_run - 1;
    const std::string words = quoted(name);
    for (const Diagnostic& problem : rule_problems_.items())
      if (problem.severity == Severity::error && !end.code &&
          problem.message.find(words) != std::string::npos)
        blame(problem, end);
    return end;
  }

  void blame(const Diagnostic& problem, End& end) const {
    end.code = problem.code;
    end.text = scrub_(problem.message);
    end.hint = scrub_(problem.hint);
    end.where = problem.where;
    end.notes = problem.notes;
    for (Note& note : end.notes) note.message = scrub_(note.message);
  }

  // A result may reach several names of the target: its own, and those that are tied to it.
  void ends_of_result(Telling& telling, std::uint32_t item) const {
    const std::string& result = trail_.items[item].name;
    for (const PlannedTensor& planned : plan_.tensors)
      if (!planned.from.empty() && (planned.name == result || planned.tied_to == result))
        telling.ends.push_back(end_of(planned));
    for (const UnexpectedResult& one : plan_.unexpected)
      if (one.name == result && one.policy_word != "keep")
        telling.ends.push_back(end_of(one, item));
  }

  [[nodiscard]] End end_of(const PlannedTensor& planned) const {
    End end;
    end.status = name(planned.decision);
    end.name = planned.name;
    if (planned.target != kNone) end.file = shown_path(inputs_.target->path);
    end.text = scrub_(planned.detail);
    if (planned.expr) {
      end.dtype = planned.expr->dtype;
      end.shape = planned.expr->shape;
      if (!std::holds_alternative<Load>(planned.expr->op))
        end.expression = to_string(*planned.expr, inputs_.all());
    }
    end.result_dtype = planned.result_dtype;
    end.result_shape = planned.result_shape;
    if (planned.expr) end.copied = planned.copied;
    end.lossy = planned.expr && planned.lossy;
    end.untied = planned.untied;
    end.tied_to = planned.tied_to;
    consulted(planned, end);
    if (planned.decision == Decision::error) fault(planned, end);
    for (const auto& [promise, decision] : {std::pair(Promise::skipped, Decision::skipped),
                                            {Promise::adapted, Decision::adapted},
                                            {Promise::kept, Decision::kept},
                                            {Promise::initialised, Decision::initialised}})
      if (planned.decision == decision) check_promise(promise, planned.name, end);
    if (planned.target != kNone && planned.from.empty()) {
      check_promise(Promise::missing, planned.name, end);
      for (const Suggestion& suggestion : plan_.suggestions)
        if (gives(suggestion, planned.name)) end.suggestions.push_back(suggestion);
    }
    if (planned.decision == Decision::unexpected)
      check_promise(Promise::unexpected, planned.name, end);
    return end;
  }

  // The policies that had a say, in their order.
  void consulted(const PlannedTensor& planned, End& end) const {
    if (planned.policy_word.empty()) return;
    const auto add = [&](PolicyKind kind) {
      end.policies.emplace_back(kind, &program_.policy(kind).case_for(planned.name));
    };
    const auto is_named = [&](PolicyKind kind) {
      const PolicyCase& chosen = program_.policy(kind).case_for(planned.name);
      return chosen.word == planned.policy_word && is_same_place(chosen.where, *planned.policy);
    };
    if (planned.target == kNone) return add(PolicyKind::unexpected);
    if (planned.from.empty()) return add(PolicyKind::missing);
    const Tensor& tensor = inputs_.target->tensors[planned.target];
    const bool by_shape = planned.result_shape != tensor.shape && is_named(PolicyKind::shape);
    if (by_shape) add(PolicyKind::shape);
    if (!by_shape ||
        (planned.decision == Decision::adapted && planned.result_dtype != tensor.dtype))
      add(PolicyKind::dtype);
  }

  // What is wrong, with the code and the hint of the diagnostic: the case is asked once more, since
  // a diagnostic stands for many names.
  void fault(const PlannedTensor& planned, End& end) const {
    const auto is_it = [&](const Settled& settled) {
      if (settled.decision != Decision::error || settled.message != planned.detail) return false;
      end.code = settled.code;
      end.hint = settled.hint;
      return true;
    };
    if (planned.target != kNone && !planned.policy_word.empty()) {
      const Tensor& tensor = inputs_.target->tensors[planned.target];
      Situation situation{tensor.name, &tensor, nullptr, nullptr, tensor.name};
      if (inputs_.target->has_values && !tensor.meta)
        situation.target_values = load(inputs_.target_index(), planned.target, tensor);
      const auto there = alive(reaching(planned));
      if (!planned.from.empty() && !there.empty())
        situation.result = trail_.items[there.front()].expr;
      for (const auto& [kind, chosen] : end.policies) {
        if (kind != PolicyKind::missing && !situation.result) break;
        if (is_it(chosen->action->settle(situation))) return;
      }
    }
    const std::string words = quoted(planned.name);
    for (const Diagnostic& problem : problems_.items()) {
      if (problem.severity != Severity::error || problem.message.find(words) == std::string::npos)
        continue;
      if (problem.message.find(planned.detail) == std::string::npos) continue;
      end.code = problem.code;
      // A hint that names a tensor is for the first of them.
      if (problem.message.find(": " + words) != std::string::npos ||
          problem.hint.find("exact:") == std::string::npos)
        end.hint = scrub_(problem.hint);
      return;
    }
  }

  [[nodiscard]] End end_of(const UnexpectedResult& result, std::uint32_t item) const {
    End end;
    end.status = "unexpected";
    end.name = result.name;
    end.result_dtype = result.dtype;
    end.result_shape = result.shape;
    const PolicyCase& chosen = program_.policy(PolicyKind::unexpected).case_for(result.name);
    end.policies.emplace_back(PolicyKind::unexpected, &chosen);
    const std::string_view alias = inputs_.alias_of(result.name);
    if (!alias.empty()) end.text = "still has the alias of its source";
    if (result.policy_word == "error") {
      const Settled settled = chosen.action->settle(
          {result.name, nullptr, nullptr, trail_.items[item].expr, result.name, alias});
      end.code = settled.code;
      end.hint = settled.hint;
    }
    check_promise(Promise::unexpected, result.name, end);
    for (const Suggestion& suggestion : plan_.suggestions)
      if (renamed(suggestion, result.name)) end.suggestions.push_back(suggestion);
    return end;
  }

  void check_promise(Promise kind, std::string_view of, End& end) const {
    for (const NamePromise& promise : program_.expect.names)
      if (promise.promise == kind && !any_found(promise.patterns, of))
        end.broken.emplace_back(name(kind), promise.where);
  }

  // --- what would settle it ----------------------------------------------------------------------

  // The name that a suggested rename makes of another; empty when it makes none.
  [[nodiscard]] static std::optional<std::string> renamed(const Suggestion& suggestion,
                                                          std::string_view name) {
    Diagnostics none;
    const Variables no_variables;
    const auto pattern = Pattern::compile(suggestion.pattern, {}, none);
    if (!pattern) return std::nullopt;
    auto found = pattern->find(name);
    if (!found) return std::nullopt;
    const Scope scope{.variables = &no_variables, .pattern = &*pattern, .part_index = false};
    const auto to = Template::parse(suggestion.to, {}, scope, none);
    if (!to) return std::nullopt;
    const Match match{name, nullptr, 0, &*pattern, std::move(*found)};
    Result<std::string> made = rewrite(match, *to, false, no_variables);
    if (!made) return std::nullopt;
    return std::move(*made);
  }

  [[nodiscard]] bool gives(const Suggestion& suggestion, std::string_view name) const {
    return std::any_of(
        plan_.unexpected.begin(), plan_.unexpected.end(),
        [&](const UnexpectedResult& result) { return renamed(suggestion, result.name) == name; });
  }

  // For a name that nothing reaches: what might have been meant.
  void alternatives(Telling& telling, const Tensor& tensor) const {
    std::vector<std::string_view> names;
    for (const UnexpectedResult& result : plan_.unexpected) names.push_back(result.name);
    std::vector<Load> told_already;
    for (const std::string_view near : nearest(tensor.name, names, kMostNear))
      for (const UnexpectedResult& result : plan_.unexpected) {
        if (result.name != near) continue;
        telling.near.push_back({result.name, result.dtype, result.shape, "", "", "", ""});
        told_already.insert(told_already.end(), result.from.begin(), result.from.end());
        break;
      }
    struct Candidate {
      std::size_t likeness;
      Explanation::Tensor tensor;
    };
    std::vector<Candidate> found;
    for (std::uint32_t input = 0; input < inputs_.sources.size(); ++input) {
      const Catalog& catalog = *inputs_.sources[input];
      for (std::uint32_t i = 0; i < catalog.tensors.size(); ++i) {
        const SourceFate& fate = plan_.sources[input][i];
        const Tensor& source = catalog.tensors[i];
        if (source.shape != tensor.shape || !source.unsupported.empty() ||
            fate.disposition == Disposition::used ||
            fate.disposition == Disposition::unexpected_kept ||
            std::any_of(told_already.begin(), told_already.end(),
                        [&](const Load& load) { return load.input == input && load.tensor == i; }))
          continue;
        found.push_back({likeness(source.name, tensor.name), told(catalog, source)});
        found.back().tensor.fate = fate_text(fate);
      }
    }
    telling.same_shape_count = found.size();
    std::stable_sort(found.begin(), found.end(), [](const Candidate& a, const Candidate& b) {
      return a.likeness > b.likeness;
    });
    if (found.size() > kMostOfShape) found.resize(kMostOfShape);
    for (Candidate& one : found) telling.same_shape.push_back(std::move(one.tensor));
  }

  static std::string fate_text(const SourceFate& fate) {
    switch (fate.disposition) {
      case Disposition::dropped:
        return "dropped by rule " + std::to_string(fate.rule + 1);
      case Disposition::skipped:
        return "skipped";
      case Disposition::unexpected_dropped:
        return "unexpected, dropped";
      default:
        return "not allowed by the policy";
    }
  }

  [[nodiscard]] Diagnostic not_found() const {
    // The first place that has a name is where it is looked up, so sources and target come first.
    std::vector<std::pair<std::string_view, std::string_view>> known;
    for (const Catalog* source : inputs_.sources)
      for (const Tensor& tensor : source->tensors) known.emplace_back(tensor.name, "of the source");
    if (inputs_.target)
      for (const Tensor& tensor : inputs_.target->tensors)
        known.emplace_back(tensor.name, "of the target");
    for (const Trail::Item& item : trail_.items)
      if (item.rule != kNone) known.emplace_back(item.name, "made by a rule");
    std::unordered_map<std::string_view, std::string_view> places;
    std::vector<std::string_view> names, like;
    for (const auto& [name, place] : known) {
      if (!places.emplace(name, place).second) continue;
      names.push_back(name);
      const bool has_it = contains_whole(name, name_) || contains_whole(name_, name);
      if (has_it && like.size() < kMostNear) like.push_back(name);
    }
    for (const std::string_view name : nearest(name_, names, kMostNear))
      if (std::find(like.begin(), like.end(), name) == like.end()) like.push_back(name);
    std::string hint;
    for (const std::string_view name : like)
      hint += (hint.empty() ? "like it: " : "\n         ") + quoted(name) + ", " +
              std::string(places.at(name));
    if (hint.empty())
      hint = "`regraft inspect --keys " + shell_quoted(inputs_.sources.front()->path) +
             "` lists the names";
    return error(Code::usage, {},
                 "nothing is named " + quoted(name_) + " in the source" +
                     (inputs_.target ? ", in the target" : "") + " or between the rules",
                 hint);
  }

  const Program& program_;
  const Inputs& inputs_;
  const Plan& plan_;
  const Diagnostics& problems_;
  const PathScrubber scrub_;
  const std::string name_;
  const bool all_rules_;
  Trail trail_;
  Diagnostics rule_problems_;
  std::vector<std::vector<std::uint32_t>> children_;  // by item
  Items told_;
  std::vector<Telling>* tellings_ = nullptr;
};

}  // namespace

Result<Explanation> explain(const Report& report, std::string_view name, bool all_rules) {
  return Explainer(report, name, all_rules).run();
}

}  // namespace regraft
