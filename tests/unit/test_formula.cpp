#include "catch.h"
#include "verbs/formula.h"

namespace regraft {
namespace {

// What the formulas below are about: operands by name, variables, and a name with captures.
struct World {
  World() {
    const auto add = [&](std::string name, DType dtype, Shape shape) {
      Tensor tensor;
      tensor.dtype = dtype;
      tensor.shape = std::move(shape);
      tensors.push_back(load(0, static_cast<std::uint32_t>(names.size()), tensor));
      names.push_back(std::move(name));
    };
    add("w", DType::float32, {8, 16});
    add("a", DType::float32, {4, 16});
    add("b", DType::float32, {8, 4});
    add("h", DType::bfloat16, {8, 16});
    add("d", DType::float64, {8, 16});
    add("n", DType::int64, {8, 16});
    add("u", DType::uint8, {8, 16});
    add("t", DType::boolean, {8, 16});
    add("c", DType::complex64, {8, 16});
    add("f", DType::float8_e4m3fn, {8, 16});
    add("v", DType::float32, {16});
    add("z", DType::float32, {});
    add("x", DType::float32, {5, 8, 16});
    add("y", DType::float32, {2, 1, 16, 3});
    Diagnostics diagnostics;
    pattern = Pattern::compile(R"(^(\d+)\.(?P<part>\w+)\.(-?\d*))", {}, diagnostics);
    REQUIRE(pattern);
    found = *pattern->find("007.attn.");
    variables["alpha"].value = Value{std::int64_t{16}};
    variables["eps"].value = Value{1e-5};
    variables["dim"].value = Value{std::int64_t{1}};
    variables["word"].value = Value{std::string("abc")};
    variables["ranks"].value = Value{Map{{"attn", Value{std::int64_t{4}}}}};
    variables["scales"].value = Value{List{Value{0.5}, Value{std::int64_t{2}}}};
    variables["a_var"].value = Value{std::int64_t{1}};
    variables["part"].value = Value{std::int64_t{1}};  // also a capture
    variables["v"].value = Value{std::int64_t{1}};     // also an operand
  }

  std::vector<std::string> names;
  std::vector<ExprPtr> tensors;
  std::optional<Pattern> pattern;
  Found found;
  Variables variables;
};

Location whole(std::string_view source) {
  Location where;
  where.text = std::make_shared<SourceText>(SourceText{"s.yaml", std::string(source)});
  where.line = 1;
  where.column = 1;
  where.length = static_cast<int>(source.size());
  return where;
}

// "code at 'what is underlined': message | hint"
std::string show(const Diagnostic& item) {
  const std::string under = item.where.text->text.substr(
      static_cast<std::size_t>(item.where.column - 1), static_cast<std::size_t>(item.where.length));
  std::string out = std::string(info(item.code).name) + " at '" + under + "': " + item.message;
  return item.hint.empty() ? out : out + " | " + item.hint;
}

// "expression: dtype shape", with operands by name, or the first error.
std::string built(std::string_view text, std::optional<DType> dtype = std::nullopt) {
  const World world;
  Diagnostics diagnostics;
  const Scope scope{.variables = &world.variables, .pattern = &*world.pattern};
  const auto formula = Formula::parse(text, whole(text), world.names, scope, diagnostics);
  CHECK(formula.has_value() == diagnostics.items().empty());
  if (!formula) return show(diagnostics.items()[0]);
  const auto result =
      formula->build(world.tensors, {.variables = &world.variables, .found = &world.found}, dtype);
  if (!result) return show(result.error());
  std::string shown = to_string(**result);
  for (std::size_t i = world.names.size(); i-- > 0;) {
    const std::string loaded = "load(0, " + std::to_string(i) + ")";
    for (std::size_t at = 0; (at = shown.find(loaded, at)) != shown.npos;)
      shown.replace(at, loaded.size(), world.names[i]);
  }
  return shown + ": " + std::string(name((*result)->dtype)) + " " + to_string((*result)->shape);
}

// Of a number: the length of what it cuts out.
std::string number(const std::string& text) {
  const std::string shown = built("narrow(reshape(x, -1), 0, 0, " + text + ")");
  const std::size_t open = shown.rfind(": float32 [");
  if (open == shown.npos) return shown;
  return shown.substr(open + 11, shown.size() - open - 12);
}

TEST_CASE("formula: what only moves elements keeps dtype and bits") {
  CHECK(built("w") == "w: float32 [8, 16]");
  CHECK(built("f") == "f: float8_e4m3fn [8, 16]");
  CHECK(built("transpose(c, 0, -1)") == "permute(c, [1, 0]): complex64 [16, 8]");
  CHECK(built("reshape(h, 4, -1)") == "reshape(h, [4, 32]): bfloat16 [4, 32]");
  CHECK(built("reshape(h, size(h, 0) * size(f, 1))") == "reshape(h, [128]): bfloat16 [128]");
  CHECK(built("narrow(f, 1, -4, 3)") == "narrow(f, 1, 12, 3): float8_e4m3fn [8, 3]");
  CHECK(built("cat(f, f, 0)") == "cat(f, f, 0): float8_e4m3fn [16, 16]");
  CHECK(built("tile(t, 1, 1)") == "t: bool [8, 16]");
  // The dtype can still be another.
  CHECK(built("transpose(w, 0, 1)", DType::float16) ==
        "cast(permute(w, [1, 0]), float16): float16 [16, 8]");
}

TEST_CASE("formula: computed in float32 and rounded once") {
  CHECK(built("w + w") == "add(w, w): float32 [8, 16]");
  CHECK(built("h + h") ==
        "cast(add(cast(h, float32), cast(h, float32)), bfloat16): bfloat16 [8, 16]");
  CHECK(built("w + h") == "add(w, cast(h, float32)): float32 [8, 16]");
  CHECK(built("h * w * d") == "mul(mul(cast(h, float64), cast(w, float64)), d): float64 [8, 16]");
  CHECK(built("w + h", DType::bfloat16) ==
        "cast(add(w, cast(h, float32)), bfloat16): bfloat16 [8, 16]");
  CHECK(built("w * size(d, 0)") == "mul(w, fill(8, [], float32)): float32 [8, 16]");
  CHECK(built("-w / 2") == "div(neg(w), fill(2, [], float32)): float32 [8, 16]");
  CHECK(built("w * 0.1 - 1") ==
        "sub(mul(w, fill(0.1, [], float32)), fill(1, [], float32)): float32 [8, 16]");
  CHECK(built("cat(h, w, 1)") == "cat(cast(h, float32), w, 1): float32 [8, 32]");
  CHECK(built("f * w", DType::bfloat16) ==
        "cast(mul(cast(f, float32), w), bfloat16): bfloat16 [8, 16]");
}

TEST_CASE("formula: integers stay whole as far as torch leaves them so") {
  CHECK(built("n + 1") == "add(n, fill(1, [], int64)): int64 [8, 16]");
  CHECK(built("u + u") == "cast(add(cast(u, int64), cast(u, int64)), uint8): uint8 [8, 16]");
  CHECK(built("sum(t, 0)") == "sum(cast(t, int64), 0): int64 [1, 16]");
  CHECK(built("abs(-n)") == "abs(neg(n)): int64 [8, 16]");
  CHECK(built("n / 2") == "div(cast(n, float32), fill(2, [], float32)): float32 [8, 16]");
  CHECK(built("n * 0.5") == "mul(cast(n, float32), fill(0.5, [], float32)): float32 [8, 16]");
  CHECK(built("sqrt(u)") == "sqrt(cast(u, float32)): float32 [8, 16]");
  CHECK(built("mean(n, 0)") == "mean(cast(n, float32), 0): float32 [1, 16]");
  CHECK(built("n + u + h") ==
        "cast(add(cast(add(n, cast(u, int64)), float32), cast(h, float32)), "
        "bfloat16): bfloat16 [8, 16]");
  CHECK(built("cat(n, u, 0)") == "cat(n, cast(u, int64), 0): int64 [16, 16]");
}

TEST_CASE("formula: operators bind as in Python") {
  CHECK(built("w + s * (b @ a)") ==
        "unknown-name at 's': no operand, capture or variable is named 's' | an operand stands in "
        "`combine`, a variable under `vars:`");
  CHECK(built("w + alpha / size(a, 0) * (b @ a)") ==
        "add(w, mul(fill(4, [], float32), matmul(b, a))): float32 [8, 16]");
  CHECK(built("w + eps * b @ a") ==
        "add(w, matmul(mul(fill(1e-05, [], float32), b), a)): float32 [8, 16]");
  CHECK(built("w - w - w") == "sub(sub(w, w), w): float32 [8, 16]");
  CHECK(built("-w @ v") ==
        "ambiguous-name at 'v': 'v' is an operand and a variable | rename one of them");
  CHECK(number("7 // 2") == "3");
  CHECK(number("-7 // 2 + 5") == "1");
  CHECK(number("-7 % 5") == "3");
  CHECK(number("2 + 3 * 4") == "14");
  CHECK(number("(2 + 3) * 4") == "20");
  CHECK(number("- -3") == "3");
  CHECK(number("abs(-3)") == "3");
}

TEST_CASE("formula: numbers are captures, variables and what is indexed in them") {
  CHECK(number("\\1") == "7");
  CHECK(number("\\1*2") == "14");
  CHECK(number("alpha") == "16");
  CHECK(number("ranks[\\2]") == "4");
  CHECK(number("get(ranks, \\1, 9) + 1") == "10");
  CHECK(number("scales [ \\1 - 6 ] * 3") == "6");
  CHECK(number("alpha / 4") ==
        "evaluation at '/': `alpha / 4` is the real number 4, where an integer is needed | `//` "
        "divides integers");
  CHECK(number("word") == "evaluation at 'word': the text 'abc', where a number is needed");
  CHECK(number("\\3") == "evaluation at '\\3': the text '', where a number is needed");
  CHECK(number("ranks") == "evaluation at 'ranks': a map of 1, where a number is needed");
  CHECK(number("ranks[\\1]") ==
        "evaluation at '[\\1]': the key '007' is not there in 'ranks' | get(map, key, default) "
        "gives a default");
  CHECK(number("1 // 0") == "evaluation at '//': division by zero");
  CHECK(number("9223372036854775807 + 1") ==
        "evaluation at '+': the result does not fit into 64 bits");
  CHECK(built("w * sqrt(-1)") == "evaluation at 'sqrt(-1)': `sqrt(-1)` has no value: `-1` is -1");
  CHECK(built("w * 1e300") == "evaluation at '1e300': the number 1e+300 does not fit into float32");
  CHECK(built("w * (1e300 * 1e300)") ==
        "evaluation at '*': the result does not fit into a float64");
}

TEST_CASE("formula: @ is torch.matmul") {
  CHECK(built("b @ a") == "matmul(b, a): float32 [8, 16]");
  CHECK(built("x @ transpose(a, 0, 1)") ==
        "reshape(matmul(reshape(x, [40, 16]), permute(a, [1, 0])), [5, 8, 4]): float32 [5, 8, 4]");
  CHECK(built("x @ y") ==
        "matmul(expand(x, [2, 5, 8, 16]), expand(y, [2, 5, 16, 3])): float32 [2, 5, 8, 3]");
  CHECK(built("reshape(w, -1) @ reshape(w, -1)") ==
        "reshape(matmul(reshape(reshape(w, [128]), [1, 128]), reshape(reshape(w, [128]), [128, "
        "1])), []): float32 []");
  CHECK(built("reshape(a, -1) @ reshape(x, -1, 64, 10)") ==
        "reshape(matmul(expand(reshape(reshape(a, [64]), [1, 64]), [1, 1, 64]), reshape(x, [1, 64, "
        "10])), [1, 10]): float32 [1, 10]");
  CHECK(built("w @ b") ==
        "rule-shape at '@': `w @ b`: [8, 16] @ [8, 4]: the inner sizes 16 and 8 differ");
  CHECK(built("x @ reshape(x, 8, 16, 5)") ==
        "rule-shape at '@': `x @ reshape(x, 8, 16, 5)`: [5, 8, 16] @ [8, 16, 5]: in front, the "
        "sizes 5 and 8 of dimension -1 do not broadcast");
  CHECK(built("(w + (w @ (b))) * 2") ==
        "rule-shape at '@': `w @ (b)`: [8, 16] @ [8, 4]: the inner sizes 16 and 8 differ");
  CHECK(built("w @ z") ==
        "rule-shape at '@': `w @ z`: [8, 16] @ []: a tensor without dimensions is multiplied with "
        "`*`");
}

TEST_CASE("formula: functions") {
  CHECK(built("sum(w, -1)") == "sum(w, 1): float32 [8, 1]");
  CHECK(built("norm(h, 0)") == "cast(norm(cast(h, float32), 0), bfloat16): bfloat16 [1, 16]");
  CHECK(built("exp(sqrt(abs(w)))") == "exp(sqrt(abs(w))): float32 [8, 16]");
  CHECK(built("transpose(x, dim, 2)") == "permute(x, [0, 2, 1]): float32 [5, 16, 8]");
  CHECK(built("tile(w, 2, 3)") ==
        "reshape(expand(reshape(w, [1, 8, 1, 16]), [2, 8, 3, 16]), [16, 48]): float32 [16, 48]");
  CHECK(built("tile(w, 2)") ==
        "reshape(expand(reshape(w, [1, 8, 1, 16]), [1, 8, 2, 16]), [8, 32]): float32 [8, 32]");
  CHECK(built("tile(z, 2, 3)") ==
        "reshape(expand(reshape(z, [1, 1, 1, 1]), [2, 1, 3, 1]), [2, 3]): float32 [2, 3]");
  CHECK(built("repeat_interleave(w, 3, 0)") ==
        "reshape(expand(reshape(w, [8, 1, 16]), [8, 3, 16]), [24, 16]): float32 [24, 16]");
  CHECK(built("repeat_interleave(w, 0, 1)") ==
        "reshape(expand(reshape(w, [8, 16, 1]), [8, 16, 0]), [8, 0]): float32 [8, 0]");
  CHECK(built("reshape(z)") == "z: float32 []");
  CHECK(built("w + reshape(a, 1, 64)") ==
        "rule-shape at '+': `w + reshape(a, 1, 64)`: [8, 16] + [1, 64]: the sizes 16 and 64 of "
        "dimension -1 do not broadcast");
  CHECK(built("sum(w, 2)") ==
        "rule-shape at '2': `sum(w, 2)`: `w` is [8, 16]: there is no dimension 2");
  CHECK(built("sum(z, -1)") ==
        "rule-shape at '-1': `sum(z, -1)`: `z` is []: there is no dimension -1");
  CHECK(built("narrow(w, 0, 6, 3)") ==
        "rule-shape at 'narrow(w, 0, 6, 3)': `narrow(w, 0, 6, 3)`: `w` is [8, 16]: 3 from 6 on are "
        "not there in dimension 0 of size 8");
  CHECK(
      built("reshape(w, 3, -1)") ==
      "rule-shape at 'reshape(w, 3, -1)': `reshape(w, 3, -1)`: `w` is [8, 16], whose 128 elements "
      "are not divided by 3");
  CHECK(
      built("reshape(w, 5)") ==
      "rule-shape at 'reshape(w, 5)': `reshape(w, 5)`: `w` is [8, 16], which has 128 elements, and "
      "[5] has 5");
  CHECK(
      built("reshape(w, -1, -1)") ==
      "rule-shape at 'reshape(w, -1, -1)': `reshape(w, -1, -1)`: `w` is [8, 16]: two sizes are -1");
  CHECK(built("cat(w, a, 1)") ==
        "rule-shape at 'cat(w, a, 1)': `cat(w, a, 1)`: `w` is [8, 16] and `a` is [4, 16]: they "
        "differ "
        "outside of dimension 1");
  CHECK(built("tile(w, -1)") ==
        "rule-shape at '-1': `tile(w, -1)`: `w` is [8, 16]: it cannot be repeated -1 times");
  CHECK(built("tile(w, 9223372036854775807)") ==
        "rule-shape at 'tile(w, 9223372036854775807)': `tile(w, 9223372036854775807)`: `w` is [8, "
        "16]: too many elements");
  CHECK(built("reshape(tile(z, 1073741824), -1, 1) * tile(z, 1073741824)") ==
        "rule-shape at '*': `reshape(tile(z, 1073741824), -1, 1) * tile(z, 1073741824)`: "
        "[1073741824, 1] * [1073741824]: too many elements");
}

TEST_CASE("formula: dtypes that cannot be computed with") {
  CHECK(built("c + w") ==
        "rule-dtype at 'c': `c` is complex64, and formulas compute with real numbers");
  CHECK(built("f * w") ==
        "rule-dtype at '*': torch has no common dtype for `w` (float32) and `f` (float8_e4m3fn) | "
        "say which one the result has, for instance `dtype: float32`");
  CHECK(built("cat(w, f, 0)") ==
        "rule-dtype at 'cat(w, f, 0)': torch has no common dtype for `w` (float32) and `f` "
        "(float8_e4m3fn) | say which one the result has, for instance `dtype: float32`");
  CHECK(built("cat(w, f, 0)", DType::float16) ==
        "cat(cast(w, float16), cast(f, float16), 0): float16 [16, 16]");
  CHECK(built("cat(w, c, 0)") == "cat(cast(w, complex64), c, 0): complex64 [16, 16]");
  CHECK(built("w * (7.5 // 2)") ==
        "evaluation at '//': `7.5 // 2`: 7.5 and 2, where two integers are needed");
  CHECK(built("-f") == "cast(neg(cast(f, float32)), float8_e4m3fn): float8_e4m3fn [8, 16]");
  CHECK(built("w", DType::bits8) == "rule-dtype at 'w': torch converts no float32 to bits8");
}

TEST_CASE("formula: mistakes that need no tensor") {
  CHECK(built("") == "bad-expression at '': an empty formula");
  CHECK(built("w +") == "bad-expression at '+': the formula ends where a value should be");
  CHECK(built("(w") == "bad-expression at 'w': a ')' is missing");
  CHECK(built("w w") == "bad-expression at 'w': unexpected 'w'");
  CHECK(
      built("w ** 2") ==
      "bad-expression at '**': unexpected '**' | there is no power; multiply, or write sqrt(x) or "
      "exp(x)");
  CHECK(built("w.T") ==
        "bad-expression at '.': unexpected '.' | a tensor is an argument: transpose(x, 0, 1)");
  CHECK(built("sum(w, dim=0)") ==
        "bad-expression at '=': unexpected '=' | arguments have no names: sum(x, 0)");
  CHECK(built("w[0]") ==
        "bad-expression at '[': unexpected '[' | a part of a tensor is narrow(x, dim, start, "
        "length)");
  CHECK(built("w == w") ==
        "bad-expression at '==': unexpected '==' | a formula has no conditions; `when` says for "
        "which names a rule is");
  CHECK(built("mead(w, 0)") ==
        "bad-expression at 'mead': there is no function 'mead' | did you mean 'mean'?");
  CHECK(
      built("softmax(w)") ==
      "bad-expression at 'softmax': there is no function 'softmax' | the functions are sum, mean, "
      "norm, sqrt, exp, abs, reshape, transpose, narrow, cat, tile, repeat_interleave, size");
  CHECK(built("sum(w)") == "bad-expression at 'sum(w)': `sum` with 1 argument | sum(x, dim)");
  CHECK(built("sqrt()") == "bad-expression at 'sqrt()': `sqrt` with 0 arguments | sqrt(x)");
  CHECK(built("sum(1, 0)") ==
        "bad-expression at '1': `sum` takes a tensor here, and `1` is a number | sum(x, dim)");
  CHECK(built("sum(w, w)") ==
        "bad-expression at 'w': `sum` takes a number here, and `w` is a tensor | sum(x, dim)");
  CHECK(built("cat(w, 0)") ==
        "bad-expression at 'cat(w, 0)': `cat` with 2 arguments | cat(x, y, ..., dim)");
  CHECK(built("2 @ w") ==
        "bad-expression at '@': `@` multiplies two tensors, and `2` is a number | write `*`");
  CHECK(built("w // 2") ==
        "bad-expression at '//': `//` is for numbers, and `w` is a tensor | write `/`");
  CHECK(built("size(w, 0) * 2") ==
        "bad-expression at 'size(w, 0) * 2': `size(w, 0) * 2` gives a number, not a tensor");
  CHECK(built("w * alhpa") ==
        "unknown-name at 'alhpa': no operand, capture or variable is named 'alhpa' | did you mean "
        "'alpha'?");
  CHECK(built("w * size") ==
        "unknown-name at 'size': no operand, capture or variable is named 'size' | a function has "
        "its arguments in parentheses: size(x, dim)");
  CHECK(built("w * part") ==
        "ambiguous-name at 'part': 'part' is a capture and a variable | rename one of them");
  CHECK(built("w * \\4") ==
        "bad-template at '\\4': \\4, but the pattern has 3 captures | parentheses in the pattern "
        "capture: (\\d+)");
  CHECK(built("w * 2x") ==
        "bad-expression at '2x': '2x' is no number | numbers are decimal: 12, 0.5, 1e-5");
  CHECK(
      built("w * 99999999999999999999") ==
      "bad-expression at '99999999999999999999': the number 99999999999999999999 does not fit into "
      "64 bits");
  CHECK(built("w * 1e999") ==
        "bad-expression at '1e999': the number 1e999 does not fit into a float64");
  CHECK(built("w * \\x") ==
        "bad-template at '\\x': a backslash without the number of a capture | captures are \\0 to "
        "\\9");
  CHECK(built("w * \\12") ==
        "bad-expression at '2': unexpected '2' | the number of a capture is one digit");
  CHECK(built(std::string(300, '(') + "w" + std::string(300, ')')) ==
        "bad-expression at '(': more than 200 levels of nesting");
  CHECK(built(std::string(300, '-') + "w") ==
        "bad-expression at '-': more than 200 levels of nesting");
  std::string sum = "w";
  for (int i = 0; i < 600; ++i) sum += " + w";
  CHECK(built(sum) == "bad-expression at 'w': a formula of more than 1000 parts");
}

TEST_CASE("formula: all unknown names are reported in one run") {
  const World world;
  Diagnostics diagnostics;
  const std::string_view text = "ww + sum(q, 0)";
  CHECK_FALSE(Formula::parse(text, whole(text), world.names,
                             {.variables = &world.variables, .pattern = &*world.pattern},
                             diagnostics));
  REQUIRE(diagnostics.items().size() == 2);
  CHECK(diagnostics.items()[1].where.column == 10);
}

TEST_CASE("formula: which operands, captures and variables it uses") {
  const World world;
  Diagnostics diagnostics;
  const std::string_view text = "w * ranks[\\2] + b @ a * \\1 / alpha / size(size_of, 0)";
  std::vector<std::string> names = world.names;
  names.push_back("size_of");
  const auto formula =
      Formula::parse(text, whole(text), names,
                     {.variables = &world.variables, .pattern = &*world.pattern}, diagnostics);
  REQUIRE(formula);
  CHECK(formula->elements_of() == std::vector<std::size_t>{0, 1, 2});
  CHECK(formula->operands() == std::vector<std::size_t>{0, 1, 2, 14});
  CHECK(formula->groups() == std::vector<int>{1, 2});
  CHECK(formula->variables() == std::vector<std::string>{"alpha", "ranks"});
}

}  // namespace
}  // namespace regraft
