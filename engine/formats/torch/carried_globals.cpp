#include "formats/torch/carried_globals.h"

#include <algorithm>
#include <array>

#include "catalog/dtype.h"

namespace regraft {
namespace {

struct Module {
  std::string_view name;
  std::string_view names;  // one space between two
};

// The classes have no __reduce__, __setstate__ or constructor that imports, calls or opens what its
// arguments name. Python 2 called int long, str unicode and range xrange. Not here, on purpose:
// builtins.getattr, eval, exec, open, __import__, type; functools.partial; operator;
// torch.storage._load_from_bytes and all else that reads a pickle.
constexpr auto kModules = std::to_array<Module>({
    {"builtins",
     "bool bytearray bytes complex dict float frozenset int list object range set slice str tuple "
     "Ellipsis NotImplemented long unicode xrange"},
    {"copyreg", "_reconstructor __newobj__ __newobj_ex__"},
    {"_codecs", "encode"},
    {"collections", "OrderedDict Counter defaultdict deque"},
    {"argparse", "Namespace"},
    {"types", "SimpleNamespace"},
    {"pathlib", "Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath"},
    {"pathlib._local", "Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath"},
    {"datetime", "date datetime time timedelta timezone"},
    {"decimal", "Decimal"},
    {"fractions", "Fraction"},
    {"uuid", "UUID"},
    {"typing", "Any Dict List Tuple Optional Union"},
    {"numpy", "dtype ndarray"},
    {"numpy.core.multiarray", "_reconstruct scalar"},
    {"numpy._core.multiarray", "_reconstruct scalar"},
    {"numpy.core.numeric", "_frombuffer"},
    {"numpy._core.numeric", "_frombuffer"},
    {"numpy.dtypes",
     "BoolDType Int8DType Int16DType Int32DType Int64DType UInt8DType UInt16DType UInt32DType "
     "UInt64DType Float16DType Float32DType Float64DType Complex64DType Complex128DType"},
    {"torch",
     "Size device Tensor per_tensor_affine per_tensor_symmetric per_channel_affine "
     "per_channel_symmetric per_channel_affine_float_qparams strided sparse_coo sparse_csr "
     "sparse_csc sparse_bsr sparse_bsc channels_last channels_last_3d contiguous_format "
     "preserve_format"},
    {"torch.serialization", "_get_layout"},
    {"torch.nn.parameter", "Parameter Buffer"},
    {"torch._tensor", "_rebuild_from_type_v2"},
    {"torch.tensor", "_rebuild_from_type_v2"},
    {"torch._utils",
     "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_parameter "
     "_rebuild_parameter_with_state _rebuild_qtensor _rebuild_sparse_tensor _rebuild_nested_tensor "
     "_rebuild_meta_tensor_no_storage _rebuild_device_tensor_from_numpy "
     "_rebuild_device_tensor_from_cpu_tensor"},
    {"omegaconf.dictconfig", "DictConfig"},
    {"omegaconf.listconfig", "ListConfig"},
    {"omegaconf.base", "ContainerMetadata Metadata"},
    {"omegaconf.nodes",
     "AnyNode BooleanNode BytesNode EnumNode FloatNode IntegerNode PathNode StringNode "
     "InterpolationResultNode"},
    {"pytorch_lightning.utilities.parsing", "AttributeDict"},
    {"lightning_fabric.utilities.data", "AttributeDict"},
    {"lightning.fabric.utilities.data", "AttributeDict"},
    {"lightning.pytorch.utilities.parsing", "AttributeDict"},
    {"pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint"},
    {"pytorch_lightning.callbacks.early_stopping", "EarlyStopping"},
    {"lightning.pytorch.callbacks.model_checkpoint", "ModelCheckpoint"},
    {"lightning.pytorch.callbacks.early_stopping", "EarlyStopping"},
});

bool has_word(std::string_view words, std::string_view word) {
  for (std::size_t at = 0; at < words.size();) {
    const std::size_t end = std::min(words.find(' ', at), words.size());
    if (words.substr(at, end - at) == word) return true;
    at = end + 1;
  }
  return false;
}

}  // namespace

bool is_carried_global(std::string_view module, std::string_view name) {
  if (module == "__builtin__") module = "builtins";
  if (module == "copy_reg") module = "copyreg";
  if (module == "torch" && dtype_by_name(name)) return true;
  const auto* found = std::ranges::find(kModules, module, &Module::name);
  return found != kModules.end() && has_word(found->names, name);
}

}  // namespace regraft
