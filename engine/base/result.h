// A value or the one Diagnostic that says why there is none: for faults of files and machine.
// Mistakes of a person are collected in Diagnostics instead, all of them in one run.
#pragma once

#include <cassert>
#include <utility>
#include <variant>

#include "base/diagnostic.h"

namespace regraft {

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Diagnostic error) : state_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & {
    assert(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    assert(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    assert(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  Diagnostic& error() & {
    assert(!ok());
    return *std::get_if<1>(&state_);
  }
  const Diagnostic& error() const& {
    assert(!ok());
    return *std::get_if<1>(&state_);
  }
  Diagnostic&& error() && {
    assert(!ok());
    return std::move(*std::get_if<1>(&state_));
  }

 private:
  std::variant<T, Diagnostic> state_;
};

struct Done {};
using Status = Result<Done>;  // `return Done{};` on success

}  // namespace regraft

// REGRAFT_TRY(auto x, f()): x is the value, or the enclosing function returns the error.
#define REGRAFT_CONCAT_(a, b) a##b
#define REGRAFT_CONCAT(a, b) REGRAFT_CONCAT_(a, b)
#define REGRAFT_TRY(decl, expression)                         \
  auto REGRAFT_CONCAT(try_, __LINE__) = (expression);         \
  if (!REGRAFT_CONCAT(try_, __LINE__).ok())                   \
    return std::move(REGRAFT_CONCAT(try_, __LINE__)).error(); \
  decl = std::move(REGRAFT_CONCAT(try_, __LINE__)).value()
#define REGRAFT_CHECK(expression)                                 \
  do {                                                            \
    auto REGRAFT_CONCAT(check_, __LINE__) = (expression);         \
    if (!REGRAFT_CONCAT(check_, __LINE__).ok())                   \
      return std::move(REGRAFT_CONCAT(check_, __LINE__)).error(); \
  } while (false)
