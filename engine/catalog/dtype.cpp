#include "catalog/dtype.h"

#include <array>
#include <utility>

namespace regraft {
namespace {

// In the order of the enumeration, so that info() is an index. A name in the last column means that
// the format has the type; whether torch can load it from there is the writer's question.
constexpr std::array kDTypes = {
    DTypeInfo{DType::float64, "float64", 8, 8, "DoubleStorage", "F64"},
    DTypeInfo{DType::float32, "float32", 4, 4, "FloatStorage", "F32"},
    DTypeInfo{DType::float16, "float16", 2, 2, "HalfStorage", "F16"},
    DTypeInfo{DType::bfloat16, "bfloat16", 2, 2, "BFloat16Storage", "BF16"},
    DTypeInfo{DType::float8_e4m3fn, "float8_e4m3fn", 1, 1, "", "F8_E4M3"},
    DTypeInfo{DType::float8_e4m3fnuz, "float8_e4m3fnuz", 1, 1, "", "F8_E4M3FNUZ"},
    DTypeInfo{DType::float8_e5m2, "float8_e5m2", 1, 1, "", "F8_E5M2"},
    DTypeInfo{DType::float8_e5m2fnuz, "float8_e5m2fnuz", 1, 1, "", "F8_E5M2FNUZ"},
    DTypeInfo{DType::float8_e8m0fnu, "float8_e8m0fnu", 1, 1, "", "F8_E8M0"},
    DTypeInfo{DType::float4_e2m1fn_x2, "float4_e2m1fn_x2", 1, 1, "", "F4"},
    DTypeInfo{DType::complex128, "complex128", 16, 8, "ComplexDoubleStorage", ""},
    DTypeInfo{DType::complex64, "complex64", 8, 4, "ComplexFloatStorage", "C64"},
    DTypeInfo{DType::complex32, "complex32", 4, 2, "", ""},
    DTypeInfo{DType::int64, "int64", 8, 8, "LongStorage", "I64"},
    DTypeInfo{DType::int32, "int32", 4, 4, "IntStorage", "I32"},
    DTypeInfo{DType::int16, "int16", 2, 2, "ShortStorage", "I16"},
    DTypeInfo{DType::int8, "int8", 1, 1, "CharStorage", "I8"},
    DTypeInfo{DType::uint64, "uint64", 8, 8, "", "U64"},
    DTypeInfo{DType::uint32, "uint32", 4, 4, "", "U32"},
    DTypeInfo{DType::uint16, "uint16", 2, 2, "", "U16"},
    DTypeInfo{DType::uint8, "uint8", 1, 1, "ByteStorage", "U8"},
    DTypeInfo{DType::boolean, "bool", 1, 1, "BoolStorage", "BOOL"},
    DTypeInfo{DType::bits8, "bits8", 1, 1, "", ""},
    DTypeInfo{DType::bits16, "bits16", 2, 2, "", ""},
    DTypeInfo{DType::bits1x8, "bits1x8", 1, 1, "", ""},
    DTypeInfo{DType::bits2x4, "bits2x4", 1, 1, "", ""},
    DTypeInfo{DType::bits4x2, "bits4x2", 1, 1, "", ""},
};

constexpr bool in_order() {
  for (std::size_t i = 0; i < kDTypes.size(); ++i) {
    if (kDTypes[i].dtype != static_cast<DType>(i)) return false;
  }
  return true;
}
static_assert(in_order());
static_assert(kDTypes.size() == static_cast<std::size_t>(DType::bits4x2) + 1);

constexpr std::array<std::pair<std::string_view, DType>, 9> kAliases = {{
    {"double", DType::float64},
    {"float", DType::float32},
    {"half", DType::float16},
    {"cdouble", DType::complex128},
    {"cfloat", DType::complex64},
    {"chalf", DType::complex32},
    {"long", DType::int64},
    {"int", DType::int32},
    {"short", DType::int16},
}};

std::optional<DType> find(std::string_view DTypeInfo::* field, std::string_view text) {
  if (text.empty()) return std::nullopt;
  for (const DTypeInfo& dtype : kDTypes) {
    if (dtype.*field == text) return dtype.dtype;
  }
  return std::nullopt;
}

}  // namespace

const DTypeInfo& info(DType dtype) { return kDTypes[static_cast<std::size_t>(dtype)]; }

std::span<const DTypeInfo> all_dtypes() { return kDTypes; }

std::optional<DType> dtype_by_name(std::string_view name) {
  constexpr std::string_view kPrefix = "torch.";
  if (name.starts_with(kPrefix)) name.remove_prefix(kPrefix.size());
  for (const auto& [alias, dtype] : kAliases) {
    if (alias == name) return dtype;
  }
  return find(&DTypeInfo::name, name);
}

std::optional<DType> dtype_by_storage_class(std::string_view storage_class) {
  return find(&DTypeInfo::storage_class, storage_class);
}

std::optional<DType> dtype_by_safetensors(std::string_view name) {
  return find(&DTypeInfo::safetensors, name);
}

}  // namespace regraft
