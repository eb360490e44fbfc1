// What the policies' files share: actions without parameters that settle by a function, and the
// policy as a table of actions.
#pragma once

#include "plan/policy/policies.h"

namespace regraft {

// An action whose outcome depends on the situation alone.
class SimpleAction final : public Action {
 public:
  using Settle = Settled (*)(const Situation&);
  SimpleAction(std::string_view name, std::string_view doc, Settle settle)
      : name_(name), doc_(doc), settle_(settle) {}
  std::string_view name() const override { return name_; }
  std::string_view doc() const override { return doc_; }
  std::unique_ptr<const BoundAction> bind(const yaml::Node*, Diagnostics&) const override {
    return std::make_unique<Bound>(settle_);
  }

 private:
  class Bound final : public BoundAction {
   public:
    explicit Bound(Settle function) : function_(function) {}
    Settled settle(const Situation& situation) const override { return function_(situation); }

   private:
    Settle function_;
  };
  std::string_view name_, doc_;
  Settle settle_;
};

// A policy as its words; the first is the default.
class PolicyTable final : public Policy {
 public:
  PolicyTable(PolicyKind kind, std::string_view name, std::string_view doc,
              std::span<const Action* const> actions, const Action& otherwise)
      : kind_(kind), name_(name), doc_(doc), actions_(actions), otherwise_(otherwise) {}
  PolicyKind kind() const override { return kind_; }
  std::string_view name() const override { return name_; }
  std::string_view doc() const override { return doc_; }
  std::span<const Action* const> actions() const override { return actions_; }
  const Action& otherwise() const override { return otherwise_; }

 private:
  PolicyKind kind_;
  std::string_view name_, doc_;
  std::span<const Action* const> actions_;
  const Action& otherwise_;
};

// An error of a policy; the planner adds the names and the place.
inline Settled refuse(Code code, std::string message, std::string hint = {}) {
  Settled settled;
  settled.code = code;
  settled.message = std::move(message);
  settled.hint = std::move(hint);
  return settled;
}

}  // namespace regraft
