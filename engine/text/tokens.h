// The tokens of expressions and formulas, and what their parsers report: a parser is derived from
// it. The first mistake of the grammar ends the reading; unknown names do not.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/diagnostic.h"

namespace regraft {

class Tokens {
 protected:
  // `marks`: the tokens of two characters that are no words. `text` has to outlive this.
  Tokens(std::string_view text, std::span<const std::string_view> marks, Diagnostics& diagnostics)
      : text_(text), diagnostics_(diagnostics), marks_(marks) {}
  ~Tokens() = default;

  // What the text is: "expression".
  [[nodiscard]] virtual std::string_view whole() const = 0;
  [[nodiscard]] virtual Location place(std::size_t begin, std::size_t end) const = 0;
  // Of the word or number at the start of `rest`; 0: none begins there.
  [[nodiscard]] virtual std::size_t word_length(std::string_view rest) const = 0;
  // Why the token that stands here is none that can.
  [[nodiscard]] virtual std::string hint_for_unexpected() const = 0;

  void fail(Code code, std::size_t begin, std::size_t end, std::string message,
            std::string hint = {});
  void report(Code code, std::size_t begin, std::size_t end, std::string message, std::string hint);
  // The token is none that can stand here.
  void unexpected();

  void next();
  void skip_spaces();
  bool accept(std::string_view token);
  void expect(std::string_view token);
  [[nodiscard]] std::size_t end() const { return begin_ + token_.size(); }

  std::string_view text_;
  std::string_view token_;  // empty: the end
  std::size_t begin_ = 0;   // of the token
  std::size_t at_ = 0;      // behind the token
  bool failed_ = false;     // nothing more is read
  bool reported_ = false;
  Diagnostics& diagnostics_;

 private:
  [[nodiscard]] std::size_t token_length();

  std::span<const std::string_view> marks_;
  std::size_t last_end_ = 0;  // of the token before
};

}  // namespace regraft
