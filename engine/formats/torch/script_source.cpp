#include "formats/torch/script_source.h"

#include <algorithm>
#include <optional>
#include <unordered_set>
#include <utility>

#include "text/characters.h"

namespace regraft {
namespace {

constexpr std::string_view kTypeComment = "# type:";  // for torch, tokens follow

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f'; }

// The three digits of an octal escape; empty: they are not.
std::optional<char> octal(std::string_view digits) {
  if (digits.size() < 3) return std::nullopt;
  int value = 0;
  for (char digit : digits.substr(0, 3)) {
    if (digit < '0' || digit > '7') return std::nullopt;
    value = value * 8 + (digit - '0');
  }
  return value < 256 ? std::optional(static_cast<char>(value)) : std::nullopt;
}

// What a literal with its quotes means; empty: it has an escape that torch does not know.
std::optional<std::string> string_value(std::string_view literal) {
  std::size_t quotes = literal.size() >= 6 && literal[1] == literal[0] ? 3 : 1;
  std::string_view body = literal.substr(quotes, literal.size() - 2 * quotes);
  std::string value;
  value.reserve(body.size());
  for (std::size_t i = 0; i < body.size(); ++i) {
    if (body[i] != '\\') {
      value += body[i];
      continue;
    }
    char escaped = body[++i];  // the lexer has seen to it that one follows
    constexpr std::string_view kEscapes = "\\'\"\nabfnvt", kValues = "\\'\"\n\a\b\f\n\v\t";
    if (std::size_t known = kEscapes.find(escaped); known != std::string_view::npos) {
      value += kValues[known];
    } else if (std::optional<char> byte = octal(body.substr(i))) {
      value += *byte;
      i += 2;
    } else {
      return std::nullopt;
    }
  }
  return value;
}

// One run over one file. Steps return false after fail(), which keeps the first error and ends the
// tokens.
class ScriptSource {
 public:
  ScriptSource(std::string_view text, const PickleOrigin& origin) : text_(text), origin_(origin) {}

  Result<std::vector<ScriptClass>> run() {
    next();
    while (kind_ == Kind::line) {
      bool top = indent_ == 0;
      next();
      if (top && is("class")) {
        read_class();
      } else {
        skip_line();  // of a function, or an import
      }
    }
    if (error_) return *std::move(error_);
    return std::move(classes_);
  }

 private:
  enum class Kind { line, word, text, symbol, end };  // `line` begins one; indent_ is its own
  struct Name {
    std::string text;
    std::size_t at;
  };
  // A class that is being read. What is found in lists is looked up when all is declared.
  struct Draft {
    ScriptClass made;
    std::vector<std::size_t> places;  // of the attributes
    std::vector<Name> parameters, buffers;
    bool lists_parameters = false, gets_state = false, sets_state = false;
  };

  bool fail(std::size_t at, const std::string& message) {
    if (!error_) {
      auto line =
          1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(at), '\n');
      error_ =
          error(Code::zip_corrupt, origin_.at(at),
                message + ", in line " + std::to_string(line) + " of the class file",
                "copy or download the file again, or save the module with torch.jit.save again");
    }
    kind_ = Kind::end;
    return false;
  }

  // Tokens.
  void next() {
    if (error_) return;
    while (position_ < text_.size()) {
      char c = text_[position_];
      if (c == '\n') {
        ++position_;
        if (nesting_ == 0) {
          fresh_ = true;
          line_start_ = position_;
        }
      } else if (is_blank(c)) {
        ++position_;
      } else if (c == '#' && text_.substr(position_).starts_with(kTypeComment)) {
        position_ += kTypeComment.size();
      } else if (c == '#') {
        position_ = std::min(text_.find('\n', position_), text_.size());
      } else {
        return take(c);
      }
    }
    at_ = position_;
    kind_ = Kind::end;
    if (nesting_ > 0) fail(opened_, "a bracket is not closed");
  }
  void take(char c) {
    at_ = position_;
    if (fresh_) {
      fresh_ = false;
      indent_ = position_ - line_start_;
      kind_ = Kind::line;
    } else if (c == '"' || c == '\'') {
      take_string(c);
    } else if (is_word(c)) {
      while (position_ < text_.size() && is_word(text_[position_])) ++position_;
      set(Kind::word);
    } else {
      take_symbol(c);
    }
  }
  void take_string(char quote) {
    std::string_view rest = text_.substr(position_);
    std::string_view quotes = rest.substr(0, 1);
    if (rest.size() >= 3 && rest[1] == quote && rest[2] == quote) quotes = rest.substr(0, 3);
    std::size_t end = quotes.size();
    while (end < rest.size() && rest.substr(end, quotes.size()) != quotes) {
      if (rest[end] == '\n' && quotes.size() == 1) break;
      end += rest[end] == '\\' ? 2 : 1;
    }
    if (end >= rest.size() || rest[end] == '\n') {
      fail(at_, "a string has no end");
      return;
    }
    position_ += end + quotes.size();
    set(Kind::text);
  }
  void take_symbol(char c) {
    if (c == '\\') {
      fail(at_, "a backslash stands outside of a string");
      return;
    }
    if (c == '(' || c == '[' || c == '{') {
      if (nesting_++ == 0) opened_ = at_;
    } else if (c == ')' || c == ']' || c == '}') {
      if (nesting_ == 0) {
        fail(at_, "a bracket is closed that was not opened");
        return;
      }
      --nesting_;
    }
    ++position_;
    set(Kind::symbol);
  }
  void set(Kind kind) {
    kind_ = kind;
    token_ = text_.substr(at_, position_ - at_);
  }

  [[nodiscard]] bool is(std::string_view token) const {
    return (kind_ == Kind::word || kind_ == Kind::symbol) && token_ == token;
  }
  [[nodiscard]] bool at_line_end() const { return kind_ == Kind::line || kind_ == Kind::end; }
  bool accept(std::string_view token) {
    if (!is(token)) return false;
    next();
    return true;
  }
  void skip_line() {
    while (!at_line_end()) next();
  }

  // class NAME: or class NAME(BASE):, and the lines that are indented below it.
  bool read_class() {
    next();
    std::size_t place = at_;
    Draft draft;
    if (kind_ == Kind::word) draft.made.name = token_;
    next();
    if (accept("(")) {
      draft.made.module = is("Module");
      if (kind_ == Kind::word) next();
      if (!accept(")")) return fail(place, "the head of a class cannot be read");
    }
    if (draft.made.name.empty() || !accept(":") || !at_line_end())
      return fail(place, "the head of a class cannot be read");
    if (!names_.insert(draft.made.name).second)
      return fail(place, "the class " + quoted(draft.made.name) + " is defined twice");

    std::size_t body = 0;  // its indentation
    while (kind_ == Kind::line && indent_ > 0) {
      if (body == 0) body = indent_;
      if (indent_ < body) return fail(at_, "the body of a class is not indented evenly");
      bool statement = indent_ == body && draft.made.module;
      next();
      if (statement && kind_ == Kind::word && !read_statement(draft)) return false;
      skip_line();
    }
    if (!give_roles(draft)) return false;
    draft.made.sets_state = draft.gets_state && draft.sets_state;
    classes_.push_back(std::move(draft.made));
    return true;
  }

  // Leaves the rest of the line to the caller.
  bool read_statement(Draft& draft) {
    std::size_t place = at_;
    std::string_view first = token_;
    next();
    if (first == "def") {
      draft.gets_state = draft.gets_state || is("__getstate__");
      draft.sets_state = draft.sets_state || is("__setstate__");
      return true;
    }
    if (first == "__parameters__")
      return read_names(place, first, draft.lists_parameters, draft.parameters);
    if (first == "__buffers__")
      return read_names(place, first, draft.made.lists_buffers, draft.buffers);
    if (first == "__annotations__") {
      if (!accept("[")) return true;  // is made
      Name name;
      if (!read_name(name)) return false;
      if (!accept("]") || !accept("="))
        return fail(place, "the declaration of an attribute cannot be read");
      return declare(draft, std::move(name));
    }
    if (accept(":")) return declare(draft, {std::string(first), place});
    return true;
  }

  // A string.
  bool read_name(Name& name) {
    name.at = at_;
    if (kind_ != Kind::text) return fail(at_, "the name of an attribute is not a string");
    std::optional<std::string> value = string_value(token_);
    if (!value) return fail(at_, "the name of an attribute has an unknown escape");
    name.text = *std::move(value);
    next();
    return !error_;
  }

  // = ["a", "b", ]
  bool read_names(std::size_t place, std::string_view list, bool& read, std::vector<Name>& names) {
    std::string what(list);
    if (read) return fail(place, "a class has two lists " + what);
    read = true;
    if (!accept("=") || !accept("[")) return fail(place, what + " is not a list of names");
    while (!is("]")) {
      Name name;
      if (!read_name(name)) return false;
      names.push_back(std::move(name));
      if (!accept(",") && !is("]")) return fail(at_, what + " is not a list of names");
    }
    next();
    return at_line_end() || fail(at_, what + " is not a list of names");
  }

  // A type, and a value where it is a constant of the class and no attribute.
  bool declare(Draft& draft, Name name) {
    ScriptType type = is("Tensor")     ? ScriptType::tensor
                      : is("NoneType") ? ScriptType::none
                                       : ScriptType::other;
    next();
    if (!at_line_end()) type = ScriptType::other;
    while (!at_line_end()) {
      if (nesting_ == 0 && is("=")) return true;
      next();
    }
    draft.places.push_back(name.at);
    draft.made.attributes.push_back({std::move(name.text), type, ScriptRole::plain});
    return !error_;
  }

  // Looks up what the two lists name among the attributes.
  bool give_roles(Draft& draft) {
    auto& attributes = draft.made.attributes;
    std::vector<std::size_t> order(attributes.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    auto name_of = [&](std::size_t i) -> const std::string& { return attributes[i].name; };
    std::ranges::stable_sort(order, {}, name_of);
    for (std::size_t i = 1; i < order.size(); ++i)
      if (name_of(order[i]) == name_of(order[i - 1]))
        return fail(draft.places[order[i]],
                    "the attribute " + quoted(name_of(order[i])) + " is declared twice");
    auto give = [&](const std::vector<Name>& names, ScriptRole role) {
      for (const Name& name : names) {
        auto found = std::ranges::lower_bound(order, name.text, {}, name_of);
        if (found == order.end() || name_of(*found) != name.text)
          return fail(name.at, "a list names " + quoted(name.text) +
                                   ", which is no attribute of the class " +
                                   quoted(draft.made.name));
        ScriptRole& given = attributes[*found].role;
        if (given != ScriptRole::plain)
          return fail(name.at,
                      quoted(name.text) + " stands twice among the parameters and buffers");
        given = role;
      }
      return true;
    };
    return give(draft.parameters, ScriptRole::parameter) && give(draft.buffers, ScriptRole::buffer);
  }

  std::string_view text_;
  const PickleOrigin& origin_;
  std::size_t position_ = 0;
  // The token.
  Kind kind_ = Kind::end;
  std::string_view token_;  // of a word, text or symbol
  std::size_t at_ = 0;
  std::size_t indent_ = 0;
  // Lines and brackets: inside of these, lines do not end.
  std::size_t line_start_ = 0;
  bool fresh_ = true;
  std::size_t nesting_ = 0;
  std::size_t opened_ = 0;  // the outermost bracket

  std::vector<ScriptClass> classes_;
  std::unordered_set<std::string> names_;
  std::optional<Diagnostic> error_;
};

}  // namespace

Result<std::vector<ScriptClass>> read_script_source(std::string_view text,
                                                    const PickleOrigin& origin) {
  return ScriptSource(text, origin).run();
}

}  // namespace regraft
