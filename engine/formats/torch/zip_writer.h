// The arithmetic and headers of a zip archive of stored records: nothing is written here.
//
// Data is aligned by an extra field of padding, as torch.save does, so that it can be mapped. Sizes
// are known in advance, so there are no data descriptors. Sizes and offsets of 4 GiB and more are
// in zip64 fields.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace regraft {

class ZipLayout {
 public:
  struct Record {
    std::string name;
    std::uint64_t size = 0;
    std::uint64_t header_offset = 0;
    std::uint64_t data_offset = 0;
    std::uint32_t crc32 = 0;
  };

  explicit ZipLayout(std::uint64_t alignment) : alignment_(alignment) {}

  // Places the next record. False when the archive would not fit 63 bits, or the name is too long.
  // `like`: an offset that the data's is to be congruent to, modulo `page`; one that is not aligned
  // is as none.
  [[nodiscard]] bool add(std::string name, std::uint64_t size, std::uint32_t crc32 = 0,
                         std::optional<std::uint64_t> like = {}, std::uint64_t page = 1);

  [[nodiscard]] const std::vector<Record>& records() const { return records_; }
  [[nodiscard]] std::string local_header(const Record& record) const;
  // Where in the file the CRC of a record's local header stands, 4 bytes little-endian.
  [[nodiscard]] static std::uint64_t local_crc_offset(const Record& record);
  void set_crc32(std::size_t record, std::uint32_t crc32) { records_[record].crc32 = crc32; }

  // Central directory and end records, which go to end().
  [[nodiscard]] std::string directory() const;
  [[nodiscard]] std::uint64_t end() const { return end_; }
  // Of directory(), which takes no time to know.
  [[nodiscard]] std::uint64_t directory_size() const;

 private:
  [[nodiscard]] bool needs_end64() const;

  std::uint64_t alignment_;
  std::vector<Record> records_;
  std::uint64_t end_ = 0;
  std::uint64_t central_size_ = 0;
};

}  // namespace regraft
