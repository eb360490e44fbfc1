// An input file: opened once, read by offset, checked at the end to be what was opened.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace regraft {

// "a folder", "a FIFO": what is of this mode and no regular file, for messages.
std::string kind_of(mode_t mode);

class InputFile {
 public:
  // Refuses what is not a regular file (folder, FIFO, socket, device), naming what it is.
  static Result<std::shared_ptr<InputFile>> open(const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] std::uint64_t device() const { return device_; }
  [[nodiscard]] std::uint64_t inode() const { return inode_; }

  // Fills `out` from `offset`; a short file is an error (file-read), EINTR is retried. Thread-safe.
  Status read(std::uint64_t offset, std::span<std::byte> out) const;
  // The same into a string of `length` bytes, checked against the file's size before allocating.
  Result<std::string> read_string(std::uint64_t offset, std::uint64_t length) const;
  // file-changed when size, mtime or inode differ from when it was opened.
  Status unchanged() const;

 private:
  InputFile() = default;
  std::string path_;
  int fd_ = -1;
  std::uint64_t size_ = 0, device_ = 0, inode_ = 0;
  std::int64_t mtime_ns_ = 0;
};

}  // namespace regraft
