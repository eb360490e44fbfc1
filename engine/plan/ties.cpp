// Ties: names that were one view, in a source or in the target, and are no longer treated alike.
#include <algorithm>
#include <map>
#include <string>

#include "plan/target.h"

namespace regraft {
namespace {

class Ties {
 public:
  Ties(const Inputs& inputs, Plan& plan) : inputs_(inputs), all_(inputs.all()), plan_(plan) {
    for (const Catalog* catalog : all_) {
      std::vector<std::uint32_t>& users = users_.emplace_back(catalog->storages.size());
      for (const Tensor& tensor : catalog->tensors)
        if (tensor.unsupported.empty()) ++users[tensor.storage];
    }
  }

  void mark() {
    for (PlannedTensor& planned : plan_.tensors) {
      if (!planned.expr) continue;
      add(planned.from, planned);
      if (planned.target != kNone) add({{inputs_.target_index(), planned.target}}, planned);
    }
    for (const auto& [origin, members] : groups_) {
      if (members.size() < 2) continue;
      std::vector<std::string> now;
      for (const PlannedTensor* member : members) now.push_back(identity(*member->expr, all_));
      if (std::adjacent_find(now.begin(), now.end(), std::not_equal_to<>()) == now.end()) continue;
      for (std::size_t i = 0; i < members.size(); ++i)
        members[i]->untied = members[i]->untied || now[i] != origin;
    }
  }

 private:
  // A name by the views that its values begin as. Names of one tensor in a source that was copied
  // count too; most storages have one user, which is tied to nothing.
  void add(const std::vector<Load>& loads, PlannedTensor& planned) {
    std::string key;
    bool shared = !loads.empty();
    for (const Load& one : loads) {
      const Tensor& tensor = tensor_of(one, inputs_);
      if (!tensor.unsupported.empty()) return;
      shared = shared && (users_[one.input][tensor.storage] > 1 || reached_twice(one));
      if (!shared) return;
      key += identity(*load(one.input, one.tensor, tensor), all_);
    }
    // Parts of one tensor are other values each, and tied to nothing but the same part of a tied
    // one.
    for (std::uint32_t step = planned.step; step != kNone;) {
      const Step& taken = plan_.steps[step];
      if (taken.part != kNone)
        key += "; part " + std::to_string(taken.part) + " by " + std::to_string(taken.rule);
      step = taken.parents.empty() ? kNone : taken.parents.front();
    }
    if (shared) groups_[key].push_back(&planned);
  }

  bool reached_twice(const Load& load) {
    if (reached_.empty()) {
      for (const Catalog* catalog : all_) reached_.emplace_back(catalog->tensors.size());
      for (const PlannedTensor& planned : plan_.tensors)
        if (planned.expr)
          for (const Load& one : planned.from) ++reached_[one.input][one.tensor];
    }
    return reached_[load.input][load.tensor] > 1;
  }

  const Inputs& inputs_;
  const std::vector<const Catalog*> all_;
  Plan& plan_;
  std::vector<std::vector<std::uint32_t>> users_;    // tensors by input and storage
  std::vector<std::vector<std::uint32_t>> reached_;  // outputs by input and tensor
  std::map<std::string, std::vector<PlannedTensor*>> groups_;
};

}  // namespace

void mark_untied(const Inputs& inputs, Plan& plan) { Ties(inputs, plan).mark(); }

}  // namespace regraft
