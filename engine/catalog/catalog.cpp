#include "catalog/catalog.h"

#include <algorithm>
#include <cassert>

#include "base/checked.h"

namespace regraft {

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  return text + "]";
}

std::optional<std::int64_t> numel(const Shape& shape) {
  // Zeros are left out of the product, so that an overflow is one wherever the zero stands. The
  // contiguous strides fit whenever this does.
  std::int64_t product = 1;
  bool empty = false;
  for (const std::int64_t size : shape) {
    if (size < 0) return std::nullopt;
    if (size == 0) {
      empty = true;
      continue;
    }
    const auto next = checked_mul(product, size);
    if (!next) return std::nullopt;
    product = *next;
  }
  return empty ? 0 : product;
}

Shape contiguous_strides(const Shape& shape) {
  Shape strides(shape.size());
  // Unsigned, since a shape that numel() refuses must not be undefined behaviour here.
  std::uint64_t stride = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = static_cast<std::int64_t>(stride);
    stride *= static_cast<std::uint64_t>(std::max<std::int64_t>(shape[i], 1));
  }
  return strides;
}

bool is_contiguous(const Shape& shape, const Shape& strides) {
  assert(shape.size() == strides.size());
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return true;
  const Shape expected = contiguous_strides(shape);
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] != 1 && strides[i] != expected[i]) return false;
  }
  return true;
}

std::uint64_t nbytes(const Tensor& tensor) {
  return static_cast<std::uint64_t>(numel(tensor.shape).value_or(0)) * itemsize(tensor.dtype);
}

std::pair<std::uint64_t, std::uint64_t> byte_extent(const Tensor& tensor) {
  std::uint64_t last = static_cast<std::uint64_t>(tensor.offset);
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    if (tensor.shape[i] == 0) return {0, 0};
    last += static_cast<std::uint64_t>(tensor.shape[i] - 1) *
            static_cast<std::uint64_t>(tensor.strides[i]);
  }
  const std::uint64_t size = itemsize(tensor.dtype);
  return {static_cast<std::uint64_t>(tensor.offset) * size, (last + 1) * size};
}

bool tied(const Tensor& a, const Tensor& b) {
  return a.unsupported.empty() && b.unsupported.empty() && a.storage == b.storage &&
         a.offset == b.offset && a.dtype == b.dtype && a.shape == b.shape &&
         a.strides == b.strides && a.conj == b.conj && a.neg == b.neg;
}

Status check_view(const Catalog& catalog, const Tensor& tensor, std::uint64_t pickle_offset) {
  if (!tensor.unsupported.empty()) return Done{};  // no view: nothing of it is ever read
  const auto corrupt = [&](const std::string& what) {
    return error(Code::tensor_corrupt, file_location(catalog.path, pickle_offset, tensor.name),
                 "the tensor " + what,
                 "the file is damaged, or was not written by torch; get it again from its source");
  };
  if (tensor.storage >= catalog.storages.size()) {
    return corrupt("refers to storage " + std::to_string(tensor.storage) + " of " +
                   std::to_string(catalog.storages.size()));
  }
  if (tensor.shape.size() != tensor.strides.size()) {
    return corrupt("has " + std::to_string(tensor.shape.size()) + " sizes and " +
                   std::to_string(tensor.strides.size()) + " strides");
  }
  bool empty = false;
  for (const std::int64_t size : tensor.shape) {
    if (size < 0) return corrupt("has a negative size: " + to_string(tensor.shape));
    empty = empty || size == 0;
  }
  for (const std::int64_t stride : tensor.strides) {
    if (stride < 0) return corrupt("has a negative stride: " + to_string(tensor.strides));
  }
  if (tensor.offset < 0) {
    return corrupt("has a negative storage offset: " + std::to_string(tensor.offset));
  }
  // Sizes of loops and buffers elsewhere are numel and bytes: both have to fit, also when stride 0
  // makes the extent small.
  const auto count = numel(tensor.shape);
  const auto width = static_cast<std::int64_t>(itemsize(tensor.dtype));
  if (!count || !checked_mul(*count, width)) {
    return corrupt("has more bytes than 64 bits can count: shape " + to_string(tensor.shape) +
                   ", dtype " + std::string(name(tensor.dtype)));
  }
  // As in torch, an empty view needs no bytes: torch.empty(3, 0)[2] begins at element 2 of a
  // storage without any.
  if (empty) return Done{};

  const Storage& storage = catalog.storages[tensor.storage];
  std::optional<std::int64_t> end = checked_add<std::int64_t>(tensor.offset, 1);
  for (std::size_t i = 0; end && i < tensor.shape.size(); ++i) {
    const auto step = checked_mul(tensor.shape[i] - 1, tensor.strides[i]);
    end = step ? checked_add(*end, *step) : std::nullopt;
  }
  if (end) end = checked_mul(*end, width);
  if (!end || static_cast<std::uint64_t>(*end) > storage.nbytes) {
    return corrupt("reaches past its storage" +
                   (storage.key.empty() ? std::string() : " " + quoted(storage.key)) + ": " +
                   (end ? std::to_string(*end) : "more than 2^63") + " bytes needed, " +
                   std::to_string(storage.nbytes) + " there (shape " + to_string(tensor.shape) +
                   ", strides " + to_string(tensor.strides) + ", offset " +
                   std::to_string(tensor.offset) + ")");
  }
  return Done{};
}

}  // namespace regraft
