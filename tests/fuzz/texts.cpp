// The small languages: patterns, templates, expressions, formulas, rearrangements, JSON.
#include <algorithm>
#include <charconv>
#include <set>
#include <vector>

#include "expr/expr.h"
#include "fuzz/target.h"
#include "text/expression.h"
#include "text/json.h"
#include "text/pattern.h"
#include "verbs/formula.h"
#include "verbs/rearrangement.h"

namespace regraft::fuzz {
namespace {

std::vector<std::string_view> lines(std::string_view text) {
  std::vector<std::string_view> found;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    found.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return found;
}

// So that an error can show its place.
Location place_of(std::string_view text) {
  Location where;
  where.text = std::make_shared<SourceText>(SourceText{"s.yaml", std::string(text)});
  where.line = where.column = 1;
  where.length = static_cast<int>(text.size());
  return where;
}

void render_all(const Diagnostics& diagnostics) {
  for (const Diagnostic& one : diagnostics.items()) FUZZ_CHECK(!render(one, false).empty());
}

Variables some_variables() {
  Variables variables;
  variables["n"].value = Value{std::int64_t{3}};
  variables["x"].value = Value{0.5};
  variables["word"].value = Value{std::string("abc")};
  variables["list"].value = Value{List{Value{std::int64_t{7}}, Value{std::string("b")}}};
  variables["map"].value = Value{Map{{"a", Value{std::int64_t{4}}}}};
  variables["later"];  // not known yet
  return variables;
}

}  // namespace

// Patterns, a line each; `---`; a template, then names, a line each.
FUZZ_TARGET(patterns) {
  const auto [above, below] = cut(input);
  if (above.size() > 2000) return;
  Diagnostics diagnostics;
  std::vector<Pattern> patterns;
  for (const std::string_view text : lines(above)) {
    if (patterns.size() == 20) break;
    if (auto pattern = Pattern::compile(std::string(text), place_of(text), diagnostics))
      patterns.push_back(std::move(*pattern));
  }
  render_all(diagnostics);
  if (patterns.empty()) return;
  const PatternSet at_once(patterns), with_little(patterns, 1 << 10);
  const std::vector<std::string_view> names = lines(below);
  const std::string_view to = names.empty() ? "" : names.front();
  const Variables variables = some_variables();
  const Pattern& first = patterns.front();
  Diagnostics ignored;
  const auto made =
      Template::parse(to, place_of(to), {.variables = &variables, .pattern = &first}, ignored);
  render_all(ignored);
  for (const std::string_view name : names) {
    std::size_t expected = 0;
    while (expected < patterns.size() && !patterns[expected].found_in(name)) ++expected;
    if (expected == patterns.size()) expected = PatternSet::npos;
    FUZZ_CHECK(at_once.first_match(name) == expected);
    FUZZ_CHECK(with_little.first_match(name) == expected);
    const std::optional<Found> found = first.find(name);
    FUZZ_CHECK(found.has_value() == first.found_in(name));
    if (!found) continue;
    FUZZ_CHECK(found->begin <= found->end && found->end <= name.size());
    FUZZ_CHECK(found->groups.front() == name.substr(found->begin, found->end - found->begin));
    if (made) (void)made->expand({.variables = &variables, .found = &*found}).ok();
  }
}

FUZZ_TARGET(expression) {
  Diagnostics diagnostics;
  const Variables variables = some_variables();
  static const Pattern pattern = *Pattern::compile(R"((\d+)\.(?P<part>\w*))", {}, diagnostics);
  const Scope scope{.variables = &variables, .pattern = &pattern, .part_index = true};
  const auto expression = Expression::parse(input, place_of(input), scope, diagnostics);
  FUZZ_CHECK(expression.has_value() == diagnostics.items().empty());
  render_all(diagnostics);
  if (!expression) return;
  const std::string name = "12.weight";
  const Found found = *pattern.find(name);
  const Bindings bindings{.variables = &variables, .found = &found, .part_index = 1};
  const Result<Value> value = expression->evaluate(bindings);
  if (!value) FUZZ_CHECK(!render(value.error(), false).empty());
  (void)expression->holds(bindings).ok();
}

FUZZ_TARGET(formula) {
  static const auto [names, tensors] = [] {
    std::pair<std::vector<std::string>, std::vector<ExprPtr>> world;
    const auto add = [&](std::string name, DType dtype, Shape shape) {
      Tensor tensor;
      tensor.dtype = dtype;
      tensor.shape = std::move(shape);
      world.second.push_back(load(0, static_cast<std::uint32_t>(world.first.size()), tensor));
      world.first.push_back(std::move(name));
    };
    add("w", DType::float32, {8, 16});
    add("a", DType::float32, {4, 16});
    add("b", DType::float32, {8, 4});
    add("h", DType::bfloat16, {8, 16});
    add("u", DType::uint8, {8, 16});
    add("t", DType::boolean, {16});
    add("c", DType::complex64, {8, 16});
    add("f", DType::float8_e4m3fn, {8, 16});
    add("z", DType::float32, {});
    add("y", DType::float32, {2, 1, 16, 3});
    add("e", DType::float64, {0, 16});
    return world;
  }();
  Diagnostics diagnostics;
  const Variables variables = some_variables();
  const Scope scope{.variables = &variables};
  const auto formula = Formula::parse(input, place_of(input), names, scope, diagnostics);
  FUZZ_CHECK(formula.has_value() == diagnostics.items().empty());
  render_all(diagnostics);
  if (!formula) return;
  const Result<ExprPtr> built = formula->build(tensors, {.variables = &variables}, std::nullopt);
  if (!built)
    FUZZ_CHECK(!render(built.error(), false).empty());
  else
    FUZZ_CHECK(numel((*built)->shape).has_value() && !to_string(**built).empty());
}

// A pattern; then lines `axis=size`, and one `[2,3,4]` of the shape.
FUZZ_TARGET(rearrange) {
  const std::vector<std::string_view> parts = lines(input);
  if (parts.empty()) return;
  Rearrangement::Sizes sizes;
  Tensor tensor;
  const auto number = [](std::string_view text) {
    std::int64_t value = 1;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return std::clamp<std::int64_t>(value, 0, 64);
  };
  for (const std::string_view line : parts) {
    const std::size_t equal = line.find('=');
    if (line.starts_with('[') && tensor.shape.size() < 8)
      for (std::size_t at = 0; at < line.size(); at = std::min(line.find(',', at + 1), line.size()))
        tensor.shape.push_back(number(line.substr(at + 1)));
    else if (equal != line.npos)
      sizes.emplace(line.substr(0, equal),
                    std::max<std::int64_t>(1, number(line.substr(equal + 1))));
  }
  if (!numel(tensor.shape)) return;
  std::vector<std::string> sized;
  for (const auto& [name, size] : sizes) sized.push_back(name);
  const ExprPtr arg = load(0, 0, tensor);
  const auto turn = [&](std::string_view pattern, const ExprPtr& from) -> ExprPtr {
    Diagnostics diagnostics;
    const auto rearrangement = Rearrangement::parse(pattern, place_of(pattern), sized, diagnostics);
    FUZZ_CHECK(rearrangement.has_value() == diagnostics.items().empty());
    render_all(diagnostics);
    if (!rearrangement) return nullptr;
    const Result<ExprPtr> made = rearrangement->apply(from, sizes);
    if (!made) {
      FUZZ_CHECK(!render(made.error(), false).empty());
      return nullptr;
    }
    FUZZ_CHECK(numel((*made)->shape) == numel(from->shape));
    return *made;
  };
  const std::string_view pattern = parts.front();
  const ExprPtr there = turn(pattern, arg);
  const std::size_t arrow = pattern.find("->");
  if (!there || arrow == pattern.npos) return;
  const std::string back_pattern =
      std::string(pattern.substr(arrow + 2)) + "->" + std::string(pattern.substr(0, arrow));
  if (const ExprPtr back = turn(back_pattern, there)) FUZZ_CHECK(back->shape == arg->shape);
}

FUZZ_TARGET(json) { (void)json::parse(input, {.max_depth = 64, .max_values = 100'000}).ok(); }

}  // namespace regraft::fuzz
