#include "catch.h"
#include "spec/spec.h"

namespace regraft {
namespace {

// The canonical form of a spec with one rule.
std::string canonical(const std::string& rule) {
  Diagnostics diagnostics;
  const auto spec = parse_spec(
      std::make_shared<SourceText>(SourceText{"s.yaml", "regraft: 1\nrules:\n  - " + rule + "\n"}),
      diagnostics);
  REQUIRE(spec);
  REQUIRE(diagnostics.items().empty());
  return canonical_json(*spec);
}

TEST_CASE("fingerprint: the order of keys does not count") {
  CHECK(canonical("{drop: a, when: '1', count: 2}") == canonical("{count: 2, when: '1', drop: a}"));
  CHECK(canonical("{rearrange: a, with: {h: 1, w: 2}}") ==
        canonical("{rearrange: a, with: {w: 2, h: 1}}"));
}

TEST_CASE("fingerprint: the order of tables, operands and formulas does") {
  CHECK(canonical("{rename: {a: b, c: d}}") != canonical("{rename: {c: d, a: b}}"));
  CHECK(canonical("{combine: {a: x, b: y}, to: z, as: a + b}") !=
        canonical("{combine: {b: y, a: x}, to: z, as: a + b}"));
  CHECK(canonical("{combine: {a: x}, to: {p: a, q: -a}}") !=
        canonical("{combine: {a: x}, to: {q: -a, p: a}}"));
}

}  // namespace
}  // namespace regraft
