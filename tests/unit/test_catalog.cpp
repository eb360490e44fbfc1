#include <limits>

#include "catalog/catalog.h"
#include "catch.h"

namespace regraft {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

// A catalog with one storage, and a float32 view of it.
struct OneView {
  Catalog catalog;
  Tensor tensor;

  OneView(std::uint64_t bytes, Shape shape, Shape strides, std::int64_t offset = 0) {
    catalog.path = "a.pt";
    catalog.storages.emplace_back();
    catalog.storages[0].nbytes = bytes;
    catalog.storages[0].key = "data/0";
    tensor.name = "w";
    tensor.shape = std::move(shape);
    tensor.strides = std::move(strides);
    tensor.offset = offset;
  }

  // Empty when the view is sound.
  std::string complaint() const {
    const Status status = check_view(catalog, tensor, 77);
    if (status.ok()) return "";
    CHECK(status.error().code == Code::tensor_corrupt);
    CHECK(status.error().where.file == "a.pt");
    CHECK(status.error().where.offset == 77);
    CHECK(status.error().where.key == "w");
    return status.error().message;
  }
};

TEST_CASE("numel refuses overflow wherever a zero stands") {
  CHECK(numel({}) == 1);
  CHECK(numel({2, 3}) == 6);
  CHECK(numel({2, 0, 3}) == 0);
  CHECK(numel({kMax}) == kMax);
  CHECK_FALSE(numel({kMax, 2}));
  CHECK_FALSE(numel({0, kMax, 2}));
  CHECK_FALSE(numel({kMax, 2, 0}));
  CHECK_FALSE(numel({2, kMax, 0}));
  CHECK_FALSE(numel({-1}));
  CHECK_FALSE(numel({0, -1}));
}

TEST_CASE("strides are torch's") {
  CHECK(contiguous_strides({}) == Shape{});
  CHECK(contiguous_strides({4, 3, 2}) == Shape{6, 2, 1});
  CHECK(contiguous_strides({2, 0, 3}) == Shape{3, 3, 1});
  CHECK(is_contiguous({}, {}));
  CHECK(is_contiguous({4, 3}, {3, 1}));
  CHECK_FALSE(is_contiguous({4, 3}, {1, 4}));
  CHECK(is_contiguous({4, 1}, {1, 99}));
  CHECK(is_contiguous({1, 4}, {99, 1}));
  CHECK(is_contiguous({0, 4}, {99, 7}));
  CHECK_FALSE(is_contiguous({2, 4}, {0, 1}));
}

TEST_CASE("shapes print as torch's") {
  CHECK(to_string(Shape{}) == "[]");
  CHECK(to_string(Shape{3}) == "[3]");
  CHECK(to_string(Shape{3, 16}) == "[3, 16]");
}

TEST_CASE("bytes of a view") {
  OneView one(100, {2, 3}, {1, 4}, 5);
  CHECK(nbytes(one.tensor) == 24);
  CHECK(byte_extent(one.tensor) == std::pair<std::uint64_t, std::uint64_t>(20, 20 + 10 * 4));
  one.tensor.shape = {2, 0};
  CHECK(nbytes(one.tensor) == 0);
  CHECK(byte_extent(one.tensor) == std::pair<std::uint64_t, std::uint64_t>(0, 0));
  one.tensor.shape = one.tensor.strides = {};
  CHECK(nbytes(one.tensor) == 4);
  CHECK(byte_extent(one.tensor) == std::pair<std::uint64_t, std::uint64_t>(20, 24));
}

TEST_CASE("sound views") {
  CHECK(OneView(24, {2, 3}, {3, 1}).complaint().empty());
  CHECK(OneView(24, {3, 2}, {1, 3}).complaint().empty());
  CHECK(OneView(24, {2}, {1}, 4).complaint().empty());
  CHECK(OneView(4, {1, 1}, {kMax, kMax}).complaint().empty());
  CHECK(OneView(4, {}, {}).complaint().empty());
  CHECK(OneView(24, {std::int64_t{1} << 40}, {0}).complaint().empty());  // an expanded tensor
}

TEST_CASE("empty views may begin anywhere") {
  CHECK(OneView(0, {0}, {1}).complaint().empty());
  CHECK(OneView(0, {3, 0}, {1, 1}, 2).complaint().empty());
  CHECK(OneView(0, {0}, {1}, -1).complaint() == "the tensor has a negative storage offset: -1");
  CHECK(OneView(0, {0, -2}, {1, 1}).complaint() == "the tensor has a negative size: [0, -2]");
}

TEST_CASE("views that are refused") {
  CHECK(OneView(23, {2, 3}, {3, 1}).complaint() ==
        "the tensor reaches past its storage 'data/0': 24 bytes needed, 23 there (shape [2, 3], "
        "strides [3, 1], offset 0)");
  CHECK(OneView(24, {2}, {1}, 5).complaint().find("28 bytes needed") != std::string::npos);
  CHECK(OneView(24, {2}, {100}).complaint().find("404 bytes needed") != std::string::npos);
  CHECK(OneView(24, {2}, {1, 1}).complaint() == "the tensor has 1 sizes and 2 strides");
  CHECK(OneView(24, {-2}, {1}).complaint() == "the tensor has a negative size: [-2]");
  CHECK(OneView(24, {2}, {-1}).complaint() == "the tensor has a negative stride: [-1]");
  CHECK(OneView(24, {2}, {1}, -1).complaint() == "the tensor has a negative storage offset: -1");
  // numel x itemsize wraps to 4.
  CHECK(OneView(24, {0x4000000000000001}, {0}).complaint().find("64 bits") != std::string::npos);
  CHECK(OneView(24, {kMax, 0, 2}, {0, 0, 0}).complaint().find("64 bits") != std::string::npos);
  const std::string past = "more than 2^63 bytes needed";
  CHECK(OneView(24, {3}, {kMax}).complaint().find(past) != std::string::npos);
  CHECK(OneView(24, {2}, {kMax}, 1).complaint().find(past) != std::string::npos);
  CHECK(OneView(24, {}, {}, kMax).complaint().find(past) != std::string::npos);
  CHECK(OneView(24, {2, 2}, {kMax / 2, kMax / 2}, 2).complaint().find(past) != std::string::npos);
  CHECK(OneView(24, {}, {}, kMax / 4 + 1).complaint().find(past) != std::string::npos);

  OneView stray(24, {2}, {1});
  stray.tensor.storage = 1;
  CHECK(stray.complaint() == "the tensor refers to storage 1 of 1");
  stray.tensor.unsupported = "a sparse tensor";
  CHECK(stray.complaint().empty());
}

TEST_CASE("tied tensors are one view") {
  const Tensor a = OneView(24, {2}, {1}).tensor;
  const auto tied_after = [&](auto change) {
    Tensor b = a;
    change(b);
    return tied(a, b);
  };
  CHECK(tied_after([](Tensor& b) { b.name = "other"; }));
  CHECK(tied_after([](Tensor& b) { b.requires_grad = b.parameter = true; }));
  CHECK_FALSE(tied_after([](Tensor& b) { b.storage = 1; }));
  CHECK_FALSE(tied_after([](Tensor& b) { b.offset = 1; }));
  CHECK_FALSE(tied_after([](Tensor& b) { b.shape = {1}; }));
  CHECK_FALSE(tied_after([](Tensor& b) { b.strides = {2}; }));
  CHECK_FALSE(tied_after([](Tensor& b) { b.dtype = DType::int32; }));
  CHECK_FALSE(tied_after([](Tensor& b) { b.conj = true; }));
  CHECK_FALSE(tied_after([](Tensor& b) { b.neg = true; }));
  CHECK_FALSE(tied_after([](Tensor& b) { b.unsupported = "a sparse tensor"; }));
}

}  // namespace
}  // namespace regraft
