// What went wrong, where, and what to do about it. Wording: lower case, no period, the observation
// first, the remedy in `hint`.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/code.h"

namespace regraft {

// A text that diagnostics quote: a spec file, or an option of the command line.
struct SourceText {
  std::string path;  // as the user gave it
  std::string text;
};
using SourceTextPtr = std::shared_ptr<const SourceText>;

// A place in a text (line and column, from 1) or in a binary file (offset), or just a file.
struct Location {
  SourceTextPtr text;                   // set for texts: the caret line is taken from it
  int line = 0;                         // 1-based; 0: the whole file
  int column = 0;                       // 1-based, in bytes; a byte order mark is not counted
  int length = 1;                       // bytes to underline
  std::string file;                     // for binary files; empty when `text` is set
  std::optional<std::uint64_t> offset;  // for binary files: byte offset
  std::string key;                      // the record, key or tensor that the place is about

  [[nodiscard]] bool known() const { return text != nullptr || !file.empty(); }
  [[nodiscard]] const std::string& path() const { return text ? text->path : file; }
};

// The unknown place, for what may point to one.
const Location& nowhere();

// Line `number` (from 1) without its line break and byte order mark; empty past the end.
std::string_view source_line(std::string_view text, int number);

// A binary file's place.
Location file_location(std::string file, std::optional<std::uint64_t> offset = std::nullopt,
                       std::string key = {});

enum class Severity { error, warning };

struct Note {
  Location where;
  std::string message;
};

struct Diagnostic {
  Code code = Code::usage;
  Severity severity = Severity::error;
  Location where;
  std::string message;
  std::string hint;  // empty: none
  std::vector<Note> notes;
};

Diagnostic error(Code code, Location where, std::string message, std::string hint = {});
Diagnostic warning(Code code, Location where, std::string message, std::string hint = {});

// `file:line:column: error[code]: message`, the source line with a caret, `hint: ...`, notes.
// Control characters of untrusted names are escaped, so a message is one line; a hint may have
// several. Ends with a newline.
std::string render(const Diagnostic& diagnostic, bool color);

// Collects what a stage finds, so that one run reports all mistakes.
class Diagnostics {
 public:
  void add(Diagnostic diagnostic);
  [[nodiscard]] bool has_errors() const { return errors_ > 0; }
  [[nodiscard]] std::size_t error_count() const { return errors_; }
  [[nodiscard]] const std::vector<Diagnostic>& items() const { return items_; }
  // The exit status that the errors ask for: the largest by weight 130, 3, 2, 1; 0 without errors.
  [[nodiscard]] int exit_status() const;

 private:
  std::vector<Diagnostic> items_;
  std::size_t errors_ = 0;
};

// Text for a message or a terminal: control characters and invalid UTF-8 become \xNN.
std::string printable(std::string_view bytes);
// The same in single quotes. The overloads are there because std::quoted, found through a
// std::string argument where <iomanip> is included, would otherwise be the better match.
std::string quoted(std::string_view bytes);
// As a word of a shell: in single quotes where it needs them. For hints that are commands.
std::string shell_quoted(std::string_view word);
inline std::string quoted(const std::string& bytes) { return quoted(std::string_view(bytes)); }
inline std::string quoted(std::string& bytes) { return quoted(std::string_view(bytes)); }
inline std::string quoted(const char* bytes) { return quoted(std::string_view(bytes)); }

}  // namespace regraft
