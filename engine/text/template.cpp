#include <algorithm>
#include <utility>

#include "text/characters.h"
#include "text/expression.h"
#include "text/place.h"

namespace regraft {

// Literal text, a capture, or an expression.
struct Template::Piece {
  std::string literal;
  std::optional<int> group;
  std::optional<Expression> expression;
  std::size_t begin = 0, length = 0;  // of the capture or expression, in the text
};

namespace {

std::string hint_for_escape(std::string_view character) {
  bool word = character.size() == 1 &&
              (std::string_view("_") == character || (character[0] >= 'a' && character[0] <= 'z') ||
               (character[0] >= 'A' && character[0] <= 'Z'));
  if (character == "{" || character == "}") {
    return "write " + quoted(std::string(2, character[0])) + " for a brace";
  }
  if (character == "g" || character == "k") return "a named capture is {name}";
  if (word) {
    return "captures are \\0 to \\9; a backslash is written twice: '\\\\" + std::string(character) +
           "'";
  }
  return "only patterns need the backslash: write " + quoted(character);
}

}  // namespace

std::optional<Template> Template::parse(std::string_view text, const Location& where,
                                        const Scope& scope, Diagnostics& diagnostics) {
  std::size_t errors_before = diagnostics.error_count();
  auto fail = [&](std::size_t at, std::size_t length, std::string message, std::string hint) {
    diagnostics.add(error(Code::bad_template, place_within(where, text, at, length),
                          std::move(message), std::move(hint)));
  };
  auto pieces = std::make_shared<std::vector<Piece>>();
  std::string literal;
  auto flush = [&] {
    if (literal.empty()) return;
    Piece piece;
    piece.literal = std::exchange(literal, {});
    pieces->push_back(std::move(piece));
  };
  auto add_expression = [&](std::size_t at, std::size_t length) {
    flush();
    Piece piece;
    piece.begin = at;
    piece.length = length;
    piece.expression = Expression::parse_part(text, at, length, where, scope, diagnostics);
    if (piece.expression) pieces->push_back(std::move(piece));
  };

  for (std::size_t i = 0; i < text.size();) {
    std::string_view rest = text.substr(i);
    if (rest.starts_with("{{") || rest.starts_with("}}") || rest.starts_with("\\\\")) {
      literal += rest[0];
      i += 2;
    } else if (rest[0] == '{') {
      std::size_t end = rest.find_first_of("{}", 1);
      if (end == rest.npos || rest[end] == '{') {
        fail(i, 1, "the brace is not closed", "'{{' stands for a brace; patterns are not expanded");
        i += end == rest.npos ? rest.size() : end;
      } else {
        add_expression(i + 1, end - 1);
        i += end + 1;
      }
    } else if (rest[0] == '}') {
      fail(i, 1, "a closing brace without an opening one", "'}}' stands for a brace");
      i += 1;
    } else if (rest[0] != '\\') {
      literal += rest[0];
      i += 1;
    } else if (rest.size() == 1) {
      fail(i, 1, "a single backslash at the end", "a backslash is written twice: '\\\\'");
      i += 1;
    } else if (is_digit(rest[1])) {
      add_expression(i, 2);
      if (!pieces->empty() && pieces->back().expression) pieces->back().group = rest[1] - '0';
      i += 2;
    } else {
      std::size_t length = character_length(text.substr(i + 1));
      fail(i, 1 + length, quoted(rest.substr(0, 1 + length)) + " is not an escape of `to`",
           hint_for_escape(rest.substr(1, length)));
      i += 1 + length;
    }
  }
  flush();
  if (diagnostics.error_count() > errors_before) return std::nullopt;
  Template result;
  result.text_ = text;
  result.where_ = where;
  result.pieces_ = std::move(pieces);
  return result;
}

Result<std::string> Template::expand(const Bindings& bindings) const {
  auto fail = [this](const Piece& piece, const Value& value, std::string hint) {
    return error(Code::evaluation, place_within(where_, text_, piece.begin, piece.length),
                 describe(value) + " in a name", std::move(hint));
  };
  std::string name;
  for (const Piece& piece : *pieces_) {
    if (!piece.expression) {
      name += piece.literal;
      continue;
    }
    if (piece.group && bindings.found != nullptr) {
      auto group = static_cast<std::size_t>(*piece.group);
      if (group < bindings.found->groups.size()) {
        name += bindings.found->groups[group];
        continue;
      }
    }
    REGRAFT_TRY(Value value, piece.expression->evaluate(bindings));
    if (const auto* text = std::get_if<std::string>(&value.data)) {
      name += *text;
    } else if (const auto* number = std::get_if<std::int64_t>(&value.data)) {
      if (*number < 0) return fail(piece, value, "numbers in names are not negative");
      name += std::to_string(*number);
    } else {
      return fail(piece, value, "a name takes text and integers");
    }
  }
  return name;
}

Result<Value> Template::value(const Bindings& bindings) const {
  if (pieces_->size() == 1 && pieces_->front().expression)
    return pieces_->front().expression->evaluate(bindings);
  REGRAFT_TRY(std::string text, expand(bindings));
  return Value{std::move(text)};
}

const std::string& Template::text() const { return text_; }

std::vector<std::string> Template::variables() const {
  std::vector<std::string> names;
  for (const Piece& piece : *pieces_) {
    if (!piece.expression) continue;
    for (const std::string& name : piece.expression->variables())
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  return names;
}

std::vector<int> Template::groups() const {
  std::vector<int> groups;
  for (const Piece& piece : *pieces_)
    if (piece.expression)
      groups.insert(groups.end(), piece.expression->groups().begin(),
                    piece.expression->groups().end());
  std::ranges::sort(groups);
  auto rest = std::ranges::unique(groups);
  groups.erase(rest.begin(), rest.end());
  return groups;
}

std::vector<Template::Part> Template::parts() const {
  std::vector<Part> parts;
  for (const Piece& piece : *pieces_)
    parts.push_back({piece.literal, piece.expression ? piece.expression->text() : std::string()});
  return parts;
}

std::optional<std::string> Template::literal() const {
  std::string text;
  for (const Piece& piece : *pieces_) {
    if (piece.expression) return std::nullopt;
    text += piece.literal;
  }
  return text;
}

}  // namespace regraft
