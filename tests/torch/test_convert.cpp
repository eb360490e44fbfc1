// The casts of the core against those of torch, NaN among them.
#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <cstring>
#include <random>
#include <vector>

#include "catch.h"
#include "expr/convert.h"
#include "torch/dtypes.h"

namespace regraft {
namespace {

std::string bytes_of(const at::Tensor& tensor) {
  return {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()};
}

// A multiple of 8 elements: behind them torch makes other NaNs.
void compare(DType from, const at::Tensor& source, DType to) {
  CAPTURE(name(from), name(to));
  const at::Tensor wanted = source.to(scalar_type(to));
  std::string found(wanted.nbytes(), '\0');
  const std::string bytes = bytes_of(source);
  REQUIRE_FALSE(
      convert(from, as_bytes(bytes), to, std::as_writable_bytes(std::span(found)), false));
  CHECK((found == bytes_of(wanted)));
}

TEST_CASE("casts of common floats are torch's, bit for bit") {
  at::set_num_threads(1);
  const at::Tensor halves = at::arange(65536, at::kInt).to(at::kShort);
  for (const DType from : {DType::float16, DType::bfloat16})
    for (const DType to : {DType::float32, DType::float16, DType::bfloat16})
      if (converts(from, to)) compare(from, halves.view(scalar_type(from)), to);
  std::vector<std::int32_t> bits;
  std::mt19937 random(5);
  for (std::uint32_t upper = 0; upper < 65536; ++upper)
    for (const std::uint32_t lower : {0u, 0x1000u, 0x3000u, 0x7FFFu, 0x8000u, 0x8001u, 0xFFFFu,
                                      static_cast<std::uint32_t>(random() & 0xFFFF)})
      bits.push_back(static_cast<std::int32_t>(upper << 16 | lower));
  const at::Tensor words =
      at::from_blob(bits.data(), {static_cast<std::int64_t>(bits.size())}, at::kInt);
  for (const DType to : {DType::float16, DType::bfloat16})
    compare(DType::float32, words.view(at::kFloat), to);
}

}  // namespace
}  // namespace regraft
