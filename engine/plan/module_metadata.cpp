// `_metadata` of a state dict (module -> version, from Module.state_dict()) follows the renames: a
// module's entry moves when its tensors moved, a module without tensors follows its parent, a split
// one is copied.
#include <algorithm>
#include <set>
#include <unordered_map>

#include "plan/target.h"

namespace regraft {
namespace {

std::string_view parent(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? std::string_view{} : name.substr(0, dot);
}

bool below(std::string_view module, std::string_view path) {
  return module.empty() || path == module ||
         (path.size() > module.size() && path.starts_with(module) && path[module.size()] == '.');
}

// `path` below `module`, without the dot between them.
std::string_view relative(std::string_view module, std::string_view path) {
  if (module.empty() || path == module) return path == module ? std::string_view{} : path;
  return path.substr(module.size() + 1);
}

// The prefix that leaves `tail` at the end of `path`.
std::optional<std::string> without_tail(std::string_view path, std::string_view tail) {
  if (tail.empty()) return std::string(path);
  if (path == tail) return std::string();
  if (path.size() > tail.size() + 1 && path.ends_with(tail) &&
      path[path.size() - tail.size() - 1] == '.')
    return std::string(path.substr(0, path.size() - tail.size() - 1));
  return std::nullopt;
}

std::string join(std::string_view prefix, std::string_view tail) {
  if (prefix.empty() || tail.empty()) return std::string(prefix) + std::string(tail);
  return std::string(prefix) + "." + std::string(tail);
}

class Mover {
 public:
  Mover(const Inputs& inputs, Plan& plan, Diagnostics& diagnostics)
      : inputs_(inputs),
        plan_(plan),
        diagnostics_(diagnostics),
        entries_(inputs.sources.front()->containers.front().metadata) {}

  void run() {
    for (std::size_t i = 0; i < entries_.size(); ++i) index_.emplace(entries_[i].module, i);
    places_.resize(entries_.size());
    has_tensors_.resize(entries_.size(), false);
    note_sources();
    vote();
    for (const std::size_t i : parents_first()) {
      if (!has_tensors_[i]) follow_parent(i);
    }
    // The root of a state dict is its root still when every module below it has a new name.
    if (const auto root = index_.find(""); root != index_.end() && places_[root->second].empty())
      places_[root->second].insert("");
    for (std::size_t i = 0; i < entries_.size(); ++i)
      for (const std::string& place : places_[i])
        if (place == entries_[i].module || !stays(place)) put(entries_[i], place);
    from_target();
  }

 private:
  template <typename Visit>
  void for_modules_above(std::string_view module, Visit visit) {
    for (;; module = parent(module)) {
      if (const auto found = index_.find(module); found != index_.end())
        visit(found->second, module);
      if (module.empty()) return;
    }
  }

  void note_sources() {
    for (const Tensor& tensor : inputs_.sources.front()->tensors)
      for_modules_above(parent(tensor.name),
                        [&](std::size_t i, std::string_view) { has_tensors_[i] = true; });
  }

  // Each tensor says where the modules around it went.
  void vote() {
    for (const PlannedTensor& planned : plan_.tensors) {
      if (!planned.expr) continue;
      for (const Load& load : loads_of(*planned.expr)) {
        if (load.input != 0) continue;
        const std::string_view from = parent(tensor_of(load, inputs_).name);
        const std::string_view to = parent(planned.name);
        for_modules_above(from, [&](std::size_t i, std::string_view module) {
          if (auto place = without_tail(to, relative(module, from)))
            places_[i].insert(std::move(*place));
        });
      }
    }
  }

  std::vector<std::size_t> parents_first() const {
    std::vector<std::size_t> order(entries_.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return entries_[a].module.size() < entries_[b].module.size();
    });
    return order;
  }

  void follow_parent(std::size_t i) {
    const std::string& module = entries_[i].module;
    if (module.empty()) {
      places_[i].insert("");
      return;
    }
    bool done = false;
    for_modules_above(parent(module), [&](std::size_t above, std::string_view name) {
      if (done || !below(name, module)) return;
      done = true;
      for (const std::string& place : places_[above])
        places_[i].insert(join(place, relative(name, module)));
    });
    if (!done) places_[i].insert(module);
  }

  // A module under its own name has its own entry there, also when tensors of another one went into
  // it, as those of a normalisation into the weights before it.
  bool stays(const std::string& module) const {
    const auto found = index_.find(module);
    return found != index_.end() && places_[found->second].contains(module);
  }

  void put(const ModuleMetadata& entry, const std::string& place) {
    const auto [there, first] = placed_.emplace(place, plan_.module_metadata.size());
    if (first) {
      plan_.module_metadata.push_back({place, entry.ints});
    } else if (plan_.module_metadata[there->second].ints != entry.ints) {
      diagnostics_.add(warning(Code::module_metadata, {},
                               "`_metadata` of module " + quoted(entry.module) + " would go to " +
                                   quoted(place) +
                                   ", where another module's already is; it is left out"));
    }
  }

  // Names that come from the target bring the entries of their modules.
  void from_target() {
    if (!inputs_.target) return;
    std::unordered_map<std::string_view, const ModuleMetadata*> known;
    for (const ModuleMetadata& entry : inputs_.target->containers.front().metadata)
      known.emplace(entry.module, &entry);
    for (const PlannedTensor& planned : plan_.tensors) {
      if (planned.decision != Decision::kept && planned.decision != Decision::skipped) continue;
      for (std::string_view module = parent(planned.name);; module = parent(module)) {
        const auto found = known.find(module);
        if (found != known.end() && !placed_.contains(std::string(module)))
          put(*found->second, std::string(module));
        if (module.empty()) break;
      }
    }
  }

  const Inputs& inputs_;
  Plan& plan_;
  Diagnostics& diagnostics_;
  const std::vector<ModuleMetadata>& entries_;
  std::unordered_map<std::string_view, std::size_t> index_;
  std::vector<std::set<std::string>> places_;  // by entry: the modules it goes to
  std::vector<bool> has_tensors_;              // by entry: the source has some below it
  std::unordered_map<std::string, std::size_t> placed_;
};

}  // namespace

void move_module_metadata(const Inputs& inputs, Plan& plan, Diagnostics& diagnostics) {
  const Catalog& source = *inputs.sources.front();
  if (source.containers.empty() || source.containers.front().metadata.empty()) return;
  plan.has_module_metadata = true;
  Mover(inputs, plan, diagnostics).run();
}

}  // namespace regraft
