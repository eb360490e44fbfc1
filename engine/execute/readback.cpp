#include "execute/readback.h"

#include <utility>
#include <vector>

namespace regraft {
namespace {

// What differs between a tensor as scheduled and as read; empty: nothing.
std::string difference(const Tensor& wanted, const Tensor& found) {
  if (found.name != wanted.name) return "its name is " + quoted(found.name);
  if (!found.unsupported.empty()) return "it is " + found.unsupported;
  if (found.dtype != wanted.dtype) return "its dtype is " + std::string(name(found.dtype));
  if (found.shape != wanted.shape) return "its shape is " + to_string(found.shape);
  if (found.strides != wanted.strides) return "its strides are " + to_string(found.strides);
  if (found.offset != wanted.offset) return "its offset is " + std::to_string(found.offset);
  if (found.conj != wanted.conj || found.neg != wanted.neg) {
    return "its conjugate or negative bit differs";
  }
  return {};
}

std::string compare(const Schedule& schedule, const Catalog& found) {
  if (found.tensors.size() != schedule.tensors.size()) {
    return "it has " + std::to_string(found.tensors.size()) + " tensors, not " +
           std::to_string(schedule.tensors.size());
  }
  // Storages may be numbered otherwise, but each is one there and one here.
  std::vector<std::uint32_t> there(schedule.storages.size(), kNone);
  std::vector<std::uint32_t> here(found.storages.size(), kNone);
  for (std::size_t i = 0; i < found.tensors.size(); ++i) {
    const Tensor& wanted = schedule.tensors[i].tensor;
    const Tensor& tensor = found.tensors[i];
    const std::string about = "tensor " + quoted(wanted.name) + ": ";
    if (std::string what = difference(wanted, tensor); !what.empty()) return about + what;
    std::uint32_t& storage = there[wanted.storage];
    std::uint32_t& scheduled = here[tensor.storage];
    if (storage == kNone) storage = tensor.storage;
    if (scheduled == kNone) scheduled = wanted.storage;
    if (storage != tensor.storage || scheduled != wanted.storage) {
      return about + "it shares its storage with other tensors than it should";
    }
    const Storage& bytes = found.storages[tensor.storage];
    const std::uint64_t nbytes = schedule.storages[wanted.storage].nbytes;
    if (bytes.nbytes != nbytes) {
      return about + "its storage has " + std::to_string(bytes.nbytes) + " bytes, not " +
             std::to_string(nbytes);
    }
    const std::uint64_t offset = schedule.layout.storage_offsets[wanted.storage];
    if (nbytes > 0 && bytes.offset != offset) {
      return about + "its storage is at offset " + std::to_string(bytes.offset) + ", not " +
             std::to_string(offset);
    }
  }
  return {};
}

}  // namespace

Result<Checkpoint> read_back(const Schedule& schedule, const std::string& part,
                             const std::string& output) {
  const auto fault = [&](const std::string& what) {
    return error(Code::file_write, file_location(output),
                 "internal fault: what was written is not what was scheduled: " + what,
                 "nothing was published; please report this");
  };
  REGRAFT_TRY(std::shared_ptr<InputFile> file, InputFile::open(part));
  auto opened = schedule.format->open(std::move(file), largest_limits());
  if (!opened.ok()) {
    Diagnostic diagnostic = fault(opened.error().message);
    diagnostic.notes.push_back({opened.error().where, opened.error().message});
    return diagnostic;
  }
  if (const Surroundings& around = schedule.output.surroundings;
      around.content && !schedule.tensors.empty()) {
    auto root = select_root(std::move(opened->catalog), {around.root_path});
    if (!root.ok()) return fault(root.error().message);
    opened->catalog = std::move(root).value();
  }
  if (std::string what = compare(schedule, opened->catalog); !what.empty()) return fault(what);
  return opened;
}

}  // namespace regraft
