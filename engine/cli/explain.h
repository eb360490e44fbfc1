// `regraft explain`: every step that one name took, or why it did not arrive.
#pragma once

#include "cli/migrate.h"

namespace regraft::cli {

// Exit status 0 when the name was explained, whatever else the plan has to say.
int explain(MigrateOptions options);

}  // namespace regraft::cli
