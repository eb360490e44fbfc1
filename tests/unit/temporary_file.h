// A file of a test's own that goes away.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include "formats/file.h"

namespace regraft::test {

class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view bytes, const std::string& suffix = {}) {
    path_ = (std::filesystem::temp_directory_path() / ("regraft-XXXXXX" + suffix)).string();
    const int fd = ::mkstemps(path_.data(), static_cast<int>(suffix.size()));
    if (fd < 0) std::abort();
    ::close(fd);
    std::ofstream(path_, std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::shared_ptr<InputFile> open() const {
    auto file = InputFile::open(path_);
    return file.ok() ? *file : nullptr;
  }

 private:
  std::string path_;
};

}  // namespace regraft::test
