// A small builder of zip archives for tests: every field can be made wrong.
#pragma once

#include <unistd.h>
#include <zlib.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/hash.h"
#include "formats/file.h"
#include "formats/torch/little_endian.h"
#include "formats/torch/zip_format.h"
#include "temporary_file.h"

namespace regraft::test {

inline std::string deflate_raw(const std::string& bytes) {
  z_stream stream = {};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  std::string out(compressBound(bytes.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

struct Entry {
  std::string name, data;  // data as it is in the file
  std::uint16_t flags = zip::kFlagUtf8, method = zip::kStored;
  std::uint32_t crc = 0;
  std::uint64_t size = 0;  // of the content
  std::string local_extra, central_extra;
  std::string descriptor;
  // What the local header says, where it differs.
  std::optional<std::string> local_name;
  std::optional<std::uint16_t> local_flags, local_method;
  std::optional<std::uint32_t> local_crc, local_size, local_compressed;
  // What the directory says, where it differs.
  std::optional<std::uint32_t> central_size, central_compressed, central_offset;
};

inline Entry stored(std::string name, std::string data) {
  Entry entry;
  entry.name = std::move(name);
  entry.crc = crc32(as_bytes(data));
  entry.size = data.size();
  entry.data = std::move(data);
  return entry;
}

inline Entry deflated(std::string name, const std::string& data) {
  Entry entry = stored(std::move(name), data);
  entry.method = zip::kDeflated;
  entry.data = deflate_raw(data);
  return entry;
}

// As torch.save writes: zero CRC and sizes in the local header, padding, a data descriptor.
inline Entry streamed(std::string name, std::string data) {
  Entry entry = stored(std::move(name), std::move(data));
  entry.flags |= zip::kFlagDescriptor;
  entry.local_crc = 0;
  entry.local_size = 0;
  entry.local_compressed = 0;
  entry.local_extra = std::string("FB\x03\0ZZZ", 7);
  entry.descriptor = "PK\x07\x08";
  append_le(entry.descriptor, entry.crc);
  append_le(entry.descriptor, static_cast<std::uint32_t>(entry.size));
  append_le(entry.descriptor, static_cast<std::uint32_t>(entry.size));
  return entry;
}

struct ZipOptions {
  std::string prefix = {}, before_directory = {}, after_directory = {}, suffix = {};
  bool zip64 = false;
  std::optional<std::uint64_t> count = {};
};

inline std::string make_zip(const std::vector<Entry>& entries, const ZipOptions& options = {}) {
  using namespace zip;
  std::string out = options.prefix, directory;
  for (const Entry& e : entries) {
    std::uint64_t offset = out.size();
    std::string name = e.local_name.value_or(e.name);
    out += kLocalSignature;
    append_le<std::uint16_t>(out, 20);
    append_le(out, e.local_flags.value_or(e.flags));
    append_le(out, e.local_method.value_or(e.method));
    append_le<std::uint32_t>(out, 0);
    append_le(out, e.local_crc.value_or(e.crc));
    append_le(out, e.local_compressed.value_or(static_cast<std::uint32_t>(e.data.size())));
    append_le(out, e.local_size.value_or(static_cast<std::uint32_t>(e.size)));
    append_le(out, static_cast<std::uint16_t>(name.size()));
    append_le(out, static_cast<std::uint16_t>(e.local_extra.size()));
    out += name + e.local_extra + e.data + e.descriptor;

    directory += kCentralSignature;
    append_le<std::uint16_t>(directory, 20);
    append_le<std::uint16_t>(directory, 20);
    append_le(directory, e.flags);
    append_le(directory, e.method);
    append_le<std::uint32_t>(directory, 0);
    append_le(directory, e.crc);
    append_le(directory, e.central_compressed.value_or(static_cast<std::uint32_t>(e.data.size())));
    append_le(directory, e.central_size.value_or(static_cast<std::uint32_t>(e.size)));
    append_le(directory, static_cast<std::uint16_t>(e.name.size()));
    append_le(directory, static_cast<std::uint16_t>(e.central_extra.size()));
    append_le<std::uint16_t>(directory, 0);
    append_le<std::uint16_t>(directory, 0);
    append_le<std::uint16_t>(directory, 0);
    append_le<std::uint32_t>(directory, 0);
    append_le(directory, e.central_offset.value_or(static_cast<std::uint32_t>(offset)));
    directory += e.name + e.central_extra;
  }
  out += options.before_directory;
  std::uint64_t start = out.size(), count = options.count.value_or(entries.size());
  out += directory + options.after_directory;
  if (options.zip64) {
    std::uint64_t end64 = out.size();
    out += kEnd64Signature;
    append_le<std::uint64_t>(out, 44);
    append_le<std::uint32_t>(out, 0);
    append_le<std::uint64_t>(out, 0);
    append_le(out, count);
    append_le(out, count);
    append_le<std::uint64_t>(out, directory.size());
    append_le(out, start);
    out += kLocator64Signature;
    append_le<std::uint32_t>(out, 0);
    append_le(out, end64);
    append_le<std::uint32_t>(out, 1);
  }
  out += kEndSignature;
  append_le<std::uint32_t>(out, 0);
  append_le(out, static_cast<std::uint16_t>(count));
  append_le(out, static_cast<std::uint16_t>(count));
  append_le(out, static_cast<std::uint32_t>(directory.size()));
  append_le(out, static_cast<std::uint32_t>(start));
  append_le<std::uint16_t>(out, 0);
  return out + options.suffix;
}

}  // namespace regraft::test
