#include "api/memory_model.h"

#include <exception>
#include <mutex>
#include <unordered_set>
#include <utility>

namespace regraft {
namespace {

constexpr std::string_view kName = "the model";

Diagnostic refused(Code code, const std::string& what, std::string hint = {}) {
  return error(code, file_location(std::string(kName)), what, std::move(hint));
}

// What a call of the model throws as a message that begins with `what`.
template <typename Call>
Status guarded(const std::string& what, Call call) {
  try {
    call();
  } catch (const std::exception& problem) {
    return refused(Code::model, what + problem.what());
  } catch (...) {
    return refused(Code::model, what + "an exception of an unknown kind");
  }
  return Done{};
}

// The bytes of a model, in the machine's byte order; those of all formats are little-endian, and so
// are the machines that this is built for.
class ModelReader final : public StorageReader {
 public:
  explicit ModelReader(Model& model) : model_(model) {}
  Status read(std::uint32_t storage, std::uint64_t offset,
              std::span<std::byte> out) const override {
    return guarded("its values cannot be read: ", [&] {
      const std::lock_guard lock(mutex_);
      model_.read(storage, offset, out);
    });
  }
  bool direct(std::uint32_t) const override { return false; }
  const InputFile* file() const override { return nullptr; }

 private:
  Model& model_;
  mutable std::mutex mutex_;
};

// Whether a name keeps its values. Assigned, they could undo what was loaded into another view of
// the same bytes.
bool stays(const PlannedTensor& planned) {
  return planned.decision == Decision::kept || planned.decision == Decision::skipped;
}

}  // namespace

Result<Checkpoint> checkpoint_of(Model& model) {
  Model::Tensors described;
  REGRAFT_CHECK(guarded("", [&] { described = model.tensors(); }));
  Checkpoint checkpoint;
  Catalog& catalog = checkpoint.catalog;
  catalog.path = kName;
  catalog.format = "memory";
  catalog.containers.emplace_back();
  catalog.containers[0].entries = catalog.containers[0].tensors = described.tensors.size();
  for (const std::uint64_t size : described.storage_sizes) {
    catalog.storages.emplace_back();
    catalog.storages.back().nbytes = size;
    catalog.file_bytes += size;
  }
  std::unordered_set<std::string> names;
  for (Model::Tensor& one : described.tensors) {
    Tensor tensor;
    tensor.name = std::move(one.name);
    tensor.shape = std::move(one.shape);
    tensor.strides = one.strides.empty() ? contiguous_strides(tensor.shape) : one.strides;
    tensor.storage = static_cast<std::uint32_t>(one.storage);
    tensor.offset = one.offset;
    tensor.parameter = one.parameter;
    tensor.requires_grad = one.requires_grad;
    tensor.conj = one.conj;
    tensor.neg = one.neg;
    tensor.unsupported = std::move(one.unsupported);
    if (!names.insert(tensor.name).second)
      return refused(Code::tensor_corrupt, "it has two tensors of the name " + quoted(tensor.name));
    const std::optional<DType> dtype = dtype_by_name(one.dtype);
    if (dtype)
      tensor.dtype = *dtype;
    else if (tensor.unsupported.empty())
      tensor.unsupported = "a tensor of dtype " + printable(one.dtype);
    if (tensor.unsupported.empty()) {
      if (one.storage >= catalog.storages.size())
        return refused(Code::tensor_corrupt, "the storage of " + quoted(tensor.name) +
                                                 " is number " + std::to_string(one.storage) +
                                                 " of " + std::to_string(catalog.storages.size()));
      if (const Status fits = check_view(catalog, tensor, 0); !fits)
        return refused(fits.error().code, fits.error().message, "the model describes it so");
    }
    catalog.tensors.push_back(std::move(tensor));
  }
  checkpoint.reader = std::make_shared<ModelReader>(model);
  return checkpoint;
}

Status assign(const Schedule& schedule, const Plan& plan, const std::byte* memory, Model& model) {
  std::vector<Model::Loaded> loaded;
  for (const ScheduledTensor& scheduled : schedule.tensors) {
    const PlannedTensor& planned = plan.tensors[scheduled.planned];
    if (stays(planned)) continue;
    const Tensor& tensor = scheduled.tensor;
    const std::uint64_t begin = schedule.layout.storage_offsets[tensor.storage] +
                                static_cast<std::uint64_t>(tensor.offset) * itemsize(tensor.dtype);
    // An empty view may begin past its storage, and no pointer may.
    const bool empty = nbytes(tensor) == 0;
    loaded.push_back(
        {planned.target, memory + (empty ? 0 : begin), tensor.strides, tensor.conj, tensor.neg});
  }
  return guarded("it does not take the tensors: ", [&] { model.assign(loaded); });
}

}  // namespace regraft
