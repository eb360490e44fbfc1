// Rules: each a mapping with exactly one verb, bound by the verb; the parameters that every rule
// takes.
#include <algorithm>
#include <array>

#include "base/nearest.h"
#include "compile/program.h"
#include "compile/rule_keys.h"
#include "verbs/parameters.h"

namespace regraft {
namespace {

constexpr auto kRuleKeys = std::to_array<Key>({
    {"unless", "Pattern: names in which it is found are not matched."},
    {"where", "Matches only tensors like this: `{ndim: 2, dtype: float16, shape: [~, 768]}`."},
    {"when", "An expression over captures and variables that has to hold."},
    {"count", "How many names must match: `8`, `'>= 1'`."},
    {"id", "What reports call this rule."},
    {"note", "A remark for people."},
});
constexpr auto kWhereKeys = std::to_array<Key>({
    {"ndim", "The number of dimensions."},
    {"dtype", "torch's name of the element type."},
    {"shape", "Sizes; `~` is any."},
});

// Compiles one rule.
class RuleCompiler {
 public:
  RuleCompiler(const yaml::Node& node, const Spec* brought, const CompileInputs& inputs,
               const std::shared_ptr<const Variables>& variables, std::vector<std::string>& used,
               Diagnostics& diagnostics)
      : node_(node),
        brought_(brought),
        inputs_(inputs),
        shared_variables_(variables),
        variables_(*variables),
        used_(used),
        diagnostics_(diagnostics) {}

  // One rule, or those that it brings; none when there is a mistake.
  std::vector<Rule> compile() {
    const yaml::Entry* head = find_verb();
    if (!head) return {};
    check_keys(*head);
    check_required(*head);
    if (!verb_->brings_rules()) return one(*head);
    Rule labels;
    text("id", labels.id);
    text("note", labels.note);
    if (!brought_) return {};  // said when it was looked for
    return compile_use(node_, *brought_, inputs_, variables_, used_, diagnostics_);
  }

 private:
  std::vector<Rule> one(const yaml::Entry& head) {
    const std::size_t before = diagnostics_.error_count();
    Rule rule;
    rule.verb = verb_;
    rule.where = head.key.where;
    rule.node = std::make_shared<const yaml::Node>(node_);
    rule.variables = shared_variables_;
    BindContext context(node_, head.key, head.value, variables_, diagnostics_);
    BoundParts parts = verb_->bind(context);
    rule.entries = std::move(parts.entries);
    rule.bound = std::move(parts.verb);
    rule.table = parts.table;
    used_.insert(used_.end(), parts.variables.begin(), parts.variables.end());
    common(rule);
    if (diagnostics_.error_count() != before || !rule.bound) return {};
    std::vector<Rule> rules;
    rules.push_back(std::move(rule));
    return rules;
  }

  const Verb* verb_named(std::string_view name) const {
    for (const Verb* verb : inputs_.verbs)
      if (verb->name() == name) return verb;
    return nullptr;
  }

  void fail(Code code, const Location& where, std::string message, std::string hint = {}) {
    diagnostics_.add(error(code, where, std::move(message), std::move(hint)));
  }

  const yaml::Entry* find_verb() {
    const yaml::Entry* head = nullptr;
    for (const yaml::Entry& entry : node_.entries) {
      const Verb* verb = verb_named(entry.key.text);
      if (!verb) continue;
      if (head) {
        fail(Code::wrong_type, entry.key.where,
             "a rule has one verb, this one has `" + head->key.text + "` and `" + entry.key.text +
                 "`",
             "put `- ` before `" + entry.key.text + "` for a rule of its own");
        return nullptr;
      }
      head = &entry;
      verb_ = verb;
    }
    if (!head) no_verb();
    return head;
  }

  void no_verb() {
    std::vector<std::string_view> verbs;
    std::string list;
    for (const Verb* verb : inputs_.verbs) {
      verbs.push_back(verb->name());
      list += (list.empty() ? "`" : ", `") + std::string(verb->name()) + "`";
    }
    const yaml::Entry* suspect = nullptr;
    std::string near;
    for (const yaml::Entry& entry : node_.entries) {
      const bool common = std::any_of(kRuleKeys.begin(), kRuleKeys.end(),
                                      [&](const Key& key) { return key.name == entry.key.text; });
      if (common) continue;
      if (!suspect) suspect = &entry;
      if (near = nearest(entry.key.text, verbs); !near.empty()) {
        suspect = &entry;
        break;
      }
    }
    if (suspect)
      fail(Code::unknown_key, suspect->key.where, "there is no verb " + quoted(suspect->key.text),
           near.empty() ? "the verbs are " + list : "did you mean `" + near + "`?");
    else
      fail(Code::missing_key, node_.where, "a rule without a verb", "the verbs are " + list);
  }

  void check_keys(const yaml::Entry& head) {
    std::vector<Key> known(kRuleKeys.begin(), kRuleKeys.end());
    for (const Param& param : verb_->params()) known.push_back({param.name, param.doc});
    for (const yaml::Entry& entry : node_.entries)
      if (&entry != &head && !names_only(entry.key))
        check_key(entry.key, known, "`" + std::string(verb_->name()) + "`", diagnostics_);
  }

  // What asks for names has no place in a rule that brings rules.
  bool names_only(const yaml::Node& key) {
    if (!verb_->brings_rules() ||
        (key.text != "unless" && key.text != "where" && key.text != "count"))
      return false;
    fail(Code::unknown_key, key.where,
         "`" + std::string(verb_->name()) + "` has no `" + key.text +
             "`: which names its rules take, they say themselves",
         "give it to the rules of that spec");
    return true;
  }

  void check_required(const yaml::Entry& head) {
    for (const Param& param : verb_->params())
      if (param.required && !node_.find(param.name))
        fail(Code::missing_key, head.key.where,
             "`" + std::string(verb_->name()) + "` has no `" + std::string(param.name) + "`",
             "add `" + std::string(param.name) + ": ...`");
  }

  void common(Rule& rule) {
    if (const yaml::Node* unless = node_.find("unless"))
      rule.unless = read_patterns(*unless, diagnostics_);
    if (const yaml::Node* where = node_.find("where")) read_where(*where, rule.where_clause);
    if (const yaml::Node* when = node_.find("when")) read_when(*when, rule);
    if (const yaml::Node* count = node_.find("count"))
      rule.count = read_comparison(*count, false, diagnostics_);
    text("id", rule.id);
    text("note", rule.note);
  }

  void text(std::string_view key, std::string& out) {
    const yaml::Node* node = node_.find(key);
    if (!node) return;
    if (node->is_scalar())
      out = node->text;
    else
      fail(Code::wrong_type, node->where,
           "`" + std::string(key) + "` is a text, not " + yaml::describe(*node));
  }

  // An integer, or an expression over variables as text.
  std::optional<std::int64_t> number(const yaml::Node& node, std::string_view what) {
    if (const auto literal = yaml::as_int(node)) {
      if (*literal >= 0) return literal;
    } else if (node.is_scalar()) {
      const Scope scope{.variables = &variables_};
      const auto expression = Expression::parse(node.text, node.where, scope, diagnostics_);
      if (!expression) return std::nullopt;
      used_.insert(used_.end(), expression->variables().begin(), expression->variables().end());
      for (const std::string& name : expression->variables())
        if (!variables_.find(name)->second.value) return std::nullopt;  // known with the source
      const auto value = expression->evaluate_int({.variables = &variables_});
      if (!value) {
        Diagnostic problem = value.error();
        if (!problem.where.known()) problem.where = node.where;
        diagnostics_.add(std::move(problem));
        return std::nullopt;
      }
      if (*value >= 0) return *value;
    }
    fail(Code::wrong_type, node.where,
         std::string(what) + " is a number from 0 up, not " + yaml::describe(node));
    return std::nullopt;
  }

  void read_where(const yaml::Node& node, Where& where) {
    if (!node.is_mapping())
      return fail(Code::wrong_type, node.where, "`where` is a mapping, not " + yaml::describe(node),
                  "for instance `where: {ndim: 2}`");
    for (const yaml::Entry& entry : node.entries) {
      if (!check_key(entry.key, kWhereKeys, "`where`", diagnostics_)) continue;
      if (entry.key.text == "ndim")
        where.ndim = number(entry.value, "`ndim`");
      else if (entry.key.text == "dtype")
        where.dtype = read_dtype(entry.value, "dtype", diagnostics_);
      else
        where.shape = shape(entry.value);
    }
  }

  std::optional<std::vector<std::optional<std::int64_t>>> shape(const yaml::Node& node) {
    if (!node.is_sequence()) {
      fail(Code::wrong_type, node.where, "`shape` is a list, not " + yaml::describe(node),
           "for instance `shape: [~, 768]`");
      return std::nullopt;
    }
    std::vector<std::optional<std::int64_t>> sizes;
    for (const yaml::Node& item : node.items)
      sizes.push_back(item.is_null() ? std::nullopt : number(item, "a size of `shape`"));
    return sizes;
  }

  void read_when(const yaml::Node& node, Rule& rule) {
    if (!node.is_scalar())
      return fail(Code::wrong_type, node.where,
                  "`when` is an expression, not " + yaml::describe(node),
                  "for instance `when: '\\1 < 12'`");
    for (const RuleEntry& entry : rule.entries) {
      const Scope scope{.variables = &variables_, .pattern = &entry.pattern, .part_index = false};
      auto expression = Expression::parse(node.text, node.where, scope, diagnostics_);
      if (!expression) return;  // the same text would fail the same way for each entry
      used_.insert(used_.end(), expression->variables().begin(), expression->variables().end());
      rule.when.push_back(std::move(expression));
    }
  }

  const yaml::Node& node_;
  const Spec* brought_;
  const CompileInputs& inputs_;
  const std::shared_ptr<const Variables>& shared_variables_;
  const Variables& variables_;
  std::vector<std::string>& used_;
  Diagnostics& diagnostics_;
  const Verb* verb_ = nullptr;
};

}  // namespace

std::span<const Key> rule_keys() { return kRuleKeys; }
std::span<const Key> where_keys() { return kWhereKeys; }

std::vector<Rule> compile_rules(const Spec& spec, const CompileInputs& inputs,
                                const std::shared_ptr<const Variables>& variables,
                                std::vector<std::string>& used_variables,
                                Diagnostics& diagnostics) {
  std::vector<Rule> rules;
  for (std::size_t i = 0; i < spec.rules.size(); ++i) {
    const Spec* brought = i < spec.used.size() ? spec.used[i].get() : nullptr;
    RuleCompiler compiler(spec.rules[i], brought, inputs, variables, used_variables, diagnostics);
    std::ranges::move(compiler.compile(), std::back_inserter(rules));
  }
  return rules;
}

bool Where::holds(const Expr& expr) const {
  if (ndim && *ndim != static_cast<std::int64_t>(expr.shape.size())) return false;
  if (dtype && *dtype != expr.dtype) return false;
  if (!shape) return true;
  if (shape->size() != expr.shape.size()) return false;
  for (std::size_t i = 0; i < shape->size(); ++i)
    if ((*shape)[i] && *(*shape)[i] != expr.shape[i]) return false;
  return true;
}

}  // namespace regraft
