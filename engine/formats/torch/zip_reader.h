// A bounded reader of zip archives: every entry has one meaning, or the archive is refused.
//
// The archive must be exactly entries, central directory, end records: nothing before, between or
// after. Local headers and data descriptors are read and must agree with the central directory.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "formats/file.h"
#include "formats/format.h"

namespace regraft {

struct ZipEntry {
  std::string_view name;              // of ZipReader's copy of the central directory
  std::uint64_t header_offset = 0;    // of the local header
  std::uint64_t data_offset = 0;      // of the first stored or compressed byte
  std::uint64_t compressed_size = 0;  // equal to `size` unless deflated
  std::uint64_t size = 0;
  bool deflated = false;
  std::optional<std::uint32_t> crc32;  // empty: not stated (0 for an entry that is not empty)
};

class ZipReader {
 public:
  static Result<ZipReader> open(std::shared_ptr<const InputFile> file, const Limits& limits);

  // Whether the file's directory lists the entry `path` below its root: a look that proves nothing
  // else of the archive, to tell one kind from another before it is opened.
  static bool lists(const InputFile& file, std::string_view path);

  [[nodiscard]] const InputFile& file() const { return *file_; }
  [[nodiscard]] const std::vector<ZipEntry>& entries() const { return entries_; }  // by directory
  // The one folder that all entries are in, without the slash.
  [[nodiscard]] std::string_view root() const { return root_; }
  // The entry `root()/path`; null when there is none.
  [[nodiscard]] const ZipEntry* find(std::string_view path) const;
  [[nodiscard]] std::string_view central_directory() const { return *directory_; }

  // All bytes of an entry, inflated; at most `limit`, and `hint` says how to have more. The CRC is
  // checked where it is stated.
  [[nodiscard]] Result<std::string> read(const ZipEntry& entry, std::uint64_t limit,
                                         std::string hint = {}) const;

 private:
  struct CaseFoldHash {
    std::size_t operator()(std::string_view name) const;
  };
  struct CaseFoldEqual {
    bool operator()(std::string_view a, std::string_view b) const;
  };
  struct Directory {
    std::uint64_t offset, size, entries;
  };

  explicit ZipReader(std::shared_ptr<const InputFile> file) : file_(std::move(file)) {}

  [[nodiscard]] Diagnostic corrupt(std::uint64_t offset, std::string_view entry,
                                   std::string message, std::string hint = {}) const;
  [[nodiscard]] Result<Directory> find_directory() const;
  [[nodiscard]] Result<Directory> widen(Directory directory, std::uint64_t end_offset) const;
  Status read_directory(const Directory& directory, const Limits& limits);
  Result<ZipEntry> read_central_header(std::uint64_t directory_offset, std::size_t& position) const;
  [[nodiscard]] Status check_name(std::string_view name, std::uint64_t offset) const;
  Status index_names(std::uint64_t directory_offset);
  Status check_local_headers(const Directory& directory);

  std::shared_ptr<const InputFile> file_;
  std::unique_ptr<std::string> directory_;  // on the heap, so that names survive a move
  std::vector<ZipEntry> entries_;
  std::vector<std::uint16_t> flags_;  // of each entry, until the local headers are checked
  std::string_view root_;
  std::unordered_map<std::string_view, std::size_t, CaseFoldHash, CaseFoldEqual> by_name_;
};

}  // namespace regraft
