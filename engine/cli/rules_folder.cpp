#include "cli/rules_folder.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace regraft::cli {

std::string rules_folder() {
  namespace fs = std::filesystem;
  if (const char* said = std::getenv("REGRAFT_RULES"); said && *said != '\0') return said;
  std::error_code problem;
  const fs::path folder = fs::read_symlink("/proc/self/exe", problem).parent_path();
  for (const fs::path& beside : {folder, folder.parent_path()})
    if (const fs::path place = beside / "share" / "regraft" / "rules";
        fs::is_directory(place, problem))
      return place;
  return {};
}

}  // namespace regraft::cli
