#include "base/diagnostic.h"

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

#include "base/utf8.h"

namespace regraft {
namespace {

// Columns of source that are shown; a longer line is cut around the caret.
constexpr std::size_t kWidth = 120;
constexpr std::size_t kBeforeCaret = 60;
constexpr std::string_view kIndent = "    ";

struct Colors {
  std::string_view bold, red, yellow, green, cyan, reset;
};
constexpr Colors kPlain = {};
constexpr Colors kAnsi = {"\x1b[1m",    "\x1b[1;31m", "\x1b[1;33m",
                          "\x1b[1;32m", "\x1b[36m",   "\x1b[m"};

struct Range {
  char32_t first, last;
};

bool in(std::span<const Range> ranges, char32_t c) {
  return std::ranges::any_of(ranges, [c](Range r) { return r.first <= c && c <= r.last; });
}

// What a terminal acts on or hides: controls, line separators, bidi and zero-width marks.
bool is_harmful(char32_t c) {
  static constexpr Range kHarmful[] = {{0x00, 0x1F},     {0x7F, 0x9F},      {0xAD, 0xAD},
                                       {0x61C, 0x61C},   {0x180E, 0x180E},  {0x200B, 0x200F},
                                       {0x2028, 0x202E}, {0x2060, 0x206F},  {0xFEFF, 0xFEFF},
                                       {0xFFF9, 0xFFFB}, {0xE0000, 0xE0FFF}};
  return in(kHarmful, c);
}

// Columns on a terminal; near enough to put a caret.
std::size_t width_of(char32_t c) {
  static constexpr Range kNone[] = {{0x300, 0x36F}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}};
  static constexpr Range kWide[] = {{0x1100, 0x115F},  {0x2E80, 0xA4CF},   {0xAC00, 0xD7A3},
                                    {0xF900, 0xFAFF},  {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},
                                    {0xFFE0, 0xFFE6},  {0x1F300, 0x1F64F}, {0x1F680, 0x1F9FF},
                                    {0x20000, 0x3FFFD}};
  return in(kNone, c) ? 0 : in(kWide, c) ? 2 : 1;
}

void append_escaped(std::string& out, std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (char byte : bytes) {
    out += "\\x";
    out += kDigits[static_cast<unsigned char>(byte) >> 4];
    out += kDigits[static_cast<unsigned char>(byte) & 15];
  }
}

// What is printed for the code point at `position`, how many bytes it was, and how wide it is.
struct Glyph {
  std::string text;
  std::size_t bytes = 0;
  std::size_t width = 0;
};

Glyph glyph_at(std::string_view text, std::size_t position) {
  Utf8 next = utf8_at(text, position);
  Glyph glyph;
  glyph.bytes = std::max<std::size_t>(next.length, 1);
  std::string_view bytes = text.substr(position, glyph.bytes);
  if (next.length == 0 || is_harmful(next.code_point)) {
    append_escaped(glyph.text, bytes);
    glyph.width = glyph.text.size();
  } else {
    glyph.text = bytes;
    glyph.width = width_of(next.code_point);
  }
  return glyph;
}

// The source line and the caret line. Tabs stand in both, so that they line up on any terminal.
void append_source(std::string& out, const Location& where, const Colors& colors) {
  std::string_view line = source_line(where.text->text, where.line);
  std::size_t column = static_cast<std::size_t>(std::max(where.column, 1));
  std::size_t begin = std::min(column - 1, line.size());
  std::size_t length = static_cast<std::size_t>(std::max(where.length, 1));
  std::size_t end = begin + std::min(length, line.size() - begin);

  std::size_t from = 0;
  if (line.size() > kWidth && begin > kBeforeCaret) {
    from = std::min(begin - kBeforeCaret, line.size() - kWidth);
    while (from > 0 && (static_cast<unsigned char>(line[from]) & 0xC0) == 0x80) --from;
  }

  std::string shown = from > 0 ? "..." : "";
  std::string marks = from > 0 ? "   " : "";
  bool first = true;  // the caret, before the tildes
  std::size_t at = from;
  while (at < line.size() && at - from < kWidth) {
    Glyph glyph = line[at] == '\t' ? Glyph{"\t", 1, 1} : glyph_at(line, at);
    bool marked = at + glyph.bytes > begin && at < end;
    if (marked) {
      marks.append(std::max<std::size_t>(glyph.width, first ? 1 : 0), '~');
      if (first) marks[marks.size() - std::max<std::size_t>(glyph.width, 1)] = '^';
      first = false;
    } else if (at < begin) {
      marks += glyph.text == "\t" ? "\t" : std::string(glyph.width, ' ');
    }
    shown += glyph.text;
    at += glyph.bytes;
  }
  if (at < line.size()) shown += "...";
  if (first) marks += '^';  // past the end of the line, or nothing there is visible

  out.append(kIndent).append(shown).append("\n");
  out.append(kIndent).append(colors.green).append(marks).append(colors.reset).append("\n");
}

// `path:line:column: `, `path: ` or nothing.
void append_place(std::string& out, const Location& where, const Colors& colors) {
  if (!where.known()) return;
  out.append(colors.bold).append(printable(where.path()));
  if (where.text && where.line > 0) {
    out += ':' + std::to_string(where.line);
    if (where.column > 0) out += ':' + std::to_string(where.column);
  }
  out.append(":").append(colors.reset).append(" ");
}

// `at offset N, in 'key': `, for binary files.
void append_offset(std::string& out, const Location& where) {
  if (where.offset) out += "at offset " + std::to_string(*where.offset);
  if (!where.key.empty())
    out.append(where.offset ? ", " : "").append("in ").append(quoted(where.key));
  if (where.offset || !where.key.empty()) out += ": ";
}

// Line breaks that the hint itself has are kept, with what follows indented under it.
void append_hint(std::string& out, std::string_view hint, const Colors& colors) {
  out.append("  ").append(colors.cyan).append("hint:").append(colors.reset).append(" ");
  while (true) {
    std::size_t end = hint.find('\n');
    out.append(printable(hint.substr(0, end))).append("\n");
    if (end == std::string_view::npos) return;
    hint.remove_prefix(end + 1);
    out += "        ";
  }
}

}  // namespace

std::string_view source_line(std::string_view text, int number) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  while (number > 1) {
    std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
    --number;
  }
  text = text.substr(0, text.find('\n'));
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

const Location& nowhere() {
  static const Location unknown;
  return unknown;
}

Location file_location(std::string file, std::optional<std::uint64_t> offset, std::string key) {
  Location where;
  where.file = std::move(file);
  where.offset = offset;
  where.key = std::move(key);
  return where;
}

Diagnostic error(Code code, Location where, std::string message, std::string hint) {
  return {code, Severity::error, std::move(where), std::move(message), std::move(hint), {}};
}

Diagnostic warning(Code code, Location where, std::string message, std::string hint) {
  return {code, Severity::warning, std::move(where), std::move(message), std::move(hint), {}};
}

std::string render(const Diagnostic& diagnostic, bool color) {
  const Colors& colors = color ? kAnsi : kPlain;
  bool is_error = diagnostic.severity == Severity::error;
  std::string out;
  append_place(out, diagnostic.where, colors);
  out.append(is_error ? colors.red : colors.yellow).append(is_error ? "error" : "warning");
  out.append("[").append(info(diagnostic.code).name).append("]:").append(colors.reset).append(" ");
  append_offset(out, diagnostic.where);
  out.append(printable(diagnostic.message)).append("\n");
  if (diagnostic.where.text && diagnostic.where.line > 0)
    append_source(out, diagnostic.where, colors);
  if (!diagnostic.hint.empty()) append_hint(out, diagnostic.hint, colors);
  for (const Note& note : diagnostic.notes) {
    append_place(out, note.where, colors);
    out.append(colors.cyan).append("note:").append(colors.reset).append(" ");
    append_offset(out, note.where);
    out.append(printable(note.message)).append("\n");
  }
  return out;
}

void Diagnostics::add(Diagnostic diagnostic) {
  if (diagnostic.severity == Severity::error) ++errors_;
  items_.push_back(std::move(diagnostic));
}

int Diagnostics::exit_status() const {
  int status = 0;  // the statuses grow with their weight
  for (const Diagnostic& item : items_)
    if (item.severity == Severity::error) status = std::max(status, info(item.code).exit_status);
  return status;
}

std::string printable(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (std::size_t i = 0; i < bytes.size();) {
    Glyph glyph = glyph_at(bytes, i);
    out += glyph.text;
    i += glyph.bytes;
  }
  return out;
}

std::string quoted(std::string_view bytes) { return "'" + printable(bytes) + "'"; }

std::string shell_quoted(std::string_view word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string_view::npos)
    return std::string(word);
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace regraft
