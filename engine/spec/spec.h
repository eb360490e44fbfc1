// What a spec file says: sections found and typed, rule and policy bodies still positioned trees.
// The language is docs/language.md; `compile` gives the bodies their meaning.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/yaml.h"

namespace regraft {

inline constexpr std::int64_t kLanguageVersion = 1;

// What a source has to be: the first one, or one with an alias.
struct SourceSection {
  std::string alias;             // "" for the first
  Location where;                // of the alias
  std::vector<yaml::Node> root;  // scalars; empty: found automatically
  yaml::Node require;            // a pattern or list; null: none
};

struct Spec {
  yaml::Node tree;  // the whole document
  std::string name, description, revision, revises;
  std::vector<yaml::Entry> vars;  // name -> literal or {from: ..}
  SourceSection source;
  std::vector<SourceSection> aliases;  // sources that have to be given beside the first
  std::vector<yaml::Node> rules;       // each a mapping
  // By rule, what a `use` brings; null for other rules (spec/use.h).
  std::vector<std::shared_ptr<const Spec>> used;
  std::string directory;            // of its file; "" is the current one
  std::vector<yaml::Entry> policy;  // policy name -> word or list of cases
  std::vector<yaml::Entry> expect;
  std::vector<yaml::Entry> output;
};

// A key of a mapping that the language knows, and what it is for: from these tables come the
// checks, the JSON Schema and the language reference.
struct Key {
  std::string_view name;
  std::string_view doc;
};
std::span<const Key> spec_keys();  // top level
std::span<const Key> source_keys();
std::span<const Key> alias_keys();  // of a mapping under source.aliases
std::span<const Key> output_keys();
std::span<const Key> expect_keys();

// The text of a spec file, of at most 16 MiB.
Result<SourceTextPtr> read_spec_file(const std::string& path);

// The language version is checked before anything else. Reports every mistake; empty only when
// nothing can be made of the text, so that compile() can report its own in the same run.
std::optional<Spec> parse_spec(const SourceTextPtr& text, Diagnostics& diagnostics);
// The same from a tree that was put together elsewhere (rules of the command line).
std::optional<Spec> read_spec(yaml::Node tree, Diagnostics& diagnostics);

// Whether a further source can be called so: `[a-z][a-z0-9_]*`.
bool is_alias(std::string_view text);
inline constexpr std::string_view kAliasRule =
    "an alias is a lower-case letter, then lower-case letters, digits and `_`";

// Reports unknown-key with the nearest of `known`; false when the key is not among them.
bool check_key(const yaml::Node& key, std::span<const Key> known, std::string_view of,
               Diagnostics& diagnostics);

// Canonical JSON of the spec, for the fingerprint: with what it uses in place, without name,
// revision, revises, description, id and note; keys of mappings sorted, except where order has a
// meaning (tables of `rename`).
std::string canonical_json(const Spec& spec);
std::string fingerprint(const Spec& spec);  // SHA-256 of it, hex

}  // namespace regraft
