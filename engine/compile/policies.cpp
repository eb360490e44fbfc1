// Policies: one word, or a list of cases; the default case closes each list.
#include <array>

#include "base/nearest.h"
#include "compile/program.h"
#include "compile/rule_keys.h"

namespace regraft {
namespace {

constexpr auto kCaseKeys = std::to_array<Key>({
    {"match", "Pattern: the names this case is for; without it, all."},
    {"unless", "Pattern: names in which it is found are not for this case."},
    {"do", "What happens."},
});

class PolicyCompiler {
 public:
  PolicyCompiler(const Policy& policy, Diagnostics& diagnostics)
      : policy_(policy), diagnostics_(diagnostics) {}

  BoundPolicy compile(const yaml::Node* node) {
    BoundPolicy bound{policy_.kind(), {}};
    if (node && node->is_scalar())
      word(*node, nullptr, bound);
    else if (node && node->is_sequence())
      for (const yaml::Node& item : node->items) one_case(item, bound);
    else if (node)
      fail(Code::wrong_type, node->where,
           "`" + std::string(policy_.name()) + "` is a word or a list of cases, not " +
               yaml::describe(*node),
           "for instance `" + std::string(policy_.name()) + ": " +
               std::string(policy_.otherwise().name()) + "`");
    Diagnostics none;
    PolicyCase last;
    last.action = policy_.otherwise().bind(nullptr, none);
    last.word = policy_.otherwise().name();
    last.always = true;
    bound.cases.push_back(std::move(last));
    return bound;
  }

 private:
  void fail(Code code, const Location& where, std::string message, std::string hint = {}) {
    diagnostics_.add(error(code, where, std::move(message), std::move(hint)));
  }

  const Action* action(const yaml::Node& node) {
    std::vector<std::string_view> names;
    std::string list;
    for (const Action* action : policy_.actions()) {
      if (node.is_scalar() && action->name() == node.text) return action;
      names.push_back(action->name());
      list += (list.empty() ? "`" : ", `") + std::string(action->name()) + "`";
    }
    const std::string near = node.is_scalar() ? nearest(node.text, names) : "";
    fail(node.is_scalar() ? Code::unknown_key : Code::wrong_type, node.where,
         "`" + std::string(policy_.name()) + "` cannot be " + yaml::describe(node),
         near.empty() ? "it is one of " + list : "did you mean `" + near + "`?");
    return nullptr;
  }

  void word(const yaml::Node& node, const yaml::Node* parameters, BoundPolicy& bound,
            PolicyCase head = {
                .match = {}, .unless = {}, .action = {}, .word = {}, .where = {}, .always = true}) {
    const Action* chosen = action(node);
    if (!chosen) return;
    if (parameters) check_keys(*parameters, *chosen);
    head.action = chosen->bind(parameters, diagnostics_);
    head.word = chosen->name();
    head.where = parameters ? parameters->where : node.where;
    bound.cases.push_back(std::move(head));
  }

  void check_keys(const yaml::Node& parameters, const Action& chosen) {
    std::vector<Key> known(kCaseKeys.begin(), kCaseKeys.end());
    for (const Param& param : chosen.params()) known.push_back({param.name, param.doc});
    for (const yaml::Entry& entry : parameters.entries)
      check_key(entry.key, known, "`do: " + std::string(chosen.name()) + "`", diagnostics_);
  }

  void one_case(const yaml::Node& node, BoundPolicy& bound) {
    if (!node.is_mapping())
      return fail(Code::wrong_type, node.where, "a case is a mapping, not " + yaml::describe(node),
                  "for instance `- {match: '^head\\.', do: " +
                      std::string(policy_.otherwise().name()) + "}`");
    const yaml::Node* chosen = node.find("do");
    if (!chosen)
      return fail(Code::missing_key, node.where, "a case without `do`", "add what is to happen");
    PolicyCase head;
    if (const yaml::Node* match = node.find("match"))
      head.match = read_patterns(*match, diagnostics_);
    if (const yaml::Node* unless = node.find("unless"))
      head.unless = read_patterns(*unless, diagnostics_);
    head.always = !node.find("match") && !node.find("unless");
    word(*chosen, &node, bound, std::move(head));
  }

  const Policy& policy_;
  Diagnostics& diagnostics_;
};

}  // namespace

std::string_view name(Decision decision) {
  switch (decision) {
    case Decision::loaded:
      return "loaded";
    case Decision::transformed:
      return "transformed";
    case Decision::adapted:
      return "adapted";
    case Decision::kept:
      return "kept";
    case Decision::initialised:
      return "initialised";
    case Decision::skipped:
      return "skipped";
    case Decision::omitted:
      return "omitted";
    case Decision::error:
      return "error";
    case Decision::unexpected:
      return "unexpected";
  }
  return "";
}

std::string_view name(Disposition disposition) {
  switch (disposition) {
    case Disposition::used:
      return "used";
    case Disposition::dropped:
      return "dropped";
    case Disposition::skipped:
      return "skipped";
    case Disposition::unexpected_dropped:
      return "unexpected-dropped";
    case Disposition::unexpected_kept:
      return "unexpected-kept";
    case Disposition::error:
      return "error";
  }
  return "";
}

const PolicyCase& BoundPolicy::case_for(std::string_view name) const {
  for (const PolicyCase& candidate : cases) {
    if (candidate.always) return candidate;
    if (!candidate.match.empty() && !any_found(candidate.match, name)) continue;
    if (any_found(candidate.unless, name)) continue;
    return candidate;
  }
  return cases.back();
}

std::span<const Key> case_keys() { return kCaseKeys; }

std::array<BoundPolicy, 5> compile_policies(const Spec& spec,
                                            std::span<const Policy* const> policies,
                                            Diagnostics& diagnostics) {
  std::array<BoundPolicy, 5> bound;
  std::vector<Key> known;
  for (const Policy* policy : policies) known.push_back({policy->name(), policy->doc()});
  for (const yaml::Entry& entry : spec.policy) check_key(entry.key, known, "`policy`", diagnostics);
  for (const Policy* policy : policies) {
    const yaml::Node* node = nullptr;
    for (const yaml::Entry& entry : spec.policy)
      if (entry.key.text == policy->name()) node = &entry.value;
    bound[static_cast<std::size_t>(policy->kind())] =
        PolicyCompiler(*policy, diagnostics).compile(node);
  }
  return bound;
}

}  // namespace regraft
