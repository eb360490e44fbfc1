#include <set>

#include "catch.h"
#include "expr/invariants.h"
#include "plan/optimize.h"
#include "test_trees.h"

namespace regraft {
namespace {

// What trees are drawn over.
class Bytes {
 public:
  ExprPtr add(DType dtype, Shape shape, Words bytes) {
    Tensor metadata;
    metadata.dtype = dtype;
    metadata.shape = std::move(shape);
    data_.push_back(std::move(bytes));
    return load(0, static_cast<std::uint32_t>(data_.size() - 1), metadata);
  }
  [[nodiscard]] const Words& bytes(std::uint32_t tensor) const { return data_[tensor]; }

 private:
  std::vector<Words> data_;
};

ExprPtr tensor(std::uint32_t number, Shape shape, DType dtype = DType::float32) {
  Tensor metadata;
  metadata.dtype = dtype;
  metadata.shape = std::move(shape);
  return load(0, number, metadata);
}

std::span<const Pass> pass(std::string_view name) {
  const auto all = all_passes();
  for (std::size_t i = 0; i < all.size(); ++i)
    if (all[i].name == name) return all.subspan(i, 1);
  FAIL("there is no pass " << name);
  return {};
}
// By one pass.
std::string by(std::string_view name, const ExprPtr& expr) {
  Optimizer optimizer(pass(name));
  const ExprPtr after = optimizer.optimize(expr);
  return after ? to_string(*after) : optimizer.fault();
}
bool leaves(std::string_view name, const ExprPtr& expr) {
  Optimizer optimizer(pass(name));
  return optimizer.optimize(expr) == expr;
}
std::string by_all(const ExprPtr& expr) {
  Optimizer optimizer(all_passes());
  const ExprPtr after = optimizer.optimize(expr);
  return after ? to_string(*after) : optimizer.fault();
}

TEST_CASE("each pass") {
  const ExprPtr x = tensor(0, {6, 4}), y = tensor(1, {2, 4}), z = tensor(2, {3, 4});
  CHECK(by("reshape-of-reshape", reshape(reshape(x, {24}), {4, 6})) ==
        "reshape(load(0, 0), [4, 6])");
  CHECK(by("reshape-of-reshape", reshape(reshape(x, {24}), {6, 4})) == "load(0, 0)");
  CHECK(by("permute-of-permute", permute(permute(x, {1, 0}), {1, 0})) == "load(0, 0)");
  const ExprPtr cube = tensor(3, {2, 3, 4});
  CHECK(by("permute-of-permute", permute(permute(cube, {1, 2, 0}), {2, 0, 1})) == "load(0, 3)");
  CHECK(by("permute-of-permute", permute(permute(cube, {1, 2, 0}), {1, 2, 0})) ==
        "permute(load(0, 3), [2, 0, 1])");

  const ExprPtr small = tensor(4, {2}, DType::int8);
  CHECK(by("cast-of-cast", cast(cast(small, DType::int64, true), DType::float16, true)) ==
        "cast(load(0, 4), float16)");
  CHECK(by("cast-of-cast", cast(cast(small, DType::float32, true), DType::int8, false)) ==
        "load(0, 4)");
  CHECK(leaves("cast-of-cast", cast(cast(small, DType::uint8, false), DType::int32, true)));
  CHECK(leaves("cast-of-cast", cast(cast(x, DType::float64, true), DType::float32, true)));

  CHECK(by("index-to-narrow", index_select(x, 0, {1, 3, 5})) == "narrow(load(0, 0), 0, 1, 3, 2)");
  CHECK(by("index-to-narrow", index_select(x, 0, {4})) == "narrow(load(0, 0), 0, 4, 1)");
  CHECK(by("index-to-narrow", index_select(x, 0, {})) == "narrow(load(0, 0), 0, 0, 0)");
  CHECK(by("index-to-narrow", index_select(x, 0, {0, 1, 2, 3, 4, 5})) == "load(0, 0)");
  CHECK(leaves("index-to-narrow", index_select(x, 0, {2, 1})));
  CHECK(leaves("index-to-narrow", index_select(x, 0, {1, 1})));
  CHECK(leaves("index-to-narrow", index_select(x, 0, {0, 1, 3})));

  CHECK(by("index-of-index", index_select(index_select(x, 0, {5, 0, 3}), 0, {2, 2, 0})) ==
        "index_select(load(0, 0), 0, [3, 3, 5])");
  CHECK(by("index-of-index", index_select(narrow(x, 0, 1, 3, 2), 0, {2, 0})) ==
        "index_select(load(0, 0), 0, [5, 1])");
  CHECK(by("index-of-index", narrow(index_select(x, 0, {5, 0, 3, 2}), 0, 1, 2, 2)) ==
        "index_select(load(0, 0), 0, [0, 2])");
  CHECK(leaves("index-of-index", index_select(index_select(x, 0, {5, 0}), 1, {2, 0})));
  CHECK(leaves("index-of-index", narrow(narrow(x, 0, 1, 5), 0, 1, 2)));

  CHECK(by("narrow-of-narrow", narrow(narrow(x, 0, 1, 3, 2), 0, 1, 2)) ==
        "narrow(load(0, 0), 0, 3, 2, 2)");
  CHECK(by("narrow-of-narrow", narrow(narrow(narrow(x, 0, 1, 4), 1, 1, 2), 0, 0, 2, 3)) ==
        "narrow(narrow(load(0, 0), 0, 1, 2, 3), 1, 1, 2)");
  CHECK(by("narrow-of-narrow", narrow(narrow(x, 0, 0, 3, 2), 0, 3, 0)) ==
        "narrow(load(0, 0), 0, 0, 0)");
  CHECK(by("narrow-of-permute", narrow(permute(x, {1, 0}), 0, 1, 2)) ==
        "permute(narrow(load(0, 0), 1, 1, 2), [1, 0])");

  const ExprPtr joined = cat({x, y, z}, 0);
  CHECK(by("narrow-of-cat", narrow(joined, 0, 6, 2)) == "load(0, 1)");
  CHECK(by("narrow-of-cat", narrow(joined, 0, 7, 3)) ==
        "cat(narrow(load(0, 1), 0, 1, 1), narrow(load(0, 2), 0, 0, 2), 0)");
  CHECK(by("narrow-of-cat", narrow(joined, 0, 1, 4, 3)) ==
        "cat(narrow(load(0, 0), 0, 1, 2, 3), narrow(load(0, 1), 0, 1, 1), "
        "narrow(load(0, 2), 0, 2, 1), 0)");
  CHECK(by("narrow-of-cat", narrow(joined, 0, 11, 0)) == "narrow(load(0, 0), 0, 0, 0)");
  CHECK(leaves("narrow-of-cat", narrow(joined, 1, 1, 2)));

  const ExprPtr padded = pad(y, {1, 0}, {5, 4}, 0.5);
  CHECK(by("narrow-of-pad", narrow(padded, 0, 1, 2)) == "load(0, 1)");
  CHECK(by("narrow-of-pad", narrow(padded, 0, 3, 2)) == "fill(0.5, [2, 4], float32)");
  CHECK(by("narrow-of-pad", narrow(padded, 0, 0, 2)) ==
        "pad(narrow(load(0, 1), 0, 0, 1), [1, 0], [2, 4], 0.5)");
  CHECK(by("narrow-of-pad", narrow(padded, 1, 1, 2)) ==
        "pad(narrow(load(0, 1), 1, 1, 2), [1, 0], [5, 2], 0.5)");

  CHECK(by("narrow-of-fill", narrow(fill(1.5, DType::float32, {9, 2}), 0, 3, 2, 3)) ==
        "fill(1.5, [2, 2], float32)");
  CHECK(by("narrow-of-fill", narrow(arange(DType::int64, {9, 2}), 0, 3, 2)) ==
        "arange(0, 1, [2, 2], int64)");
  CHECK(leaves("narrow-of-fill", narrow(arange(DType::int64, {9, 2}), 1, 1, 1)));

  CHECK(by("cat-of-cat", cat({cat({x, y}, 0), z, cat({z, x}, 0)}, 0)) ==
        "cat(load(0, 0), load(0, 1), load(0, 2), load(0, 2), load(0, 0), 0)");
  CHECK(leaves("cat-of-cat", cat({cat({x, x}, 1), cat({y, y}, 1)}, 0)));
  CHECK(by("cat-of-narrows", cat({narrow(x, 0, 0, 2), narrow(x, 0, 2, 4)}, 0)) == "load(0, 0)");
  CHECK(by("cat-of-narrows", cat({y, narrow(x, 0, 1, 1), narrow(x, 0, 2, 3), z}, 0)) ==
        "cat(load(0, 1), narrow(load(0, 0), 0, 1, 4), load(0, 2), 0)");
  CHECK(leaves("cat-of-narrows", cat({narrow(x, 0, 2, 4), narrow(x, 0, 0, 2)}, 0)));
  CHECK(leaves("cat-of-narrows", cat({narrow(x, 0, 0, 2), narrow(y, 0, 1, 1)}, 0)));
}

TEST_CASE("passes give each other work, until none is left") {
  const ExprPtr q = tensor(0, {4, 2}), k = tensor(1, {4, 2});
  const ExprPtr joined = cat({q, k}, 0);
  CHECK(by_all(cat({narrow(joined, 0, 0, 3), narrow(joined, 0, 3, 5)}, 0)) ==
        "cat(load(0, 0), load(0, 1), 0)");
  CHECK(by_all(permute(narrow(permute(joined, {1, 0}), 1, 4, 4), {1, 0})) == "load(0, 1)");
  // unbind, then stack again
  std::vector<ExprPtr> rows;
  for (std::int64_t i = 0; i < 4; ++i)
    rows.push_back(reshape(reshape(narrow(q, 0, i, 1), {2}), {1, 2}));
  CHECK(by_all(cat(rows, 0)) == "load(0, 0)");
}

TEST_CASE("what can stop a run is not left out") {
  const ExprPtr x = tensor(0, {2}), y = tensor(1, {2}, DType::float64);
  const ExprPtr checked = cast(y, DType::float32, true), free = cast(y, DType::float32, false);
  CHECK(leaves("narrow-of-cat", narrow(cat({x, checked}, 0), 0, 0, 2)));
  CHECK(by("narrow-of-cat", narrow(cat({x, free}, 0), 0, 0, 2)) == "load(0, 0)");
  const ExprPtr wider = cast(tensor(2, {2}, DType::float16), DType::float32, true);
  CHECK(by("narrow-of-cat", narrow(cat({x, wider}, 0), 0, 0, 2)) == "load(0, 0)");
  CHECK(leaves("narrow-of-pad", narrow(pad(checked, {0}, {4}, 0.0), 0, 2, 2)));
  // It is cast as a whole, also where a part is taken.
  CHECK(by_all(narrow(narrow(checked, 0, 0, 1), 0, 0, 1)) ==
        "narrow(cast(load(0, 1), float32), 0, 0, 1)");
}

TEST_CASE("what floats are computed from stays as it is") {
  const ExprPtr x = tensor(0, {6});
  const ExprPtr argument = reshape(reshape(x, {2, 3}), {3, 2});
  CHECK(leaves("reshape-of-reshape", unary(UnaryOp::exp, argument)));
  CHECK(leaves("reshape-of-reshape", reduce(ReduceOp::sum, argument, 0)));
  CHECK(by("reshape-of-reshape", reshape(reshape(unary(UnaryOp::exp, argument), {6}), {2, 3})) ==
        "reshape(exp(reshape(reshape(load(0, 0), [2, 3]), [3, 2])), [2, 3])");
  // Both ways at once: what is computed is computed once.
  const ExprPtr computed = unary(UnaryOp::neg, x);
  Optimizer optimizer(all_passes());
  const ExprPtr both = optimizer.optimize(
      cat({reshape(reshape(reshape(computed, {2, 3}), {3, 2}), {6}), unary(UnaryOp::abs, computed)},
          0));
  CHECK(both->args[0] == both->args[1]->args[0]);
}

TEST_CASE("what tensors share, they share optimized") {
  const ExprPtr x = tensor(0, {6});
  const ExprPtr common = reshape(reshape(cat({x, x}, 0), {12, 1}), {3, 4});
  Optimizer optimizer(all_passes());
  const ExprPtr a = optimizer.optimize(narrow(common, 0, 0, 1));
  const ExprPtr b = optimizer.optimize(narrow(common, 0, 1, 2));
  CHECK(to_string(*a) == "narrow(reshape(cat(load(0, 0), load(0, 0), 0), [3, 4]), 0, 0, 1)");
  CHECK(a->args[0] == b->args[0]);
}

TEST_CASE("lists do not grow without end") {
  ExprPtr doubled = tensor(0, {1});
  for (int i = 0; i < 40; ++i) doubled = cat({doubled, doubled}, 0);
  Optimizer optimizer(pass("cat-of-cat"));
  const ExprPtr after = optimizer.optimize(doubled);
  REQUIRE(after);
  CHECK(after->shape == Shape{std::int64_t{1} << 40});
  CHECK(after->args.size() <= 1 << 16);
}

TEST_CASE("drawn trees keep their elements, and each pass has something to do") {
  std::set<std::string_view> worked;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    Trees<Bytes> trees(DType::int16, seed, 24);
    const ExprPtr tree = trees.draw();
    INFO(to_string(*tree));
    const Words before = by_hand(*tree, trees.inputs);
    for (std::size_t i = 0; i <= all_passes().size(); ++i) {
      const bool alone = i < all_passes().size();
      Optimizer optimizer(alone ? all_passes().subspan(i, 1) : all_passes());
      const ExprPtr after = optimizer.optimize(tree);
      INFO(optimizer.fault());
      REQUIRE(after);
      if (alone && after != tree) worked.insert(all_passes()[i].name);
      CHECK(by_hand(*after, trees.inputs) == before);
    }
  }
  std::set<std::string_view> idle;
  for (const Pass& one : all_passes())
    if (!worked.contains(one.name)) idle.insert(one.name);
  // Trees are drawn without casts, fills, and parts of one tensor side by side.
  CHECK(idle == std::set<std::string_view>{"cast-of-cast", "cat-of-narrows", "narrow-of-fill"});
}

TEST_CASE("a pass that breaks an invariant is caught, and named") {
  const ExprPtr x = tensor(0, {4}), y = tensor(1, {4});
  const auto fault = [](ExprPtr (*rewrite)(const Expr&), const ExprPtr& expr) {
    const Pass passes[] = {{"broken", "", rewrite}};
    Plan plan;
    plan.tensors.resize(1);
    plan.tensors[0].name = "w";
    plan.tensors[0].expr = expr;
    return optimize(plan, passes).value_or("nothing");
  };
  CHECK(fault(
            [](const Expr& node) -> ExprPtr {
              return std::holds_alternative<Narrow>(node.op) ? node.args[0] : nullptr;
            },
            narrow(x, 0, 0, 2)) == "the pass broken: the shape is [4], and was [2], of 'w'");
  CHECK(fault(
            [](const Expr& node) -> ExprPtr {
              return std::holds_alternative<Cast>(node.op) ? node.args[0] : nullptr;
            },
            cast(x, DType::float64, true)) ==
        "the pass broken: the dtype is float32, and was float64, of 'w'");
  CHECK(fault(
            [](const Expr& node) -> ExprPtr {
              return std::holds_alternative<Reshape>(node.op) ? tensor(7, node.shape) : nullptr;
            },
            reshape(x, {2, 2})) == "the pass broken: load(0, 7) is loaded, and was not, of 'w'");
  CHECK(fault(
            [](const Expr& node) -> ExprPtr {
              const auto* joined = std::get_if<Cat>(&node.op);
              if (!joined || node.args.size() != 2) return nullptr;
              return std::make_shared<const Expr>(
                  Expr{*joined, {node.args[0]}, node.dtype, node.shape});
            },
            cat({x, y}, 0)) ==
        "the pass broken: a node of shape [8] does not fit its arguments, of 'w'");
}

TEST_CASE("well-formed nodes") {
  const ExprPtr x = tensor(0, {4, 3}), half = tensor(1, {4, 3}, DType::float16);
  const auto node = [&](Op op, std::vector<ExprPtr> args, Shape shape,
                        DType dtype = DType::float32) {
    return well_formed(Expr{std::move(op), std::move(args), dtype, std::move(shape)});
  };
  CHECK(node(Narrow{0, 1, 2, 2}, {x}, {2, 3}));
  CHECK_FALSE(node(Narrow{0, 1, 3, 2}, {x}, {3, 3}));
  CHECK_FALSE(node(Narrow{0, 1, 2, 1}, {x}, {3, 3}));
  CHECK_FALSE(node(Narrow{2, 0, 1, 1}, {x}, {4, 3}));
  CHECK_FALSE(node(Narrow{0, 1, 2, 1}, {x}, {2, 3}, DType::float16));
  CHECK_FALSE(node(Narrow{0, 1, 2, 1}, {x, x}, {2, 3}));
  CHECK_FALSE(node(Narrow{0, 1, 2, 1}, {nullptr}, {2, 3}));
  CHECK(node(Index{1, {2, 2}}, {x}, {4, 2}));
  CHECK_FALSE(node(Index{1, {3}}, {x}, {4, 1}));
  CHECK(node(Permute{{1, 0}}, {x}, {3, 4}));
  CHECK_FALSE(node(Permute{{1, 1}}, {x}, {3, 3}));
  CHECK_FALSE(node(Permute{{0}}, {x}, {4}));
  CHECK(node(Reshape{}, {x}, {12}));
  CHECK_FALSE(node(Reshape{}, {x}, {13}));
  CHECK(node(Expand{}, {x}, {2, 4, 3}));
  CHECK_FALSE(node(Expand{}, {x}, {8, 3}));
  CHECK(node(Cat{0}, {x, x}, {8, 3}));
  CHECK_FALSE(node(Cat{1}, {x, x}, {8, 3}));
  CHECK_FALSE(node(Cat{0}, {x, half}, {8, 3}));
  CHECK_FALSE(node(Cat{0}, {}, {0, 3}));
  CHECK(node(Pad{{1, 0}, 0.0}, {x}, {6, 3}));
  CHECK_FALSE(node(Pad{{3, 0}, 0.0}, {x}, {6, 3}));
  CHECK(node(Overlay{{0, 0}}, {x, x}, {4, 3}));
  CHECK_FALSE(node(Overlay{{1, 0}}, {x, x}, {4, 3}));
  CHECK(node(Cast{true}, {half}, {4, 3}));
  CHECK_FALSE(node(Unary{UnaryOp::neg}, {half}, {4, 3}));
  CHECK(node(Binary{BinaryOp::add}, {x, tensor(2, {1, 3})}, {4, 3}));
  CHECK_FALSE(node(Binary{BinaryOp::add}, {x, tensor(2, {2, 3})}, {4, 3}));
  CHECK(node(MatMul{}, {x, tensor(2, {3, 5})}, {4, 5}));
  CHECK_FALSE(node(MatMul{}, {x, x}, {4, 3}));
  CHECK(node(Reduce{ReduceOp::sum, 1}, {x}, {4, 1}));
  CHECK_FALSE(node(Reduce{ReduceOp::sum, 1}, {x}, {4}));
  CHECK_FALSE(node(Fill{std::int64_t{300}}, {}, {2}, DType::uint8));
}

TEST_CASE("passes by name") {
  const std::vector<std::string> off = {"narrow-of-cat", "byte-ranges", "narrow-of-cat"};
  const auto passes = passes_without(off);
  REQUIRE(passes.ok());
  CHECK(passes->rewrites.size() == all_passes().size() - 1);
  CHECK_FALSE(passes->byte_ranges);
  CHECK(passes_without({})->byte_ranges);
  const std::vector<std::string> wrong = {"narow-of-cat"};
  const auto refused = passes_without(wrong);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == Code::usage);
  CHECK(refused.error().message == "there is no pass 'narow-of-cat'");
  CHECK(refused.error().hint == "did you mean `narrow-of-cat`?");
  const std::vector<std::string> far = {"all"};
  CHECK(passes_without(far).error().hint.starts_with("the passes are reshape-of-reshape, "));
  CHECK(passes_without(far).error().hint.ends_with(", casts, tiles"));
}

}  // namespace
}  // namespace regraft
