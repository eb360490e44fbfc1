#include <array>

#include "catch.h"
#include "expr/expr.h"

namespace regraft {
namespace {

Catalog two_tensors() {
  Catalog catalog;
  catalog.storages.emplace_back();
  catalog.storages[0].nbytes = 100;
  Tensor a;
  a.name = "a.weight";
  a.dtype = DType::float16;
  a.shape = {2, 3};
  a.strides = {3, 1};
  a.offset = 4;
  catalog.tensors.push_back(a);
  a.name = "b";
  a.strides = {1, 2};  // transposed
  catalog.tensors.push_back(a);
  return catalog;
}

TEST_CASE("expressions know their shape and dtype") {
  const Catalog catalog = two_tensors();
  const ExprPtr a = load(0, 0, catalog.tensors[0]);
  CHECK(a->dtype == DType::float16);
  CHECK(a->shape == Shape{2, 3});
  const ExprPtr r = reshape(a, {6, 1});
  CHECK(r->dtype == DType::float16);
  CHECK(r->shape == Shape{6, 1});
  CHECK(reshape(a, {2, 3}) == a);
  CHECK(reshape(r, {2, 3}) == a);
  CHECK(moves_only(*a));
  CHECK(moves_only(*r));
}

TEST_CASE("expressions print by index or by name") {
  const Catalog catalog = two_tensors();
  const std::array<const Catalog*, 1> catalogs = {&catalog};
  const ExprPtr r = reshape(load(0, 0, catalog.tensors[0]), {6});
  CHECK(to_string(*r) == "reshape(load(0, 0), [6])");
  CHECK(to_string(*r, catalogs) == "reshape(load(0, 'a.weight'), [6])");
}

TEST_CASE("equal expressions") {
  const Catalog catalog = two_tensors();
  const ExprPtr a = load(0, 0, catalog.tensors[0]);
  CHECK(equal(*a, *load(0, 0, catalog.tensors[0])));
  CHECK_FALSE(equal(*a, *load(0, 1, catalog.tensors[1])));
  CHECK_FALSE(equal(*a, *load(1, 0, catalog.tensors[0])));
  CHECK_FALSE(equal(*a, *reshape(a, {6})));
  CHECK(equal(*reshape(a, {6}), *reshape(load(0, 0, catalog.tensors[0]), {6})));
  CHECK_FALSE(equal(*reshape(a, {6}), *reshape(a, {3, 2})));
  CHECK_FALSE(equal(*reshape(a, {6}), *reshape(load(0, 1, catalog.tensors[1]), {6})));
}

TEST_CASE("loads are listed once") {
  const Catalog catalog = two_tensors();
  const ExprPtr a = load(0, 0, catalog.tensors[0]);
  const ExprPtr b = load(0, 1, catalog.tensors[1]);
  // There is no primitive with two arguments to make such a tree with.
  const Expr both{
      Reshape{}, {b, a, reshape(b, {6}), load(0, 1, catalog.tensors[1])}, DType::float16, {24}};
  const std::vector<Load> loads = loads_of(both);
  REQUIRE(loads.size() == 2);
  CHECK(loads[0].tensor == 1);
  CHECK(loads[1].tensor == 0);
}

TEST_CASE("views without computing") {
  Catalog catalog = two_tensors();
  const std::array<const Catalog*, 2> catalogs = {nullptr, &catalog};
  const ExprPtr a = load(1, 0, catalog.tensors[0]);
  const ExprPtr b = load(1, 1, catalog.tensors[1]);
  CHECK(as_view(*a, catalogs) == View{1, 0, DType::float16, {2, 3}, {3, 1}, 4});
  CHECK(as_view(*b, catalogs) == View{1, 0, DType::float16, {2, 3}, {1, 2}, 4});
  CHECK(as_view(*reshape(a, {3, 2}), catalogs) == View{1, 0, DType::float16, {3, 2}, {2, 1}, 4});
  CHECK(as_view(*reshape(reshape(a, {6}), {1, 6}), catalogs) ==
        View{1, 0, DType::float16, {1, 6}, {6, 1}, 4});
  CHECK_FALSE(as_view(*reshape(b, {6}), catalogs));

  catalog.tensors[1].shape = {1, 1};
  const ExprPtr scalar = reshape(load(1, 1, catalog.tensors[1]), {});
  CHECK(as_view(*scalar, catalogs) == View{1, 0, DType::float16, {}, {}, 4});
  catalog.tensors[1].shape = {0, 4};
  const ExprPtr empty = reshape(load(1, 1, catalog.tensors[1]), {2, 0});
  CHECK(as_view(*empty, catalogs) == View{1, 0, DType::float16, {2, 0}, {1, 1}, 4});
}

TEST_CASE("views keep the bits and refuse what is no view") {
  Catalog catalog = two_tensors();
  const std::array<const Catalog*, 1> catalogs = {&catalog};
  catalog.tensors[0].conj = true;
  const auto view = as_view(*load(0, 0, catalog.tensors[0]), catalogs);
  REQUIRE(view);
  CHECK(view->conj);
  CHECK_FALSE(view == as_view(*load(0, 1, catalog.tensors[1]), catalogs));
  catalog.tensors[0].unsupported = "a sparse tensor";
  CHECK_FALSE(as_view(*load(0, 0, catalog.tensors[0]), catalogs));
}

}  // namespace
}  // namespace regraft
