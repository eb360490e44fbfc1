// Checkpoints that are put together by hand, for the tests of schedule/ and execute/.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "execute/execute.h"
#include "schedule/schedule.h"

namespace regraft::test {

class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "regraft-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  std::string path_;
};

inline void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}
inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  std::string bytes(file ? static_cast<std::size_t>(file.tellg()) : 0, '\0');
  file.seekg(0).read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

// Bytes that differ from place to place.
inline std::string noise(std::size_t size, std::uint32_t seed = 1) {
  std::string bytes(size, '\0');
  std::uint32_t state = seed * 2654435761u + 1;
  for (char& byte : bytes) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

// Storages one after the other in a file without a header.
class PlainReader final : public StorageReader {
 public:
  PlainReader(std::shared_ptr<InputFile> file, std::vector<Storage> storages, bool direct)
      : file_(std::move(file)), storages_(std::move(storages)), direct_(direct) {}
  Status read(std::uint32_t storage, std::uint64_t offset,
              std::span<std::byte> out) const override {
    if (offset + out.size() > storages_[storage].nbytes) std::abort();
    return file_->read(storages_[storage].offset + offset, out);
  }
  bool direct(std::uint32_t) const override { return direct_; }
  const InputFile* file() const override { return file_.get(); }

 private:
  std::shared_ptr<InputFile> file_;
  std::vector<Storage> storages_;
  bool direct_;
};

// One input: storages and views of them.
class Source {
 public:
  std::uint32_t storage(std::string bytes, bool with_crc = false) {
    Storage storage;
    storage.nbytes = bytes.size();
    storage.key = "data/" + std::to_string(catalog.storages.size());
    storage.offset = bytes_.size();
    if (with_crc) storage.crc32 = crc32(as_bytes(bytes));
    bytes_ += bytes;
    catalog.storages.push_back(std::move(storage));
    return static_cast<std::uint32_t>(catalog.storages.size() - 1);
  }
  Tensor& tensor(std::string name, DType dtype, Shape shape, std::uint32_t storage,
                 std::int64_t offset = 0, std::optional<Shape> strides = {}) {
    Tensor tensor;
    tensor.name = std::move(name);
    tensor.dtype = dtype;
    tensor.strides = strides ? *strides : contiguous_strides(shape);
    tensor.shape = std::move(shape);
    tensor.storage = storage;
    tensor.offset = offset;
    catalog.tensors.push_back(std::move(tensor));
    return catalog.tensors.back();
  }
  // A tensor with a storage of its own.
  Tensor& tensor(std::string name, DType dtype, Shape shape) {
    const std::uint64_t bytes = static_cast<std::uint64_t>(*numel(shape)) * itemsize(dtype);
    const auto seed = static_cast<std::uint32_t>(catalog.storages.size() + 1);
    const std::uint32_t index = storage(noise(bytes, seed));
    return tensor(std::move(name), dtype, std::move(shape), index);
  }
  // Writes the file; call when all is there.
  const Checkpoint& open(const std::string& path, bool direct = true) {
    write_file(path, bytes_);
    auto file = InputFile::open(path);
    if (!file.ok()) std::abort();
    catalog.path = path;
    catalog.file_bytes = bytes_.size();
    checkpoint_.catalog = catalog;
    checkpoint_.reader = std::make_shared<PlainReader>(*file, catalog.storages, direct);
    return checkpoint_;
  }
  // The elements in row-major order, one by one.
  [[nodiscard]] std::string elements(const Tensor& tensor) const {
    const std::string bytes = bytes_.substr(catalog.storages[tensor.storage].offset,
                                            catalog.storages[tensor.storage].nbytes);
    std::string out;
    const auto count = static_cast<std::uint64_t>(*numel(tensor.shape));
    for (std::uint64_t i = 0; i < count; ++i) {
      std::uint64_t rest = i, at = static_cast<std::uint64_t>(tensor.offset);
      for (std::size_t k = tensor.shape.size(); k-- > 0;) {
        const auto size = static_cast<std::uint64_t>(tensor.shape[k]);
        at += rest % size * static_cast<std::uint64_t>(tensor.strides[k]);
        rest /= size;
      }
      out += bytes.substr(at * itemsize(tensor.dtype), itemsize(tensor.dtype));
    }
    return out;
  }

  Catalog catalog;

 private:
  std::string bytes_;
  Checkpoint checkpoint_;
};

// Every tensor of the catalog goes through as it is.
inline Plan plan_all(const Catalog& catalog, std::uint32_t input = 0) {
  Plan plan;
  for (std::uint32_t i = 0; i < catalog.tensors.size(); ++i) {
    PlannedTensor planned;
    planned.name = catalog.tensors[i].name;
    planned.decision = Decision::loaded;
    planned.expr = load(input, i, catalog.tensors[i]);
    plan.tensors.push_back(std::move(planned));
  }
  return plan;
}

struct Scheduled {
  std::optional<Schedule> schedule;
  Diagnostics diagnostics;
};
inline Scheduled schedule_of(const Plan& plan, const Catalog& catalog, const Format& format,
                             const Program& program = {}, const ScheduleOptions& options = {}) {
  Inputs inputs;
  inputs.sources = {&catalog};
  Scheduled result;
  result.schedule = make_schedule(plan, program, inputs, format, options, result.diagnostics);
  return result;
}
inline Scheduled schedule_all(const Catalog& catalog, const Format& format,
                              const Program& program = {}, const ScheduleOptions& options = {}) {
  return schedule_of(plan_all(catalog), catalog, format, program, options);
}

// A tensor's elements in a file that was written.
inline std::string elements(const Checkpoint& checkpoint, const Tensor& tensor) {
  const Storage& storage = checkpoint.catalog.storages[tensor.storage];
  std::string bytes(storage.nbytes, '\0');
  if (!checkpoint.reader->read(tensor.storage, 0, std::as_writable_bytes(std::span(bytes))).ok()) {
    return "unreadable";
  }
  Source source;
  Tensor copy = tensor;
  copy.storage = source.storage(bytes);
  return source.elements(copy);
}

}  // namespace regraft::test
