#include "text/expression.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <tuple>
#include <utility>

#include "base/checked.h"
#include "base/nearest.h"
#include "text/characters.h"
#include "text/place.h"
#include "text/tokens.h"

namespace regraft {
namespace {

constexpr int kMostNesting = 200;

enum class Op { add, subtract, multiply, divide, modulo, eq, ne, lt, le, gt, ge };

// One node. Chains of operators of one level are one node, so that neither a long sum nor its
// evaluation is deep.
struct Node {
  enum class Kind {
    number,      // `number`
    group,       // `group`
    variable,    // `name`
    part_index,  //
    chain,       // children with `ops` between them, from the left: + - or * // %
    compare,     // the same: == < ...
    negate,
    invert,  // one child: -x, not x
    all_of,
    any_of,   // children: and, or
    element,  // children: a list or map, an index
    get,      // children: a list or map, an index, a default
  };
  Kind kind = Kind::number;
  std::size_t begin = 0, end = 0;  // in the text of the expression: the operator, name or number
  std::int64_t number = 0;
  int group = 0;
  std::string name;
  std::vector<Op> ops;
  std::vector<std::pair<std::size_t, std::size_t>> op_places;
  std::vector<Node> children;
};

constexpr std::array<std::string_view, 11> kMarks = {"**", "&&", "||", "<<", ">>", "<>",
                                                     "//", "==", "!=", "<=", ">="};

std::optional<std::int64_t> to_number(std::string_view digits) {
  std::int64_t number = 0;
  auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (fault != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

const std::pair<std::string, int>* find_group(const Pattern* pattern, std::string_view name) {
  if (pattern == nullptr) return nullptr;
  for (const auto& group : pattern->group_names())
    if (group.first == name) return &group;
  return nullptr;
}

}  // namespace

struct Expression::Ast {
  std::string text;
  // The scalar that the text is a part of, for places.
  std::string scalar;
  std::size_t offset = 0;
  Location where;

  Node root;
  std::vector<std::string> variables;
  std::vector<int> groups;

  Location place(std::size_t begin, std::size_t end) const {
    return place_within(where, scalar, offset + begin, end - begin);
  }
};

namespace {

// ---- Reading ----

class Parser final : Tokens {
 public:
  Parser(Expression::Ast& ast, const Scope& scope, Diagnostics& diagnostics)
      : Tokens(ast.text, kMarks, diagnostics), ast_(ast), scope_(scope) {}

  // False when anything was reported.
  bool run() {
    next();
    if (token_.empty() && !failed_) {
      fail(Code::bad_expression, 0, std::max<std::size_t>(text_.size(), 1), "an empty expression");
    }
    if (!failed_) ast_.root = parse_or();
    if (!failed_ && !token_.empty()) unexpected();
    std::ranges::sort(ast_.groups);
    auto rest = std::ranges::unique(ast_.groups);
    ast_.groups.erase(rest.begin(), rest.end());
    return !failed_ && !reported_;
  }

 private:
  std::string_view whole() const override { return "expression"; }
  Location place(std::size_t begin, std::size_t end) const override {
    return ast_.place(begin, end);
  }
  std::size_t word_length(std::string_view rest) const override {
    std::size_t length = 0;
    while (length < rest.size() && is_word(rest[length])) ++length;
    return length;
  }
  std::string hint_for_unexpected() const override {
    if (token_ == "/") return "division is '//' and rounds down";
    if (token_ == "**" || token_ == "^") return "there is no power; multiply";
    if (token_ == "=") return "a comparison is '=='";
    if (token_ == "&&" || token_ == "&") return "write 'and'";
    if (token_ == "||" || token_ == "|") return "write 'or'";
    if (token_ == "!") return "write 'not'";
    if (token_ == "<>") return "write '!='";
    if (token_ == "'" || token_ == "\"") return "an expression has no text; a variable can hold it";
    if (token_ == ".") return "expressions are integers; a map is read with map[key]";
    if (token_ == "{" || token_ == "}") return "an expression has no braces";
    if (is_digit(token_[0]) && last_was_capture_) return "the number of a capture is one digit";
    return {};
  }

  // Guards what recurses: parentheses, unary operators, indexes.
  bool too_deep() {
    if (depth_ < kMostNesting) return false;
    fail(Code::bad_expression, begin_, std::max(end(), begin_ + 1),
         "more than " + std::to_string(kMostNesting) + " levels of nesting");
    return true;
  }

  template <typename Operand>
  Node parse_words(std::string_view word, Node::Kind kind, Operand operand) {
    Node first = operand();
    if (token_ != word) return first;
    Node node;
    node.kind = kind;
    node.begin = begin_;
    node.end = end();
    node.children.push_back(std::move(first));
    while (accept(word)) node.children.push_back(operand());
    return node;
  }

  Node parse_or() {
    return parse_words("or", Node::Kind::any_of, [this] { return parse_and(); });
  }
  Node parse_and() {
    return parse_words("and", Node::Kind::all_of, [this] { return parse_not(); });
  }
  Node parse_not() {
    if (token_ != "not") return parse_compare();
    return parse_prefix(Node::Kind::invert, [this] { return parse_not(); });
  }

  template <typename Operand>
  Node parse_prefix(Node::Kind kind, Operand operand) {
    Node node;
    if (too_deep()) return node;
    node.kind = kind;
    node.begin = begin_;
    node.end = end();
    next();
    ++depth_;
    node.children.push_back(operand());
    --depth_;
    return node;
  }

  using Table = std::initializer_list<std::pair<std::string_view, Op>>;

  template <typename Operand>
  Node parse_chain(Node::Kind kind, Table table, Operand operand) {
    Node node = operand();
    bool chained = false;
    while (!failed_) {
      auto op = std::ranges::find(table, token_, &std::pair<std::string_view, Op>::first);
      if (op == table.end()) break;
      if (!chained) {
        Node chain;
        chain.kind = kind;
        chain.begin = begin_;
        chain.end = end();
        chain.children.push_back(std::move(node));
        node = std::move(chain);
        chained = true;
      }
      node.ops.push_back(op->second);
      node.op_places.emplace_back(begin_, end());
      next();
      node.children.push_back(operand());
    }
    return node;
  }

  Node parse_compare() {
    return parse_chain(Node::Kind::compare,
                       {{"==", Op::eq},
                        {"!=", Op::ne},
                        {"<", Op::lt},
                        {"<=", Op::le},
                        {">", Op::gt},
                        {">=", Op::ge}},
                       [this] { return parse_sum(); });
  }
  Node parse_sum() {
    return parse_chain(Node::Kind::chain, {{"+", Op::add}, {"-", Op::subtract}},
                       [this] { return parse_product(); });
  }
  Node parse_product() {
    return parse_chain(Node::Kind::chain,
                       {{"*", Op::multiply}, {"//", Op::divide}, {"%", Op::modulo}},
                       [this] { return parse_unary(); });
  }
  Node parse_unary() {
    if (token_ != "-") return parse_postfix();
    // So that the smallest integer can be written.
    std::size_t minus = begin_;
    if (number_after_minus() == "9223372036854775808") {
      next();
      Node node;
      node.number = std::numeric_limits<std::int64_t>::min();
      node.begin = minus;
      node.end = end();
      next();
      return node;
    }
    return parse_prefix(Node::Kind::negate, [this] { return parse_unary(); });
  }
  std::string_view number_after_minus() const {
    const std::string_view rest = text_.substr(begin_ + 1);
    return rest.substr(0, word_length(rest));
  }

  Node parse_postfix() {
    Node node = parse_primary();
    int indexes = 0;
    while (!failed_ && token_ == "[") {
      if (too_deep()) break;
      ++depth_;
      ++indexes;
      Node element;
      element.kind = Node::Kind::element;
      element.begin = begin_;
      next();
      element.children.push_back(std::move(node));
      element.children.push_back(parse_or());
      element.end = end();
      expect("]");
      node = std::move(element);
    }
    depth_ -= indexes;
    return node;
  }

  Node parse_primary() {
    Node node;
    node.begin = begin_;
    node.end = end();
    last_was_capture_ = false;
    if (failed_ || token_.empty()) {
      unexpected();
    } else if (is_digit(token_[0])) {
      parse_number(node);
    } else if (token_[0] == '\\') {
      node.kind = Node::Kind::group;
      node.group = token_[1] - '0';
      check_group(node);
      next();
      last_was_capture_ = true;
    } else if (token_ == "(") {
      if (too_deep()) return node;
      next();
      ++depth_;
      node = parse_or();
      --depth_;
      expect(")");
    } else if (is_word(token_[0]) && token_ != "and" && token_ != "or" && token_ != "not") {
      std::string name(token_);
      next();
      if (token_ == "(") {
        parse_call(name, node);
      } else {
        resolve(std::move(name), node);
      }
    } else {
      unexpected();
    }
    return node;
  }

  void parse_number(Node& node) {
    if (!all_digits(token_)) {
      return fail(Code::bad_expression, begin_, end(), quoted(token_) + " is no number",
                  "integers are decimal");
    }
    if (at_ + 1 < text_.size() && text_[at_] == '.' && is_digit(text_[at_ + 1])) {
      return fail(Code::bad_expression, begin_, at_ + 2, "a number with a fraction",
                  "expressions are integers");
    }
    std::optional<std::int64_t> number = to_number(token_);
    if (!number) {
      return fail(Code::bad_expression, begin_, end(),
                  "the number " + std::string(token_) + " does not fit into 64 bits");
    }
    node.number = *number;
    next();
  }

  void check_group(const Node& node) {
    std::string name = "\\" + std::to_string(node.group);
    if (scope_.pattern == nullptr) {
      report(Code::bad_template, node.begin, node.end, name + " without a pattern to capture it",
             {});
    } else if (int count = scope_.pattern->group_count(); node.group > count) {
      std::string have = count == 0   ? "no captures"
                         : count == 1 ? "one capture"
                                      : std::to_string(count) + " captures";
      report(Code::bad_template, node.begin, node.end, name + ", but the pattern has " + have,
             "parentheses in the pattern capture: (\\d+)");
    } else {
      ast_.groups.push_back(node.group);
    }
  }

  void parse_call(const std::string& name, Node& node) {
    if (name != "get") {
      return fail(Code::bad_expression, node.begin, node.end,
                  "there is no function " + quoted(name),
                  "the one function is get(map, key, default)");
    }
    if (too_deep()) return;
    ++depth_;
    node.kind = Node::Kind::get;
    next();
    for (int i = 0; i < 3 && !failed_; ++i) {
      if (i > 0 && !accept(",")) {
        if (token_ == ")") {
          return fail(Code::bad_expression, node.begin, end(), "get takes three values",
                      "get(map, key, default)");
        }
        return unexpected();
      }
      node.children.push_back(parse_or());
    }
    if (token_ == ",") {
      return fail(Code::bad_expression, node.begin, node.end, "get takes three values",
                  "get(map, key, default)");
    }
    expect(")");
    --depth_;
  }

  void resolve(std::string name, Node& node) {
    const auto* group = find_group(scope_.pattern, name);
    bool index = scope_.part_index && name == "i";
    const Variable* variable = nullptr;
    if (scope_.variables != nullptr) {
      if (auto at = scope_.variables->find(name); at != scope_.variables->end())
        variable = &at->second;
    }
    int meanings = (group != nullptr) + index + (variable != nullptr);
    if (meanings == 0) return unknown(name, node);
    if (meanings > 1) return ambiguous(name, node, group != nullptr, index, variable);
    if (group != nullptr) {
      node.kind = Node::Kind::group;
      node.group = group->second;
      ast_.groups.push_back(group->second);
    } else if (index) {
      node.kind = Node::Kind::part_index;
    } else {
      node.kind = Node::Kind::variable;
      if (std::ranges::find(ast_.variables, name) == ast_.variables.end())
        ast_.variables.push_back(name);
      node.name = std::move(name);
    }
  }

  void unknown(const std::string& name, const Node& node) {
    const std::vector<std::string_view> names = names_in(scope_);
    std::string hint;
    if (name == "true" || name == "True")
      hint = "write 1";
    else if (name == "false" || name == "False")
      hint = "write 0";
    else if (name == "i")
      hint = "'i', the index of a part, is there in split and unbind";
    else if (name == "get")
      hint = "get is a function: get(map, key, default)";
    else if (std::string near = nearest(name, names); !near.empty())
      hint = "did you mean " + quoted(near) + "?";
    else
      hint = "declare it under `vars:`, or name a capture: (?P<" + name + ">...)";
    report(Code::unknown_name, node.begin, node.end,
           "no capture or variable is named " + quoted(name), std::move(hint));
  }

  void ambiguous(const std::string& name, const Node& node, bool group, bool index,
                 const Variable* variable) {
    std::vector<std::string_view> meanings;
    if (group) meanings.push_back("a capture");
    if (index) meanings.push_back("the index of the part");
    if (variable != nullptr) meanings.push_back("a variable");
    std::string message = quoted(name) + " is ";
    for (std::size_t i = 0; i < meanings.size(); ++i) {
      if (i > 0) message += i + 1 == meanings.size() ? " and " : ", ";
      message += meanings[i];
    }
    reported_ = true;
    Diagnostic diagnostic = error(Code::ambiguous_name, ast_.place(node.begin, node.end),
                                  std::move(message), "rename one of them");
    if (variable != nullptr && variable->where.known())
      diagnostic.notes.push_back({variable->where, "the variable is here"});
    diagnostics_.add(std::move(diagnostic));
  }

  Expression::Ast& ast_;
  const Scope& scope_;
  int depth_ = 0;
  bool last_was_capture_ = false;
};

// ---- Evaluating ----

// A number, a text, or a view of what a variable holds: that can be a list of a hundred thousand
// names. Lists and maps come from variables only, which outlive the evaluation.
class Operand {
 public:
  Operand(std::int64_t number) : data_(number) {}
  Operand(std::string text) : data_(std::move(text)) {}
  Operand(const Value* value) : data_(value) {}

  const std::int64_t* integer() const { return get<std::int64_t>(); }
  const std::string* text() const { return get<std::string>(); }
  const double* real() const { return get_viewed<double>(); }
  const List* list() const { return get_viewed<List>(); }
  const Map* map() const { return get_viewed<Map>(); }
  Value value() const {
    if (const auto* view = std::get_if<const Value*>(&data_)) return **view;
    if (const auto* number = std::get_if<std::int64_t>(&data_)) return Value{*number};
    return Value{std::get<std::string>(data_)};
  }

 private:
  template <typename T>
  const T* get_viewed() const {
    const auto* view = std::get_if<const Value*>(&data_);
    return view == nullptr ? nullptr : std::get_if<T>(&(*view)->data);
  }
  template <typename T>
  const T* get() const {
    const T* own = std::get_if<T>(&data_);
    return own != nullptr ? own : get_viewed<T>();
  }

  std::variant<std::int64_t, std::string, const Value*> data_;
};

std::string describe(const Operand& operand) { return regraft::describe(operand.value()); }

class Evaluator {
 public:
  Evaluator(const Expression::Ast& ast, const Bindings& bindings)
      : ast_(ast), bindings_(bindings) {}

  Result<Operand> run(const Node& node) const {
    switch (node.kind) {
      case Node::Kind::number:
        return Operand(node.number);
      case Node::Kind::group:
        return group(node);
      case Node::Kind::variable:
        return variable(node);
      case Node::Kind::part_index:
        if (!bindings_.part_index) return fail(node, "'i' has no value here");
        return Operand(*bindings_.part_index);
      case Node::Kind::chain:
        return chain(node);
      case Node::Kind::compare:
        return compare(node);
      case Node::Kind::negate:
        return negate(node);
      case Node::Kind::invert: {
        REGRAFT_TRY(std::int64_t number, run_number(node.children[0], node.begin, node.end));
        return Operand(std::int64_t{number == 0});
      }
      case Node::Kind::all_of:
        return logic(node, false);
      case Node::Kind::any_of:
        return logic(node, true);
      case Node::Kind::element:
      case Node::Kind::get:
        return element(node);
    }
    return fail(node, "an expression of no kind");
  }

  // The number that a value stands for; the place is that of the operator that needs it.
  Result<std::int64_t> number(const Operand& operand, std::size_t begin, std::size_t end) const {
    if (const auto* integer = operand.integer()) return *integer;
    if (operand.real() != nullptr)
      return fail(begin, end, describe(operand) + ", but expressions are integers");
    const std::string* text = operand.text();
    if (text != nullptr && text->empty())
      return fail(begin, end, "empty text, where a number is needed");
    if (text == nullptr || !all_digits(*text))
      return fail(begin, end, describe(operand) + ", where a number is needed");
    if (std::optional<std::int64_t> number = to_number(*text)) return *number;
    return fail(begin, end, describe(operand) + " does not fit into 64 bits");
  }

  Diagnostic fail(std::size_t begin, std::size_t end, std::string message,
                  std::string hint = {}) const {
    return error(Code::evaluation, ast_.place(begin, end), std::move(message), std::move(hint));
  }

 private:
  Diagnostic fail(const Node& node, std::string message, std::string hint = {}) const {
    return fail(node.begin, node.end, std::move(message), std::move(hint));
  }

  Result<std::int64_t> run_number(const Node& node, std::size_t begin, std::size_t end) const {
    REGRAFT_TRY(Operand operand, run(node));
    return number(operand, begin, end);
  }

  Result<Operand> group(const Node& node) const {
    auto index = static_cast<std::size_t>(node.group);
    if (bindings_.found == nullptr || index >= bindings_.found->groups.size())
      return fail(node, "the capture has no value here");
    return Operand(std::string(bindings_.found->groups[index]));
  }

  Result<Operand> variable(const Node& node) const {
    if (bindings_.variables != nullptr) {
      auto at = bindings_.variables->find(node.name);
      if (at != bindings_.variables->end() && at->second.value) return Operand(&*at->second.value);
    }
    return fail(node, "the variable " + quoted(node.name) + " has no value yet");
  }

  Result<Operand> negate(const Node& node) const {
    REGRAFT_TRY(std::int64_t number, run_number(node.children[0], node.begin, node.end));
    std::optional<std::int64_t> result = checked_sub<std::int64_t>(0, number);
    if (!result) return overflow(node.begin, node.end);
    return Operand(*result);
  }

  Diagnostic overflow(std::size_t begin, std::size_t end) const {
    return fail(begin, end, "the result does not fit into 64 bits");
  }

  Result<Operand> chain(const Node& node) const {
    auto [begin, end] = node.op_places[0];
    REGRAFT_TRY(std::int64_t result, run_number(node.children[0], begin, end));
    for (std::size_t i = 0; i < node.ops.size(); ++i) {
      std::tie(begin, end) = node.op_places[i];
      REGRAFT_TRY(std::int64_t right, run_number(node.children[i + 1], begin, end));
      bool divides = node.ops[i] == Op::divide || node.ops[i] == Op::modulo;
      if (divides && right == 0) return fail(begin, end, "division by zero");
      std::optional<std::int64_t> next = apply(node.ops[i], result, right);
      if (!next) return overflow(begin, end);
      result = *next;
    }
    return Operand(result);
  }

  static std::optional<std::int64_t> apply(Op op, std::int64_t a, std::int64_t b) {
    switch (op) {
      case Op::add:
        return checked_add(a, b);
      case Op::subtract:
        return checked_sub(a, b);
      case Op::multiply:
        return checked_mul(a, b);
      case Op::divide:
        return checked_floor_divide(a, b);
      case Op::modulo:
        return floor_modulo(a, b);
      default:
        return std::nullopt;
    }
  }

  Result<Operand> compare(const Node& node) const {
    REGRAFT_TRY(Operand left, run(node.children[0]));
    for (std::size_t i = 0; i < node.ops.size(); ++i) {
      REGRAFT_TRY(Operand right, run(node.children[i + 1]));
      REGRAFT_TRY(bool holds, compare(node.ops[i], left, right, node.op_places[i]));
      if (!holds) return Operand(std::int64_t{0});
      left = std::move(right);
    }
    return Operand(std::int64_t{1});
  }

  Result<bool> compare(Op op, const Operand& left, const Operand& right,
                       std::pair<std::size_t, std::size_t> place) const {
    if (op == Op::eq || op == Op::ne) {
      const std::string* a = left.text();
      const std::string* b = right.text();
      if (a != nullptr && b != nullptr && !(all_digits(*a) && all_digits(*b)))
        return (*a == *b) == (op == Op::eq);
    }
    REGRAFT_TRY(std::int64_t a, number(left, place.first, place.second));
    REGRAFT_TRY(std::int64_t b, number(right, place.first, place.second));
    switch (op) {
      case Op::eq:
        return a == b;
      case Op::ne:
        return a != b;
      case Op::lt:
        return a < b;
      case Op::le:
        return a <= b;
      case Op::gt:
        return a > b;
      default:
        return a >= b;
    }
  }

  // `and` ends at the first 0, `or` at the first other number.
  Result<Operand> logic(const Node& node, bool ends_at) const {
    for (const Node& child : node.children) {
      REGRAFT_TRY(std::int64_t number, run_number(child, node.begin, node.end));
      if ((number != 0) == ends_at) return Operand(std::int64_t{ends_at});
    }
    return Operand(std::int64_t{!ends_at});
  }

  Result<Operand> element(const Node& node) const {
    REGRAFT_TRY(Operand whole, run(node.children[0]));
    REGRAFT_TRY(Operand index, run(node.children[1]));
    const Value* found = nullptr;
    std::string message, hint;
    if (const List* list = whole.list()) {
      REGRAFT_TRY(std::int64_t at, number(index, node.begin, node.end));
      if (at >= 0 && static_cast<std::uint64_t>(at) < list->size()) {
        found = &(*list)[static_cast<std::size_t>(at)];
      } else {
        message = "the index " + std::to_string(at) +
                  " is not there: " + name_of(node.children[0]) + " has " +
                  std::to_string(list->size()) + " entries";
        if (at < 0) hint = "indexes count from 0";
      }
    } else if (const Map* map = whole.map()) {
      std::string key;
      if (const std::string* text = index.text()) {
        key = *text;
      } else if (const std::int64_t* integer = index.integer()) {
        key = std::to_string(*integer);
      } else {
        return fail(node, describe(index) + " as the key of a map");
      }
      for (const auto& [name, value] : *map)
        if (found == nullptr && name == key) found = &value;
      if (found == nullptr) {
        std::vector<std::string_view> names;
        for (const auto& entry : *map) names.push_back(entry.key);
        if (std::string near = nearest(key, names); !near.empty())
          hint = "did you mean " + quoted(near) + "?";
        message = "the key " + quoted(key) + " is not there in " + name_of(node.children[0]);
      }
    } else {
      return fail(node, describe(whole) + ", which has no entries");
    }
    if (found != nullptr) return Operand(found);
    if (node.kind == Node::Kind::get) return run(node.children[2]);
    if (hint.empty()) hint = "get(map, key, default) gives a default";
    return fail(node, std::move(message), std::move(hint));
  }

  static std::string name_of(const Node& node) {
    return node.kind == Node::Kind::variable ? quoted(node.name) : "it";
  }

  const Expression::Ast& ast_;
  const Bindings& bindings_;
};

}  // namespace

std::vector<std::string_view> names_in(const Scope& scope) {
  std::vector<std::string_view> names;
  if (scope.pattern != nullptr)
    for (const auto& group : scope.pattern->group_names()) names.push_back(group.first);
  if (scope.variables != nullptr)
    for (const auto& variable : *scope.variables) names.push_back(variable.first);
  return names;
}

bool operator==(const Value& a, const Value& b) { return a.data == b.data; }
bool operator==(const MapEntry& a, const MapEntry& b) {
  return a.key == b.key && a.value == b.value;
}

std::string describe(const Value& value) {
  constexpr std::size_t kMostShown = 60;
  if (const auto* number = std::get_if<std::int64_t>(&value.data))
    return "the number " + std::to_string(*number);
  if (const auto* real = std::get_if<double>(&value.data)) {
    char digits[32];
    char* end = std::to_chars(digits, digits + sizeof digits, *real).ptr;
    return "the number " + std::string(digits, end);
  }
  if (const auto* text = std::get_if<std::string>(&value.data)) {
    if (text->size() <= kMostShown) return "the text " + quoted(*text);
    return "the text " + quoted(text->substr(0, kMostShown) + "...");
  }
  if (const auto* list = std::get_if<List>(&value.data))
    return "a list of " + std::to_string(list->size());
  return "a map of " + std::to_string(std::get<Map>(value.data).size());
}

std::optional<Expression> Expression::parse_part(std::string_view scalar, std::size_t offset,
                                                 std::size_t length, const Location& where,
                                                 const Scope& scope, Diagnostics& diagnostics) {
  auto ast = std::make_shared<Ast>();
  ast->text = scalar.substr(offset, length);
  ast->scalar = scalar;
  ast->offset = offset;
  ast->where = where;
  if (!Parser(*ast, scope, diagnostics).run()) return std::nullopt;
  return Expression(std::move(ast));
}

std::optional<Expression> Expression::parse(std::string_view text, const Location& where,
                                            const Scope& scope, Diagnostics& diagnostics) {
  return parse_part(text, 0, text.size(), where, scope, diagnostics);
}

Result<Value> Expression::evaluate(const Bindings& bindings) const {
  REGRAFT_TRY(Operand operand, Evaluator(*ast_, bindings).run(ast_->root));
  return operand.value();
}

Result<std::int64_t> Expression::evaluate_int(const Bindings& bindings) const {
  Evaluator evaluator(*ast_, bindings);
  REGRAFT_TRY(Operand operand, evaluator.run(ast_->root));
  return evaluator.number(operand, 0, ast_->text.size());
}

Result<bool> Expression::holds(const Bindings& bindings) const {
  REGRAFT_TRY(std::int64_t number, evaluate_int(bindings));
  return number != 0;
}

const std::vector<std::string>& Expression::variables() const { return ast_->variables; }
const std::vector<int>& Expression::groups() const { return ast_->groups; }
const std::string& Expression::text() const { return ast_->text; }

}  // namespace regraft
