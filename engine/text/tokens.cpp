#include "text/tokens.h"

#include <algorithm>
#include <utility>

#include "text/characters.h"

namespace regraft {

void Tokens::fail(Code code, std::size_t begin, std::size_t end, std::string message,
                  std::string hint) {
  // unreached: the parsers stop at the first
  if (!failed_) report(code, begin, end, std::move(message), std::move(hint));
  failed_ = true;
  token_ = {};
  at_ = text_.size();
}

void Tokens::report(Code code, std::size_t begin, std::size_t end, std::string message,
                    std::string hint) {
  reported_ = true;
  diagnostics_.add(error(code, place(begin, end), std::move(message), std::move(hint)));
}

void Tokens::unexpected() {
  if (failed_) return;
  if (token_.empty()) {
    const std::size_t at = std::min(last_end_, text_.size() - 1);
    return fail(Code::bad_expression, at, at + 1,
                "the " + std::string(whole()) + " ends where a value should be");
  }
  fail(Code::bad_expression, begin_, end(), "unexpected " + quoted(token_), hint_for_unexpected());
}

void Tokens::next() {
  last_end_ = end();
  skip_spaces();
  begin_ = at_;
  if (at_ < text_.size()) at_ += token_length();
  token_ = failed_ ? std::string_view() : text_.substr(begin_, at_ - begin_);
}

void Tokens::skip_spaces() {
  while (at_ < text_.size() && kSpaces.find(text_[at_]) != kSpaces.npos) ++at_;
}

std::size_t Tokens::token_length() {
  const std::string_view rest = text_.substr(at_);
  if (const std::size_t length = word_length(rest); length > 0) return length;
  if (rest[0] == '\\') {
    if (rest.size() > 1 && is_digit(rest[1])) return 2;
    fail(Code::bad_template, at_, at_ + std::min<std::size_t>(rest.size(), 2),
         "a backslash without the number of a capture", "captures are \\0 to \\9");
    return 0;
  }
  for (const std::string_view mark : marks_)
    if (rest.starts_with(mark)) return mark.size();
  return character_length(rest);
}

bool Tokens::accept(std::string_view token) {
  if (token_ != token) return false;
  next();
  return true;
}

void Tokens::expect(std::string_view token) {
  if (failed_ || accept(token)) return;
  if (!token_.empty()) return unexpected();
  fail(Code::bad_expression, text_.size() - 1, text_.size(),
       "a '" + std::string(token) + "' is missing");
}

}  // namespace regraft
