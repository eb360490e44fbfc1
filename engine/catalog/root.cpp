// select_root(): which mapping of a checkpoint is the state dict.
#include <algorithm>
#include <cassert>
#include <string_view>

#include "base/name_table.h"
#include "base/nearest.h"
#include "catalog/catalog.h"

namespace regraft {
namespace {

constexpr std::size_t kListed = 10;  // candidates in a message

// A dotted path as a scalar inside `{...}` of YAML.
std::string yaml_scalar(const std::string& text) {
  const auto plain_char = [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
  };
  // Words that YAML readers take for something else, also readers of YAML 1.1.
  std::string lower;
  for (const char c : text) {
    lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  const bool word = lower == "null" || lower == "true" || lower == "false" || lower == "yes" ||
                    lower == "no" || lower == "on" || lower == "off" || lower == "y" ||
                    lower == "n";
  const bool letter_first = !text.empty() && plain_char(static_cast<unsigned char>(text[0])) &&
                            (text[0] == '_' || (lower[0] >= 'a' && lower[0] <= 'z'));
  if (letter_first && !word && std::all_of(text.begin(), text.end(), plain_char)) return text;

  const bool control = std::any_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (!control) {
    std::string result = "'";
    for (const char c : text) result += c == '\'' ? "''" : std::string(1, c);
    return result + "'";
  }
  std::string result = "\"";
  for (const char c : text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      result += "\\x";
      result += kHex[byte >> 4];
      result += kHex[byte & 15];
    } else {
      if (c == '"' || c == '\\') result += '\\';
      result += c;
    }
  }
  return result + "\"";
}

std::string root_line(const std::string& alias, const std::string& path) {
  const std::string root = "{root: " + yaml_scalar(path) + "}";
  return "`source: " + (alias.empty() ? root : "{aliases: {" + alias + ": " + root + "}}") + "`";
}

std::string count_of(std::uint64_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

class RootSearch {
 public:
  RootSearch(Catalog catalog, std::string alias)
      : catalog_(std::move(catalog)), alias_(std::move(alias)) {
    const std::vector<Container>& containers = catalog_.containers;
    direct_.resize(containers.size());
    for (const Tensor& tensor : catalog_.tensors) {
      assert(tensor.container < containers.size());
      ++direct_[tensor.container];
    }
    below_ = direct_;
    for (std::size_t i = containers.size(); i-- > 1;) {
      assert(containers[i].parent >= 0 && static_cast<std::size_t>(containers[i].parent) < i);
      below_[parent(i)] += below_[i];
    }
  }

  Result<Catalog> run(const std::vector<std::string>& roots) {
    if (catalog_.tensors.empty()) return no_tensors();
    REGRAFT_TRY(const std::size_t root, roots.empty() ? found() : given(roots));
    REGRAFT_TRY(Catalog result, below(root));
    if (!alias_.empty()) put_alias(result);
    return result;
  }

 private:
  std::size_t parent(std::size_t i) const {
    return static_cast<std::size_t>(catalog_.containers[i].parent);
  }
  Location where() const { return file_location(catalog_.path); }
  std::string root_line(const std::string& path) const { return regraft::root_line(alias_, path); }

  void put_alias(Catalog& catalog) const {
    const std::string prefix = alias_prefix(alias_);
    for (Tensor& tensor : catalog.tensors) tensor.name.insert(0, prefix);
    for (Extra& extra : catalog.extras) extra.path.insert(0, prefix);
    catalog.alias = alias_;
  }

  // The containers for which `wanted` holds and that lie in no other such one, nor in an optimizer.
  template <typename Wanted>
  std::vector<std::size_t> outermost(bool optimizers, Wanted wanted) const {
    const std::vector<Container>& containers = catalog_.containers;
    std::vector<std::size_t> result;
    std::vector<bool> closed(containers.size());  // do not look inside
    for (std::size_t i = 0; i < containers.size(); ++i) {
      if (i > 0 && closed[parent(i)]) {
        closed[i] = true;
      } else if (containers[i].optimizer && !optimizers) {
        closed[i] = true;
      } else if (wanted(i)) {
        closed[i] = true;
        result.push_back(i);
      }
    }
    return result;
  }

  Result<std::size_t> found() const {
    const std::vector<std::size_t> candidates = outermost(false, [&](std::size_t i) {
      const Container& container = catalog_.containers[i];
      return container.mapping && container.tensors > container.entries / 2;
    });
    if (candidates.size() == 1) return candidates[0];
    if (candidates.empty()) {
      Diagnostic diagnostic = error(
          Code::root_not_found, where(), "no mapping in the checkpoint consists mostly of tensors",
          "say in the spec where the tensors are, with one of these lines");
      list(diagnostic, holders());
      return diagnostic;
    }
    Diagnostic diagnostic =
        error(Code::root_ambiguous, where(),
              "the checkpoint holds " + std::to_string(candidates.size()) + " state dicts",
              "say in the spec which one is meant, with one of these lines");
    list(diagnostic, candidates);
    return diagnostic;
  }

  Result<std::size_t> given(const std::vector<std::string>& roots) const {
    const std::vector<Container>& containers = catalog_.containers;
    std::vector<Note> notes;
    for (const std::string& path : roots) {
      std::vector<std::size_t> matches;
      for (std::size_t i = 0; i < containers.size(); ++i) {
        // A key that is empty gives the path "" below the top; "" means the top alone.
        if (containers[i].path == path && (!path.empty() || i == 0)) matches.push_back(i);
      }
      if (matches.size() > 1) return two_paths(path, matches);
      if (matches.size() == 1 && below_[matches[0]] > 0) return matches[0];
      if (matches.size() == 1) {
        notes.push_back({{}, quoted(path) + " is there, but holds no tensors"});
      } else if (std::any_of(catalog_.tensors.begin(), catalog_.tensors.end(),
                             [&](const Tensor& tensor) { return tensor.name == path; })) {
        notes.push_back({{}, quoted(path) + " is a tensor, not a mapping of tensors"});
      }
    }
    std::string names;
    for (const std::string& path : roots) names += (names.empty() ? "" : ", ") + quoted(path);
    Diagnostic diagnostic =
        error(Code::root_not_found, where(),
              roots.size() == 1 ? "the checkpoint has no tensors under the root " + names
                                : "the checkpoint has no tensors under any of the roots " + names);
    std::vector<std::string_view> paths;
    for (std::size_t i = 1; i < containers.size(); ++i) {
      if (below_[i] > 0) paths.push_back(containers[i].path);
    }
    for (const std::string& path : roots) {
      const std::string similar = nearest(path, paths);
      if (similar.empty()) continue;
      diagnostic.hint = "did you mean " + root_line(similar) + "?";
      break;
    }
    if (diagnostic.hint.empty()) {
      diagnostic.hint = "change the root in the spec to one of these, or leave it out";
    }
    diagnostic.notes = std::move(notes);
    std::vector<std::size_t> there = outermost(false, [&](std::size_t i) {
      const Container& container = containers[i];
      return container.mapping && container.tensors > container.entries / 2;
    });
    list(diagnostic, there.empty() ? holders() : there);
    return diagnostic;
  }

  Diagnostic two_paths(const std::string& path, const std::vector<std::size_t>& matches) const {
    Diagnostic diagnostic =
        error(Code::root_ambiguous, where(),
              std::to_string(matches.size()) + " containers have the dotted path " + quoted(path),
              "a key with a dot in it reads like two keys; save the checkpoint with another key");
    for (const std::size_t i : matches) {
      const std::string& outer = catalog_.containers[parent(i)].path;
      diagnostic.notes.push_back(
          {{},
           "one directly " + (parent(i) == 0 ? std::string("at the top") : "in " + quoted(outer)) +
               " holds " + count_of(below_[i], "tensor")});
    }
    return diagnostic;
  }

  // What holds tensors itself: outside of optimizers, or in them if there is nothing else.
  std::vector<std::size_t> holders() const {
    const auto holds = [&](std::size_t i) { return direct_[i] > 0; };
    std::vector<std::size_t> result = outermost(false, holds);
    return result.empty() ? outermost(true, holds) : result;
  }

  void list(Diagnostic& diagnostic, const std::vector<std::size_t>& candidates) const {
    for (std::size_t i = 0; i < std::min(candidates.size(), kListed); ++i) {
      const Container& container = catalog_.containers[candidates[i]];
      diagnostic.notes.push_back(
          {{},
           root_line(container.path) + ": " + count_of(below_[candidates[i]], "tensor") +
               (candidates[i] == 0 ? " at the top" : " below " + quoted(container.path))});
    }
    if (candidates.size() > kListed) {
      diagnostic.notes.push_back(
          {{}, "and " + std::to_string(candidates.size() - kListed) + " more"});
    }
  }

  Diagnostic no_tensors() const {
    Diagnostic diagnostic = error(Code::root_not_found, where(), "the checkpoint holds no tensors");
    for (const Extra& extra : catalog_.extras) {
      if (extra.summary.find("pickled module") == std::string::npos) continue;
      diagnostic.notes.push_back(
          {{}, (extra.path.empty() ? "the top" : quoted(extra.path)) + " is " + extra.summary});
      diagnostic.hint = "load it where its classes are installed and save module.state_dict()";
      if (diagnostic.notes.size() == kListed) break;
    }
    if (!diagnostic.notes.empty()) diagnostic.message += " outside of pickled modules";
    // The reader may have seen where they are instead.
    for (const std::string& remark : catalog_.remarks) diagnostic.notes.push_back({{}, remark});
    return diagnostic;
  }

  // "'b' in 'a'": the key that a tensor has in its container.
  std::string key_in_container(std::uint32_t container, const std::string& name) const {
    if (container == 0) return quoted(name) + " at the top";
    const std::string& path = catalog_.containers[container].path;
    return quoted(std::string_view(name).substr(std::min(path.size() + 1, name.size()))) + " in " +
           quoted(path);
  }

  Result<Catalog> below(std::size_t root) {
    std::vector<Container>& containers = catalog_.containers;
    constexpr std::uint32_t kOutside = static_cast<std::uint32_t>(-1);
    std::vector<std::uint32_t> renumbered(containers.size(), kOutside);
    std::uint32_t next = 0;
    for (std::size_t i = root; i < containers.size(); ++i) {
      if (i == root || renumbered[parent(i)] != kOutside) renumbered[i] = next++;
    }
    const std::string& path = containers[root].path;
    const std::size_t prefix = root == 0 ? 0 : path.size() + 1;

    // Those inside move up to the front; their names are cut last.
    std::vector<Tensor>& tensors = catalog_.tensors;
    NameTable seen(below_[root]);
    const auto name_of = [&](std::uint32_t one) -> std::string_view { return tensors[one].name; };
    std::uint32_t inside = 0;
    for (Tensor& tensor : tensors) {
      if (renumbered[tensor.container] == kOutside) {
        catalog_.extras.push_back(
            {std::move(tensor.name),
             !tensor.unsupported.empty()
                 ? tensor.unsupported
                 : "tensor " + std::string(name(tensor.dtype)) + " " + to_string(tensor.shape),
             tensor.place, optimizer_of(tensor.container)});
        continue;
      }
      const std::uint32_t other = seen.put(tensor.name, inside, name_of);
      if (other != inside) {
        return error(Code::tensor_corrupt, where(),
                     "two tensors have the dotted name " + quoted(tensor.name) + ": " +
                         key_in_container(tensors[other].container, tensor.name) + " and " +
                         key_in_container(tensor.container, tensor.name),
                     "save the checkpoint without one of them");
      }
      if (&tensor != &tensors[inside]) tensors[inside] = std::move(tensor);
      ++inside;
    }
    tensors.resize(inside);
    for (Tensor& tensor : tensors) {
      assert(tensor.name.size() >= prefix);
      tensor.name.erase(0, prefix);
      tensor.container = renumbered[tensor.container];
    }

    std::vector<Container> kept;
    kept.reserve(next);
    for (std::size_t i = root; i < containers.size(); ++i) {
      if (renumbered[i] == kOutside) continue;
      containers[i].parent = i == root ? -1 : static_cast<std::int32_t>(renumbered[parent(i)]);
      kept.push_back(std::move(containers[i]));
    }
    containers = std::move(kept);
    return std::move(catalog_);
  }

  // The path of the optimizer whose state a container belongs to.
  std::optional<std::string> optimizer_of(std::size_t container) const {
    for (auto i = static_cast<std::int32_t>(container); i >= 0;
         i = catalog_.containers[static_cast<std::size_t>(i)].parent) {
      const Container& one = catalog_.containers[static_cast<std::size_t>(i)];
      if (one.optimizer) return one.path;
    }
    return std::nullopt;
  }

  Catalog catalog_;
  const std::string alias_;
  std::vector<std::uint64_t> direct_;  // tensors in a container itself
  std::vector<std::uint64_t> below_;   // and with those further down
};

}  // namespace

Result<Catalog> select_root(Catalog catalog, const std::vector<std::string>& roots,
                            std::string alias) {
  return RootSearch(std::move(catalog), std::move(alias)).run(roots);
}

std::string alias_prefix(std::string_view alias) { return std::string(alias) + "::"; }

}  // namespace regraft
