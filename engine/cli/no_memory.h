// Running out of memory is an error like others, with a message and an exit status.
#pragma once

namespace regraft::cli {

// Called first in main().
void prepare_for_no_memory();
// Says that there is none, without needing any; the exit status.
int report_no_memory() noexcept;

}  // namespace regraft::cli
