#include "text/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <sstream>
#include <unordered_map>
#include <utility>

#include "base/utf8.h"
#include "text/characters.h"

namespace regraft::yaml {
namespace {

constexpr std::size_t kMostBytes = 16 << 20;
// The document is a level, and so is each list or mapping around a value, and the value. yaml-cpp
// has the same limit and throws; should it lose it, so do we.
constexpr std::size_t kMostLevels = 500;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kBackslashHint = "in single quotes a backslash stands for itself: '\\d'";
constexpr std::string_view kQuoteHint =
    "put text that begins with a special character, or has ': ' or ' #' in it, in single quotes";

bool is_space(char c) { return c == ' ' || c == '\t'; }

// The text by lines, each without its line break.
class Lines {
 public:
  explicit Lines(std::string_view text) {
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    while (true) {
      std::size_t end = text.find('\n');
      std::string_view line = text.substr(0, end);
      if (line.ends_with('\r')) line.remove_suffix(1);
      lines_.push_back(line);
      if (end == text.npos) return;
      text.remove_prefix(end + 1);
    }
  }
  std::size_t count() const { return lines_.size(); }
  // From 0; empty past the end.
  std::string_view line(std::size_t index) const {
    return index < lines_.size() ? lines_[index] : std::string_view();
  }
  // The rest of a line from a column, from 0.
  std::string_view from(std::size_t index, std::size_t column) const {
    std::string_view rest = line(index);
    return rest.substr(std::min(column, rest.size()));
  }

 private:
  std::vector<std::string_view> lines_;
};

// The source, and places in it. Lines and columns of arguments are from 0, as in yaml-cpp's marks,
// whose columns are bytes behind a byte order mark.
class Source {
 public:
  explicit Source(SourceTextPtr text) : text_(std::move(text)), lines_(text_->text) {}

  const Lines& lines() const { return lines_; }
  std::string_view at(const YAML::Mark& mark) const {
    return lines_.from(static_cast<std::size_t>(mark.line), static_cast<std::size_t>(mark.column));
  }
  Location place(std::size_t line, std::size_t column, std::size_t length = 1) const {
    Location where;
    where.text = text_;
    where.line = static_cast<int>(line) + 1;
    where.column = static_cast<int>(column) + 1;
    where.length = static_cast<int>(std::clamp<std::size_t>(length, 1, kMostBytes));
    return where;
  }
  Location place(const YAML::Mark& mark, std::size_t length = 1) const {
    return place(static_cast<std::size_t>(mark.line), static_cast<std::size_t>(mark.column),
                 length);
  }
  // Where a fault that yaml-cpp found is: not past the last line that holds anything.
  Location fault(const YAML::Mark& mark) const {
    auto line = static_cast<std::size_t>(std::max(mark.line, 0));
    auto column = static_cast<std::size_t>(std::max(mark.column, 0));
    while (line > 0 && column == 0 && (line >= lines_.count() || lines_.line(line).empty())) {
      --line;
      column = lines_.line(line).size();
    }
    return place(line, column);
  }

 private:
  SourceTextPtr text_;
  Lines lines_;
};

// The length of the scalar at the beginning of `rest`, the rest of its line.
std::size_t scalar_length(std::string_view rest, std::string_view decoded) {
  if (rest.empty()) return 1;
  char first = rest[0];
  if (first == '\'' || first == '"') {
    for (std::size_t i = 1; i < rest.size(); ++i) {
      if (first == '"' && rest[i] == '\\')
        ++i;
      else if (first == '\'' && rest.substr(i).starts_with("''"))
        ++i;
      else if (rest[i] == first)
        return i + 1;
    }
    return rest.size();
  }
  if (first == '|' || first == '>') return std::min(rest.find_first_of(" \t"), rest.size());
  if (!decoded.empty() && rest.starts_with(decoded)) return decoded.size();
  return rest.find_last_not_of(" \t") + 1;  // goes on in the next line
}

// Whether the quotes that begin at a mark are closed anywhere: yaml-cpp lets the end of the file
// close them.
bool quotes_close(const Lines& lines, const YAML::Mark& mark) {
  auto line = static_cast<std::size_t>(mark.line);
  auto column = static_cast<std::size_t>(mark.column);
  char quote = lines.from(line, column)[0];
  for (++column; line < lines.count(); ++line, column = 0) {
    std::string_view text = lines.line(line);
    for (; column < text.size(); ++column) {
      if (quote == '"' && text[column] == '\\') {
        ++column;
      } else if (text[column] == quote) {
        if (quote == '"' || !text.substr(column).starts_with("''")) return true;
        ++column;
      }
    }
  }
  return false;
}

bool is_null_word(std::string_view rest) {
  for (std::string_view word : {"~", "null", "Null", "NULL"}) {
    if (!rest.starts_with(word)) continue;
    std::string_view after = rest.substr(word.size());
    if (after.empty() || std::string_view(" \t,:]}").find(after[0]) != after.npos) return true;
  }
  return false;
}

bool is_control(char32_t c) {
  return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || (c >= 0x7F && c <= 0x9F);
}

std::string hex_code_point(char32_t c) {
  char digits[8];
  char* end = std::to_chars(digits, digits + sizeof digits, static_cast<std::uint32_t>(c), 16).ptr;
  std::string text(digits, end);
  if (text.size() < 4) text.insert(0, 4 - text.size(), '0');
  for (char& digit : text)
    if (digit >= 'a') digit = static_cast<char>(digit - 'a' + 'A');
  return "U+" + text;
}

// Builds the tree from yaml-cpp's events, and reports what a spec may not have.
class Builder : public YAML::EventHandler {
 public:
  Builder(const Source& source, Diagnostics& diagnostics)
      : source_(source), diagnostics_(diagnostics) {}

  std::size_t documents() const { return documents_; }
  const Location& document_start() const { return document_start_; }
  Node& root() { return root_; }
  // Where the innermost list or mapping that is not closed begins.
  const Location* innermost() const { return open_.empty() ? nullptr : &open_.back().node.where; }
  const Location& last_place() const { return last_place_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    ++documents_;
    document_start_ = source_.place(mark);
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (ignored()) return;
    Node node;
    std::string_view rest = source_.at(mark);
    bool written = is_null_word(rest);
    node.where = written ? source_.place(mark, rest[0] == '~' ? 1 : 4) : place_of_nothing(mark);
    check_properties(mark, anchor, "");
    if (!written && in_flow_list()) {
      report(source_.place(mark), "nothing between two commas of a list",
             "write '~' for an empty entry, or remove a comma");
    }
    add(std::move(node));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    if (ignored()) return;
    report(source_.place(mark, word_length(mark)), "an alias, which a spec may not use",
           "write the value out; text that begins with '*' goes in single quotes");
    add(std::nullopt);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (ignored()) return;
    std::string_view rest = source_.at(mark);
    // yaml-cpp gives quoted scalars the tag "!", which could also be written.
    check_properties(mark, anchor, tag == "!" && !rest.starts_with('!') ? "" : tag);
    Node node;
    node.kind = Node::Kind::scalar;
    node.where = source_.place(mark, scalar_length(rest, value));
    node.text = value;
    node.quoted = tag == "!";
    check_decoded(node);
    if ((rest.starts_with('\'') || rest.starts_with('"')) && !quotes_close(source_.lines(), mark)) {
      report(node.where, "the quotes are not closed",
             "end the text with the quote that it begins with; in single quotes, '' is a quote");
    }
    add(std::move(node));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override {
    open(Node::Kind::sequence, mark, tag, anchor, style);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override {
    open(Node::Kind::mapping, mark, tag, anchor, style);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    Node node;
    bool flow = false;
    bool is_key = false;      // itself in the place of a key
    bool has_key = false;     // a key was read, its value comes next
    std::optional<Node> key;  // empty: an error was reported for it, its value is dropped
    std::unordered_map<std::string, std::size_t> keys;  // index in entries
  };

  void report(Location where, std::string message, std::string hint,
              Code code = Code::yaml_syntax) {
    diagnostics_.add(error(code, std::move(where), std::move(message), std::move(hint)));
  }

  // What follows the first document is reported once, and not read.
  bool ignored() const { return documents_ > 1; }

  bool in_flow_list() const {
    return !open_.empty() && open_.back().flow && open_.back().node.is_sequence();
  }

  std::size_t word_length(const YAML::Mark& mark) const {
    std::string_view rest = source_.at(mark);
    return std::min(rest.find_first_of(" \t,]}"), rest.size());
  }

  void check_properties(const YAML::Mark& mark, YAML::anchor_t anchor, std::string_view tag) {
    if (anchor != YAML::NullAnchor) {
      report(source_.place(mark, word_length(mark)), "an anchor, which a spec may not use",
             "write the value out where it is used; text that begins with '&' goes in single "
             "quotes");
    }
    if (!tag.empty() && tag != "?") {
      report(source_.place(mark, word_length(mark)), "a tag, which a spec may not use",
             "remove it; text that begins with '!' goes in single quotes");
    }
  }

  // Escapes can make what the text itself may not hold.
  void check_decoded(const Node& node) {
    for (std::size_t i = 0; i < node.text.size();) {
      Utf8 next = utf8_at(node.text, i);
      if (next.length == 0 || is_control(next.code_point)) {
        std::string what = next.length == 0
                               ? "no character"
                               : "the control character " + hex_code_point(next.code_point);
        report(node.where, "an escape gives " + what,
               "a pattern finds it as \\x00 in single quotes, with its hexadecimal digits");
        return;
      }
      i += next.length;
    }
  }

  // A missing value is marked where the next token is, maybe lines below: better is its key, or its
  // dash.
  Location place_of_nothing(const YAML::Mark& mark) const {
    if (open_.empty()) return source_.place(mark);
    const Open& parent = open_.back();
    if (parent.node.is_mapping()) {
      return parent.has_key && parent.key ? parent.key->where : source_.place(mark);
    }
    if (parent.flow) return source_.place(mark);
    auto dash = static_cast<std::size_t>(parent.node.where.column - 1);
    auto first = static_cast<std::size_t>(parent.node.where.line - 1);
    for (auto line = static_cast<std::size_t>(mark.line) + 1; line-- > first;) {
      std::string_view text = source_.lines().from(line, dash);
      bool before = line < static_cast<std::size_t>(mark.line) ||
                    dash < static_cast<std::size_t>(mark.column);
      if (before && text.starts_with('-') && (text.size() == 1 || is_space(text[1])) &&
          source_.lines().line(line).substr(0, dash).find_first_not_of(" -?:") == text.npos)
        return source_.place(line, dash);
    }
    return source_.place(mark);
  }

  void open(Node::Kind kind, const YAML::Mark& mark, std::string_view tag, YAML::anchor_t anchor,
            YAML::EmitterStyle::value style) {
    if (ignored()) return;
    if (open_.size() + 2 > kMostLevels) throw YAML::ParserException(mark, YAML::ErrorMsg::BAD_FILE);
    check_properties(mark, anchor, tag);
    Open opened;
    opened.node.kind = kind;
    opened.node.where = last_place_ = source_.place(mark);
    opened.flow = style == YAML::EmitterStyle::Flow;
    if (!open_.empty() && open_.back().node.is_mapping() && !open_.back().has_key) {
      opened.is_key = true;
      report(opened.node.where,
             kind == Node::Kind::mapping ? "a mapping as a key" : "a list as a key",
             "keys are text; text that begins with '{' or '[' goes in single quotes");
    }
    open_.push_back(std::move(opened));
  }

  void close() {
    if (ignored()) return;
    Open closed = std::move(open_.back());
    open_.pop_back();
    if (closed.is_key) {
      add(std::nullopt);
    } else {
      add(std::move(closed.node));
    }
  }

  // Empty: an error was reported, and the entry goes away without further ones.
  void add(std::optional<Node> node) {
    if (node) last_place_ = node->where;
    if (open_.empty()) {
      if (node) root_ = std::move(*node);
      return;
    }
    Open& parent = open_.back();
    if (parent.node.is_sequence()) {
      if (node) parent.node.items.push_back(std::move(*node));
    } else if (!parent.has_key) {
      parent.has_key = true;
      parent.key = node ? check_key(parent, std::move(*node)) : std::nullopt;
    } else {
      parent.has_key = false;
      if (parent.key && node) {
        parent.keys.emplace(parent.key->text, parent.node.entries.size());
        parent.node.entries.push_back({std::move(*parent.key), std::move(*node)});
      }
      parent.key.reset();
    }
  }

  std::optional<Node> check_key(const Open& mapping, Node key) {
    if (key.is_null()) {
      report(key.where, "null as a key", "text goes in quotes: 'null'");
      return std::nullopt;
    }
    if (!key.quoted && key.text == "<<") {
      report(key.where, "a merge key, which a spec may not use", "write the entries out");
      return std::nullopt;
    }
    if (auto first = mapping.keys.find(key.text); first != mapping.keys.end()) {
      Diagnostic duplicate =
          error(Code::duplicate_key, key.where, "the key " + quoted(key.text) + " is there twice",
                "remove one, or give it another name");
      duplicate.notes.push_back(
          {mapping.node.entries[first->second].key.where, "it is first here"});
      diagnostics_.add(std::move(duplicate));
      return std::nullopt;
    }
    return key;
  }

  const Source& source_;
  Diagnostics& diagnostics_;
  std::size_t documents_ = 0;
  Location document_start_;
  Location last_place_;
  std::vector<Open> open_;
  Node root_;
};

// Bytes that no spec has. One is reported: a file that has them has many.
bool check_characters(const Source& source, std::string_view text, Diagnostics& diagnostics) {
  std::size_t line = 0;
  std::size_t line_begin = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  for (std::size_t i = line_begin; i < text.size();) {
    Utf8 next = utf8_at(text, i);
    std::string message, hint;
    char32_t c = next.code_point;
    if (next.length == 0) {
      message = "a byte that is not UTF-8";
      hint = "save the file as UTF-8; a pattern finds the byte as \\xNN in single quotes";
    } else if (c == '\r' && (i + 1 == text.size() || text[i + 1] != '\n')) {
      message = "a carriage return that ends no line";
      hint = "end lines with a line feed";
    } else if (is_control(c)) {
      message = "the control character " + hex_code_point(c);
      hint = "remove it; a pattern finds it as \\xNN in single quotes";
    } else if (c == 0x2028 || c == 0x2029) {
      // A line break in YAML 1.1 and none in 1.2: readers differ.
      message = "the line separator " + hex_code_point(c);
      hint = "end lines with a line feed";
    }
    if (!message.empty()) {
      diagnostics.add(
          error(Code::yaml_syntax,
                source.place(line, i - line_begin, std::max<std::size_t>(next.length, 1)),
                std::move(message), std::move(hint)));
      return false;
    }
    i += next.length;
    if (c == '\n') {
      ++line;
      line_begin = i;
    }
  }
  return true;
}

// `---` and `...` at the beginning of a line end a document wherever they stand, also in quotes; so
// the one document can be cut out before yaml-cpp sees it. Gives its number of lines.
std::size_t end_of_document(const Source& source, Diagnostics& diagnostics) {
  bool begun = false;  // `---` or content came
  std::optional<std::size_t> end;
  for (std::size_t i = 0; i < source.lines().count(); ++i) {
    std::string_view line = source.lines().line(i);
    bool marker = (line.starts_with("---") || line.starts_with("...")) &&
                  (line.size() == 3 || is_space(line[3]));
    std::size_t first = line.find_first_not_of(" \t");
    if (first == line.npos || line[first] == '#') continue;
    if (!end && marker && line[0] == '.') {
      end = i;
    } else if (!end && marker && !begun) {
      begun = true;
    } else if (!end && !begun && line[0] == '%') {
      diagnostics.add(error(Code::yaml_syntax, source.place(i, 0, line.size()),
                            "a YAML directive, which a spec may not use",
                            "remove the line; text that begins with '%' goes in single quotes"));
    } else if (end || marker) {
      diagnostics.add(error(Code::yaml_syntax, source.place(i, 0, marker ? 3 : line.size()),
                            "a second document begins here",
                            "a spec is one document: remove the line" +
                                std::string(marker ? " or indent it" : " '...' before it")));
      return end.value_or(i);
    } else {
      begun = true;
    }
  }
  return end.value_or(source.lines().count());
}

// What yaml-cpp says, in words for the one who wrote the file.
Diagnostic syntax_error(const YAML::Exception& fault, const Source& source,
                        const Builder& builder) {
  namespace ErrorMsg = YAML::ErrorMsg;
  const std::string& reason = fault.msg;
  Location where = source.fault(fault.mark);
  std::string message = reason, hint(kQuoteHint);
  bool note_begin = false;
  if (reason == ErrorMsg::BAD_FILE) {
    // The only other use of these words is a stream that cannot be read.
    if (builder.innermost() != nullptr) where = builder.last_place();
    message = "more than " + std::to_string(kMostLevels) + " levels of lists and mappings";
    hint.clear();
  } else if (reason.starts_with(ErrorMsg::INVALID_ESCAPE)) {
    message = "an escape that double quotes do not have";
    std::string_view line = source.lines().line(static_cast<std::size_t>(where.line - 1));
    auto column = static_cast<std::size_t>(where.column - 1);  // behind the escape
    if (column >= 2 && column <= line.size() && line[column - 2] == '\\') {
      message += ": " + quoted(line.substr(column - 2, 2));
      where.column -= 2;
      where.length = 2;
    }
    hint = kBackslashHint;
  } else if (reason == ErrorMsg::INVALID_HEX || reason.starts_with(ErrorMsg::INVALID_UNICODE)) {
    message = "an escape that is no character";
    hint = kBackslashHint;
  } else if (reason == ErrorMsg::EOF_IN_SCALAR) {
    message = "the file ends inside quotes";
    hint = "close the text with the quote that it begins with";
  } else if (reason == ErrorMsg::END_OF_MAP) {
    message = "this does not continue the mapping around it";
    hint = "indent a key like the keys beside it; " + hint;
    note_begin = true;
  } else if (reason == ErrorMsg::END_OF_SEQ) {
    message = "this does not continue the list around it";
    hint = "indent a '-' like those beside it; " + hint;
    note_begin = true;
  } else if (reason == ErrorMsg::END_OF_MAP_FLOW) {
    message = "a ',' or the closing '}' is missing";
    note_begin = true;
  } else if (reason == ErrorMsg::END_OF_SEQ_FLOW) {
    message = "a ',' or the closing ']' is missing";
    note_begin = true;
  } else if (reason == ErrorMsg::FLOW_END) {
    message = "a closing bracket that does not fit the one that is open";
    note_begin = true;
  } else if (reason == ErrorMsg::MAP_VALUE) {
    message = "a ':' where no value can begin";
  } else if (reason == ErrorMsg::BLOCK_ENTRY) {
    message = "a '-' where no list can begin";
    hint = "begin the list on a line of its own, or put the text in single quotes";
  } else if (reason == ErrorMsg::MAP_KEY) {
    message = "a '?' where no key can begin";
  } else if (reason == ErrorMsg::UNKNOWN_TOKEN) {
    message = "a character that cannot begin a value";
  } else if (reason == ErrorMsg::UNKNOWN_ANCHOR) {
    message = "an alias, which a spec may not use";
    hint = "write the value out; text that begins with '*' goes in single quotes";
  } else if (reason == ErrorMsg::TAB_IN_INDENTATION) {
    message = "a tab in the indentation";
  }
  std::string_view line = source.lines().line(static_cast<std::size_t>(where.line - 1));
  std::size_t text = line.find_first_not_of(" \t");
  if (line.substr(0, text).find('\t') != line.npos) hint = "indent with spaces; a tab is none";

  Diagnostic diagnostic =
      error(Code::yaml_syntax, std::move(where), std::move(message), std::move(hint));
  if (note_begin && builder.innermost() != nullptr)
    diagnostic.notes.push_back({*builder.innermost(), "it begins here"});
  return diagnostic;
}

// ---- Writing ----

bool reads_as_null(std::string_view text) {
  return text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL";
}

// Whether the text without quotes is read back as the same text, as a value and as a key.
bool is_plain(std::string_view text) {
  if (reads_as_null(text) || text == "<<" || text == "---" || text == "...") return false;
  if (text.starts_with("--- ") || text.starts_with("... ")) return false;
  if (is_space(text.front()) || is_space(text.back()) || text.back() == ':') return false;
  if (std::string_view(",[]{}#&*!|>'\"%@`").find(text.front()) != text.npos) return false;
  if (std::string_view("-?:").find(text.front()) != text.npos &&
      (text.size() == 1 || is_space(text[1])))
    return false;
  for (std::size_t i = 0; i < text.size();) {
    Utf8 next = utf8_at(text, i);
    char32_t c = next.code_point;
    if (next.length == 0 || is_control(c) || c == '\t' || c == '\n' || c == '\r' || c == 0x2028 ||
        c == 0x2029 || c == 0xFEFF)
      return false;
    if (c == '#' && is_space(text[i - 1])) return false;
    if (c == ':' && i + 1 < text.size() && is_space(text[i + 1])) return false;
    i += next.length;
  }
  return true;
}

bool needs_escapes(std::string_view text) {
  return text.find_first_of("\t\n\r") != text.npos || text.find("\u2028") != text.npos ||
         text.find("\u2029") != text.npos || text.find(kByteOrderMark) != text.npos;
}

std::string write_scalar(const Node& node) {
  if (!node.quoted && is_plain(node.text)) return node.text;
  std::string out;
  if (!needs_escapes(node.text)) {
    out += '\'';
    for (char c : node.text) out.append(c == '\'' ? 2 : 1, c);
    return out += '\'';
  }
  out += '"';
  for (std::size_t i = 0; i < node.text.size(); ++i) {
    std::string_view rest = std::string_view(node.text).substr(i);
    char c = rest[0];
    if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (c == '\r')
      out += "\\r";
    else if (c == '"' || c == '\\')
      out.append("\\").append(1, c);
    else if (rest.starts_with("\u2028"))
      out += "\\u2028", i += 2;
    else if (rest.starts_with("\u2029"))
      out += "\\u2029", i += 2;
    else if (rest.starts_with(kByteOrderMark))
      out += "\\uFEFF", i += 2;
    else
      out += c;
  }
  return out += '"';
}

// A scalar, null or empty collection, which stands on the line of its key or dash.
std::optional<std::string> write_inline(const Node& node) {
  switch (node.kind) {
    case Node::Kind::null:
      return "~";
    case Node::Kind::scalar:
      return write_scalar(node);
    case Node::Kind::sequence:
      return node.items.empty() ? std::optional("[]") : std::nullopt;
    case Node::Kind::mapping:
      return node.entries.empty() ? std::optional("{}") : std::nullopt;
  }
  return std::nullopt;
}

// The lines of a list or mapping; the first one's indentation is already there.
void write_block(const Node& node, std::size_t indent, std::string& out) {
  bool first = true;
  auto begin_line = [&] {
    if (!first) out.append(indent, ' ');
    first = false;
  };
  for (const Node& item : node.items) {
    begin_line();
    out += "- ";
    if (auto text = write_inline(item)) {
      out.append(*text).append("\n");
    } else {
      write_block(item, indent + 2, out);
    }
  }
  for (const Entry& entry : node.entries) {
    begin_line();
    std::string key = write_scalar(entry.key);
    // YAML finds a key only within 1024 bytes, unless it is marked.
    if (key.size() > 1000) {
      out.append("? ").append(key).append("\n").append(indent, ' ').append(":");
    } else {
      out.append(key).append(":");
    }
    if (auto text = write_inline(entry.value)) {
      out.append(" ").append(*text).append("\n");
    } else {
      out.append("\n").append(indent + 2, ' ');
      write_block(entry.value, indent + 2, out);
    }
  }
}

bool is_plain_scalar(const Node& node) { return node.is_scalar() && !node.quoted; }

// [0-9]+(.[0-9]*)? or .[0-9]+, then an exponent.
bool is_decimal(std::string_view text) {
  std::size_t exponent = text.find_first_of("eE");
  if (exponent != text.npos) {
    std::string_view power = text.substr(exponent + 1);
    if (power.starts_with('-') || power.starts_with('+')) power.remove_prefix(1);
    if (!all_digits(power)) return false;
    text = text.substr(0, exponent);
  }
  std::size_t point = text.find('.');
  if (point == text.npos) return all_digits(text);
  std::string_view whole = text.substr(0, point), fraction = text.substr(point + 1);
  return (all_digits(whole) && (fraction.empty() || all_digits(fraction))) ||
         (whole.empty() && all_digits(fraction));
}

}  // namespace

const Node* Node::find(std::string_view key) const {
  for (const Entry& entry : entries)
    if (entry.key.text == key) return &entry.value;
  return nullptr;
}

std::optional<bool> as_bool(const Node& node) {
  if (!is_plain_scalar(node)) return std::nullopt;
  if (node.text == "true") return true;
  if (node.text == "false") return false;
  return std::nullopt;
}

std::optional<std::int64_t> as_int(const Node& node) {
  if (!is_plain_scalar(node)) return std::nullopt;
  std::string_view text = node.text;
  if (text.starts_with('+')) text.remove_prefix(1);
  if (!all_digits(text.starts_with('-') && text.data() == node.text.data() ? text.substr(1) : text))
    return std::nullopt;
  std::int64_t number = 0;
  auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<double> as_float(const Node& node) {
  if (!is_plain_scalar(node)) return std::nullopt;
  std::string_view text = node.text;
  if (text == ".nan") return std::numeric_limits<double>::quiet_NaN();
  double sign = text.starts_with('-') ? -1 : 1;
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  if (text == ".inf") return sign * std::numeric_limits<double>::infinity();
  if (!is_decimal(text)) return std::nullopt;
  double number = 0;
  auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return sign * number;
}

std::string describe(const Node& node) {
  constexpr std::size_t kMostShown = 60;
  switch (node.kind) {
    case Node::Kind::null:
      return "null";
    case Node::Kind::sequence:
      return "a list";
    case Node::Kind::mapping:
      return "a mapping";
    case Node::Kind::scalar:
      break;
  }
  if (as_bool(node)) return node.text;
  if (as_float(node)) return "the number " + node.text;
  if (node.text.size() <= kMostShown) return "the text " + quoted(node.text);
  std::size_t cut = kMostShown;
  while (cut > 0 && (static_cast<unsigned char>(node.text[cut]) & 0xC0) == 0x80) --cut;
  return "the text " + quoted(node.text.substr(0, cut) + "...");
}

std::optional<Node> parse(const SourceTextPtr& source_text, Diagnostics& diagnostics) {
  std::string_view text = source_text->text;
  if (text.size() > kMostBytes) {
    Location whole;
    whole.text = source_text;
    diagnostics.add(error(Code::yaml_syntax, whole, "the file is larger than 16 MiB"));
    return std::nullopt;
  }
  Source source(source_text);
  if (!check_characters(source, text, diagnostics)) return std::nullopt;

  std::size_t lines = end_of_document(source, diagnostics);
  std::string document;
  document.reserve(text.size());
  for (std::size_t i = 0; i < lines; ++i) {
    document.append(source.lines().line(i));
    if (i + 1 < source.lines().count()) document += '\n';
  }

  std::istringstream stream(std::move(document));
  Builder builder(source, diagnostics);
  try {
    YAML::Parser parser(stream);
    // A second "document" without a marker is what stands behind the value that ended.
    while (builder.documents() < 2 && parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& fault) {
    diagnostics.add(syntax_error(fault, source, builder));
    return std::nullopt;
  }
  if (builder.documents() > 1) {
    diagnostics.add(error(Code::yaml_syntax, builder.document_start(),
                          "this is behind the end of the document", std::string(kQuoteHint)));
    return std::nullopt;
  }
  if (!builder.root().where.known()) builder.root().where = source.place(0, 0);
  return std::move(builder.root());
}

std::string quoted_scalar(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
  return out + "'";
}

std::string write(const Node& node) {
  if (auto text = write_inline(node)) return *text + "\n";
  std::string out;
  write_block(node, 0, out);
  return out;
}

}  // namespace regraft::yaml
