// `regraft inspect`: what a checkpoint holds, for a person, a program or another command.
#pragma once

#include <atomic>
#include <optional>
#include <string>

#include "base/result.h"
#include "formats/format.h"

namespace regraft {

struct InspectOptions {
  std::string path;
  bool keys = false, json = false, schema = false;  // at most one: what is printed
  bool values = false;                              // statistics of every tensor, for text and JSON
  std::optional<std::string> root;                  // empty: found automatically
  bool color = false;
  bool verbose = false;  // long lists and texts in full
  Limits limits;
  const std::atomic<bool>* cancelled = nullptr;  // looked at while values are read
};

// Text for stdout, or the diagnostic.
//
// Text and JSON show what is there, also where no state dict is found: then with the names from the
// top, and they say so. Names alone (--keys) and schemas are for a spec or a model, so there it is
// an error.
Result<std::string> inspect(const InspectOptions& options);

}  // namespace regraft
