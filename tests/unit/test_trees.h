// Trees of the primitives that move elements, and an element-by-element reading of them. The inputs
// are of the caller's kind: add(dtype, shape, bytes) makes a load, bytes(tensor) gives them again.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "catch.h"
#include "expr/expr.h"

namespace regraft {

using Words = std::vector<unsigned char>;
using Place = std::vector<std::int64_t>;

inline std::size_t flat(const Place& place, const Shape& shape) {
  std::size_t number = 0;
  for (std::size_t i = 0; i < shape.size(); ++i)
    number = number * static_cast<std::size_t>(shape[i]) + static_cast<std::size_t>(place[i]);
  return number;
}
inline Place unflat(std::size_t number, const Shape& shape) {
  Place place(shape.size());
  for (std::size_t i = shape.size(); i-- > 0;) {
    place[i] = static_cast<std::int64_t>(number % static_cast<std::size_t>(shape[i]));
    number /= static_cast<std::size_t>(shape[i]);
  }
  return place;
}
inline bool within(Place& place, const Place& start, const Shape& shape) {
  Place moved = place;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    moved[i] -= start[i];
    if (moved[i] < 0 || moved[i] >= shape[i]) return false;
  }
  place = moved;
  return true;
}

// Where the element of the tree comes from: input and number; empty for a padding of zero.
inline std::optional<std::pair<std::uint32_t, std::size_t>> origin(const Expr& node, Place place) {
  if (const auto* op = std::get_if<Load>(&node.op))
    return {{op->tensor, static_cast<std::size_t>(op->first) + flat(place, node.shape)}};
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

template <typename Inputs>
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

template <typename Inputs>
class Trees {
 public:
  Trees(DType dtype, std::uint64_t seed, int nodes = 12)
      : nodes_(nodes), dtype_(dtype), draw_(seed) {}

  Inputs inputs;

  ExprPtr draw() {
    std::vector<ExprPtr> made;
    for (int i = 0; i < 3; ++i) made.push_back(input(draw_.shape(draw_.below(4))));
    for (int i = 0; i < nodes_; ++i) {
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

  int nodes_;
  DType dtype_;
  Draw draw_;
};

}  // namespace regraft
