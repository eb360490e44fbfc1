#include <array>
#include <cstdio>

#include "schedule/gather_way.h"
#include "schedule/schedule.h"

namespace regraft {
namespace {

std::string storage_name(std::uint32_t input, std::uint32_t storage,
                         const std::vector<const Catalog*>& catalogs) {
  return "input " + std::to_string(input) + " " + quoted(catalogs[input]->storages[storage].key);
}

std::string hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return text;
}

std::string bytes(std::uint64_t count) { return std::to_string(count) + " bytes"; }

struct TextOf {
  const std::vector<const Catalog*>& catalogs;

  std::string operator()(const CopyRange& range) const {
    return "copy " + storage_name(range.input, range.storage, catalogs) + " from " +
           std::to_string(range.offset);
  }
  std::string operator()(const Gather& gather) const {
    const View& view = gather.view;
    return "gather " + storage_name(view.input, view.storage, catalogs) + " " +
           to_string(view.shape) + " strides " + to_string(view.strides) + " from element " +
           std::to_string(view.offset);
  }
  std::string operator()(const Repeat& repeat) const { return "repeat " + hex(repeat.element); }
  std::string operator()(const Parts& parts) const {
    if (parts.parts.empty()) return "nothing";
    if (parts.parts.size() == 1) return std::visit(*this, parts.parts.front());
    return std::to_string(parts.parts.size()) + " parts";
  }
  std::string operator()(const Convert& convert) const {
    return "cast from " + std::string(name(convert.from)) + ", " + (*this)(convert.parts);
  }
  std::string operator()(const Evaluate& evaluate) const {
    const std::string tiles =
        evaluate.rows == 0 ? "" : " in tiles of " + std::to_string(evaluate.rows) + " rows";
    return "evaluate" + tiles + " " + to_string(*evaluate.expr, catalogs);
  }
};

std::string to_text(const ScheduledStorage& storage) {
  const std::string_view way = storage.checksum == Checksum::none      ? ""
                               : storage.checksum == Checksum::compute ? ", crc computed"
                                                                       : ", crc reused";
  std::string text(way);
  if (storage.known_crc) {
    std::array<char, 9> digits{};
    std::snprintf(digits.data(), digits.size(), "%08x", *storage.known_crc);
    text += std::string(text.empty() ? ", crc" : "") + " (stated " + digits.data() + ")";
  }
  return text;
}

}  // namespace

std::string print(const Schedule& schedule, const Inputs& inputs) {
  const std::vector<const Catalog*> catalogs = inputs.all();
  std::string out = "schedule " + std::string(schedule.format->name()) + ": " +
                    std::to_string(schedule.bytes_written) + " bytes, " +
                    std::to_string(schedule.bytes_read) + " read, " +
                    std::to_string(schedule.peak_bytes) + " of memory\n";
  for (std::size_t i = 0; i < schedule.storages.size(); ++i) {
    const ScheduledStorage& storage = schedule.storages[i];
    out += "storage " + std::to_string(i) + " at " +
           std::to_string(schedule.layout.storage_offsets[i]) + ": " + bytes(storage.nbytes) + " " +
           std::string(name(storage.dtype)) + ", " + std::visit(TextOf{catalogs}, storage.origin) +
           to_text(storage) + "\n";
    const Parts* parts = parts_of(storage.origin);
    if (parts && parts->parts.size() > 1)
      for (const Part& part : parts->parts)
        out += "  " + bytes(nbytes(part)) + ", " + std::visit(TextOf{catalogs}, part) + "\n";
  }
  for (const ScheduledTensor& scheduled : schedule.tensors) {
    const Tensor& tensor = scheduled.tensor;
    out += "tensor " + quoted(tensor.name) + ": " + std::string(name(tensor.dtype)) + " " +
           to_string(tensor.shape) + " in storage " + std::to_string(tensor.storage);
    if (tensor.offset != 0) out += ", from element " + std::to_string(tensor.offset);
    if (!is_contiguous(tensor.shape, tensor.strides)) {
      out += ", strides " + to_string(tensor.strides);
    }
    if (tensor.conj) out += ", conj";
    if (tensor.neg) out += ", neg";
    if (scheduled.shares) out += ", shares";
    if (scheduled.compacted) out += ", compacted";
    out += "\n";
  }
  for (const std::string& name : schedule.left_out) out += "left out " + quoted(name) + "\n";
  for (const std::string& remark : schedule.remarks) out += "remark " + remark + "\n";
  return out;
}

}  // namespace regraft
