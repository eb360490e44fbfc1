#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/nearest.h"
#include "text/characters.h"
#include "text/tokens.h"
#include "verbs/formula_tree.h"

namespace regraft {
namespace {

using Node = FormulaNode;
using Kind = FormulaNode::Kind;
using Op = FormulaNode::Op;

// Both bound how deep an expression becomes that is made of a formula.
constexpr int kMostNesting = 200;
constexpr std::size_t kMostNodes = 1000;

constexpr std::array<std::string_view, 8> kMarks = {"//", "**", "==", "!=", "<=", ">=", "&&", "||"};

bool has_capture(const Pattern* pattern, std::string_view name) {
  if (pattern == nullptr) return false;
  return std::ranges::any_of(pattern->group_names(),
                             [&](const auto& group) { return group.first == name; });
}

const FormulaSignature* function_named(std::string_view name) {
  const auto* found = std::ranges::find(kFormulaFunctions, name, &FormulaSignature::name);
  return found == kFormulaFunctions.end() ? nullptr : found;
}

std::string code(std::string_view text) { return "`" + std::string(text) + "`"; }

class Parser final : Tokens {
 public:
  Parser(Formula::Tree& tree, const Scope& scope, Diagnostics& diagnostics)
      : Tokens(tree.text, kMarks, diagnostics), tree_(tree), scope_(scope) {}

  // False when anything was reported.
  bool run() {
    next();
    if (token_.empty() && !failed_)
      fail(Code::bad_expression, 0, std::max<std::size_t>(text_.size(), 1), "an empty formula");
    if (!failed_) tree_.root = parse_sum();
    if (!failed_ && !token_.empty()) unexpected();
    if (!failed_ && !reported_ && !tree_.root.tensor)
      fail(tree_.root, code(tree_.text_of(tree_.root)) + " gives a number, not a tensor");
    sort(tree_.elements_of);
    sort(tree_.operands);
    sort(tree_.variables);
    sort(tree_.groups);
    return !failed_ && !reported_;
  }

 private:
  template <typename T>
  static void sort(std::vector<T>& items) {
    std::ranges::sort(items);
    auto rest = std::ranges::unique(items);
    items.erase(rest.begin(), rest.end());
  }

  std::string_view whole() const override { return "formula"; }
  Location place(std::size_t begin, std::size_t end) const override {
    return tree_.place(begin, end);
  }
  std::size_t word_length(std::string_view rest) const override {
    std::size_t length = 0;
    if (is_digit(rest[0]) || (rest[0] == '.' && rest.size() > 1 && is_digit(rest[1]))) {
      double ignored = 0;
      length = static_cast<std::size_t>(
          std::from_chars(rest.data(), rest.data() + rest.size(), ignored).ptr - rest.data());
      while (length < rest.size() && (is_word(rest[length]) || rest[length] == '.')) ++length;
    } else {
      while (length < rest.size() && is_word(rest[length])) ++length;
    }
    return length;
  }
  std::string hint_for_unexpected() const override {
    static constexpr std::array<std::string_view, 12> kConditions = {
        "==", "!=", "<", "<=", ">", ">=", "&&", "||", "!", "and", "or", "not"};
    if (token_ == "**" || token_ == "^")
      return "there is no power; multiply, or write sqrt(x) or exp(x)";
    if (std::ranges::find(kConditions, token_) != kConditions.end())
      return "a formula has no conditions; `when` says for which names a rule is";
    if (token_ == "=") return "arguments have no names: sum(x, 0)";
    if (token_ == ".") return "a tensor is an argument: transpose(x, 0, 1)";
    if (token_ == "[") return "a part of a tensor is narrow(x, dim, start, length)";
    if (token_ == "'" || token_ == "\"") return "a formula has no text";
    if (token_ == "{" || token_ == "}") return "a formula has no braces";
    if (is_digit(token_[0]) && last_was_capture_) return "the number of a capture is one digit";
    return {};
  }

  using Tokens::fail;
  void fail(const Node& node, std::string message, std::string hint = {}) {
    fail(Code::bad_expression, node.begin, node.end, std::move(message), std::move(hint));
  }

  bool too_large() {
    if (depth_ >= kMostNesting)
      fail(Code::bad_expression, begin_, std::max(end(), begin_ + 1),
           "more than " + std::to_string(kMostNesting) + " levels of nesting");
    else if (++nodes_ > kMostNodes)
      fail(Code::bad_expression, begin_, std::max(end(), begin_ + 1),
           "a formula of more than " + std::to_string(kMostNodes) + " parts");
    return failed_;
  }

  // ---- Grammar ----

  struct Level {
    std::string_view token;
    Op op;
  };

  template <typename Operand>
  Node parse_chain(std::initializer_list<Level> level, Operand operand) {
    Node left = operand();
    while (!failed_) {
      const auto* found = std::ranges::find(level, token_, &Level::token);
      if (found == level.end()) break;
      Node node;
      if (too_large()) return node;
      node.kind = Kind::binary;
      node.op = found->op;
      node.begin = node.from = left.from;
      node.at = begin_;
      node.at_end = end();
      next();
      node.children.push_back(std::move(left));
      node.children.push_back(operand());
      node.end = node.to = node.children[1].to;
      check(node);
      left = std::move(node);
    }
    return left;
  }

  Node parse_sum() {
    return parse_chain({{"+", Op::add}, {"-", Op::subtract}}, [this] { return parse_product(); });
  }
  Node parse_product() {
    return parse_chain({{"*", Op::multiply},
                        {"/", Op::divide},
                        {"@", Op::matmul},
                        {"//", Op::floor_divide},
                        {"%", Op::modulo}},
                       [this] { return parse_unary(); });
  }

  void check(Node& node) {
    const Node& left = node.children[0];
    const Node& right = node.children[1];
    node.tensor = left.tensor || right.tensor;
    computes(node.tensor);
    if (failed_ || reported_) return;
    const std::string op = code(text_.substr(node.at, node.at_end - node.at));
    if (node.op == Op::matmul && !(left.tensor && right.tensor)) {
      const Node& number = left.tensor ? right : left;
      fail(Code::bad_expression, node.at, node.at_end,
           op + " multiplies two tensors, and " + code(tree_.text_of(number)) + " is a number",
           "write `*`");
    } else if ((node.op == Op::floor_divide || node.op == Op::modulo) && node.tensor) {
      const Node& tensor = left.tensor ? left : right;
      fail(Code::bad_expression, node.at, node.at_end,
           op + " is for numbers, and " + code(tree_.text_of(tensor)) + " is a tensor",
           node.op == Op::floor_divide ? "write `/`" : "");
    }
  }

  Node parse_unary() {
    if (token_ != "-") return parse_primary();
    Node node;
    if (too_large()) return node;
    node.kind = Kind::negate;
    node.begin = node.from = begin_;
    next();
    ++depth_;
    node.children.push_back(parse_unary());
    --depth_;
    node.end = node.to = node.children[0].to;
    node.tensor = node.children[0].tensor;
    computes(node.tensor);
    return node;
  }

  Node parse_primary() {
    Node node;
    if (failed_ || token_.empty()) {
      unexpected();
      return node;
    }
    if (too_large()) return node;
    node.begin = node.from = begin_;
    node.end = node.to = end();
    const char c = token_[0];
    if (is_digit(c) || (c == '.' && token_.size() > 1)) {
      parse_number(node);
    } else if (c == '\\') {
      parse_scalar(node);
    } else if (token_ == "(") {
      const std::size_t begin = begin_;
      next();
      ++depth_;
      node = parse_sum();
      --depth_;
      node.from = begin;
      node.to = end();
      expect(")");
    } else if (is_word(c) && token_ != "and" && token_ != "or" && token_ != "not") {
      parse_name(node);
    } else {
      unexpected();
    }
    return node;
  }

  void parse_number(Node& node) {
    const char* const first = token_.data();
    const char* const last = first + token_.size();
    const auto no_number = [&] {
      fail(Code::bad_expression, begin_, end(), quoted(token_) + " is no number",
           "numbers are decimal: 12, 0.5, 1e-5");
    };
    if (all_digits(token_)) {
      std::int64_t whole = 0;
      if (std::from_chars(first, last, whole).ec != std::errc())
        return fail(Code::bad_expression, begin_, end(),
                    "the number " + std::string(token_) + " does not fit into 64 bits");
      node.number = whole;
    } else {
      double real = 0;
      const auto [stop, problem] = std::from_chars(first, last, real);
      if (stop != last) return no_number();
      if (problem != std::errc())
        return fail(Code::bad_expression, begin_, end(),
                    "the number " + std::string(token_) + " does not fit into a float64");
      node.number = real;
    }
    next();
  }

  // A capture, a variable or `get(...)`, and the indexes behind it, are an expression.
  void parse_scalar(Node& node) {
    last_was_capture_ = token_[0] == '\\';
    if (token_ == "get") enclosed(begin_ + token_.size(), '(', ')');
    while (!failed_ && followed_by('[')) enclosed(at_, '[', ']');
    if (failed_) return;
    node.kind = Kind::scalar;
    node.end = node.to = at_;
    node.scalar = Expression::parse(text_.substr(node.begin, node.end - node.begin),
                                    tree_.place(node.begin, node.end), scope_, diagnostics_);
    if (node.scalar) {
      const auto& groups = node.scalar->groups();
      const auto& variables = node.scalar->variables();
      tree_.groups.insert(tree_.groups.end(), groups.begin(), groups.end());
      tree_.variables.insert(tree_.variables.end(), variables.begin(), variables.end());
    } else {
      reported_ = true;
    }
    token_ = text_.substr(begin_, at_ - begin_);
    next();
    if (is_digit(token_.empty() ? ' ' : token_[0]) && last_was_capture_) unexpected();
    last_was_capture_ = false;
  }
  [[nodiscard]] bool followed_by(char c) const {
    const std::size_t at = text_.find_first_not_of(kSpaces, at_);
    return at != text_.npos && text_[at] == c;
  }
  // Moves behind the bracket that closes the next one.
  void enclosed(std::size_t from, char open, char close) {
    at_ = from;
    skip_spaces();
    int depth = 0;
    for (std::size_t i = at_; i < text_.size(); ++i) {
      depth += text_[i] == open ? 1 : text_[i] == close ? -1 : 0;
      if (depth > 0) continue;
      at_ = i + 1;
      return;
    }
    fail(Code::bad_expression, text_.size() - 1, text_.size(),
         std::string("a '") + close + "' is missing");
  }

  void parse_name(Node& node) {
    const std::string name(token_);
    const bool call = followed_by('(');
    if (call && name != "get") return parse_call(name, node);
    const auto operand = std::ranges::find(tree_.names, name);
    const bool capture = has_capture(scope_.pattern, name);
    const auto variable =
        scope_.variables == nullptr ? Variables::const_iterator() : scope_.variables->find(name);
    const bool is_variable = scope_.variables != nullptr && variable != scope_.variables->end();
    if (operand == tree_.names.end()) {
      if (capture || is_variable || call) return parse_scalar(node);
      unknown(name, node);
    } else if (capture || is_variable) {
      reported_ = true;
      Diagnostic problem =
          error(Code::ambiguous_name, tree_.place(node.begin, node.end),
                quoted(name) + " is an operand and " + (capture ? "a capture" : "a variable"),
                "rename one of them");
      if (!capture && variable->second.where.known())
        problem.notes.push_back({variable->second.where, "the variable is here"});
      diagnostics_.add(std::move(problem));
    } else {
      node.kind = Kind::operand;
      node.tensor = true;
      node.operand = static_cast<std::size_t>(operand - tree_.names.begin());
      tree_.operands.push_back(node.operand);
      if (in_size_ == 0) tree_.elements_of.push_back(node.operand);
    }
    next();
  }

  // What only a size depends on computes no element.
  void computes(bool here) { tree_.computes |= here && in_size_ == 0; }

  void unknown(const std::string& name, const Node& node) {
    std::vector<std::string_view> names(tree_.names.begin(), tree_.names.end());
    const std::vector<std::string_view> in_scope = names_in(scope_);
    names.insert(names.end(), in_scope.begin(), in_scope.end());
    std::string hint;
    if (const FormulaSignature* function = function_named(name))
      hint = "a function has its arguments in parentheses: " + std::string(function->usage);
    else if (const std::string near = nearest(name, names); !near.empty())
      hint = "did you mean " + quoted(near) + "?";
    else
      hint = "an operand stands in `combine`, a variable under `vars:`";
    report(Code::unknown_name, node.begin, node.end,
           "no operand, capture or variable is named " + quoted(name), std::move(hint));
  }

  void parse_call(const std::string& name, Node& node) {
    node.kind = Kind::call;
    node.function = function_named(name);
    if (node.function == nullptr) return no_function(name, node);
    next();
    next();
    ++depth_;
    in_size_ += node.function->function == FormulaFunction::size ? 1 : 0;
    if (token_ != ")") {
      do {
        node.children.push_back(parse_sum());
      } while (!failed_ && accept(","));
    }
    in_size_ -= node.function->function == FormulaFunction::size ? 1 : 0;
    --depth_;
    node.end = node.to = end();
    expect(")");
    if (!failed_) check_call(node);
  }

  void no_function(const std::string& name, const Node& node) {
    std::vector<std::string_view> names;
    std::string list;
    for (const FormulaSignature& one : kFormulaFunctions) {
      names.push_back(one.name);
      list += (list.empty() ? "" : ", ") + std::string(one.name);
    }
    const std::string near = nearest(name, names);
    fail(node, "there is no function " + quoted(name),
         near.empty() ? "the functions are " + list : "did you mean " + quoted(near) + "?");
  }

  void check_call(Node& node) {
    const FormulaSignature& function = *node.function;
    const std::size_t count = node.children.size();
    const std::size_t least = function.tensors + function.numbers;
    node.tensor = function.function != FormulaFunction::size;
    const std::string usage(function.usage);
    if (count < least || (count > least && !function.more_tensors && !function.more_numbers))
      return fail(Code::bad_expression, node.begin, node.end,
                  code(function.name) + " with " + std::to_string(count) +
                      (count == 1 ? " argument" : " arguments"),
                  usage);
    if (reported_) return;
    if (function.of_numbers_too) node.tensor = node.children[0].tensor;
    computes(function.computes && node.tensor);
    if (function.of_numbers_too) return;
    const std::size_t tensors = function.more_tensors ? count - function.numbers : function.tensors;
    for (std::size_t i = 0; i < count; ++i) {
      const Node& child = node.children[i];
      if (child.tensor == (i < tensors)) continue;
      return fail(child,
                  code(function.name) + " takes a " + (child.tensor ? "number" : "tensor") +
                      " here, and " + code(tree_.text_of(child)) + " is a " +
                      (child.tensor ? "tensor" : "number"),
                  usage);
    }
  }

  Formula::Tree& tree_;
  const Scope& scope_;
  int depth_ = 0;
  int in_size_ = 0;
  std::size_t nodes_ = 0;
  bool last_was_capture_ = false;
};

}  // namespace

std::optional<Formula> Formula::parse(std::string_view text, const Location& where,
                                      std::span<const std::string> operands, const Scope& scope,
                                      Diagnostics& diagnostics) {
  auto tree = std::make_shared<Tree>();
  tree->text = text;
  tree->where = where;
  tree->names.assign(operands.begin(), operands.end());
  if (!Parser(*tree, scope, diagnostics).run()) return std::nullopt;
  return Formula(std::move(tree));
}

const std::vector<std::size_t>& Formula::elements_of() const { return tree_->elements_of; }
const std::vector<std::size_t>& Formula::operands() const { return tree_->operands; }
const std::vector<std::string>& Formula::variables() const { return tree_->variables; }
const std::vector<int>& Formula::groups() const { return tree_->groups; }
const std::string& Formula::text() const { return tree_->text; }

}  // namespace regraft
