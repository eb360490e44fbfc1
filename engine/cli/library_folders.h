// Where the dynamic linker may look once the plug-in for LibTorch is loaded.
#pragma once

#include <string>
#include <vector>

namespace regraft::cli {

// The system's folders, LD_LIBRARY_PATH, the plug-in's folder, and those that it names itself.
std::vector<std::string> library_folders();

}  // namespace regraft::cli
