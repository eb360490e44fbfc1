// Tensors from the calls that torch.save writes for them (`torch._utils._rebuild_tensor_v2` and its
// kin), with exact numbers and types of arguments. Nothing is called.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "catalog/catalog.h"
#include "formats/torch/pickle.h"
#include "formats/torch/torch_storages.h"

namespace regraft {

struct RebuiltTensor {
  Tensor tensor;                        // without a name; its view is not checked yet
  std::vector<std::string> attributes;  // what the tensor carries beside its values, summarised
};

class TensorReader {
 public:
  TensorReader(const PickleGraph& graph, const PickleOrigin& origin, const TorchStorages& storages)
      : graph_(graph), origin_(origin), storages_(storages) {}

  // Whether the node is a call that makes a tensor.
  [[nodiscard]] bool is_tensor(NodeId node) const;
  // Of a node that is_tensor() holds for.
  [[nodiscard]] Result<RebuiltTensor> read(NodeId node) const;

 private:
  enum class Rebuild {
    none,
    tensor,
    tensor_v2,
    tensor_v3,
    parameter,
    parameter_with_state,
    from_type,
    quantized,
    sparse,
    nested,
    jagged,
    meta,
    wrapper,
    other_device
  };
  using Arguments = std::span<const NodeId>;

  [[nodiscard]] Rebuild rebuild_of(NodeId callable) const;
  [[nodiscard]] Result<RebuiltTensor> call(Rebuild rebuild, NodeId arguments, int nesting) const;
  [[nodiscard]] Result<RebuiltTensor> strided(Rebuild rebuild, NodeId call_node) const;
  [[nodiscard]] Result<RebuiltTensor> parameter(Rebuild rebuild, NodeId arguments,
                                                int nesting) const;
  [[nodiscard]] Result<RebuiltTensor> from_type(NodeId arguments, int nesting) const;
  [[nodiscard]] RebuiltTensor unsupported(Rebuild rebuild, NodeId arguments) const;
  [[nodiscard]] Status read_bits(NodeId metadata, Tensor& tensor) const;
  [[nodiscard]] Diagnostic wrong(NodeId node, std::string message) const;

  [[nodiscard]] std::optional<std::int64_t> integer(NodeId node) const;
  [[nodiscard]] std::optional<Shape> shape(NodeId node) const;
  [[nodiscard]] std::optional<std::string_view> dtype_name(NodeId node) const;

  const PickleGraph& graph_;
  const PickleOrigin& origin_;
  const TorchStorages& storages_;
};

}  // namespace regraft
