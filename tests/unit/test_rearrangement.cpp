#include "catch.h"
#include "verbs/rearrangement.h"

namespace regraft {
namespace {

Location whole(std::string_view source) {
  Location where;
  where.text = std::make_shared<SourceText>(SourceText{"s.yaml", std::string(source)});
  where.line = 1;
  where.column = 1;
  where.length = static_cast<int>(source.size());
  return where;
}

// "at 'what is underlined': message | hint"
std::string show(const Diagnostic& item) {
  const std::string under = item.where.text->text.substr(
      static_cast<std::size_t>(item.where.column - 1), static_cast<std::size_t>(item.where.length));
  std::string out = "at '" + under + "': " + item.message;
  return item.hint.empty() ? out : out + " | " + item.hint;
}

// The expression that a tensor of the shape becomes, or the first error.
std::string arranged(std::string_view text, Shape shape, Rearrangement::Sizes sizes = {}) {
  Diagnostics diagnostics;
  std::vector<std::string> sized;
  for (const auto& [axis, size] : sizes) sized.push_back(axis);
  const auto made = Rearrangement::parse(text, whole(text), sized, diagnostics);
  CHECK(made.has_value() == diagnostics.items().empty());
  if (!made) {
    CHECK(diagnostics.items()[0].code == Code::wrong_type);
    return show(diagnostics.items()[0]);
  }
  Tensor tensor;
  tensor.dtype = DType::float32;
  tensor.shape = std::move(shape);
  const Result<ExprPtr> result = made->apply(load(0, 0, tensor), sizes);
  if (result) return to_string(**result);
  CHECK(result.error().code == Code::rule_shape);
  return show(result.error());
}

TEST_CASE("rearrange: axes apart, in another order, and together") {
  CHECK(arranged("a b -> b a", {2, 3}) == "permute(load(0, 0), [1, 0])");
  CHECK(arranged("a b -> a b", {2, 3}) == "load(0, 0)");
  CHECK(arranged("a b -> (a b)", {2, 3}) == "reshape(load(0, 0), [6])");
  CHECK(arranged("(h two d) c -> (h d two) c", {24, 8}, {{"h", 6}, {"two", 2}}) ==
        "reshape(permute(reshape(load(0, 0), [6, 2, 2, 8]), [0, 2, 1, 3]), [24, 8])");
  CHECK(arranged("(h w)->h w", {12}, {{"w", 4}}) == "reshape(load(0, 0), [3, 4])");
}

TEST_CASE("rearrange: 1, () and `...`") {
  CHECK(arranged("1 a () -> a 1 1", {1, 3, 1}) == "reshape(reshape(load(0, 0), [3]), [3, 1, 1])");
  CHECK(arranged("(1 a) -> (a 1)", {3}) == "load(0, 0)");
  CHECK(arranged("... a -> a ...", {2, 3, 4}) == "permute(load(0, 0), [2, 0, 1])");
  CHECK(arranged("a ... -> a ...", {2}) == "load(0, 0)");
  CHECK(arranged("a ... b -> b (a ...)", {2, 3, 4, 5}) ==
        "reshape(permute(load(0, 0), [3, 0, 1, 2]), [5, 24])");
  CHECK(arranged("-> 1", {}) == "reshape(load(0, 0), [1])");
}

TEST_CASE("rearrange: empty dimensions") {
  CHECK(arranged("(a b) -> b a", {0}, {{"a", 3}}) ==
        "permute(reshape(load(0, 0), [3, 0]), [1, 0])");
  CHECK(arranged("(a b) -> b a", {0}, {{"a", 0}, {"b", 5}}) ==
        "permute(reshape(load(0, 0), [0, 5]), [1, 0])");
  CHECK(arranged("(a b) -> b a", {0}, {{"a", 0}}) ==
        "at '(a b)': `(a b)` has size 0, and with a = 0 the rest has no size");
  CHECK(arranged("(a b) c -> (a c) b", {0, 5}, {{"a", std::int64_t{1} << 62}}) ==
        "at '(a c)': `(a c)` would be larger than any dimension");
}

TEST_CASE("rearrange: what does not fit the shape") {
  CHECK(arranged("a b -> b a", {2, 3, 4}) ==
        "at 'a b -> b a': `a b` has 2 dimensions, and the tensor has 3");
  CHECK(arranged("a b ... -> b a ...", {2}) ==
        "at 'a b ... -> b a ...': `a b ...` has at least 2 dimensions, and the tensor has 1");
  CHECK(arranged("1 a -> a", {2, 3}) == "at '1': `1` has size 2, and it is to be 1");
  CHECK(arranged("() a -> a", {2, 3}) == "at '()': `()` has size 2, and it is to be 1");
  CHECK(arranged("(a b) -> a b", {10}, {{"a", 3}}) ==
        "at '(a b)': `(a b)` has size 10, which is not divisible with a = 3");
  CHECK(arranged("(a b) -> a b", {10}, {{"a", 3}, {"b", 3}}) ==
        "at '(a b)': `(a b)` has size 10, and with a = 3, b = 3 it is 9");
  CHECK(arranged("a -> a", {10}, {{"a", 3}}) == "at 'a': `a` has size 10, and with a = 3 it is 3");
}

TEST_CASE("rearrange: what einops refuses") {
  CHECK(arranged("a b", {2, 3}) ==
        "at 'a b': a pattern of `rearrange` without `->` | it has two sides, for instance `(h w) c "
        "-> c h w`");
  CHECK(arranged("a -> a -> a", {2}) == "at '->': a second `->`");
  CHECK(
      arranged("a b -> a", {2, 3}) ==
      "at 'b': the axis `b` is on the left side only | `rearrange` drops no axis; `1` on the left "
      "side takes one of size 1 away");
  CHECK(arranged("a -> a b", {2}) ==
        "at 'b': the axis `b` is on the right side only | `rearrange` repeats no axis; `1` on the "
        "right side makes a new one of size 1");
  CHECK(arranged("a ... -> a", {2}) == "at '...': `...` is on the left side only");
  CHECK(arranged("a -> a ...", {2}) == "at '...': `...` is on the right side only");
  CHECK(
      arranged("(a ...) -> a ...", {2}) ==
      "at '...': `...` in parentheses on the left side | it stands for whole dimensions there; on "
      "the right side it may be merged");
  CHECK(
      arranged("(a b) -> a b", {6}) ==
      "at '(a b)': the sizes of `a` and `b` cannot be told from one dimension | give all sizes but "
      "one, for instance `with: {a: 2}`");
  CHECK(arranged("2 a -> a", {2, 3}) ==
        "at '2': a size in a pattern of `rearrange`: 2 | give the axis a name, and its size with "
        "`with: {name: 2}`");
  CHECK(arranged("_a -> _a", {2}) ==
        "at '_a': the axis `_a` begins or ends with an underscore | einops takes no such name");
  CHECK(arranged("a... -> a ...", {2}) ==
        "at '...': `...` is part of a name | spaces stand between axes");
  CHECK(arranged("a a -> a", {2, 2}) == "at 'a': the axis `a` is there twice");
}

}  // namespace
}  // namespace regraft
