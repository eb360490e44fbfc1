// Computes expressions with LibTorch. No ATen in this header: who passes the evaluator on compiles
// without LibTorch's headers.
#pragma once

#include <memory>

#include "execute/evaluator.h"

namespace regraft {

// Every evaluation runs on the thread that asks for it, and on no other; several may run at once.
// The caller's thread count, grad mode, autocast and floating-point environment neither change nor
// matter. With a LibTorch of another version than that of the build, each evaluation is refused
// (no-evaluator).
std::unique_ptr<Evaluator> make_torch_evaluator();

}  // namespace regraft
