#include <algorithm>
#include <cassert>
#include <charconv>
#include <cmath>
#include <map>
#include <utility>

#include "base/checked.h"
#include "verbs/formula_tree.h"

namespace regraft {
namespace {

using Node = FormulaNode;
using Kind = FormulaNode::Kind;
using Op = FormulaNode::Op;

// A result of more elements would not fit into memory that can be addressed.
constexpr std::int64_t kMostElements = std::int64_t{1} << 56;

bool is_real(const Scalar& number) { return std::holds_alternative<double>(number); }
double as_real(const Scalar& number) {
  const auto* whole = std::get_if<std::int64_t>(&number);
  return whole ? static_cast<double>(*whole) : std::get<double>(number);
}

bool is_whole(DType dtype) {
  return kind(dtype) == regraft::Kind::integer || kind(dtype) == regraft::Kind::boolean;
}

std::string code(std::string_view text) { return "`" + std::string(text) + "`"; }

// What a node gives.
using Given = std::variant<Scalar, ExprPtr>;

class Builder {
 public:
  Builder(const Formula::Tree& tree, std::span<const ExprPtr> tensors, const Bindings& bindings)
      : tree_(tree), tensors_(tensors), bindings_(bindings) {
    for (const std::size_t i : tree.elements_of)
      if (tensors[i]->dtype == DType::float64) float_ = DType::float64;
  }

  Result<ExprPtr> run(std::optional<DType> dtype) {
    std::optional<DType> common = dtype;
    if (!dtype) {
      REGRAFT_TRY(common, promoted());
    }
    moved_ = *common;
    REGRAFT_TRY(ExprPtr result, tensor(tree_.root));
    return as(tree_.root, result, dtype ? *dtype : rounded_to(result->dtype, *common));
  }

 private:
  // ---- dtypes ----

  // What torch promotes the operands to. It has no answer for float8 and another dtype, and for
  // some pairs of integers.
  Result<DType> promoted() const {
    std::optional<DType> dtype;
    for (const std::size_t i : tree_.elements_of) {
      const DType next = tensors_[i]->dtype;
      dtype = dtype ? promote(*dtype, next) : next;
      if (dtype) continue;
      return fail(tree_.root, Code::rule_dtype, "torch has no common dtype for " + dtypes(),
                  "say which one the result has, for instance `dtype: float32`");
    }
    return *dtype;
  }

  // Integers alone stay integers as long as the formula leaves them whole.
  DType rounded_to(DType computed, DType common) const {
    if (!tree_.computes || !is_whole(common)) return common;
    return computed != DType::int64 || kind(common) == regraft::Kind::boolean ? computed : common;
  }

  // "`w` (float8_e4m3fn) and `s` (float32)"
  std::string dtypes() const {
    std::string list;
    for (std::size_t i = 0; i < tree_.elements_of.size(); ++i) {
      const std::size_t operand = tree_.elements_of[i];
      if (i > 0) list += i + 1 == tree_.elements_of.size() ? " and " : ", ";
      list += code(tree_.names[operand]) + " (" + std::string(name(tensors_[operand]->dtype)) + ")";
    }
    return list;
  }

  // Converted once, so that what is used twice is read once.
  Result<ExprPtr> as(const Node& node, const ExprPtr& arg, DType dtype) {
    if (arg->dtype == dtype) return arg;
    if (!convertible(arg->dtype, dtype))
      return fail(
          node, Code::rule_dtype,
          "torch converts no " + std::string(name(arg->dtype)) + " to " + std::string(name(dtype)));
    ExprPtr& converted = converted_[{arg.get(), dtype}];
    if (!converted) converted = cast(arg, dtype, true);
    return converted;
  }

  // What is computed with: int64 or a float.
  Result<ExprPtr> operand(const Node& node, const Given& given, DType dtype) {
    if (const auto* arg = std::get_if<ExprPtr>(&given)) {
      if (kind((*arg)->dtype) != regraft::Kind::complex) return as(node, *arg, dtype);
      return fail(node, Code::rule_dtype,
                  code(tree_.text_of(node)) + " is " + std::string(name((*arg)->dtype)) +
                      ", and formulas compute with real numbers");
    }
    const Scalar& number = std::get<Scalar>(given);
    if (!holds(dtype, number))
      return fail(
          node, Code::evaluation,
          "the number " + to_string(number) + " does not fit into " + std::string(name(dtype)));
    return fill(number, dtype, {});
  }

  static bool whole(const Given& given) {
    if (const auto* arg = std::get_if<ExprPtr>(&given)) return is_whole((*arg)->dtype);
    return !is_real(std::get<Scalar>(given));
  }

  // ---- Nodes ----

  // At the operator, or at all of what is no operation.
  Diagnostic fail(const Node& node, Code code, std::string message, std::string hint = {}) const {
    const bool operation = node.kind == Kind::binary;
    return error(code,
                 tree_.place(operation ? node.at : node.begin, operation ? node.at_end : node.end),
                 std::move(message), std::move(hint));
  }
  Diagnostic misfit(const Node& node, std::string message, std::string hint = {}) const {
    return fail(node, Code::rule_shape, std::move(message), std::move(hint));
  }

  Result<ExprPtr> tensor(const Node& node) {
    REGRAFT_TRY(Given given, run(node));
    return std::get<ExprPtr>(std::move(given));
  }
  Result<Scalar> number(const Node& node) {
    REGRAFT_TRY(Given given, run(node));
    return std::get<Scalar>(given);
  }
  Result<std::int64_t> integer(const Node& node) {
    REGRAFT_TRY(const Scalar given, number(node));
    if (const auto* whole = std::get_if<std::int64_t>(&given)) return *whole;
    return fail(node, Code::evaluation,
                code(tree_.text_of(node)) + " is the real number " + to_string(given) +
                    ", where an integer is needed",
                "`//` divides integers");
  }

  Result<Given> run(const Node& node) {
    switch (node.kind) {
      case Kind::number:
        return Given(node.number);
      case Kind::scalar:
        return scalar(node);
      case Kind::operand:
        return Given(tensors_[node.operand]);
      case Kind::negate:
        return negate(node);
      case Kind::binary:
        return node.tensor ? combine(node) : arithmetic(node);
      case Kind::call:
        break;
    }
    return call(node);
  }

  Result<Given> scalar(const Node& node) const {
    REGRAFT_TRY(const Value value, node.scalar->evaluate(bindings_));
    if (const auto* whole = std::get_if<std::int64_t>(&value.data)) return Given(Scalar(*whole));
    if (const auto* real = std::get_if<double>(&value.data)) return Given(Scalar(*real));
    if (const auto* text = std::get_if<std::string>(&value.data)) {
      std::int64_t whole = 0;
      const char* const last = text->data() + text->size();
      const auto [stop, problem] = std::from_chars(text->data(), last, whole);
      if (!text->empty() && stop == last && problem == std::errc() && text->front() != '-')
        return Given(Scalar(whole));
    }
    return fail(node, Code::evaluation, describe(value) + ", where a number is needed");
  }

  Result<Given> negate(const Node& node) {
    REGRAFT_TRY(Given given, run(node.children[0]));
    if (node.tensor) {
      REGRAFT_TRY(ExprPtr arg,
                  operand(node.children[0], given, whole(given) ? DType::int64 : float_));
      return Given(unary(UnaryOp::neg, std::move(arg)));
    }
    const Scalar& number = std::get<Scalar>(given);
    if (is_real(number)) return Given(Scalar(-as_real(number)));
    const auto result = checked_sub<std::int64_t>(0, std::get<std::int64_t>(number));
    if (!result) return overflow(node);
    return Given(Scalar(*result));
  }

  Diagnostic overflow(const Node& node) const {
    return fail(node, Code::evaluation, "the result does not fit into 64 bits");
  }

  // Of two numbers, as Python does it: `/` gives a real number, `//` and `%` round down.
  Result<Given> arithmetic(const Node& node) {
    REGRAFT_TRY(const Scalar left, number(node.children[0]));
    REGRAFT_TRY(const Scalar right, number(node.children[1]));
    const bool divides =
        node.op == Op::divide || node.op == Op::floor_divide || node.op == Op::modulo;
    const bool real = is_real(left) || is_real(right);
    if (real && (node.op == Op::floor_divide || node.op == Op::modulo))
      return fail(node, Code::evaluation,
                  code(tree_.text_of(node)) + ": " + to_string(left) + " and " + to_string(right) +
                      ", where two integers are needed");
    if (divides && as_real(right) == 0) return fail(node, Code::evaluation, "division by zero");
    if (node.op == Op::divide || real) {
      const double result = real_result(node.op, as_real(left), as_real(right));
      if (!std::isfinite(result))
        return fail(node, Code::evaluation, "the result does not fit into a float64");
      return Given(Scalar(result));
    }
    const auto result =
        whole_result(node.op, std::get<std::int64_t>(left), std::get<std::int64_t>(right));
    if (!result) return overflow(node);
    return Given(Scalar(*result));
  }

  static double real_result(Op op, double a, double b) {
    switch (op) {
      case Op::add:
        return a + b;
      case Op::subtract:
        return a - b;
      case Op::multiply:
        return a * b;
      default:
        return a / b;
    }
  }

  static std::optional<std::int64_t> whole_result(Op op, std::int64_t a, std::int64_t b) {
    switch (op) {
      case Op::add:
        return checked_add(a, b);
      case Op::subtract:
        return checked_sub(a, b);
      case Op::multiply:
        return checked_mul(a, b);
      case Op::floor_divide:
        return checked_floor_divide(a, b);
      default:
        return floor_modulo(a, b);
    }
  }

  // "`b @ a`: [8, 4] @ [8, 16]"
  std::string shown(const Node& node, const Given& left, const Given& right) const {
    const auto shape = [](const Given& given) {
      const auto* arg = std::get_if<ExprPtr>(&given);
      return arg ? to_string((*arg)->shape) : to_string(std::get<Scalar>(given));
    };
    return code(tree_.text_of(node)) + ": " + shape(left) + " " +
           tree_.text.substr(node.at, node.at_end - node.at) + " " + shape(right);
  }

  // Of two tensors, or a tensor and a number.
  Result<Given> combine(const Node& node) {
    REGRAFT_TRY(const Given left, run(node.children[0]));
    REGRAFT_TRY(const Given right, run(node.children[1]));
    const bool in_integers = node.op != Op::divide && whole(left) && whole(right);
    const DType dtype = in_integers ? DType::int64 : float_;
    REGRAFT_TRY(ExprPtr a, operand(node.children[0], left, dtype));
    REGRAFT_TRY(ExprPtr b, operand(node.children[1], right, dtype));
    if (node.op == Op::matmul) return matrix_product(node, std::move(a), std::move(b));
    const auto shape = broadcast(a->shape, b->shape);
    if (!shape) return misfit(node, shown(node, left, right) + ": " + unlike(a->shape, b->shape));
    if (too_large(*shape)) return misfit(node, shown(node, left, right) + ": too many elements");
    static constexpr std::array kOps = {BinaryOp::add, BinaryOp::sub, BinaryOp::mul, BinaryOp::div};
    return Given(binary(kOps[static_cast<std::size_t>(node.op)], std::move(a), std::move(b)));
  }

  static bool too_large(const Shape& shape) {
    const auto count = numel(shape);
    return !count || *count > kMostElements;
  }

  // Which sizes keep two shapes from being broadcast.
  static std::string unlike(const Shape& a, const Shape& b) {
    for (std::size_t i = 1; i <= std::min(a.size(), b.size()); ++i) {
      const std::int64_t left = a[a.size() - i], right = b[b.size() - i];
      if (left == right || left == 1 || right == 1) continue;
      return "the sizes " + std::to_string(left) + " and " + std::to_string(right) +
             " of dimension " + std::to_string(-static_cast<std::int64_t>(i)) + " do not broadcast";
    }
    return "they do not broadcast";
  }

  // torch.matmul: a single dimension is a row on the left and a column on the right, and goes
  // again; dimensions in front are broadcast.
  Result<Given> matrix_product(const Node& node, ExprPtr a, ExprPtr b) const {
    const std::string shapes = shown(node, a, b);
    if (a->shape.empty() || b->shape.empty())
      return misfit(node, shapes + ": a tensor without dimensions is multiplied with `*`");
    const bool row = a->shape.size() == 1, column = b->shape.size() == 1;
    if (row) a = reshape(a, {1, a->shape[0]});
    if (column) b = reshape(b, {b->shape[0], 1});
    const std::int64_t left = a->shape.back(), right = b->shape[b->shape.size() - 2];
    if (left != right)
      return misfit(node, shapes + ": the inner sizes " + std::to_string(left) + " and " +
                              std::to_string(right) + " differ");
    const Shape a_front(a->shape.begin(), a->shape.end() - 2);
    const Shape b_front(b->shape.begin(), b->shape.end() - 2);
    const auto front = broadcast(a_front, b_front);
    if (!front) return misfit(node, shapes + ": in front, " + unlike(a_front, b_front));
    const auto with_front = [&](std::int64_t rows, std::int64_t columns) {
      Shape shape = *front;
      shape.insert(shape.end(), {rows, columns});
      return shape;
    };
    const std::int64_t rows = a->shape[a->shape.size() - 2], columns = b->shape.back();
    if (too_large(with_front(rows, left)) || too_large(with_front(left, columns)) ||
        too_large(with_front(rows, columns)))
      return misfit(node, shapes + ": too many elements");
    ExprPtr product;
    if (b_front.empty() && !a_front.empty()) {
      // The rows of all matrices times the one, of which no copies are made: as torch does it.
      const Shape all(a->shape.begin(), a->shape.end() - 1);
      product = matmul(reshape(std::move(a), {*numel(all), left}), std::move(b));
    } else {
      product = matmul(expand(std::move(a), with_front(rows, left)),
                       expand(std::move(b), with_front(left, columns)));
    }
    Shape shape = *front;
    if (!row) shape.push_back(rows);
    if (!column) shape.push_back(columns);
    return Given(reshape(std::move(product), std::move(shape)));
  }

  // ---- Functions ----

  Result<Given> call(const Node& node) {
    const Node& first = node.children[0];
    switch (node.function->function) {
      case FormulaFunction::sum:
        return reduced(node, ReduceOp::sum);
      case FormulaFunction::mean:
        return reduced(node, ReduceOp::mean);
      case FormulaFunction::norm:
        return reduced(node, ReduceOp::norm);
      case FormulaFunction::sqrt:
        return element_wise(node, UnaryOp::sqrt);
      case FormulaFunction::exp:
        return element_wise(node, UnaryOp::exp);
      case FormulaFunction::abs:
        return element_wise(node, UnaryOp::abs);
      case FormulaFunction::cat:
        return concatenated(node);
      case FormulaFunction::size: {
        REGRAFT_TRY(const ExprPtr arg, tensor(first));
        REGRAFT_TRY(const std::size_t at, dim(node, arg, 1));
        return Given(Scalar(arg->shape[at]));
      }
      default:
        break;
    }
    REGRAFT_TRY(ExprPtr arg, tensor(first));
    switch (node.function->function) {
      case FormulaFunction::reshape:
        return reshaped(node, std::move(arg));
      case FormulaFunction::transpose:
        return transposed(node, std::move(arg));
      case FormulaFunction::narrow:
        return narrowed(node, std::move(arg));
      case FormulaFunction::tile:
        return tiled(node, std::move(arg));
      default:
        return interleaved(node, std::move(arg));
    }
  }

  // A dimension that argument `i` names; negatives count from the end.
  Result<std::size_t> dim(const Node& node, const ExprPtr& arg, std::size_t i) {
    REGRAFT_TRY(const std::int64_t given, integer(node.children[i]));
    const auto ndim = static_cast<std::int64_t>(arg->shape.size());
    if (given >= -ndim && given < ndim)
      return static_cast<std::size_t>(given < 0 ? given + ndim : given);
    return misfit(node.children[i],
                  call_on(node, arg) + ": there is no dimension " + std::to_string(given));
  }

  // "`sum(b, 2)`: b is [8, 4]"
  std::string call_on(const Node& node, const ExprPtr& arg) const {
    return code(tree_.text_of(node)) + ": " + code(tree_.text_of(node.children[0])) + " is " +
           to_string(arg->shape);
  }

  Result<Given> reduced(const Node& node, ReduceOp op) {
    REGRAFT_TRY(const Given given, run(node.children[0]));
    const bool in_integers = op == ReduceOp::sum && whole(given);
    REGRAFT_TRY(ExprPtr arg, operand(node.children[0], given, in_integers ? DType::int64 : float_));
    REGRAFT_TRY(const std::size_t at, dim(node, arg, 1));
    return Given(reduce(op, std::move(arg), static_cast<std::int64_t>(at)));
  }

  Result<Given> element_wise(const Node& node, UnaryOp op) {
    REGRAFT_TRY(const Given given, run(node.children[0]));
    if (node.tensor) {
      const bool in_integers = op == UnaryOp::abs && whole(given);
      REGRAFT_TRY(ExprPtr arg,
                  operand(node.children[0], given, in_integers ? DType::int64 : float_));
      return Given(unary(op, std::move(arg)));
    }
    const Scalar& number = std::get<Scalar>(given);
    if (op == UnaryOp::abs) {
      if (is_real(number)) return Given(Scalar(std::abs(as_real(number))));
      const std::int64_t whole = std::get<std::int64_t>(number);
      const auto negative = checked_sub<std::int64_t>(0, whole);
      if (whole < 0 && !negative) return overflow(node);
      return Given(Scalar(whole < 0 ? *negative : whole));
    }
    const double value = as_real(number);
    const double result = op == UnaryOp::sqrt ? std::sqrt(value) : std::exp(value);
    if (std::isfinite(result)) return Given(Scalar(result));
    return fail(node, Code::evaluation,
                code(tree_.text_of(node)) + " has no value: " +
                    code(tree_.text_of(node.children[0])) + " is " + to_string(number));
  }

  Result<Given> reshaped(const Node& node, ExprPtr arg) {
    Shape shape;
    std::optional<std::size_t> open;  // the -1
    std::int64_t known = 1;
    const auto misfits = [&](const std::string& what) {
      return misfit(node, call_on(node, arg) + what);
    };
    for (std::size_t i = 1; i < node.children.size(); ++i) {
      REGRAFT_TRY(const std::int64_t size, integer(node.children[i]));
      if (size == -1 && open) return misfits(": two sizes are -1");
      if (size < -1) return misfits(": a size of " + std::to_string(size));
      if (size == -1) open = shape.size();
      const auto product = checked_mul(known, size == -1 ? 1 : size);
      if (!product) return misfits(": too many elements");
      known = *product;
      shape.push_back(size);
    }
    const std::int64_t count = *numel(arg->shape);
    if (open && (known == 0 || count % known != 0))
      return misfits(", whose " + elements(count) + " are not divided by " + std::to_string(known));
    if (open) shape[*open] = count / known;
    if (numel(shape) != count)
      return misfits(", which has " + elements(count) + ", and " + to_string(shape) + " has " +
                     std::to_string(known));
    return Given(reshape(std::move(arg), std::move(shape)));
  }
  static std::string elements(std::int64_t count) {
    return std::to_string(count) + (count == 1 ? " element" : " elements");
  }

  Result<Given> transposed(const Node& node, ExprPtr arg) {
    REGRAFT_TRY(const std::size_t a, dim(node, arg, 1));
    REGRAFT_TRY(const std::size_t b, dim(node, arg, 2));
    std::vector<std::int64_t> dims(arg->shape.size());
    for (std::size_t i = 0; i < dims.size(); ++i) dims[i] = static_cast<std::int64_t>(i);
    std::swap(dims[a], dims[b]);
    return Given(permute(std::move(arg), std::move(dims)));
  }

  Result<Given> narrowed(const Node& node, ExprPtr arg) {
    REGRAFT_TRY(const std::size_t at, dim(node, arg, 1));
    REGRAFT_TRY(const std::int64_t given, integer(node.children[2]));
    REGRAFT_TRY(const std::int64_t length, integer(node.children[3]));
    const std::int64_t size = arg->shape[at];
    const std::int64_t start = given < 0 && given >= -size ? given + size : given;
    if (start < 0 || start > size || length < 0 || length > size - start)
      return misfit(node, call_on(node, arg) + ": " + std::to_string(length) + " from " +
                              std::to_string(given) + " on are not there in dimension " +
                              std::to_string(at) + " of size " + std::to_string(size));
    return Given(narrow(std::move(arg), static_cast<std::int64_t>(at), start, length));
  }

  Result<Given> concatenated(const Node& node) {
    std::vector<ExprPtr> parts;
    for (std::size_t i = 0; i + 1 < node.children.size(); ++i) {
      REGRAFT_TRY(ExprPtr part, tensor(node.children[i]));
      parts.push_back(std::move(part));
    }
    REGRAFT_TRY(const std::size_t at, dim(node, parts.front(), node.children.size() - 1));
    std::int64_t size = 0;
    const bool one_dtype = std::ranges::all_of(
        parts, [&](const ExprPtr& part) { return part->dtype == parts.front()->dtype; });
    const bool in_integers =
        std::ranges::all_of(parts, [](const ExprPtr& part) { return is_whole(part->dtype); });
    for (std::size_t i = 0; i < parts.size(); ++i) {
      Shape expected = parts.front()->shape;
      if (parts[i]->shape.size() == expected.size()) expected[at] = parts[i]->shape[at];
      if (parts[i]->shape != expected)
        return misfit(node, call_on(node, parts.front()) + " and " +
                                code(tree_.text_of(node.children[i])) + " is " +
                                to_string(parts[i]->shape) + ": they differ outside of dimension " +
                                std::to_string(at));
      const auto sum = checked_add(size, parts[i]->shape[at]);
      if (!sum) return misfit(node, call_on(node, parts.front()) + ": too many elements");
      size = *sum;
      if (one_dtype) continue;
      REGRAFT_TRY(parts[i], joined(node.children[i], parts[i], in_integers));
    }
    Shape shape = parts.front()->shape;
    shape[at] = size;
    if (too_large(shape)) return misfit(node, call_on(node, parts.front()) + ": too many elements");
    return Given(cat(std::move(parts), static_cast<std::int64_t>(at)));
  }

  // A part of a `cat` whose parts have several dtypes.
  Result<ExprPtr> joined(const Node& node, const ExprPtr& part, bool in_integers) {
    if (!tree_.computes) return as(node, part, moved_);
    return operand(node, part, in_integers ? DType::int64 : float_);
  }

  // Each dimension as two, `outer` times the first and `inner` times the second, and as one again.
  static Result<Given> repeated(ExprPtr arg, Shape apart, Shape expanded, Shape merged) {
    if (apart == expanded) return Given(reshape(std::move(arg), std::move(merged)));
    return Given(reshape(expand(reshape(std::move(arg), std::move(apart)), std::move(expanded)),
                         std::move(merged)));
  }

  Result<std::int64_t> repeats(const Node& node, const ExprPtr& arg, std::size_t i) {
    REGRAFT_TRY(const std::int64_t count, integer(node.children[i]));
    if (count >= 0) return count;
    return misfit(node.children[i], call_on(node, arg) + ": it cannot be repeated " +
                                        std::to_string(count) + " times");
  }

  // torch.tile: fewer counts than dimensions stand for the last ones.
  Result<Given> tiled(const Node& node, ExprPtr arg) {
    Shape counts;
    for (std::size_t i = 1; i < node.children.size(); ++i) {
      REGRAFT_TRY(const std::int64_t count, repeats(node, arg, i));
      counts.push_back(count);
    }
    Shape shape = arg->shape;
    const auto ones = [](Shape& list, std::size_t length) {
      if (list.size() < length) list.insert(list.begin(), length - list.size(), 1);
    };
    ones(shape, counts.size());
    ones(counts, shape.size());
    Shape apart, expanded, merged;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      const auto size = checked_mul(shape[i], counts[i]);
      if (!size) return misfit(node, call_on(node, arg) + ": too many elements");
      apart.insert(apart.end(), {1, shape[i]});
      expanded.insert(expanded.end(), {counts[i], shape[i]});
      merged.push_back(*size);
    }
    if (too_large(merged) || too_large(expanded))
      return misfit(node, call_on(node, arg) + ": too many elements");
    return repeated(std::move(arg), std::move(apart), std::move(expanded), std::move(merged));
  }

  Result<Given> interleaved(const Node& node, ExprPtr arg) {
    REGRAFT_TRY(const std::int64_t count, repeats(node, arg, 1));
    REGRAFT_TRY(const std::size_t at, dim(node, arg, 2));
    Shape apart = arg->shape, expanded = arg->shape, merged = arg->shape;
    const auto size = checked_mul(arg->shape[at], count);
    if (size) merged[at] = *size;
    const auto behind = static_cast<std::ptrdiff_t>(at) + 1;
    apart.insert(apart.begin() + behind, 1);
    expanded.insert(expanded.begin() + behind, count);
    if (!size || too_large(merged) || too_large(expanded))
      return misfit(node, call_on(node, arg) + ": too many elements");
    return repeated(std::move(arg), std::move(apart), std::move(expanded), std::move(merged));
  }

  const Formula::Tree& tree_;
  std::span<const ExprPtr> tensors_;
  const Bindings& bindings_;
  DType float_ = DType::float32;  // of what is computed
  DType moved_ = DType::float32;  // of what is joined where nothing is computed
  std::map<std::pair<const Expr*, DType>, ExprPtr> converted_;
};

}  // namespace

Result<ExprPtr> Formula::build(std::span<const ExprPtr> tensors, const Bindings& bindings,
                               std::optional<DType> dtype) const {
  assert(tensors.size() == tree_->names.size());
  return Builder(*tree_, tensors, bindings).run(dtype);
}

}  // namespace regraft
