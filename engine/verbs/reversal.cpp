// Names told back: what a pattern found, from what `to` made of it.
#include <algorithm>
#include <charconv>

#include "text/characters.h"
#include "verbs/inverse.h"

namespace regraft {
namespace {

// A pattern as a row of what can be told back.
struct Piece {
  std::string literal;  // of the name
  int group = 0;        // from 1: a capture
  std::string inside;   // its regular expression
  std::string name;     // of a named one
};
struct Row {
  bool begin = false, end = false;  // `^`, `$`
  std::vector<Piece> pieces;
};

class PatternReader {
 public:
  explicit PatternReader(std::string_view text) : text_(text) {}

  // Empty: `why()` says what of it cannot be told back.
  std::optional<Row> read() {
    if (text_.starts_with('^')) {
      row_.begin = true;
      at_ = 1;
    }
    while (at_ < text_.size())
      if (!next()) return std::nullopt;
    return std::move(row_);
  }
  [[nodiscard]] const std::string& why() const { return why_; }

 private:
  bool fail(std::string_view what, std::string_view because) {
    why_ = "what " + quoted(what) + " " + std::string(because);
    return false;
  }

  bool next() {
    const char c = text_[at_];
    if (c == '$' && at_ + 1 == text_.size()) {
      row_.end = true;
      ++at_;
      return true;
    }
    if (c == '(') return capture();
    std::size_t length = 1;
    char literal = c;
    if (c == '\\') {
      if (at_ + 1 >= text_.size()) return false;
      length = 2;
      literal = text_[at_ + 1];
      if (is_letter(literal) || is_digit(literal))
        return fail(text_.substr(at_, 2), "finds is not in the new name");
    } else if (std::string_view("^$.|[]{}*+?)").find(c) != std::string_view::npos) {
      return fail(text_.substr(at_, 1),
                  c == '.' ? "finds may be any character; the dot of a name is '\\.'"
                           : "finds is not in the new name");
    }
    const char after = at_ + length < text_.size() ? text_[at_ + length] : '\0';
    if (after == '*' || after == '+' || after == '?' || after == '{')
      return fail(text_.substr(at_, length + 1), "finds is not in the new name");
    if (row_.pieces.empty() || row_.pieces.back().group != 0) row_.pieces.emplace_back();
    row_.pieces.back().literal += literal;
    at_ += length;
    return true;
  }

  bool capture() {
    const std::size_t begin = at_;
    int depth = 0;
    bool in_class = false, nested = false;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\\') {
        ++at_;
      } else if (in_class) {
        in_class = c != ']';
      } else if (c == '[') {
        in_class = true;
        // A bracket that stands first is one of the class.
        if (at_ + 1 < text_.size() && text_[at_ + 1] == '^') ++at_;
        if (at_ + 1 < text_.size() && text_[at_ + 1] == ']') ++at_;
      } else if (c == '(') {
        nested = nested || (depth > 0 && !text_.substr(at_).starts_with("(?:"));
        ++depth;
      } else if (c == ')' && --depth == 0) {
        break;
      }
    }
    if (at_ >= text_.size()) return false;
    const std::string_view whole = text_.substr(begin, at_ + 1 - begin);
    ++at_;
    const char after = at_ < text_.size() ? text_[at_] : '\0';
    if (nested) return fail(whole, "captures has another capture in it");
    if (after == '*' || after == '+' || after == '?' || after == '{')
      return fail(std::string(whole) + after, "finds is not in the new name");
    Piece piece;
    std::string_view inside = whole.substr(1, whole.size() - 2);
    if (inside.starts_with("?P<")) {
      const std::size_t close = inside.find('>');
      piece.name = inside.substr(3, close - 3);
      inside = inside.substr(close + 1);
    } else if (inside.starts_with("?")) {
      return fail(whole, "finds is not in the new name");
    }
    piece.group = ++groups_;
    piece.inside = inside;
    row_.pieces.push_back(std::move(piece));
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int groups_ = 0;
  Row row_;
  std::string why_;
};

std::string escaped_for_pattern(std::string_view literal) {
  std::string out;
  for (const char c : literal) {
    if (std::string_view("\\^$.|?*+()[]{}").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

std::string escaped_for_template(std::string_view literal) {
  std::string out;
  for (const char c : literal) {
    if (c == '\\' || c == '{' || c == '}') out += c;
    out += c;
  }
  return out;
}

// A reference of `to`: a capture, maybe shifted by a number, or the index of a part.
struct Reference {
  int group = 0;  // 0: `i`
  std::int64_t shift = 0;
};

std::optional<Reference> read_reference(std::string_view text, const Row& row) {
  text = trimmed(text);
  const std::size_t sign = text.find_first_of("+-");
  Reference reference;
  std::string_view name = text;
  if (sign != std::string_view::npos) {
    std::string_view left = trimmed(text.substr(0, sign)), right = trimmed(text.substr(sign + 1));
    if (text[sign] == '+' && !left.empty() && is_digit(left.front())) std::swap(left, right);
    const auto [end, problem] =
        std::from_chars(right.data(), right.data() + right.size(), reference.shift);
    if (right.empty() || !is_digit(right.front()) || problem != std::errc() ||
        end != right.data() + right.size())
      return std::nullopt;
    if (text[sign] == '-') reference.shift = -reference.shift;
    name = left;
  }
  for (const Piece& piece : row.pieces)
    if (piece.group > 0 && (name == "\\" + std::to_string(piece.group) ||
                            (!piece.name.empty() && name == piece.name))) {
      reference.group = piece.group;
      return reference;
    }
  if (name == "i") return reference;
  return std::nullopt;
}

// What finds the numbers that `inside` finds, with `shift` added; empty where that is not said.
std::optional<std::string> shifted(const std::string& inside, std::int64_t shift) {
  if (shift == 0 || inside == "\\d+" || inside == "[0-9]+") return inside;
  const bool range = inside.size() == 5 && inside.front() == '[' && is_digit(inside[1]) &&
                     inside[2] == '-' && is_digit(inside[3]) && inside.back() == ']';
  if (!range || shift < '0' - inside[1] || shift > '9' - inside[3]) return std::nullopt;
  return std::string("[") + static_cast<char>(inside[1] + shift) + "-" +
         static_cast<char>(inside[3] + shift) + "]";
}

// The numbering capture becomes `{i}`, and `i` becomes a capture.
enum class Numbered { no, yes };

class Reverser {
 public:
  Reverser(const InverseInput& input, const yaml::Node& pattern, const yaml::Node& to,
           Numbered numbered, std::optional<std::int64_t> part)
      : input_(input), pattern_(pattern), to_(to), numbered_(numbered), part_(part) {}

  Result<Reversal> run() {
    PatternReader reader(pattern_.text);
    std::optional<Row> row = reader.read();
    if (!row)
      return no_inverse(input_,
                        reader.why().empty() ? "its pattern cannot be told back" : reader.why(),
                        "what a pattern finds can be told back when it is literal text, or a "
                        "capture that `to` keeps");
    row_ = std::move(*row);
    Diagnostics none;
    const auto matched = Pattern::compile(pattern_.text, pattern_.where, none);
    const Scope scope{.variables = &input_.variables, .pattern = &*matched, .part_index = true};
    const auto to = Template::parse(to_.text, to_.where, scope, none);
    if (Status read = read_to(to->parts()); !read) return std::move(read).error();
    if (Status all = each_once(); !all) return std::move(all).error();
    return Reversal{std::move(new_pattern_), new_to()};
  }

 private:
  Status read_to(const std::vector<Template::Part>& parts) {
    if (row_.begin) new_pattern_ += "^";
    if (parts.empty() && !row_.begin && !row_.end)
      return no_inverse(input_, "nothing is left to show where it was",
                        "a pattern that begins with '^' or ends with '$' shows it");
    for (const Template::Part& part : parts) {
      if (part.expression.empty()) {
        new_pattern_ += escaped_for_pattern(part.literal);
        continue;
      }
      if (part.expression == "\\0")
        return no_inverse(input_, "`to` has the whole match in it", "captures can be told back");
      const auto reference = read_reference(part.expression, row_);
      if (!reference)
        return no_inverse(input_, "the expression " + quoted(part.expression) + " is not told back",
                          "captures are, alone or with a number added: `{\\1 + 2}`");
      if (reference->group == 0 && part_) {
        new_pattern_ += std::to_string(*part_ + reference->shift);
        continue;
      }
      used_.push_back(*reference);
      if (reference->group == 0 &&
          std::count_if(used_.begin(), used_.end(),
                        [](const Reference& one) { return one.group == 0; }) > 1)
        return no_inverse(input_, "`to` has `i` twice");
      if (reference->group == 0) {
        if (reference->shift != 0)
          return no_inverse(input_, "the parts are not numbered from 0",
                            "`rename` can shift the numbers afterwards");
        new_pattern_ += "(\\d+)";
        continue;
      }
      const Piece& capture = *find(reference->group);
      const auto inside = shifted(capture.inside, reference->shift);
      if (!inside)
        return no_inverse(input_, "a number is added to what is not found by (\\d+) or ([2-7])");
      new_pattern_ += capture.name.empty() ? "(" : "(?P<" + capture.name + ">";
      new_pattern_ += *inside + ")";
    }
    if (row_.end) new_pattern_ += "$";
    return Done{};
  }

  const Piece* find(int group) const {
    const auto found = std::find_if(row_.pieces.begin(), row_.pieces.end(),
                                    [&](const Piece& piece) { return piece.group == group; });
    return found == row_.pieces.end() ? nullptr : &*found;
  }

  Status each_once() {
    std::vector<int> lost;
    for (const Piece& piece : row_.pieces) {
      if (piece.group == 0) continue;
      const auto times = std::count_if(used_.begin(), used_.end(), [&](const Reference& one) {
        return one.group == piece.group;
      });
      if (times == 0) lost.push_back(piece.group);
      if (times > 1)
        return no_inverse(input_, "`to` has \\" + std::to_string(piece.group) + " twice");
    }
    if (used_.size() > 9) return no_inverse(input_, "it has more than nine captures");
    if (numbered_ == Numbered::yes && lost.size() == 1) {
      number_ = lost.front();
      return Done{};
    }
    if (!lost.empty())
      return no_inverse(
          input_, "what \\" + std::to_string(lost.front()) + " captured is not in the new name");
    return Done{};
  }

  std::string new_to() const {
    std::string to;
    for (const Piece& piece : row_.pieces) {
      if (piece.group == 0) {
        to += escaped_for_template(piece.literal);
        continue;
      }
      if (piece.group == number_) {
        to += "{i}";
        continue;
      }
      const auto at = std::find_if(used_.begin(), used_.end(),
                                   [&](const Reference& one) { return one.group == piece.group; });
      const std::string capture = "\\" + std::to_string(at - used_.begin() + 1);
      if (at->shift == 0)
        to += capture;
      else
        to += "{" + capture + (at->shift > 0 ? " - " : " + ") +
              std::to_string(at->shift > 0 ? at->shift : -at->shift) + "}";
    }
    return to;
  }

  const InverseInput& input_;
  const yaml::Node& pattern_;
  const yaml::Node& to_;
  Numbered numbered_;
  std::optional<std::int64_t> part_;  // what `i` is
  Row row_;
  std::vector<Reference> used_;  // in the order of the new captures
  std::string new_pattern_;
  int number_ = -1;
};

}  // namespace

Result<Reversal> reverse(const InverseInput& input, const yaml::Node& pattern, const yaml::Node& to,
                         std::optional<std::int64_t> part) {
  return Reverser(input, pattern, to, Numbered::no, part).run();
}

Result<Reversal> reverse_numbered(const InverseInput& input, const yaml::Node& pattern,
                                  const yaml::Node& to) {
  return Reverser(input, pattern, to, Numbered::yes, std::nullopt).run();
}

}  // namespace regraft
