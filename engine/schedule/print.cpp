#include <array>
#include <cstdio>

#include "schedule/schedule.h"

namespace regraft {
namespace {

std::string storage_name(std::uint32_t input, std::uint32_t storage,
                         const std::vector<const Catalog*>& catalogs) {
  return "input " + std::to_string(input) + " " + quoted(catalogs[input]->storages[storage].key);
}

std::string to_text(const Origin& origin, const std::vector<const Catalog*>& catalogs) {
  if (const auto* range = std::get_if<CopyRange>(&origin)) {
    return "copy " + storage_name(range->input, range->storage, catalogs) + " from " +
           std::to_string(range->offset);
  }
  if (const auto* gather = std::get_if<Gather>(&origin)) {
    const View& view = gather->view;
    return "gather " + storage_name(view.input, view.storage, catalogs) + " " +
           to_string(view.shape) + " strides " + to_string(view.strides) + " from element " +
           std::to_string(view.offset);
  }
  return "evaluate " + to_string(*std::get<Evaluate>(origin).expr, catalogs);
}

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
           std::to_string(schedule.layout.storage_offsets[i]) + ": " +
           std::to_string(storage.nbytes) + " bytes " + std::string(name(storage.dtype)) + ", " +
           to_text(storage.origin, catalogs) + to_text(storage) + "\n";
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
