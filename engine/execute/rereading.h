// Digests of tensors that did not fall out of writing: they are read for them alone.
#pragma once

#include <string>
#include <vector>

#include "execute/execution.h"

namespace regraft {

struct Reread {
  const StorageReader* reader;
  View view;
  std::string* digest;  // where it goes; each its own
};

// `counts`: the bytes are part of the progress.
Status reread(const Execution& run, const std::vector<Reread>& tensors, bool counts);

}  // namespace regraft
