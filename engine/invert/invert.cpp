#include "invert/invert.h"

#include <algorithm>
#include <unordered_map>

#include "invert/trace.h"
#include "spec/use.h"
#include "text/characters.h"

namespace regraft {
namespace {

// Whether a word stands in any of the texts: an expression may use the variable.
bool mentions(const yaml::Node& node, std::string_view word) {
  for (std::size_t at = node.text.find(word); at != std::string::npos;
       at = node.text.find(word, at + 1)) {
    const bool begins = at == 0 || !is_word(node.text[at - 1]);
    const std::size_t end = at + word.size();
    if (begins && (end == node.text.size() || !is_word(node.text[end]))) return true;
  }
  return std::any_of(node.items.begin(), node.items.end(),
                     [&](const yaml::Node& item) { return mentions(item, word); }) ||
         std::any_of(node.entries.begin(), node.entries.end(),
                     [&](const yaml::Entry& entry) { return mentions(entry.value, word); });
}

class Inverter {
 public:
  Inverter(const Spec& spec, const Program& program, const Walk* walked, Diagnostics& diagnostics)
      : spec_(spec), program_(program), walked_(walked), diagnostics_(diagnostics) {}

  std::optional<yaml::Node> run() {
    const std::size_t before = diagnostics_.error_count();
    policies();
    std::vector<std::vector<yaml::Node>> undone;
    for (std::size_t i = 0; i < program_.rules.size(); ++i) undone.push_back(one(i));
    for (auto rules = undone.rbegin(); rules != undone.rend(); ++rules)
      for (yaml::Node& rule : *rules) rules_.push_back(std::move(rule));
    if (diagnostics_.error_count() > before) return std::nullopt;
    return document();
  }

 private:
  // What the way forth made up, the way back leaves out, and the other way round; where names stay
  // as they are, so that the cases speak of them there too.
  void policies() {
    for (const yaml::Entry& policy : spec_.policy) {
      const std::string& kind = policy.key.text;
      for_cases(
          policy.value, [&](std::string_view word, const yaml::Node& where, const yaml::Node* one) {
            const bool makes_up = kind == "missing" && word != "error" && word != "omit";
            const bool leaves_out = kind == "unexpected" && word == "drop";
            const std::string said = "nothing undoes `" + kind + ": " + std::string(word) + "`: ";
            if (kind == "shape" && word != "error")
              refuse(where, said + "what it leaves out or makes up depends on the target");
            else if (kind == "dtype" && word == "cast" && one)
              refuse(where, said + "it may lose values");
            else if (makes_up && one && one->find("match") && renames(program_.rules.size()))
              drop_first(where, *one, said);
            else if ((makes_up || leaves_out) && renames(program_.rules.size()))
              refuse(where, said + "names that rules change cannot be told from others there");
            else if (makes_up || leaves_out)
              (makes_up ? unexpected_ : missing_).push_back(names_of(one));
          });
    }
  }

  // What a policy made up goes before anything has another name, if that takes nothing else along.
  void drop_first(const yaml::Node& where, const yaml::Node& one, const std::string& said) {
    if (!walked_) {
      diagnostics_.add(error(Code::no_inverse, where.where,
                             said + "the spec does not say which of these names a source gives",
                             "give a source that it is for: `regraft invert SPEC SOURCE`"));
      return;
    }
    Diagnostics known;
    const yaml::Node names = names_of(&one);
    const std::vector<RuleEntry> match = read_patterns(*names.find("match"), known);
    std::vector<RuleEntry> unless;
    if (const yaml::Node* patterns = names.find("unless")) unless = read_patterns(*patterns, known);
    for (const Live& live : walked_->names.results)
      if (any_found(match, live.name) && !any_found(unless, live.name))
        return refuse(where, said + quoted(live.name) + " looks like what it makes up");
    yaml::Node drop = mapping_node({{"drop", *names.find("match")}});
    if (const yaml::Node* patterns = names.find("unless"))
      drop.entries.push_back({plain_node("unless"), *patterns});
    drop.entries.push_back({plain_node("count"), text_node(">= 0")});
    rules_.push_back(std::move(drop));
  }

  // `match` and `unless` of a case.
  static yaml::Node names_of(const yaml::Node* one) {
    yaml::Node names = mapping_node({});
    for (const std::string_view key : {"match", "unless"})
      if (const yaml::Node* patterns = one ? one->find(key) : nullptr)
        names.entries.push_back({plain_node(std::string(key)), *patterns});
    return names;
  }

  // Whether one of the first rules changes names.
  [[nodiscard]] bool renames(std::size_t count) const {
    return std::any_of(
        program_.rules.begin(), program_.rules.begin() + static_cast<std::ptrdiff_t>(count),
        [](const Rule& rule) { return rule.node->find("to") || rule.verb->name() == "rename"; });
  }

  template <typename Visit>
  static void for_cases(const yaml::Node& policy, Visit visit) {
    if (policy.is_scalar()) visit(policy.text, policy, nullptr);
    for (const yaml::Node& one : policy.items)
      if (const yaml::Node* word = one.find("do")) visit(word->text, *word, &one);
  }

  void refuse(const yaml::Node& at, std::string message) {
    diagnostics_.add(error(Code::no_inverse, at.where, std::move(message)));
  }

  // The rules that undo one.
  std::vector<yaml::Node> one(std::size_t index) {
    const Rule& rule = program_.rules[index];
    const yaml::Node& node = *rule.node;
    const yaml::Entry* head = nullptr;
    for (const yaml::Entry& entry : node.entries)
      if (entry.key.text == rule.verb->name()) head = &entry;
    const InverseInput input{node, head->key, head->value, *rule.variables,
                             walked_ ? &walked_->rules[index] : nullptr};
    Result<Undoing> undoing = rule.verb->undo(input);
    if (undoing && !undoing->missing)
      if (Status limits = limits_kept(input, *undoing); !limits)
        undoing = std::move(limits).error();
    if (undoing && !rule.uses.empty())
      if (Status own = without_variables(rule, input, *undoing); !own)
        undoing = std::move(own).error();
    if (!undoing) {
      diagnostics_.add(through_uses(std::move(undoing).error(), rule.uses));
      return {};
    }
    if (undoing->missing) lost(input, index, std::move(*undoing->missing));
    return std::move(undoing->rules);
  }

  // The way back is one spec, in which the variables of a used one are not there.
  static Status without_variables(const Rule& rule, const InverseInput& input,
                                  const Undoing& undoing) {
    for (const auto& [name, variable] : *rule.variables)
      if (mentions(list_node(undoing.rules), name))
        return no_inverse(input, "it takes " + quoted(name) + " from the spec that is used",
                          "invert that spec by itself");
    return Done{};
  }

  // `unless`, `where` and `when` speak of what the rule met, and the way back meets its results.
  Status limits_kept(const InverseInput& input, Undoing& undoing) const {
    if (input.param("when"))
      return no_inverse(input, "its `when` is asked of names as they were",
                        "say it with the pattern");
    if (const yaml::Node* unless = input.param("unless")) {
      if (!undoing.same_names)
        return no_inverse(input, "its `unless` speaks of names that are gone",
                          "say it with the pattern");
      for (yaml::Node& rule : undoing.rules)
        rule.entries.push_back({plain_node("unless"), *unless});
    }
    if (const yaml::Node* where = input.param("where")) {
      if ((where->find("ndim") && !undoing.same_ndim) ||
          (where->find("dtype") && !undoing.same_dtype) ||
          (where->find("shape") && !undoing.same_shape))
        return no_inverse(input, "its `where` speaks of tensors that are gone",
                          "say it with the pattern");
      for (yaml::Node& rule : undoing.rules) rule.entries.push_back({plain_node("where"), *where});
    }
    return Done{};
  }

  // Names that the rule dropped, as they stood in the source.
  void lost(const InverseInput& input, std::size_t index, yaml::Node names) {
    const bool said = !renames(index) && !input.param("where") && !input.param("when") &&
                      (names.find("match") || !input.param("unless"));
    if (said) {
      missing_.push_back(std::move(names));
    } else if (!walked_) {
      diagnostics_.add(needs_source(input, "which names of the source it drops"));
    } else if (!walked_->dropped[index].empty()) {
      std::vector<yaml::Node> dropped;
      for (const std::string& name : walked_->dropped[index]) dropped.push_back(text_node(name));
      missing_.push_back(
          mapping_node({{"match", mapping_node({{"exact", list_node(std::move(dropped))}})}}));
    }
  }

  yaml::Node document() {
    yaml::Node out = mapping_node({{"regraft", plain_node(std::to_string(kLanguageVersion))}});
    const auto add = [&](const char* key, yaml::Node value) {
      out.entries.push_back({plain_node(key), std::move(value)});
    };
    if (!spec_.name.empty()) add("name", text_node(spec_.name + "-inverse"));
    if (!spec_.description.empty()) add("description", text_node("Undoes: " + spec_.description));
    if (!spec_.revises.empty()) add("revision", text_node(spec_.revises));
    if (!spec_.revises.empty() && !spec_.revision.empty())
      add("revises", text_node(spec_.revision));
    yaml::Node vars = mapping_node({});
    for (const yaml::Entry& var : spec_.vars)
      if (mentions(list_node(rules_), var.key.text)) vars.entries.push_back(var);
    if (!vars.entries.empty()) add("vars", std::move(vars));
    add("rules", list_node(std::move(rules_)));
    yaml::Node policy = mapping_node({});
    const auto add_cases = [&](const char* key, std::vector<yaml::Node> cases, const char* word) {
      for (yaml::Node& one : cases) one.entries.push_back({plain_node("do"), plain_node(word)});
      if (!cases.empty()) policy.entries.push_back({plain_node(key), list_node(std::move(cases))});
    };
    add_cases("missing", std::move(missing_), "keep");
    add_cases("unexpected", std::move(unexpected_), "drop");
    // What was kept beside the tensors is kept again, around the state dict where it is.
    for (const yaml::Entry& one : spec_.policy)
      if (one.key.text == "extras" && program_.keeps_extras()) policy.entries.push_back(one);
    if (!policy.entries.empty()) add("policy", std::move(policy));
    yaml::Node output = mapping_node({});
    for (const yaml::Entry& one : spec_.output)
      if (one.key.text == "container") output.entries.push_back(one);
    if (!output.entries.empty()) add("output", std::move(output));
    return out;
  }

  const Spec& spec_;
  const Program& program_;
  const Walk* walked_;
  Diagnostics& diagnostics_;
  std::vector<yaml::Node> rules_, missing_, unexpected_;
};

// The results as a source of their own: names, shapes and dtypes.
Catalog catalog_of(const std::vector<Live>& results) {
  Catalog catalog;
  catalog.path = "the result";
  catalog.has_values = false;
  catalog.containers.emplace_back();
  for (const Live& live : results) {
    Tensor tensor;
    tensor.name = live.name;
    tensor.dtype = live.expr->dtype;
    tensor.shape = live.expr->shape;
    tensor.strides = contiguous_strides(tensor.shape);
    tensor.storage = static_cast<std::uint32_t>(catalog.storages.size());
    catalog.storages.push_back({.nbytes = nbytes(tensor)});
    catalog.tensors.push_back(std::move(tensor));
  }
  return catalog;
}

}  // namespace

std::optional<Walk> walk(const Program& program, const Inputs& inputs, Diagnostics& diagnostics) {
  Walk walked;
  Trail trail;
  walked.names = run_rules(program, inputs, diagnostics, 64 << 20, &trail);
  if (!walked.names.complete) return std::nullopt;
  walked.rules.resize(program.rules.size());
  walked.dropped.resize(program.rules.size());
  const auto tensor = [&](const Trail::Item& item) {
    return Seen::Tensor{item.expr->shape, item.expr->dtype};
  };
  for (const Trail::Item& item : trail.items) {
    if (item.rule == kNone) continue;
    Seen::Made& made = walked.rules[item.rule].made.emplace_back();
    made.result = tensor(item);
    for (const std::uint32_t parent : item.parents)
      made.from.push_back(tensor(trail.items[parent]));
  }
  for (const DroppedLoad& dropped : walked.names.dropped)
    walked.dropped[dropped.rule].push_back(
        inputs.sources[dropped.load.input]->tensors[dropped.load.tensor].name);
  return walked;
}

std::optional<yaml::Node> invert(const Spec& spec, const Program& program, const Walk* walked,
                                 Diagnostics& diagnostics) {
  return Inverter(spec, program, walked, diagnostics).run();
}

namespace {

// An element of the way back, all the way to the source.
std::optional<Origin> there_and_back(const Expr& back, const Walk& walked, std::int64_t element) {
  const std::optional<Origin> result = trace(back, element);
  if (!result) return std::nullopt;
  return trace(*walked.names.results[result->load.tensor].expr, result->element);
}

// What is wrong with a name that came back; empty when it is the source's own tensor. Of a large
// one, elements all over it are looked at.
std::string misses(const Live& live, const Load& own, const Tensor& tensor, const Walk& walked) {
  if (live.expr->shape != tensor.shape || live.expr->dtype != tensor.dtype)
    return std::string(name(live.expr->dtype)) + " " + to_string(live.expr->shape) + " for " +
           std::string(name(tensor.dtype)) + " " + to_string(tensor.shape);
  constexpr std::int64_t kMostLookedAt = 4096;
  const std::int64_t count = *numel(tensor.shape);
  // Odd, so that no dimension of a power of two is met at one place alone.
  const std::int64_t step = count <= kMostLookedAt ? 1 : (count / kMostLookedAt) | 1;
  for (std::int64_t element = 0; element < count; element += step) {
    const std::optional<Origin> origin = there_and_back(*live.expr, walked, element);
    if (!origin) return "values are made up";
    if (!(origin->load == own)) return "made of another tensor";
    if (origin->element != element) return "its elements change places";
  }
  return {};
}

}  // namespace

void prove(const Program& inverse, const Program& program, const Inputs& inputs, const Walk& walked,
           Diagnostics& diagnostics) {
  const Catalog there = catalog_of(walked.names.results);
  Inputs results;
  results.sources = {&there};
  Diagnostics problems;
  const Names back = run_rules(inverse, results, problems);
  bool other_names = false;
  const auto fail = [&](const std::string& what) {
    diagnostics.add(error(Code::no_inverse, {.text = program.text}, what,
                          other_names
                              ? "the inverse takes names by their new look, and other names "
                                "look so too; make the patterns say more"
                              : ""));
  };
  for (const Diagnostic& problem : problems.items()) fail("the way back fails: " + problem.message);
  if (!back.complete) return;
  const std::vector<Tensor>& tensors = inputs.sources.front()->tensors;
  std::unordered_map<std::string_view, std::uint32_t> by_name;
  for (std::uint32_t i = 0; i < tensors.size(); ++i) by_name.emplace(tensors[i].name, i);
  std::vector<std::string> wrong;
  std::vector<bool> came_back(tensors.size(), false);
  for (const Live& live : back.results) {
    const auto own = by_name.find(live.name);
    if (own == by_name.end()) {
      wrong.push_back(quoted(live.name) + " (the source has no such name)");
      other_names = true;
      continue;
    }
    came_back[own->second] = true;
    if (const std::string problem = misses(live, {0, own->second}, tensors[own->second], walked);
        !problem.empty())
      wrong.push_back(quoted(live.name) + " (" + problem + ")");
  }
  // What was dropped under one name may be there under another.
  for (const Live& live : walked.names.results)
    for (const Load& loaded : loads_of(*live.expr)) {
      if (loaded.input != 0 || came_back[loaded.tensor]) continue;
      came_back[loaded.tensor] = true;
      wrong.push_back(quoted(tensors[loaded.tensor].name) + " (in " + quoted(live.name) +
                      " it is there, and it does not come back)");
    }
  constexpr std::size_t kShown = 8;
  std::string list;
  for (std::size_t i = 0; i < std::min(wrong.size(), kShown); ++i)
    list += (i ? ", " : "") + wrong[i];
  if (wrong.size() > kShown) list += " and " + std::to_string(wrong.size() - kShown) + " more";
  if (!wrong.empty()) fail("there and back is not the same: " + list);
}

}  // namespace regraft
