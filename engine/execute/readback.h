// Reads what was written with the format's own reader, before it gets its name.
#pragma once

#include <string>

#include "base/result.h"
#include "schedule/schedule.h"

namespace regraft {

// The part file as a checkpoint. Names, dtypes, shapes, strides, storages and places are as
// scheduled; anything else is a fault of this program, reported as file-write.
Result<Checkpoint> read_back(const Schedule& schedule, const std::string& part,
                             const std::string& output);

}  // namespace regraft
