// torch::nn::Module as a model of the public API.
#include <ATen/MemoryOverlap.h>
#include <torch/nn/module.h>

#include <cstring>
#include <optional>
#include <stdexcept>
#include <unordered_map>

#include "regraft/torch.h"
#include "torch/dtypes.h"
#include "torch/evaluator.h"
#include "torch/torch_version.h"

namespace regraft {
namespace {

std::string dtype_of(const at::Tensor& tensor) {
  for (const DTypeInfo& one : all_dtypes())
    if (scalar_type(one.dtype) == tensor.scalar_type()) return std::string(one.name);
  return c10::toString(tensor.scalar_type());
}

// Why a tensor can neither be read nor be filled; empty when it can.
std::string why_not(const at::Tensor& tensor) {
  if (tensor.is_meta()) return "a tensor of the meta device, which has no memory yet";
  if (tensor.is_quantized()) return "a quantized tensor";
  if (tensor.layout() != c10::kStrided || !tensor.has_storage())
    return "a tensor without strides (" + std::string(tensor.is_sparse() ? "sparse" : "opaque") +
           ")";
  if (at::has_internal_overlap(tensor) == at::MemOverlap::Yes)
    return "an expanded tensor, whose elements share memory";
  return {};
}

// What ATen throws has the stack at its end.
template <typename Call>
void without_backtrace(Call call) {
  try {
    call();
  } catch (const c10::Error& fault) {
    throw std::runtime_error(fault.what_without_backtrace());
  }
}

class ModuleModel final : public Model {
 public:
  explicit ModuleModel(torch::nn::Module& module) : module_(module) {}

  // The version comes first: another LibTorch has its modules laid out in another way.
  Tensors tensors() override {
    if (const Status fit = check_loaded_torch(); !fit)
      throw std::runtime_error(fit.error().message + "; " + fit.error().hint);
    without_backtrace([&] { collect(module_, ""); });
    Tensors all;
    all.tensors = std::move(described_);
    for (const at::Storage& storage : storages_) all.storage_sizes.push_back(storage.nbytes());
    return all;
  }

  void read(std::size_t storage, std::uint64_t offset, std::span<std::byte> out) override {
    if (out.empty()) return;
    without_backtrace([&] {
      const auto* bytes = static_cast<const std::byte*>(on_cpu(storage));
      std::memcpy(out.data(), bytes + offset, out.size());
    });
  }

  void assign(std::span<const Loaded> loaded) override {
    without_backtrace([&] { copy(loaded); });
  }

 private:
  // Everything stands on its device before the first tensor changes: what can fail has failed.
  void copy(std::span<const Loaded> loaded) {
    const c10::NoGradGuard no_grad;
    // Tensors that were made in inference mode change in it alone; to others it makes no
    // difference.
    std::optional<c10::InferenceMode> inference;
    std::vector<std::pair<at::Tensor, at::Tensor>> copies;
    for (const Loaded& one : loaded) {
      at::Tensor to = tensors_[one.tensor];
      if (to.is_inference() && !inference) inference.emplace();
      // ATen asks for memory that may be written, and this is only read.
      at::Tensor from = at::from_blob(const_cast<std::byte*>(one.data), to.sizes(), one.strides,
                                      at::TensorOptions().dtype(to.dtype()));
      if (one.conj) from = at::_conj(from);
      if (one.neg) from = at::_neg_view(from);
      // Words, where no bit says more: every LibTorch copies those, whatever they stand for.
      if (!from.is_conj() && !from.is_neg() && !to.is_conj() && !to.is_neg()) {
        const DType dtype = *dtype_by_name(dtype_of(to));
        from = as_words(from, dtype);
        to = as_words(to, dtype);
      }
      if (!to.is_cpu()) from = from.to(to.device());
      copies.emplace_back(std::move(to), std::move(from));
    }
    for (auto& [to, from] : copies) to.copy_(from);
  }

  // In the order of state_dict(): a module's parameters, its buffers, then its children.
  void collect(torch::nn::Module& module, const std::string& prefix) {
    for (const auto& one : module.named_parameters(false))
      add(prefix + one.key(), one.value(), true);
    for (const auto& one : module.named_buffers(false)) add(prefix + one.key(), one.value(), false);
    for (const auto& child : module.named_children())
      if (child.value()) collect(*child.value(), prefix + child.key() + ".");
  }

  void add(const std::string& name, const at::Tensor& tensor, bool parameter) {
    if (!tensor.defined()) return;
    Tensor one;
    one.name = name;
    one.dtype = dtype_of(tensor);
    one.shape = tensor.sizes().vec();
    one.parameter = parameter;
    one.requires_grad = tensor.requires_grad();
    one.unsupported = why_not(tensor);
    if (one.unsupported.empty()) {
      one.strides = tensor.strides().vec();
      one.offset = tensor.storage_offset();
      one.conj = tensor.is_conj();
      one.neg = tensor.is_neg();
      const auto [known, is_new] =
          index_.emplace(tensor.storage().unsafeGetStorageImpl(), storages_.size());
      if (is_new) storages_.push_back(tensor.storage());
      one.storage = known->second;
    }
    described_.push_back(std::move(one));
    tensors_.push_back(tensor);
  }

  const void* on_cpu(std::size_t index) {
    const at::Storage& storage = storages_[index];
    if (storage.device().is_cpu()) return storage.data();
    at::Tensor& copy = copies_[index];
    if (!copy.defined()) {
      const auto options = at::TensorOptions().dtype(at::kByte).device(storage.device());
      copy = at::empty({0}, options)
                 .set_(storage, 0, {static_cast<std::int64_t>(storage.nbytes())}, {1})
                 .cpu();
    }
    return copy.const_data_ptr();
  }

  torch::nn::Module& module_;
  std::vector<Tensor> described_;
  std::vector<at::Tensor> tensors_;
  std::vector<at::Storage> storages_;
  std::unordered_map<const c10::StorageImpl*, std::size_t> index_;
  std::unordered_map<std::size_t, at::Tensor> copies_;  // of storages on other devices
};

}  // namespace

std::shared_ptr<Evaluator> torch_evaluator() { return make_torch_evaluator(); }

MigrationReport load_state_dict(torch::nn::Module& module, const std::string& source,
                                const MigrationSpec& spec, const MigrationOptions& options) {
  MigrationOptions with_torch = options;
  if (!with_torch.evaluator) with_torch.evaluator = torch_evaluator();
  ModuleModel model(module);
  return load_into(model, spec, source, with_torch);
}

}  // namespace regraft
