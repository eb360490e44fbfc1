// Reading of inputs with their checksums looked at.
#pragma once

#include "execute/execution.h"
#include "execute/gather.h"
#include "execute/passing_by.h"

namespace regraft {

// A view in row-major order. A record that is read whole on the way has its checksum checked.
Status read_view(const Execution& run, Gatherer& gatherer, const View& view, ByteSink& sink);

// Bytes as they are. The checksum of a record that has passed by as a whole, in this range and
// those before it, is checked.
Status read_range(const Execution& run, Gatherer& gatherer, const CopyRange& range,
                  PassingBy& passing);

}  // namespace regraft
