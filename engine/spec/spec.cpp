#include "spec/spec.h"

#include <algorithm>
#include <array>

#include "base/nearest.h"

namespace regraft {
namespace {

constexpr auto kSpecKeys = std::to_array<Key>({
    {"regraft", "The version of the language: 1."},
    {"name", "What this migration is called in reports."},
    {"description", "A sentence for people."},
    {"revision", "This spec's place in a chain of migrations."},
    {"revises", "The revision that this one follows."},
    {"vars",
     "Values that expressions use: integer, float, text, list, map, `{from: F, key: a.b}`, or "
     "`{names: target, match: P, unless: Q}`."},
    {"source", "What the source checkpoint has to be."},
    {"rules", "Run in order; each sees the names as the rule before left them."},
    {"policy", "What happens where the result and the target disagree."},
    {"expect",
     "The outcome that this file promises; anything else stops before a byte is written."},
    {"output", "How the output is written."},
});
constexpr auto kSourceKeys = std::to_array<Key>({
    {"root",
     "Paths tried in order inside the checkpoint; default: found automatically. `''` is the top."},
    {"require", "Patterns that must all be found: otherwise the spec is not for this checkpoint."},
    {"aliases",
     "Sources that must be given beside the first, as `other=more.safetensors`: a list of their "
     "aliases, or a mapping of them to `root` and `require`."},
});
constexpr auto kAliasKeys = std::to_array<Key>({
    {"root", "As the first source's `root`."},
    {"require", "As the first source's `require`; the names stand without `alias::`."},
});
constexpr auto kOutputKeys = std::to_array<Key>({
    {"container",
     "Where the state dict goes in a .pt file: `flat`, alone at the top, or `source`, back to "
     "where "
     "it was; default: `source` where `extras` keeps something."},
    {"metadata", "Texts for the header of a safetensors file."},
    {"ties",
     "What formats that cannot share do with tied tensors: `duplicate`, `first` or `error`."},
});
constexpr auto kExpectKeys = std::to_array<Key>({
    {"missing", "Target names that no result may reach, whatever the policy then does."},
    {"skipped", "Target names that may be skipped."},
    {"unexpected", "Results that the target may lack."},
    {"dropped", "Source names that rules may drop."},
    {"adapted", "Target names that a shape policy may change."},
    {"kept", "Target names that may keep the target's own values."},
    {"initialised", "Target names that may be initialised."},
    {"loaded", "Elements filled from a source over all target elements: `'>= 98%'`."},
    {"unused_rules", "`error`: a rule or table entry that matches nothing breaks the promise."},
});

std::vector<std::string_view> names_of(std::span<const Key> keys) {
  std::vector<std::string_view> names;
  for (const Key& key : keys) names.push_back(key.name);
  return names;
}

// Reads the sections of one document into a Spec.
class Reader {
 public:
  explicit Reader(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  std::optional<Spec> read(yaml::Node tree) {
    if (!tree.is_mapping()) {
      wrong_type(tree, "a spec", "a mapping", "start with `regraft: 1`");
      return std::nullopt;
    }
    if (!check_version(tree)) return std::nullopt;
    Spec spec;
    for (const yaml::Entry& entry : tree.entries) section(entry, spec);
    spec.tree = std::move(tree);
    return spec;
  }

 private:
  void wrong_type(const yaml::Node& node, std::string_view what, std::string_view wanted,
                  std::string hint = {}) {
    diagnostics_.add(
        error(Code::wrong_type, node.where,
              std::string(what) + " is " + std::string(wanted) + ", not " + yaml::describe(node),
              std::move(hint)));
  }

  bool check_version(const yaml::Node& tree) {
    const yaml::Node* version = tree.find("regraft");
    if (!version) {
      // A misspelt first key is the likelier story than a forgotten one.
      for (const yaml::Entry& entry : tree.entries)
        if (const std::string_view known[] = {"regraft"}; !nearest(entry.key.text, known).empty()) {
          check_key(entry.key, kSpecKeys, "a spec", diagnostics_);
          return false;
        }
      diagnostics_.add(error(Code::missing_key, tree.where,
                             "the spec does not say its language version",
                             "add `regraft: 1` as its first line"));
      return false;
    }
    const auto number = yaml::as_int(*version);
    if (!number) {
      wrong_type(*version, "`regraft`", "the number 1");
      return false;
    }
    if (*number != kLanguageVersion) {
      diagnostics_.add(error(Code::version_mismatch, version->where,
                             "the spec is written in language version " + version->text +
                                 ", this program reads version 1",
                             // Nobody writes 010 and means ten.
                             *number > kLanguageVersion && !version->text.starts_with('0')
                                 ? "use a newer regraft"
                                 : "write `regraft: 1`"));
      return false;
    }
    return true;
  }

  void section(const yaml::Entry& entry, Spec& spec) {
    const std::string& key = entry.key.text;
    if (!check_key(entry.key, kSpecKeys, "a spec", diagnostics_)) return;
    if (key == "name")
      text(entry, spec.name);
    else if (key == "description")
      text(entry, spec.description);
    else if (key == "revision")
      text(entry, spec.revision);
    else if (key == "revises")
      text(entry, spec.revises);
    else if (key == "vars")
      mapping(entry, spec.vars);
    else if (key == "source")
      source(entry.value, spec);
    else if (key == "rules")
      rules(entry.value, spec);
    else if (key == "policy")
      mapping(entry, spec.policy);
    else if (key == "expect")
      known_mapping(entry, kExpectKeys, spec.expect);
    else if (key == "output")
      known_mapping(entry, kOutputKeys, spec.output);
  }

  void text(const yaml::Entry& entry, std::string& out) {
    if (entry.value.is_scalar())
      out = entry.value.text;
    else
      wrong_type(entry.value, "`" + entry.key.text + "`", "a text");
  }

  void mapping(const yaml::Entry& entry, std::vector<yaml::Entry>& out) {
    if (entry.value.is_mapping())
      out = entry.value.entries;
    else if (!entry.value.is_null())
      wrong_type(entry.value, "`" + entry.key.text + "`", "a mapping");
  }

  void known_mapping(const yaml::Entry& entry, std::span<const Key> keys,
                     std::vector<yaml::Entry>& out) {
    mapping(entry, out);
    for (const yaml::Entry& inner : out)
      check_key(inner.key, keys, "`" + entry.key.text + "`", diagnostics_);
  }

  void source(const yaml::Node& node, Spec& spec) {
    if (node.is_null()) return;
    if (!node.is_mapping()) return wrong_type(node, "`source`", "a mapping");
    for (const yaml::Entry& entry : node.entries) {
      if (!check_key(entry.key, kSourceKeys, "`source`", diagnostics_)) continue;
      if (entry.key.text == "aliases")
        aliases(entry.value, spec);
      else
        source_key(entry, spec.source);
    }
  }

  void source_key(const yaml::Entry& entry, SourceSection& section) {
    if (entry.key.text == "require")
      section.require = entry.value;
    else
      root(entry.value, section);
  }

  void aliases(const yaml::Node& node, Spec& spec) {
    if (node.is_sequence()) {
      for (const yaml::Node& item : node.items) alias(item, spec);
    } else if (node.is_mapping()) {
      for (const yaml::Entry& entry : node.entries) {
        if (SourceSection* section = alias(entry.key, spec)) alias_section(entry, *section);
      }
    } else if (!node.is_null()) {
      wrong_type(node, "`aliases`", "a list of aliases, or a mapping of them",
                 "for instance `aliases: [other]`");
    }
  }

  // Null, and said, when it cannot be one more.
  SourceSection* alias(const yaml::Node& node, Spec& spec) {
    if (!node.is_scalar() || !is_alias(node.text)) {
      diagnostics_.add(error(Code::wrong_type, node.where,
                             "an alias of a source is a word, not " + yaml::describe(node),
                             std::string(kAliasRule)));
      return nullptr;
    }
    for (const SourceSection& other : spec.aliases)
      if (other.alias == node.text) {
        Diagnostic problem = error(Code::duplicate_key, node.where,
                                   "the alias " + quoted(node.text) + " stands here twice",
                                   "remove one, or give it another name");
        problem.notes.push_back({other.where, "it stands here first"});
        diagnostics_.add(std::move(problem));
        return nullptr;
      }
    SourceSection& section = spec.aliases.emplace_back();
    section.alias = node.text;
    section.where = node.where;
    return &section;
  }

  void alias_section(const yaml::Entry& entry, SourceSection& section) {
    if (entry.value.is_null()) return;
    const std::string what = "the source " + quoted(section.alias);
    if (!entry.value.is_mapping())
      return wrong_type(entry.value, what, "a mapping",
                        "for instance `" + section.alias + ": {root: state_dict}`");
    for (const yaml::Entry& inner : entry.value.entries)
      if (check_key(inner.key, kAliasKeys, what, diagnostics_)) source_key(inner, section);
  }

  void root(const yaml::Node& node, SourceSection& section) {
    if (node.is_scalar()) {
      section.root.push_back(node);
    } else if (node.is_sequence() && !node.items.empty()) {
      for (const yaml::Node& item : node.items) {
        if (item.is_scalar())
          section.root.push_back(item);
        else
          wrong_type(item, "a path of `root`", "a text");
      }
    } else {
      wrong_type(node, "`root`", "a path or a list of paths", "`''` is the top of the checkpoint");
    }
  }

  void rules(const yaml::Node& node, Spec& spec) {
    if (node.is_null()) return;
    if (!node.is_sequence())
      return wrong_type(node, "`rules`", "a list", "put `- ` before each rule");
    for (const yaml::Node& rule : node.items) {
      if (rule.is_mapping())
        spec.rules.push_back(rule);
      else
        wrong_type(rule, "a rule", "a mapping with one verb", "for instance `- drop: '^fc\\.'`");
    }
  }

  Diagnostics& diagnostics_;
};

}  // namespace

std::span<const Key> spec_keys() { return kSpecKeys; }
std::span<const Key> source_keys() { return kSourceKeys; }
std::span<const Key> alias_keys() { return kAliasKeys; }
std::span<const Key> output_keys() { return kOutputKeys; }
std::span<const Key> expect_keys() { return kExpectKeys; }

bool is_alias(std::string_view text) {
  const auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
  return !text.empty() && lower(text[0]) && std::all_of(text.begin(), text.end(), [&](char c) {
    return lower(c) || c == '_' || (c >= '0' && c <= '9');
  });
}

bool check_key(const yaml::Node& key, std::span<const Key> known, std::string_view of,
               Diagnostics& diagnostics) {
  const std::vector<std::string_view> names = names_of(known);
  for (const std::string_view name : names)
    if (name == key.text) return true;
  const std::string near = nearest(key.text, names);
  std::string hint;
  if (!near.empty()) {
    hint = "did you mean `" + near + "`?";
  } else {
    hint = "it has";
    for (std::size_t i = 0; i < names.size(); ++i)
      hint += (i == 0 ? " `" : ", `") + std::string(names[i]) + "`";
  }
  diagnostics.add(error(Code::unknown_key, key.where,
                        std::string(of) + " has no " + quoted(key.text), std::move(hint)));
  return false;
}

std::optional<Spec> read_spec(yaml::Node tree, Diagnostics& diagnostics) {
  return Reader(diagnostics).read(std::move(tree));
}

std::optional<Spec> parse_spec(const SourceTextPtr& text, Diagnostics& diagnostics) {
  std::optional<yaml::Node> tree = yaml::parse(text, diagnostics);
  if (!tree) return std::nullopt;
  return read_spec(std::move(*tree), diagnostics);
}

}  // namespace regraft
