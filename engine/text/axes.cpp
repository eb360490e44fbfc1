#include "text/axes.h"

#include <charconv>
#include <set>

#include "text/characters.h"
#include "text/place.h"

namespace regraft {
namespace {

class AxesParser {
 public:
  AxesParser(std::string_view scalar, std::size_t offset, std::size_t length, const Location& where,
             Diagnostics& diagnostics)
      : scalar_(scalar.substr(0, offset + length)),
        at_(offset),
        where_(where),
        diagnostics_(diagnostics) {}

  std::optional<Axes> parse() {
    for (skip_spaces(); at_ < scalar_.size(); skip_spaces())
      if (!next()) return std::nullopt;
    if (open_) {
      fail(open_at_, 1, "a parenthesis that is never closed", "add `)`");
      return std::nullopt;
    }
    return std::move(axes_);
  }

 private:
  bool fail(std::size_t offset, std::size_t length, std::string message, std::string hint = {}) {
    diagnostics_.add(error(Code::wrong_type, place_within(where_, scalar_, offset, length),
                           std::move(message), std::move(hint)));
    return false;
  }

  void skip_spaces() {
    while (at_ < scalar_.size() && scalar_[at_] == ' ') ++at_;
  }

  bool next() {
    const std::size_t begin = at_;
    const char c = scalar_[at_];
    if (c == '(' || c == ')') return parenthesis(c);
    if (c == '.') return ellipsis();
    if (is_word(c)) {
      while (at_ < scalar_.size() && is_word(scalar_[at_])) ++at_;
      const std::string_view word = scalar_.substr(begin, at_ - begin);
      return is_digit(c) ? size(word, begin) : name(word, begin);
    }
    if (scalar_.substr(at_).starts_with("->"))
      return fail(begin, 2, "`->` stands between two sides, and this is one");
    return fail(begin, 1, "no axis begins with " + quoted(scalar_.substr(begin, 1)),
                "axes are names, `1` and `...`, with parentheses around those of one dimension: "
                "`1 (h w) c`");
  }

  bool parenthesis(char c) {
    if (c == '(' && open_)
      return fail(at_, 1, "a parenthesis inside parentheses",
                  "one pair stands for one dimension, and all its axes stand in it side by side");
    if (c == ')' && !open_) return fail(at_, 1, "a parenthesis that was never opened");
    if (c == '(') {
      open_at_ = at_;
      axes_.push_back({{}, true, place_within(where_, scalar_, at_)});
    } else {
      axes_.back().where = place_within(where_, scalar_, open_at_, at_ + 1 - open_at_);
    }
    open_ = c == '(';
    ++at_;
    return true;
  }

  bool ellipsis() {
    const std::size_t begin = at_;
    while (at_ < scalar_.size() && scalar_[at_] == '.') ++at_;
    if (at_ - begin != 3) return fail(begin, at_ - begin, "an ellipsis has three dots: `...`");
    if (ellipsis_) return fail(begin, 3, "`...` is there twice");
    ellipsis_ = true;
    return add({Axis::Kind::ellipsis, {}, 0, {}}, begin);
  }

  bool size(std::string_view word, std::size_t begin) {
    std::int64_t number = 0;
    const auto [end, problem] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (end != word.data() + word.size() && problem == std::errc())
      return fail(begin, word.size(), quoted(word) + " is neither a name nor a number",
                  "a name begins with a letter, and spaces stand between axes");
    if (problem != std::errc() || number < 1)
      return fail(begin, word.size(), "a dimension of size " + std::string(word),
                  "sizes are from 1 up");
    return add({Axis::Kind::size, {}, number, {}}, begin);
  }

  bool name(std::string_view word, std::size_t begin) {
    if (!names_.emplace(word).second)
      return fail(begin, word.size(), "the axis `" + std::string(word) + "` is there twice");
    return add({Axis::Kind::name, std::string(word), 0, {}}, begin);
  }

  bool add(Axis axis, std::size_t begin) {
    axis.where = place_within(where_, scalar_, begin, at_ - begin);
    if (!open_) axes_.push_back({{}, false, axis.where});
    axes_.back().axes.push_back(std::move(axis));
    return true;
  }

  std::string_view scalar_;  // up to the end of what is read
  std::size_t at_;
  const Location& where_;
  Diagnostics& diagnostics_;
  Axes axes_;
  bool open_ = false, ellipsis_ = false;
  std::size_t open_at_ = 0;
  std::set<std::string_view> names_;
};

}  // namespace

std::optional<Axes> parse_axes(std::string_view scalar, std::size_t offset, std::size_t length,
                               const Location& where, Diagnostics& diagnostics) {
  return AxesParser(scalar, offset, length, where, diagnostics).parse();
}

std::optional<Axes> parse_axes(std::string_view scalar, const Location& where,
                               Diagnostics& diagnostics) {
  return parse_axes(scalar, 0, scalar.size(), where, diagnostics);
}

}  // namespace regraft
