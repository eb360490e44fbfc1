// A Model of the public API as a checkpoint, and back.
#pragma once

#include "base/result.h"
#include "formats/format.h"
#include "regraft/regraft.h"
#include "schedule/schedule.h"

namespace regraft {

// The model's tensors as a catalog, its storages behind a reader; `model` has to outlive it.
Result<Checkpoint> checkpoint_of(Model& model);

// Hands over what was executed into `memory`, laid out as `schedule` says.
Status assign(const Schedule& schedule, const Plan& plan, const std::byte* memory, Model& model);

}  // namespace regraft
