// The classes of one class file of TorchScript, and of each what decides the state dict of its
// objects:
//
//   class Norm(Module):
//     __parameters__ = ["weight", "bias", ]
//     __buffers__ = ["mean", ]
//     weight : Tensor
//     bias : NoneType
//     mean : Tensor
//     training : bool
//     __annotations__["0"] = __torch__.Other
//     eps : Final[float] = 1.0000000000000001e-05
//     def forward(self: __torch__.Norm,
//       x: Tensor) -> Tensor:
//       ...
//
// A lexer that skips bodies of functions, types and constants; no line of it is run. Tokens,
// strings and indentation are torch's (torch/csrc/jit/frontend/lexer.h, parse_string_literal.h),
// the statements those of torch/csrc/jit/serialization/import_source.cpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "formats/torch/pickle.h"

namespace regraft {

enum class ScriptRole { plain, parameter, buffer };
enum class ScriptType { tensor, none, other };  // `Tensor`, `NoneType`, any other

struct ScriptAttribute {
  std::string name;
  ScriptType type = ScriptType::other;
  ScriptRole role = ScriptRole::plain;
};

struct ScriptClass {
  std::string name;                         // without the qualifier, which the file's path gives
  bool module = false;                      // the rest is read of modules alone
  bool lists_buffers = false;               // older files do not
  bool sets_state = false;                  // by code: it has __getstate__ and __setstate__
  std::vector<ScriptAttribute> attributes;  // as declared, which is the order of the state dict
};

// Each name is defined once. Codes: zip-corrupt.
Result<std::vector<ScriptClass>> read_script_source(std::string_view text,
                                                    const PickleOrigin& origin);

}  // namespace regraft
