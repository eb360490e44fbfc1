// Writes a flat state dict as torch.save does: a zip archive of a pickle and one record a storage.
#pragma once

#include "formats/format.h"

namespace regraft {

const Writer& torch_zip_writer();

}  // namespace regraft
