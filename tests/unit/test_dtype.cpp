#include <set>

#include "catalog/dtype.h"
#include "catch.h"

namespace regraft {
namespace {

TEST_CASE("every dtype is found by its names") {
  std::set<std::string_view> names;
  for (const DTypeInfo& dtype : all_dtypes()) {
    CAPTURE(std::string(dtype.name));
    CHECK(&info(dtype.dtype) == &dtype);
    CHECK(names.insert(dtype.name).second);
    CHECK(dtype_by_name(dtype.name) == dtype.dtype);
    CHECK(dtype_by_name("torch." + std::string(dtype.name)) == dtype.dtype);
    CHECK(dtype.itemsize % dtype.swap_width == 0);
    if (!dtype.storage_class.empty()) {
      CHECK(dtype_by_storage_class(dtype.storage_class) == dtype.dtype);
    }
    if (!dtype.safetensors.empty()) CHECK(dtype_by_safetensors(dtype.safetensors) == dtype.dtype);
  }
  CHECK(all_dtypes().size() == 27);
}

TEST_CASE("dtypes have torch's sizes") {
  CHECK(itemsize(DType::complex128) == 16);
  CHECK(info(DType::complex128).swap_width == 8);
  CHECK(itemsize(DType::complex64) == 8);
  CHECK(info(DType::complex64).swap_width == 4);
  CHECK(itemsize(DType::complex32) == 4);
  CHECK(info(DType::complex32).swap_width == 2);
  CHECK(itemsize(DType::float4_e2m1fn_x2) == 1);
  CHECK(itemsize(DType::bits16) == 2);
  CHECK(itemsize(DType::boolean) == 1);
}

TEST_CASE("dtype names that are not the enumeration's") {
  CHECK(name(DType::boolean) == "bool");
  CHECK(dtype_by_name("bool") == DType::boolean);
  CHECK(dtype_by_name("torch.half") == DType::float16);
  CHECK(dtype_by_name("float") == DType::float32);
  CHECK(dtype_by_name("double") == DType::float64);
  CHECK(dtype_by_name("long") == DType::int64);
  CHECK(dtype_by_name("int") == DType::int32);
  CHECK(dtype_by_name("short") == DType::int16);
  CHECK(dtype_by_name("cfloat") == DType::complex64);
  CHECK(dtype_by_storage_class("BFloat16Storage") == DType::bfloat16);
  CHECK(dtype_by_safetensors("F8_E4M3") == DType::float8_e4m3fn);
}

TEST_CASE("what is no dtype is not found") {
  for (const std::string_view word :
       {"", "torch.", "boolean", "Float32", "torch.torch.int8", "F32"}) {
    CAPTURE(std::string(word));
    CHECK_FALSE(dtype_by_name(word));
  }
  CHECK_FALSE(dtype_by_storage_class(""));
  CHECK_FALSE(dtype_by_storage_class("QInt8Storage"));
  CHECK_FALSE(dtype_by_safetensors(""));
  CHECK_FALSE(dtype_by_safetensors("f32"));
  CHECK_FALSE(dtype_by_safetensors("F6_E2M3"));
}

}  // namespace
}  // namespace regraft
