// Element types, named as torch names them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace regraft {

enum class DType : std::uint8_t {
  float64,
  float32,
  float16,
  bfloat16,
  float8_e4m3fn,
  float8_e4m3fnuz,
  float8_e5m2,
  float8_e5m2fnuz,
  float8_e8m0fnu,
  float4_e2m1fn_x2,
  complex128,
  complex64,
  complex32,
  int64,
  int32,
  int16,
  int8,
  uint64,
  uint32,
  uint16,
  uint8,
  boolean,
  bits8,
  bits16,
  bits1x8,
  bits2x4,
  bits4x2,
};

struct DTypeInfo {
  DType dtype;
  std::string_view name;           // torch's, without "torch.": "float32", "bool"
  std::uint8_t itemsize;           // bytes of one element
  std::uint8_t swap_width;         // bytes of one number: a complex64 is two of 4
  std::string_view storage_class;  // torch's typed storage ("FloatStorage"); empty: saved untyped
  std::string_view safetensors;    // that format's name ("F32"); empty: it has none
};

const DTypeInfo& info(DType dtype);
inline std::string_view name(DType dtype) { return info(dtype).name; }
inline std::uint64_t itemsize(DType dtype) { return info(dtype).itemsize; }
std::span<const DTypeInfo> all_dtypes();
// By torch's name, with or without "torch."; also the aliases float, double, half, long, int, ...
std::optional<DType> dtype_by_name(std::string_view name);
std::optional<DType> dtype_by_storage_class(std::string_view storage_class);
std::optional<DType> dtype_by_safetensors(std::string_view name);

}  // namespace regraft
