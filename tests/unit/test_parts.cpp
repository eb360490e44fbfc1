#include "catch.h"
#include "schedule/gather_way.h"
#include "schedule/parts.h"
#include "test_execute_support.h"
#include "test_trees.h"

namespace regraft {
namespace {

using test::noise;
using test::Source;

// "copy 0:4+8": input storage 0 from byte 4, 8 bytes.
std::string text(const std::optional<Parts>& parts) {
  if (!parts) return "computed";
  std::string out;
  for (const Part& part : parts->parts) {
    if (!out.empty()) out += ", ";
    if (const auto* range = std::get_if<CopyRange>(&part))
      out += "copy " + std::to_string(range->storage) + ":" + std::to_string(range->offset) + "+" +
             std::to_string(range->length);
    else if (const auto* gather = std::get_if<Gather>(&part))
      out += "gather " + std::to_string(gather->view.storage) + " " +
             to_string(gather->view.shape) + " " + to_string(gather->view.strides);
    else
      out += "repeat " + std::to_string(std::get<Repeat>(part).nbytes);
  }
  return out.empty() ? "nothing" : out;
}

// Tensors of uint8, so that bytes are elements.
class Tensors {
 public:
  ExprPtr add(Shape shape) {
    source.tensor("t", DType::uint8, std::move(shape));
    return last();
  }
  ExprPtr last() const {
    const auto index = static_cast<std::uint32_t>(source.catalog.tensors.size() - 1);
    return load(0, index, source.catalog.tensors[index]);
  }
  std::string parts(const ExprPtr& expr) const {
    const std::array<const Catalog*, 1> catalogs = {&source.catalog};
    return text(parts_of(*expr, catalogs));
  }
  Source source;
};

TEST_CASE("one after the other") {
  Tensors in;
  const ExprPtr a = in.add({2, 3}), b = in.add({4, 3});
  CHECK(in.parts(a) == "copy 0:0+6");
  CHECK(in.parts(cat({a, b}, 0)) == "copy 0:0+6, copy 1:0+12");
  CHECK(in.parts(cat({narrow(b, 0, 0, 1), narrow(b, 0, 1, 2)}, 0)) == "copy 1:0+9");
  CHECK(in.parts(cat({a, narrow(b, 0, 1, 2)}, 1)) ==
        "copy 0:0+3, copy 1:3+3, copy 0:3+3, copy 1:6+3");
  CHECK(in.parts(cat({permute(a, {1, 0}), permute(a, {1, 0})}, 0)) ==
        "gather 0 [3, 2] [1, 3], gather 0 [3, 2] [1, 3]");
  CHECK(in.parts(reshape(cat({a, b}, 0), {9, 2})) == "copy 0:0+6, copy 1:0+12");
  // A stack: a new dimension in front.
  CHECK(in.parts(cat({reshape(a, {1, 2, 3}), reshape(narrow(b, 0, 2, 2), {1, 2, 3})}, 0)) ==
        "copy 0:0+6, copy 1:6+6");
}

TEST_CASE("with a filling around it") {
  Tensors in;
  const ExprPtr a = in.add({2, 3}), own = in.add({4, 3}), wide = in.add({2, 5});
  const std::int64_t zero = 0;
  CHECK(in.parts(pad(a, {0, 0}, {4, 3}, zero)) == "copy 0:0+6, repeat 6");
  CHECK(in.parts(pad(a, {1, 0}, {4, 3}, zero)) == "repeat 3, copy 0:0+6, repeat 3");
  CHECK(in.parts(pad(a, {0, 1}, {2, 4}, zero)) == "repeat 1, copy 0:0+3, repeat 1, copy 0:3+3");
  CHECK(in.parts(pad(permute(a, {1, 0}), {0, 0}, {4, 2}, zero)) ==
        "gather 0 [3, 2] [1, 3], repeat 2");
  CHECK(in.parts(overlay(own, a, {1, 0})) == "copy 1:0+3, copy 0:0+6, copy 1:9+3");
  CHECK(in.parts(overlay(wide, a, {0, 1})) ==
        "copy 2:0+1, copy 0:0+3, copy 2:4+2, copy 0:3+3, copy 2:9+1");
  CHECK(in.parts(fill(1.0, DType::float32, {5})) == "repeat 20");
  CHECK(in.parts(arange(DType::uint8, {5})) == "computed");
  CHECK(in.parts(expand(fill(zero, DType::int64, {1, 2}), {3, 2})) == "repeat 48");
  // In a pattern that is not one element.
  CHECK(in.parts(expand(cat({narrow(a, 0, 1, 1), narrow(a, 0, 0, 1)}, 1), {2, 6})) ==
        "copy 0:3+3, copy 0:0+6, copy 0:0+3");
}

TEST_CASE("rows by number") {
  Tensors in;
  const ExprPtr a = in.add({5, 3});
  CHECK(in.parts(index_select(a, 0, {1, 2, 4, 0, 0})) ==
        "copy 0:3+6, copy 0:12+3, copy 0:0+3, copy 0:0+3");
  CHECK(in.parts(index_select(narrow(a, 0, 0, 2), 1, {2, 0})) ==
        "copy 0:2+1, copy 0:0+1, copy 0:5+1, copy 0:3+1");
}

TEST_CASE("what is computed, and what would be too many parts") {
  Tensors in;
  const ExprPtr a = in.add({100, 4}), b = in.add({100, 4});
  CHECK(in.parts(cast(a, DType::int16, true)) == "computed");
  CHECK(in.parts(cat({a, cast(cast(b, DType::int16, true), DType::uint8, true)}, 0)) == "computed");
  CHECK(in.parts(cat({a, b}, 1)) == "computed");
  CHECK(in.parts(narrow(cat({a, b}, 1), 0, 0, 0)) == "nothing");
  CHECK(most_parts(10) == 64);
  CHECK(most_parts(1 << 20) == 4096);
  CHECK(most_parts(1ull << 40) == 1 << 20);
  // Bits beside the bytes are other values.
  Tensor& negative = in.source.tensor("n", DType::float32, {2});
  negative.neg = true;
  CHECK(in.parts(cat({in.last(), in.last()}, 0)) == "computed");
}

// What trees are drawn over: storages of an input.
class Placed {
 public:
  ExprPtr add(DType dtype, Shape shape, Words bytes) {
    const std::uint32_t storage = source.storage(std::string(bytes.begin(), bytes.end()));
    source.tensor("t" + std::to_string(data_.size()), dtype, std::move(shape), storage);
    data_.push_back(std::move(bytes));
    const auto index = static_cast<std::uint32_t>(data_.size() - 1);
    return load(0, index, source.catalog.tensors[index]);
  }
  [[nodiscard]] const Words& bytes(std::uint32_t tensor) const { return data_[tensor]; }

  [[nodiscard]] Words read(const Parts& parts) const {
    Words out;
    for (const Part& part : parts.parts) {
      if (const auto* range = std::get_if<CopyRange>(&part)) {
        const auto begin = data_[range->storage].begin() + static_cast<std::int64_t>(range->offset);
        REQUIRE(range->offset + range->length <= data_[range->storage].size());
        out.insert(out.end(), begin, begin + static_cast<std::int64_t>(range->length));
      } else if (const auto* gather = std::get_if<Gather>(&part)) {
        const View& view = gather->view;
        Tensor tensor;
        tensor.dtype = view.dtype;
        tensor.shape = view.shape;
        tensor.strides = view.strides;
        tensor.offset = view.offset;
        tensor.storage = view.storage;
        const std::string elements = source.elements(tensor);
        out.insert(out.end(), elements.begin(), elements.end());
      } else {
        const auto& repeat = std::get<Repeat>(part);
        for (std::uint64_t i = 0; i < repeat.nbytes; ++i)
          out.push_back(static_cast<unsigned char>(repeat.element[i % repeat.element.size()]));
      }
    }
    return out;
  }

  Source source;

 private:
  std::vector<Words> data_;
};

TEST_CASE("the parts of drawn trees are their elements") {
  int in_parts = 0, of_several = 0;
  for (const DType dtype : {DType::uint8, DType::float16, DType::float32, DType::complex128})
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
      Trees<Placed> trees(dtype, seed, 14);
      const ExprPtr tree = trees.draw();
      const std::array<const Catalog*, 1> catalogs = {&trees.inputs.source.catalog};
      const auto parts = parts_of(*tree, catalogs);
      if (!parts) continue;
      INFO(to_string(*tree));
      ++in_parts;
      of_several += parts->parts.size() > 1 ? 1 : 0;
      CHECK(parts->parts.size() <= most_parts(*numel(tree->shape) * itemsize(dtype)));
      CHECK(trees.inputs.read(*parts) == by_hand(*tree, trees.inputs));
    }
  CHECK(in_parts > 400);
  CHECK(of_several > 150);
}

}  // namespace
}  // namespace regraft
