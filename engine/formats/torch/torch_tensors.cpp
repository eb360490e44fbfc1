#include "formats/torch/torch_tensors.h"

#include <array>
#include <utility>

#include "formats/torch/pickle_values.h"

namespace regraft {
namespace {

// _rebuild_parameter of _rebuild_from_type_v2 of ... ends here.
constexpr int kMaxNesting = 8;

bool is_complex(DType dtype) {
  return dtype == DType::complex32 || dtype == DType::complex64 || dtype == DType::complex128;
}

}  // namespace

Diagnostic TensorReader::wrong(NodeId node, std::string message) const {
  return error(Code::tensor_corrupt, origin_.at(graph_.offset(node)), std::move(message),
               "the file was not written by torch.save, or is damaged");
}

TensorReader::Rebuild TensorReader::rebuild_of(NodeId callable) const {
  struct Known {
    std::string_view module, name;
    Rebuild rebuild;
  };
  static constexpr std::array kKnown = {
      Known{"torch._utils", "_rebuild_tensor_v2", Rebuild::tensor_v2},
      Known{"torch._utils", "_rebuild_tensor_v3", Rebuild::tensor_v3},
      Known{"torch._utils", "_rebuild_parameter", Rebuild::parameter},
      Known{"torch._utils", "_rebuild_tensor", Rebuild::tensor},
      Known{"torch._utils", "_rebuild_parameter_with_state", Rebuild::parameter_with_state},
      Known{"torch._tensor", "_rebuild_from_type_v2", Rebuild::from_type},
      Known{"torch.tensor", "_rebuild_from_type_v2", Rebuild::from_type},
      Known{"torch._utils", "_rebuild_qtensor", Rebuild::quantized},
      Known{"torch._utils", "_rebuild_sparse_tensor", Rebuild::sparse},
      Known{"torch._utils", "_rebuild_nested_tensor", Rebuild::nested},
      Known{"torch.nested._internal.nested_tensor", "_rebuild_njt", Rebuild::jagged},
      Known{"torch._utils", "_rebuild_meta_tensor_no_storage", Rebuild::meta},
      Known{"torch._utils", "_rebuild_wrapper_subclass", Rebuild::wrapper},
      Known{"torch._utils", "_rebuild_device_tensor_from_numpy", Rebuild::other_device},
      Known{"torch._utils", "_rebuild_device_tensor_from_cpu_tensor", Rebuild::other_device},
      Known{"torch._utils", "_rebuild_xla_tensor", Rebuild::other_device},
  };
  if (graph_.kind(callable) != NodeKind::global) return Rebuild::none;
  std::string_view name = graph_.name(callable);
  if (!name.starts_with("_rebuild_")) return Rebuild::none;
  std::string_view module = graph_.module(callable);
  for (const Known& known : kKnown)
    if (known.name == name && known.module == module) return known.rebuild;
  return Rebuild::none;
}

bool TensorReader::is_tensor(NodeId node) const {
  if (graph_.kind(node) != NodeKind::object) return false;
  const ObjectNode& object = graph_.object(node);
  return object.maker == ObjectMaker::reduce && rebuild_of(object.callable) != Rebuild::none;
}

Result<RebuiltTensor> TensorReader::read(NodeId node) const {
  const ObjectNode& object = graph_.object(node);
  REGRAFT_TRY(RebuiltTensor rebuilt, call(rebuild_of(object.callable), object.arguments, 0));
  bool changed =
      object.state != kNoNode || !object.list_items.empty() || !object.dict_items.empty();
  if (changed && rebuilt.tensor.unsupported.empty())
    rebuilt.tensor.unsupported = "a tensor that is changed after it is made";
  return rebuilt;
}

Result<RebuiltTensor> TensorReader::call(Rebuild rebuild, NodeId arguments, int nesting) const {
  if (nesting > kMaxNesting) return wrong(arguments, "a tensor is wrapped too many times");
  switch (rebuild) {
    case Rebuild::none:
      return wrong(arguments, "a tensor is made in an unknown way");
    case Rebuild::tensor:
    case Rebuild::tensor_v2:
    case Rebuild::tensor_v3:
      return strided(rebuild, arguments);
    case Rebuild::parameter:
    case Rebuild::parameter_with_state:
      return parameter(rebuild, arguments, nesting);
    case Rebuild::from_type:
      return from_type(arguments, nesting);
    default:
      return unsupported(rebuild, arguments);
  }
}

// (storage, offset, size, stride), v2 with (requires_grad, hooks[, bits]), v3 with (requires_grad,
// hooks, dtype[, bits]).
Result<RebuiltTensor> TensorReader::strided(Rebuild rebuild, NodeId call_node) const {
  Arguments arguments = graph_.items(call_node);
  std::size_t required = rebuild == Rebuild::tensor ? 4 : rebuild == Rebuild::tensor_v2 ? 6 : 7;
  std::size_t most = rebuild == Rebuild::tensor ? 4 : required + 1;
  if (arguments.size() < required || arguments.size() > most)
    return wrong(call_node, "a tensor is made of " + std::to_string(arguments.size()) +
                                " arguments, not " + std::to_string(required));
  if (graph_.kind(arguments[0]) != NodeKind::persistent)
    return wrong(call_node, "a tensor has no storage");
  std::optional<std::int64_t> offset = integer(arguments[1]);
  std::optional<Shape> sizes = shape(arguments[2]);
  std::optional<Shape> strides = shape(arguments[3]);
  if (!offset || !sizes || !strides)
    return wrong(call_node, "the offset, sizes or strides of a tensor are not integers");
  RebuiltTensor rebuilt;
  Tensor& tensor = rebuilt.tensor;
  TorchStorages::Use storage = storages_.use_of(arguments[0]);
  tensor.storage = storage.index;
  tensor.dtype = storage.type->dtype;
  tensor.offset = *offset;
  tensor.shape = *std::move(sizes);
  tensor.strides = *std::move(strides);
  if (!storage.type->quantized.empty())
    tensor.unsupported = "a quantized tensor (" + std::string(storage.type->quantized) + ")";
  if (storage.meta) {
    tensor.meta = true;
    tensor.unsupported =
        "a meta tensor, which has no values (" + std::string(name(tensor.dtype)) + ")";
  }
  if (rebuild == Rebuild::tensor) return rebuilt;

  if (graph_.kind(arguments[4]) != NodeKind::boolean)
    return wrong(arguments[4], "requires_grad of a tensor is not a bool");
  tensor.requires_grad = graph_.boolean(arguments[4]);
  std::optional<MappingView> hooks = as_mapping(graph_, arguments[5]);
  if (!hooks && graph_.kind(arguments[5]) != NodeKind::none)
    return wrong(arguments[5], "the backward hooks of a tensor are not an OrderedDict");
  if (hooks && !hooks->pairs.empty()) rebuilt.attributes.push_back("backward hooks of a tensor");
  if (rebuild == Rebuild::tensor_v3) {
    std::optional<std::string_view> dtype = dtype_name(arguments[6]);
    if (!dtype) return wrong(arguments[6], "the dtype of a tensor is not one");
    std::optional<DType> known = dtype_by_name(*dtype);
    if (known) {
      tensor.dtype = *known;
    } else {
      tensor.unsupported = "a tensor of dtype " + std::string(*dtype);
    }
  }
  if (arguments.size() > required) REGRAFT_CHECK(read_bits(arguments[required], tensor));
  return rebuilt;
}

// {'conj': True, 'neg': True}, or some of it.
Status TensorReader::read_bits(NodeId metadata, Tensor& tensor) const {
  if (graph_.kind(metadata) == NodeKind::none) return Done{};
  std::optional<MappingView> mapping = as_mapping(graph_, untagged(graph_, metadata));
  if (!mapping) return wrong(metadata, "the metadata of a tensor is not a dict");
  if (std::optional<NodeId> twice = duplicate_key(graph_, mapping->pairs))
    return wrong(*twice, "the metadata of a tensor has a key twice");
  for (auto [key, value] : mapping->pairs) {
    bool is_text = graph_.kind(key) == NodeKind::text;
    bool conj = is_text && graph_.text(key) == "conj";
    bool neg = is_text && graph_.text(key) == "neg";
    if (!conj && !neg) {
      tensor.unsupported = "a tensor with unknown metadata (" + summary(graph_, key) + ")";
      continue;
    }
    if (graph_.kind(value) != NodeKind::boolean)
      return wrong(value, "the metadata of a tensor has what is not a bool");
    if (conj) tensor.conj = graph_.boolean(value);
    if (neg) tensor.neg = graph_.boolean(value);
  }
  if (tensor.conj && !is_complex(tensor.dtype))
    return wrong(metadata, "a tensor of " + std::string(name(tensor.dtype)) +
                               " has the bit of complex conjugation");
  return Done{};
}

// (data, requires_grad, hooks[, state]).
Result<RebuiltTensor> TensorReader::parameter(Rebuild rebuild, NodeId call_node,
                                              int nesting) const {
  Arguments arguments = graph_.items(call_node);
  std::size_t required = rebuild == Rebuild::parameter ? 3 : 4;
  if (arguments.size() != required)
    return wrong(call_node, "a parameter is made of " + std::to_string(arguments.size()) +
                                " arguments, not " + std::to_string(required));
  if (!is_tensor(arguments[0]))
    return wrong(call_node, "a parameter is made of what is not a tensor");
  if (graph_.kind(arguments[1]) != NodeKind::boolean)
    return wrong(call_node, "requires_grad of a parameter is not a bool");
  std::optional<MappingView> hooks = as_mapping(graph_, arguments[2]);
  if (!hooks && graph_.kind(arguments[2]) != NodeKind::none)
    return wrong(call_node, "the backward hooks of a parameter are not an OrderedDict");
  const ObjectNode& data = graph_.object(arguments[0]);
  REGRAFT_TRY(RebuiltTensor rebuilt, call(rebuild_of(data.callable), data.arguments, nesting + 1));
  rebuilt.tensor.parameter = true;
  rebuilt.tensor.requires_grad = graph_.boolean(arguments[1]);
  if (hooks && !hooks->pairs.empty()) rebuilt.attributes.push_back("backward hooks of a parameter");
  if (required == 4 && graph_.kind(arguments[3]) != NodeKind::none)
    rebuilt.attributes.push_back("attributes of a parameter: " + summary(graph_, arguments[3]));
  return rebuilt;
}

// (function, type, arguments, state).
Result<RebuiltTensor> TensorReader::from_type(NodeId call_node, int nesting) const {
  Arguments arguments = graph_.items(call_node);
  if (arguments.size() != 4)
    return wrong(call_node, "a tensor of a subclass is made of " +
                                std::to_string(arguments.size()) + " arguments, not 4");
  Rebuild rebuild = rebuild_of(arguments[0]);
  if (graph_.kind(arguments[1]) != NodeKind::global || graph_.kind(arguments[2]) != NodeKind::tuple)
    return wrong(call_node,
                 "a tensor of a subclass is not made of (function, type, arguments, state)");
  std::string type = global_name(graph_, arguments[1]);
  if (rebuild == Rebuild::none) {
    RebuiltTensor rebuilt;
    rebuilt.tensor.unsupported =
        "a tensor of class " + type + ", made by " + summary(graph_, arguments[0]);
    return rebuilt;
  }
  REGRAFT_TRY(RebuiltTensor rebuilt, call(rebuild, arguments[2], nesting + 1));
  if (type == "torch.nn.parameter.Parameter") {
    rebuilt.tensor.parameter = true;
  } else if (type != "torch.Tensor") {
    rebuilt.attributes.push_back("class of a tensor: " + type);
  }
  NodeId state = arguments[3];
  std::optional<MappingView> mapping = as_mapping(graph_, state);
  bool empty = graph_.kind(state) == NodeKind::none || (mapping && mapping->pairs.empty()) ||
               (graph_.kind(state) == NodeKind::tuple && graph_.items(state).empty());
  if (!empty) rebuilt.attributes.push_back("attributes of a tensor: " + summary(graph_, state));
  return rebuilt;
}

// Kinds of tensors that cannot be carried: named, with the dtype and shape where they are plain.
RebuiltTensor TensorReader::unsupported(Rebuild rebuild, NodeId call_node) const {
  Arguments arguments = graph_.items(call_node);
  RebuiltTensor rebuilt;
  Tensor& tensor = rebuilt.tensor;
  auto at = [&](Arguments list, std::size_t i) { return i < list.size() ? list[i] : kNoNode; };
  auto take_shape = [&](NodeId node) {
    std::optional<Shape> sizes = node == kNoNode ? std::nullopt : shape(node);
    if (!sizes) return;
    for (std::int64_t size : *sizes)
      if (size < 0) return;
    tensor.shape = *std::move(sizes);
  };
  auto take_dtype = [&](NodeId node) {
    std::optional<std::string_view> dtype = node == kNoNode ? std::nullopt : dtype_name(node);
    if (!dtype) return;
    tensor.unsupported += " (" + std::string(*dtype) + ")";
    if (std::optional<DType> known = dtype_by_name(*dtype)) tensor.dtype = *known;
  };
  auto take_dtype_of = [&](NodeId node) {
    if (node == kNoNode || !is_tensor(node)) return;
    const ObjectNode& object = graph_.object(node);
    Rebuild inner = rebuild_of(object.callable);
    bool plain =
        inner == Rebuild::tensor || inner == Rebuild::tensor_v2 || inner == Rebuild::tensor_v3;
    if (!plain) return;
    Result<RebuiltTensor> values = strided(inner, object.arguments);
    if (!values) return;
    tensor.dtype = values->tensor.dtype;
    tensor.unsupported += " (" + std::string(name(tensor.dtype)) + ")";
  };
  switch (rebuild) {
    case Rebuild::quantized: {
      tensor.unsupported = "a quantized tensor";
      NodeId storage = at(arguments, 0);
      if (storage != kNoNode && graph_.kind(storage) == NodeKind::persistent) {
        TorchStorages::Use used = storages_.use_of(storage);
        tensor.storage = used.index;
        tensor.dtype = used.type->dtype;
        if (!used.type->quantized.empty())
          tensor.unsupported += " (" + std::string(used.type->quantized) + ")";
      }
      take_shape(at(arguments, 2));
      break;
    }
    case Rebuild::sparse: {
      tensor.unsupported = "a sparse tensor";
      NodeId data = at(arguments, 1);
      // Of torch.jit.save: (layout, size, requires_grad, indices[, more indices], values, hooks).
      if (arguments.size() >= 6 && shape(data)) {
        take_dtype_of(arguments[arguments.size() - 2]);
        take_shape(data);
        break;
      }
      if (data == kNoNode || graph_.kind(data) != NodeKind::tuple) break;
      // (indices, values, size[, coalesced]), or (indices, indices, values, size).
      Arguments parts = graph_.items(data);
      bool compressed = parts.size() == 4 && is_tensor(parts[2]);
      take_dtype_of(at(parts, compressed ? 2 : 1));
      take_shape(at(parts, compressed ? 3 : 2));
      break;
    }
    case Rebuild::nested:
      tensor.unsupported = "a nested tensor";
      take_dtype_of(at(arguments, 0));
      break;
    case Rebuild::jagged:
      tensor.unsupported = "a nested tensor (jagged)";
      break;
    case Rebuild::meta:
      tensor.meta = true;
      tensor.unsupported = "a meta tensor, which has no values";
      take_dtype(at(arguments, 0));
      take_shape(at(arguments, 1));
      break;
    case Rebuild::wrapper: {
      NodeId type = at(arguments, 0);
      tensor.unsupported = "a tensor without a storage of its own";
      if (type != kNoNode && graph_.kind(type) == NodeKind::global)
        tensor.unsupported = "a tensor of class " + global_name(graph_, type);
      take_dtype(at(arguments, 1));
      take_shape(at(arguments, 2));
      break;
    }
    default:
      tensor.unsupported = "a tensor of another device";
      take_dtype(at(arguments, 1));
      break;
  }
  tensor.strides = contiguous_strides(tensor.shape);
  return rebuilt;
}

std::optional<std::int64_t> TensorReader::integer(NodeId node) const {
  if (graph_.kind(node) != NodeKind::integer) return std::nullopt;
  return graph_.integer(node);
}

// A tuple of integers, or torch.Size of one.
std::optional<Shape> TensorReader::shape(NodeId node) const {
  if (graph_.kind(node) == NodeKind::object) {
    const ObjectNode& object = graph_.object(node);
    Arguments arguments = graph_.items(object.arguments);
    if (!is_global(graph_, object.callable, "torch", "Size") || arguments.size() != 1)
      return std::nullopt;
    node = arguments[0];
  }
  if (graph_.kind(node) != NodeKind::tuple) return std::nullopt;
  Shape sizes;
  sizes.reserve(graph_.items(node).size());
  for (NodeId item : graph_.items(node)) {
    std::optional<std::int64_t> size = integer(item);
    if (!size) return std::nullopt;
    sizes.push_back(*size);
  }
  return sizes;
}

std::optional<std::string_view> TensorReader::dtype_name(NodeId node) const {
  if (graph_.kind(node) != NodeKind::global || graph_.module(node) != "torch") return std::nullopt;
  return graph_.name(node);
}

}  // namespace regraft
