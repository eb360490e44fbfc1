#include "spec/use.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/nearest.h"

namespace regraft {
namespace {

namespace fs = std::filesystem;

// Enough for any real spec, and an end for those in which each uses the next one twice.
constexpr std::size_t kMostSpecs = 1000;

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash == 0 ? 1 : slash);
}

bool is_path(std::string_view text) {
  return text.find('/') != std::string_view::npos || text.ends_with(".yaml") ||
         text.ends_with(".yml");
}

class Loader {
 public:
  explicit Loader(const std::string& rules_folder) : rules_folder_(rules_folder) {}

  void load(Spec& spec, Diagnostics& diagnostics) {
    spec.used.assign(spec.rules.size(), nullptr);
    files_.push_back({spec.tree.where.path(), {}});
    for (std::size_t i = 0; i < spec.rules.size(); ++i)
      if (const yaml::Node* node = spec.rules[i].find("use"))
        spec.used[i] = load(*node, spec.directory, diagnostics);
    files_.pop_back();
  }

 private:
  struct File {
    std::string path;
    Location use;  // in it, of the one that follows
  };

  std::shared_ptr<const Spec> load(const yaml::Node& node, const std::string& directory,
                                   Diagnostics& diagnostics) {
    const std::optional<std::string> path = find(node, directory, diagnostics);
    if (!path || leads_back(node, *path, diagnostics)) return nullptr;
    if (++specs_ > kMostSpecs) {
      if (specs_ == kMostSpecs + 1)
        diagnostics.add(error(Code::bad_use, node.where,
                              "more than " + std::to_string(kMostSpecs) + " specs are used"));
      return nullptr;
    }
    files_.back().use = node.where;
    Diagnostics inner;
    std::shared_ptr<Spec> used = read(*path, inner);
    if (used) load(*used, inner);
    for (const Diagnostic& problem : inner.items())
      diagnostics.add(through_uses(problem, {&node.where, 1}));
    return used;
  }

  static std::shared_ptr<Spec> read(const std::string& path, Diagnostics& diagnostics) {
    Result<SourceTextPtr> text = read_spec_file(path);
    if (!text) {
      diagnostics.add(std::move(text).error());
      return nullptr;
    }
    std::optional<Spec> spec = parse_spec(*text, diagnostics);
    if (!spec) return nullptr;
    spec->directory = directory_of(path);
    return std::make_shared<Spec>(std::move(*spec));
  }

  // --- the file ----------------------------------------------------------------------------------

  std::optional<std::string> find(const yaml::Node& node, const std::string& directory,
                                  Diagnostics& diagnostics) const {
    const auto fail = [&](Code code, std::string message, std::string hint) {
      diagnostics.add(error(code, node.where, std::move(message), std::move(hint)));
      return std::nullopt;
    };
    if (!node.is_scalar() || node.text.empty() || node.text.front() == '/')
      return fail(
          node.is_scalar() ? Code::bad_use : Code::wrong_type,
          "`use` is the name of a shipped spec or a relative path, not " + yaml::describe(node),
          "paths start at the file that names them: `./layers.yaml`");
    if (is_path(node.text)) {
      const std::string file = node.text.starts_with("./") ? node.text.substr(2) : node.text;
      return directory.empty() ? file : directory + (directory == "/" ? "" : "/") + file;
    }
    if (rules_folder_.empty())
      return fail(
          Code::bad_use,
          "there is no folder of shipped specs, in which " + quoted(node.text) + " could be",
          "a file is named by its path, `./" + node.text + ".yaml`");
    const std::map<std::string, std::string, std::less<>> shipped = names();
    if (const auto found = shipped.find(node.text); found != shipped.end()) return found->second;
    std::vector<std::string_view> known;
    for (const auto& [name, path] : shipped) known.push_back(name);
    const std::string near = nearest(node.text, known);
    return fail(Code::bad_use, "no shipped spec is named " + quoted(node.text),
                near.empty() ? "a file is named by its path, `./" + node.text + ".yaml`"
                             : "did you mean `" + near + "`?");
  }

  // Shipped specs by name.
  std::map<std::string, std::string, std::less<>> names() const {
    std::map<std::string, std::string, std::less<>> names;
    std::error_code problem;
    for (const auto& family : fs::directory_iterator(rules_folder_, problem)) {
      if (!family.is_directory(problem)) continue;
      for (const auto& file : fs::directory_iterator(family.path(), problem))
        if (const fs::path& path = file.path(); path.extension() == ".yaml") {
          // Of two with one name it is the same one on every machine.
          const auto [there, fresh] = names.emplace(path.stem(), path);
          if (!fresh) there->second = std::min(there->second, path.string());
        }
    }
    return names;
  }

  bool leads_back(const yaml::Node& node, const std::string& path, Diagnostics& diagnostics) const {
    std::error_code problem;
    const auto first = std::find_if(files_.begin(), files_.end(), [&](const File& file) {
      return file.path == path || fs::equivalent(file.path, path, problem);
    });
    if (first == files_.end()) return false;
    Diagnostic cycle = error(Code::bad_use, node.where,
                             "a spec cannot use itself: this leads back to " + quoted(first->path),
                             "put what both need into a third one");
    for (auto file = first; file + 1 != files_.end(); ++file)
      cycle.notes.push_back({file->use, "here " + quoted((file + 1)->path) + " is used"});
    diagnostics.add(std::move(cycle));
    return true;
  }

  const std::string& rules_folder_;
  std::vector<File> files_;  // from the first spec to the one that is read
  std::size_t specs_ = 0;
};

}  // namespace

void load_used(Spec& spec, const std::string& rules_folder, Diagnostics& diagnostics) {
  Loader(rules_folder).load(spec, diagnostics);
}

Diagnostic through_uses(Diagnostic problem, std::span<const Location> uses) {
  for (const Location& use : uses) problem.notes.push_back({use, "used here"});
  return problem;
}

}  // namespace regraft
