// Primitives that move elements, for every dtype, against an element-by-element reading of the
// tree.
#include "expr/number.h"
#include "support.h"

namespace regraft {
namespace {

using Place = std::vector<std::int64_t>;

std::size_t flat(const Place& place, const Shape& shape) {
  std::size_t number = 0;
  for (std::size_t i = 0; i < shape.size(); ++i)
    number = number * static_cast<std::size_t>(shape[i]) + static_cast<std::size_t>(place[i]);
  return number;
}
Place unflat(std::size_t number, const Shape& shape) {
  Place place(shape.size());
  for (std::size_t i = shape.size(); i-- > 0;) {
    place[i] = static_cast<std::int64_t>(number % static_cast<std::size_t>(shape[i]));
    number /= static_cast<std::size_t>(shape[i]);
  }
  return place;
}
bool within(Place& place, const Place& start, const Shape& shape) {
  Place moved = place;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    moved[i] -= start[i];
    if (moved[i] < 0 || moved[i] >= shape[i]) return false;
  }
  place = moved;
  return true;
}

// Where the element of the tree comes from: input and number; empty for a padding of zero.
std::optional<std::pair<std::uint32_t, std::size_t>> origin(const Expr& node, Place place) {
  if (const auto* op = std::get_if<Load>(&node.op)) return {{op->tensor, flat(place, node.shape)}};
  if (std::get_if<Fill>(&node.op)) return {};
  const Expr* arg = node.args[0].get();
  if (const auto* narrowed = std::get_if<Narrow>(&node.op)) {
    auto& at = place[static_cast<std::size_t>(narrowed->dim)];
    at = narrowed->start + at * narrowed->step;
  } else if (const auto* selected = std::get_if<Index>(&node.op)) {
    auto& at = place[static_cast<std::size_t>(selected->dim)];
    at = selected->index[static_cast<std::size_t>(at)];
  } else if (const auto* permuted = std::get_if<Permute>(&node.op)) {
    Place before(place.size());
    for (std::size_t i = 0; i < place.size(); ++i)
      before[static_cast<std::size_t>(permuted->dims[i])] = place[i];
    place = before;
  } else if (std::get_if<Reshape>(&node.op)) {
    place = unflat(flat(place, node.shape), arg->shape);
  } else if (std::get_if<Expand>(&node.op)) {
    place.erase(place.begin(),
                place.begin() + static_cast<std::ptrdiff_t>(place.size() - arg->shape.size()));
    for (std::size_t i = 0; i < place.size(); ++i)
      if (arg->shape[i] == 1) place[i] = 0;
  } else if (const auto* joined = std::get_if<Cat>(&node.op)) {
    const auto dim = static_cast<std::size_t>(joined->dim);
    for (std::size_t i = 0; place[dim] >= arg->shape[dim]; arg = node.args[++i].get())
      place[dim] -= arg->shape[dim];
  } else if (const auto* padded = std::get_if<Pad>(&node.op)) {
    if (!within(place, padded->before, arg->shape)) return {};
  } else if (const auto* overlaid = std::get_if<Overlay>(&node.op)) {
    if (within(place, overlaid->start, node.args[1]->shape)) arg = node.args[1].get();
  } else {
    FAIL("not a primitive that moves");
  }
  return origin(*arg, place);
}

Words by_hand(const Expr& expr, const Inputs& inputs) {
  const std::size_t size = itemsize(expr.dtype);
  Words out(static_cast<std::size_t>(*numel(expr.shape)) * size);
  for (std::size_t i = 0; i < out.size() / size; ++i)
    if (const auto from = origin(expr, unflat(i, expr.shape)))
      std::memcpy(&out[i * size], &inputs.bytes(from->first)[from->second * size], size);
  return out;
}

// Numbers that are the same wherever the test runs.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : state_(seed) {}
  std::int64_t below(std::int64_t end) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::int64_t>((state_ >> 33) % static_cast<std::uint64_t>(end));
  }
  Words bytes(std::size_t size) {
    Words all(size);
    for (unsigned char& one : all) one = static_cast<unsigned char>(below(256));
    return all;
  }
  Shape shape(std::int64_t rank) {
    Shape sizes;
    for (std::int64_t i = 0; i < rank; ++i) sizes.push_back(below(12) == 0 ? 0 : 1 + below(4));
    return sizes;
  }

 private:
  std::uint64_t state_;
};

class Trees {
 public:
  Trees(DType dtype, std::uint64_t seed) : dtype_(dtype), draw_(seed) {}

  Inputs inputs;

  ExprPtr draw() {
    std::vector<ExprPtr> made;
    for (int i = 0; i < 3; ++i) made.push_back(input(draw_.shape(draw_.below(4))));
    for (int i = 0; i < 12; ++i) {
      ExprPtr next = one_more(made[static_cast<std::size_t>(draw_.below(std::ssize(made)))]);
      if (*numel(next->shape) <= 3000) made.push_back(std::move(next));
    }
    return made.back();
  }

 private:
  ExprPtr input(const Shape& shape) {
    return inputs.add(dtype_, shape,
                      draw_.bytes(static_cast<std::size_t>(*numel(shape)) * itemsize(dtype_)));
  }
  std::int64_t size(const ExprPtr& arg, std::int64_t dim) {
    return arg->shape[static_cast<std::size_t>(dim)];
  }

  ExprPtr one_more(const ExprPtr& arg) {
    const std::int64_t rank = std::ssize(arg->shape);
    const std::int64_t dim = rank > 0 ? draw_.below(rank) : 0;
    switch (rank > 0 ? draw_.below(9) : 4 + draw_.below(2)) {
      case 0: {
        const std::int64_t start = draw_.below(size(arg, dim) + 1);
        return narrow(arg, dim, start, draw_.below(size(arg, dim) - start + 1));
      }
      case 1: {
        if (size(arg, dim) == 0) return arg;
        const std::int64_t start = draw_.below(size(arg, dim)), step = 1 + draw_.below(3);
        return narrow(arg, dim, start, (size(arg, dim) - start + step - 1) / step, step);
      }
      case 2: {
        std::vector<std::int64_t> index;
        if (size(arg, dim) > 0)
          for (std::int64_t i = draw_.below(5); i > 0; --i)
            index.push_back(draw_.below(size(arg, dim)));
        return index_select(arg, dim, index);
      }
      case 3: {
        std::vector<std::int64_t> dims;
        for (std::int64_t i = 0; i < rank; ++i) dims.insert(dims.begin() + draw_.below(i + 1), i);
        return permute(arg, dims);
      }
      case 4: {
        const std::int64_t count = *numel(arg->shape);
        if (draw_.below(3) == 0) return reshape(arg, {count});
        return count % 2 == 0 ? reshape(arg, {2, 1, count / 2}) : reshape(arg, {1, count});
      }
      case 5: {
        Shape shape = arg->shape;
        for (std::int64_t& one : shape)
          if (one == 1) one = draw_.below(3);
        if (draw_.below(2) == 0) shape.insert(shape.begin(), 1 + draw_.below(2));
        return expand(arg, shape);
      }
      case 6: {
        ExprPtr other = input([&] {
          Shape shape = arg->shape;
          shape[static_cast<std::size_t>(dim)] = draw_.below(3);
          return shape;
        }());
        return cat({arg, std::move(other), arg}, dim);
      }
      case 7: {
        Shape shape = arg->shape;
        Place before;
        for (std::int64_t& one : shape) {
          before.push_back(draw_.below(2));
          one += before.back() + draw_.below(2);
        }
        return std::make_shared<const Expr>(
            Expr{Pad{before, std::int64_t{0}}, {arg}, arg->dtype, shape});
      }
      default: {
        Shape shape;
        Place start;
        for (const std::int64_t one : arg->shape) {
          shape.push_back(draw_.below(one + 1));
          start.push_back(draw_.below(one - shape.back() + 1));
        }
        return overlay(arg, input(shape), start);
      }
    }
  }

  DType dtype_;
  Draw draw_;
};

TEST_CASE("what moves elements does so for every dtype") {
  for (const DTypeInfo& dtype : all_dtypes()) {
    INFO(dtype.name);
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
      Trees trees(dtype.dtype, seed);
      const ExprPtr tree = trees.draw();
      INFO(to_string(*tree));
      CHECK(trees.inputs.words(tree) == by_hand(*tree, trees.inputs));
    }
  }
}

TEST_CASE("each primitive that moves, by itself") {
  Inputs in;
  const ExprPtr x = in.add<std::uint16_t>(DType::bits16, {2, 3}, {1, 2, 3, 4, 5, 6});
  using Values = std::vector<std::uint16_t>;
  CHECK(in.values<std::uint16_t>(x) == Values{1, 2, 3, 4, 5, 6});
  CHECK(in.values<std::uint16_t>(narrow(x, 1, 1, 2)) == Values{2, 3, 5, 6});
  CHECK(in.values<std::uint16_t>(narrow(x, 1, 0, 2, 2)) == Values{1, 3, 4, 6});
  CHECK(in.values<std::uint16_t>(index_select(x, 0, {1, 1, 0})) ==
        Values{4, 5, 6, 4, 5, 6, 1, 2, 3});
  CHECK(in.values<std::uint16_t>(permute(x, {1, 0})) == Values{1, 4, 2, 5, 3, 6});
  CHECK(in.values<std::uint16_t>(reshape(permute(x, {1, 0}), {6})) == Values{1, 4, 2, 5, 3, 6});
  CHECK(in.values<std::uint16_t>(expand(narrow(x, 0, 1, 1), {2, 3})) == Values{4, 5, 6, 4, 5, 6});
  CHECK(in.values<std::uint16_t>(cat({x, narrow(x, 1, 0, 1)}, 1)) ==
        Values{1, 2, 3, 1, 4, 5, 6, 4});
  CHECK(in.values<std::uint16_t>(overlay(x, narrow(narrow(x, 0, 1, 1), 1, 2, 1), {0, 1})) ==
        Values{1, 6, 3, 4, 5, 6});
}

TEST_CASE("a padding is the value in the dtype") {
  Inputs in;
  const double inf = std::numeric_limits<double>::infinity();
  const auto padded = [&](DType dtype, Words one, Scalar value) {
    return in.words(pad(in.add(dtype, {1}, std::move(one)), {1}, {3}, value));
  };
  CHECK(padded(DType::float32, bytes_of<float>({2}), 0.1) == bytes_of<float>({0.1f, 2, 0.1f}));
  CHECK(padded(DType::float32, bytes_of<float>({2}), -inf) ==
        bytes_of<float>(
            {-std::numeric_limits<float>::infinity(), 2, -std::numeric_limits<float>::infinity()}));
  CHECK(padded(DType::float64, bytes_of<double>({2}), std::int64_t{3}) ==
        bytes_of<double>({3, 2, 3}));
  CHECK(padded(DType::boolean, bytes_of<std::uint8_t>({0}), std::int64_t{1}) ==
        bytes_of<std::uint8_t>({1, 0, 1}));
  CHECK(padded(DType::complex64, bytes_of<float>({2, 5}), 0.5) ==
        bytes_of<float>({0.5f, 0, 2, 5, 0.5f, 0}));
  CHECK(padded(DType::uint64, bytes_of<std::uint64_t>({~0ull}), std::int64_t{7}) ==
        bytes_of<std::uint64_t>({7, ~0ull, 7}));
  CHECK(padded(DType::int8, bytes_of<std::int8_t>({1}), std::int64_t{-128}) ==
        bytes_of<std::int8_t>({-128, 1, -128}));
  for (const DType dtype : {DType::float16, DType::bfloat16}) {
    const auto value = static_cast<std::uint16_t>(encoded(dtype, 0.3));
    CHECK(padded(dtype, bytes_of<std::uint16_t>({77}), 0.3) ==
          bytes_of<std::uint16_t>({value, 77, value}));
  }
  for (const DType dtype : {DType::float8_e4m3fn, DType::float8_e4m3fnuz, DType::float8_e5m2,
                            DType::float8_e5m2fnuz, DType::float8_e8m0fnu}) {
    const auto value = static_cast<std::uint8_t>(encoded(dtype, 4));
    CHECK(padded(dtype, bytes_of<std::uint8_t>({77}), std::int64_t{4}) ==
          bytes_of<std::uint8_t>({value, 77, value}));
  }
}

TEST_CASE("fills are exact") {
  Inputs in;
  const std::int64_t odd = (std::int64_t{1} << 53) + 1,
                     top = std::numeric_limits<std::int64_t>::max();
  CHECK(in.values<std::int64_t>(fill(odd, DType::int64, {3})) ==
        std::vector<std::int64_t>{odd, odd, odd});
  CHECK(in.values<std::int64_t>(fill(top, DType::int64, {})) == std::vector<std::int64_t>{top});
  CHECK(in.values<double>(fill(0.1, DType::float64, {2})) == std::vector<double>{0.1, 0.1});
  CHECK(in.values<float>(fill(0.1, DType::float32, {1, 1})) == std::vector<float>{0.1f});
  CHECK(std::isnan(
      in.values<float>(fill(std::numeric_limits<double>::quiet_NaN(), DType::float32, {}))[0]));
  CHECK(in.words(fill(1.0, DType::float32, {0, 4})).empty());
  CHECK(in.values<std::uint64_t>(fill(top, DType::uint64, {1})) ==
        std::vector<std::uint64_t>{static_cast<std::uint64_t>(top)});
  CHECK(in.values<std::uint64_t>(fill(1e19, DType::uint64, {1})) ==
        std::vector<std::uint64_t>{10000000000000000000u});
}

TEST_CASE("counting goes along the last dimension, in int64 or float64") {
  Inputs in;
  CHECK(in.values<std::int64_t>(arange(DType::int64, {2, 3})) ==
        std::vector<std::int64_t>{0, 1, 2, 0, 1, 2});
  CHECK(in.values<double>(arange(DType::float64, {3})) == std::vector<double>{0, 1, 2});
  CHECK(in.words(arange(DType::int64, {0})).empty());
  const auto counted = [&](Scalar value, std::int64_t step, DType dtype, Shape shape) {
    return std::make_shared<const Expr>(Expr{Fill{value, step}, {}, dtype, std::move(shape)});
  };
  const std::int64_t far = (std::int64_t{1} << 53) + 1;
  CHECK(in.values<std::int64_t>(counted(far, -3, DType::int64, {3})) ==
        std::vector<std::int64_t>{far, far - 3, far - 6});
  CHECK(in.values<double>(counted(0.5, 2, DType::float64, {3})) ==
        std::vector<double>{0.5, 2.5, 4.5});
  const auto bytes = in.values<std::uint8_t>(arange(DType::uint8, {300}));
  const auto halves = in.values<std::uint16_t>(arange(DType::float16, {3000}));
  for (std::size_t i = 0; i < 300; ++i) CHECK(bytes[i] == static_cast<std::uint8_t>(i));
  for (std::size_t i : {0, 1, 2047, 2048, 2049, 2050, 2051, 2999})
    CHECK(halves[i] == encoded(DType::float16, static_cast<double>(i)));
}

}  // namespace
}  // namespace regraft
