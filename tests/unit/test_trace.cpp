#include "catch.h"
#include "invert/trace.h"

namespace regraft {
namespace {

ExprPtr source(std::uint32_t tensor, Shape shape) {
  Tensor metadata;
  metadata.shape = std::move(shape);
  return load(0, tensor, metadata);
}

// "0:3 1:0 -": the tensors and elements that the elements of an expression come from.
std::string origins(const ExprPtr& expr) {
  std::string out;
  for (std::int64_t i = 0; i < *numel(expr->shape); ++i) {
    const auto origin = trace(*expr, i);
    out += (i ? " " : "") +
           (origin ? std::to_string(origin->load.tensor) + ":" + std::to_string(origin->element)
                   : std::string("-"));
  }
  return out;
}

TEST_CASE("trace: every primitive that moves elements") {
  const ExprPtr a = source(0, {2, 3}), b = source(1, {1, 3});
  CHECK(origins(a) == "0:0 0:1 0:2 0:3 0:4 0:5");
  CHECK(origins(narrow(a, 1, 0, 2, 2)) == "0:0 0:2 0:3 0:5");
  CHECK(origins(index_select(a, 0, {1, 1})) == "0:3 0:4 0:5 0:3 0:4 0:5");
  CHECK(origins(permute(a, {1, 0})) == "0:0 0:3 0:1 0:4 0:2 0:5");
  CHECK(origins(reshape(permute(a, {1, 0}), {6})) == "0:0 0:3 0:1 0:4 0:2 0:5");
  CHECK(origins(expand(b, {2, 2, 3})) == "1:0 1:1 1:2 1:0 1:1 1:2 1:0 1:1 1:2 1:0 1:1 1:2");
  CHECK(origins(cat({b, a}, 0)) == "1:0 1:1 1:2 0:0 0:1 0:2 0:3 0:4 0:5");
  CHECK(origins(pad(b, {1, 0}, {2, 4}, std::int64_t{0})) == "- - - - 1:0 1:1 1:2 -");
  CHECK(origins(overlay(a, narrow(b, 1, 0, 1), {1, 1})) == "0:0 0:1 0:2 0:3 1:0 0:5");
  CHECK(origins(cast(b, DType::float16, true)) == "1:0 1:1 1:2");
  CHECK(origins(unary(UnaryOp::neg, b)) == "- - -");
  CHECK(origins(source(2, {})) == "2:0");
}

}  // namespace
}  // namespace regraft
