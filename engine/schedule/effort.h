// What executing a schedule takes: bytes that are read, and buffers.
#pragma once

#include <cstdint>
#include <span>

#include "schedule/schedule.h"

namespace regraft {

// Sets Evaluate::rows and ScheduledStorage::buffers of every storage, then bytes_read,
// bytes_written and peak_bytes. `catalogs` by input index; `tile_size`: of ScheduleOptions.
void count_effort(Schedule& schedule, std::span<const Catalog* const> catalogs,
                  std::uint64_t tile_size);

// Bytes of memory beside two blocks, from reading the tensor to its digest.
std::uint64_t buffers_of(const Schedule& schedule, const ScheduledTensor& tensor);

}  // namespace regraft
