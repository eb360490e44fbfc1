// The output while it is written: a part file beside it, held by a lock, published by one rename.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "execute/sink.h"
#include "formats/format.h"

namespace regraft {

// `runs/new.pt` is `new.pt` in `runs`, and is written as `.new.pt.regraft-part` there.
struct OutputPath {
  std::string whole;   // as the user gave it
  std::string folder;  // "." when the path has none
  std::string name;
  std::string part_name;
  [[nodiscard]] std::string part() const;  // with the folder as the user gave it
};
// file-write when the path has no name: empty, `a/`, `a/..`.
Result<OutputPath> output_path(const std::string& path);

class OutputFile final : public Sink {
 public:
  // Everything check_output() says, again under the lock; file-locked when another process has it.
  // What a run that was killed left behind is removed.
  static Result<std::unique_ptr<OutputFile>> create(
      const std::string& path, const std::vector<const Checkpoint*>& checkpoints, bool force);
  // Removes the part file, unless it was published.
  ~OutputFile() override;
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  [[nodiscard]] const OutputPath& path() const { return path_; }
  // Gives the file its size, and its blocks where the file system can do that in advance.
  Status reserve(std::uint64_t size);
  // From now on the disk gets what is written while more is written, and publish() waits for less.
  void write_back() { writes_back_ = true; }
  Status write(std::uint64_t offset, Bytes bytes) override;
  Shared share(std::uint64_t offset, const InputFile& file, std::uint64_t from,
               std::uint64_t length) override;
  // On the disk, and out of the cache as far as the system does that: reading is reading.
  Status to_disk();
  // An existing file keeps its permission bits when it is replaced.
  Status publish(bool force, bool sync);

 private:
  explicit OutputFile(OutputPath path) : path_(std::move(path)) {}
  Status lock(const std::vector<const Checkpoint*>& checkpoints);
  Status sync_file();
  Status rename_over();
  Status rename_to_new();
  [[nodiscard]] bool part_is(int fd) const;
  int remove_part() const;  // as unlinkat()
  [[nodiscard]] Diagnostic failed(const std::string& what, int error_number) const;

  OutputPath path_;
  int folder_ = -1, fd_ = -1;
  bool published_ = false;
  bool writes_back_ = false;
  bool shares_ = true;  // until the file system refuses it
  std::uint64_t size_ = 0;
};

}  // namespace regraft
