#include "torch/cast.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/isinf.h>
#include <ATen/ops/view_as_real.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "catalog/catalog.h"
#include "expr/convert.h"
#include "expr/number.h"
#include "expr/overflow.h"
#include "torch/dtypes.h"

namespace regraft {
namespace {

// Elements that are looked at in one go: masks and widened values are bounded by it.
constexpr std::int64_t kBlock = std::int64_t{1} << 18;

// Calls `visit(from, to, first)` for parts of both in row-major order, `first` being the number of
// the part's first element. Views stay views: nothing is copied to be cut.
template <typename Visit>
Status for_blocks(const at::Tensor& from, const at::Tensor& to, std::int64_t first,
                  const Visit& visit) {
  if (from.numel() == 0) return Done{};
  if (from.numel() <= kBlock) return visit(from, to, first);
  if (from.dim() > 1 && from.is_contiguous() && to.is_contiguous())
    return for_blocks(from.view(-1), to.view(-1), first, visit);
  const std::int64_t size = from.size(0), inner = from.numel() / size;
  if (size == 1) return for_blocks(from.select(0, 0), to.select(0, 0), first, visit);
  const std::int64_t rows = std::max<std::int64_t>(1, kBlock / inner);
  for (std::int64_t row = 0; row < size; row += rows) {
    const std::int64_t length = std::min(rows, size - row);
    REGRAFT_CHECK(for_blocks(from.narrow(0, row, length), to.narrow(0, row, length),
                             first + row * inner, visit));
  }
  return Done{};
}

// Floats of every kind as float32 or float64, integers as float64: for comparing.
at::Tensor widened(const at::Tensor& numbers) {
  const c10::ScalarType type = numbers.scalar_type();
  if (type == c10::kDouble || type == c10::kFloat) return numbers;
  return numbers.to(c10::isFloatingType(type) ? c10::kFloat : c10::kDouble);
}

// --- what is lost -------------------------------------------------------------------------------

// Half a step above the largest finite value: what is beyond rounds to no finite one, though torch
// may give the largest.
double limit(DType dtype) {
  const double top = largest(dtype);
  int digits = 0;
  switch (dtype) {
    case DType::float8_e4m3fn:
    case DType::float8_e4m3fnuz:
      digits = 4;
      break;
    case DType::float8_e5m2:
    case DType::float8_e5m2fnuz:
      digits = 3;
      break;
    default:  // torch gives infinity or NaN
      return std::numeric_limits<double>::infinity();
  }
  return top + std::ldexp(1.0, std::ilogb(top) - digits);
}

// True where `to`, made of `from`, is not its value rounded. Both are real numbers.
at::Tensor lost_by_float(const at::Tensor& from, const at::Tensor& to, DType to_dtype) {
  const at::Tensor before = widened(from), after = widened(to);
  const at::Tensor finite = at::isfinite(before);
  at::Tensor lost = finite.logical_and(at::isfinite(after).logical_not());
  if (const double top = limit(to_dtype); std::isfinite(top))
    lost.logical_or_(finite.logical_and(before.abs().gt(top)));
  if (!holds(to_dtype, std::numeric_limits<double>::infinity()))
    lost.logical_or_(at::isinf(before));
  // Neither zero nor a sign: powers of two only.
  if (to_dtype == DType::float8_e8m0fnu) lost.logical_or_(before.le(0));
  return lost;
}

at::Tensor lost_by_integer(const at::Tensor& from, DType from_dtype, DType to_dtype) {
  const IntegerRange range = range_of(to_dtype);
  if (kind(from_dtype) == Kind::floating) {
    // Both ends are powers of two, so they are exact in the dtype of the comparison. NaN fails it.
    const at::Tensor whole = widened(from).trunc();
    return whole.ge(static_cast<double>(range.low))
        .logical_and_(whole.lt(std::ldexp(1.0, range.bits)))
        .logical_not_();
  }
  // As int64; those of uint64 that do not fit are negative ones.
  const bool wide = from_dtype == DType::uint64;
  const at::Tensor whole = wide ? from.view(c10::kLong) : from.to(c10::kLong);
  at::Tensor lost = whole.lt(wide ? 0 : range.low);
  if (range.bits < 63) lost.logical_or_(whole.ge(std::int64_t{1} << range.bits));
  return lost;
}

// --- what is said of it -------------------------------------------------------------------------

// As few digits as tell it from its neighbours in the dtype that it comes from.
std::string text_of(const at::Tensor& element) {
  const c10::ScalarType type = element.scalar_type();
  if (c10::isComplexType(type)) {
    const at::Tensor parts = at::view_as_real(element);
    const std::string imaginary = text_of(parts.select(-1, 1));
    return text_of(parts.select(-1, 0)) + (imaginary.starts_with('-') ? "" : "+") + imaginary + "j";
  }
  if (type == c10::kDouble) return digits_of(element.item<double>());
  if (c10::isFloatingType(type)) return digits_of(element.to(c10::kFloat).item<float>());
  if (type == c10::kUInt64)
    return digits_of(static_cast<std::uint64_t>(element.view(c10::kLong).item<std::int64_t>()));
  return digits_of(element.to(c10::kLong).item<std::int64_t>());
}

// --- casts --------------------------------------------------------------------------------------

// See cast.h: floats to integers without a check.
at::Tensor by_way_of_int64(const at::Tensor& from, DType to_dtype) {
  at::Tensor whole = from.to(c10::kDouble).trunc();
  if (to_dtype == DType::uint64)  // its upper half, as the int64 of the same bits
    whole = at::where(whole.ge(0x1p63).logical_and_(whole.lt(0x1p64)), whole.sub(0x1p64), whole);
  const at::Tensor fits = whole.ge(-0x1p63).logical_and_(whole.lt(0x1p63));
  return whole.masked_fill_(fits.logical_not(), -0x1p63).to(c10::kLong);
}

at::Tensor lost_by_cast(const at::Tensor& from, DType from_dtype, const at::Tensor& to,
                        DType to_dtype) {
  if (kind(to_dtype) == Kind::integer) return lost_by_integer(from, from_dtype, to_dtype);
  if (kind(to_dtype) != Kind::complex) return lost_by_float(from, to, to_dtype);
  const at::Tensor parts = at::view_as_real(to);
  if (kind(from_dtype) != Kind::complex) return lost_by_float(from, parts.select(-1, 0), to_dtype);
  return lost_by_float(at::view_as_real(from), parts, to_dtype).any(-1);
}

DType part_of(DType complex) {
  if (complex == DType::complex128) return DType::float64;
  return complex == DType::complex64 ? DType::float32 : DType::float16;
}

// Between the common floats, with the loops of the core: ATen's give another NaN in the last few
// elements that were float16.
Status converted(const at::Tensor& from, DType from_dtype, const at::Tensor& to, DType to_dtype,
                 bool checked, const CastPart& part) {
  return for_blocks(
      from, to, part.first, [&](const at::Tensor& a, const at::Tensor& b, std::int64_t first) {
        const at::Tensor source = a.contiguous();
        const at::Tensor result = b.is_contiguous() ? b : at::empty(b.sizes(), b.options());
        const auto lost = convert(
            from_dtype, {static_cast<const std::byte*>(source.const_data_ptr()), source.nbytes()},
            to_dtype, {static_cast<std::byte*>(result.mutable_data_ptr()), result.nbytes()},
            checked);
        if (lost) {
          const auto at = static_cast<std::int64_t>(*lost);
          return Status(cast_overflow(text_of(source.view(-1)[at]),
                                      static_cast<std::uint64_t>(first + at), part.shape,
                                      to_dtype));
        }
        if (!b.is_contiguous()) b.copy_(result);
        return Status(Done{});
      });
}

}  // namespace

Status cast_into(const at::Tensor& from, DType from_dtype, const at::Tensor& to, DType to_dtype,
                 bool checked, const CastPart& part) {
  if (converts(from_dtype, to_dtype))
    return converted(from, from_dtype, to, to_dtype, checked, part);
  const Kind into = kind(to_dtype);
  if (kind(from_dtype) == Kind::complex && (into == Kind::floating || into == Kind::integer))
    return cast_into(at::view_as_real(from).select(-1, 0), part_of(from_dtype), to, to_dtype,
                     checked, part);
  const bool integer_of_float = kind(from_dtype) == Kind::floating && into == Kind::integer;
  checked = checked && !widens(from_dtype, to_dtype) && into != Kind::boolean;
  // ATen refuses dtypes of bits by itself.
  if ((!checked && !integer_of_float) || into == Kind::bits || kind(from_dtype) == Kind::bits) {
    to.copy_(from);
    return Done{};
  }
  return for_blocks(
      from, to, part.first, [&](const at::Tensor& a, const at::Tensor& b, std::int64_t first) {
        if (checked && into != Kind::integer) b.copy_(a);
        if (checked) {
          const at::Tensor lost = lost_by_cast(a, from_dtype, b, to_dtype);
          if (lost.any().item<bool>()) {
            const auto at = lost.flatten().nonzero()[0].item<std::int64_t>();
            return Status(cast_overflow(text_of(a.reshape(-1)[at]),
                                        static_cast<std::uint64_t>(first + at), part.shape,
                                        to_dtype));
          }
          if (into == Kind::integer) b.copy_(a);
        } else {
          (to_dtype == DType::uint64 ? b.view(c10::kLong) : b).copy_(by_way_of_int64(a, to_dtype));
        }
        return Status(Done{});
      });
}

}  // namespace regraft
