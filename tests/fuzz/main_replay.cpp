// Reads corpora again: each argument is a folder whose subfolders have the names of targets. What
// does not hold ends the program at once, with the file's name as the last line before.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "fuzz/target.h"

namespace fs = std::filesystem;

int main(int argc, char** argv) {
  std::size_t passed = 0;
  for (int i = 1; i < argc; ++i)
    for (const auto* target = regraft::fuzz::targets; target != nullptr; target = target->next) {
      const fs::path folder = fs::path(argv[i]) / target->name;
      if (!fs::is_directory(folder)) continue;
      std::vector<fs::path> files;
      for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
      std::sort(files.begin(), files.end());
      for (const fs::path& file : files) {
        std::printf("%s\n", file.c_str());
        std::fflush(stdout);
        std::ifstream stream(file, std::ios::binary);
        const std::string input((std::istreambuf_iterator<char>(stream)), {});
        target->run(input);
        ++passed;
      }
    }
  std::printf("%zu passed, 0 failed\n", passed);
  return passed == 0 ? 1 : 0;
}
