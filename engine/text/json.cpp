#include "text/json.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/name_table.h"

namespace regraft::json {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
// Members up to which a duplicate is looked for one by one.
constexpr std::size_t kFewMembers = 16;
// Members and items that there is room for at once; most lists are a shape.
constexpr std::size_t kReserved = 4;

// Walks the text and tells the handler, which nlohmann gives no positions, how far it came.
class Cursor {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Cursor(const char* at, const char** reached) : at_(at), reached_(reached) {}
  reference operator*() const { return *at_; }
  Cursor& operator++() {
    *reached_ = ++at_;
    return *this;
  }
  Cursor operator++(int) {
    Cursor before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const Cursor& a, const Cursor& b) { return a.at_ == b.at_; }

 private:
  const char* at_;
  const char** reached_;
};

bool is_number_char(char c) {
  return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

std::string_view behind(std::string_view mark, std::string_view text) {
  const std::size_t at = text.find(mark);
  // unreached: each mark that is looked for is in the messages of every nlohmann that we know
  return at == text.npos ? text : text.substr(at + mark.size());
}

// nlohmann's `[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while
// parsing value - unexpected ...; last read: '...'`, without the place, which we give as an offset,
// and without the quotation of what may be megabytes.
std::string reason_of(std::string_view what) {
  const std::size_t column = what.find("column ");
  what = column == what.npos ? behind("] ", what) : behind(": ", what.substr(column));
  std::string_view expected;
  if (what.starts_with("syntax error while parsing ")) what = behind(" - ", what);
  if (std::size_t at = what.rfind("; expected "); at != what.npos) expected = what.substr(at);
  std::size_t cut = std::min(what.find("; last read: "), what.find(", last read: "));
  std::string reason(what.substr(0, std::min(cut, what.size() - expected.size())));
  return reason.append(expected);
}

class Handler : public nlohmann::json_sax<nlohmann::json> {
 public:
  Handler(std::string_view text, const Options& options)
      : text_(text), options_(options), reached_(text.data()) {}

  const char** reached() { return &reached_; }
  std::optional<Diagnostic>& error() { return error_; }
  Value& root() { return root_; }

  bool null() override { return literal(Value::Kind::null, false, 4); }
  bool boolean(bool value) override { return literal(Value::Kind::boolean, value, value ? 4 : 5); }
  bool number_integer(std::int64_t number) override {
    // nlohmann gives `-0` here.
    if (number >= 0) return number_unsigned(static_cast<std::uint64_t>(number));
    Value value = number_value(Value::Kind::integer);
    value.integer = number;
    return add(std::move(value));
  }
  bool number_unsigned(std::uint64_t number) override {
    Value value = number_value(Value::Kind::unsigned_integer);
    value.unsigned_integer = number;
    return add(std::move(value));
  }
  bool number_float(double number, const std::string&) override {
    Value value = number_value(Value::Kind::real);
    value.real = number;
    return add(std::move(value));
  }
  bool string(std::string& decoded) override {
    Value value;
    value.kind = Value::Kind::string;
    value.string = std::move(decoded);
    value.offset = options_.base_offset + string_begin();
    return add(std::move(value));
  }
  bool binary(nlohmann::json::binary_t&) override {
    return fail(position(), "binary data, which JSON does not have");
  }
  bool start_object(std::size_t) override { return open(Value::Kind::object); }
  bool start_array(std::size_t) override { return open(Value::Kind::array); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(std::string& name) override {
    Open& object = open_.back();
    if (object.has(name, given_away()))
      return fail(string_begin(), "the key " + quoted(name) + " is there twice");
    object.key = std::move(name);
    return true;
  }

  bool parse_error(std::size_t read, const std::string&,
                   const nlohmann::detail::exception& reason) override {
    return fail(read - 1, "not JSON: " + reason_of(reason.what()));
  }

  bool fail(std::uint64_t offset, std::string message) {
    offset = std::min<std::uint64_t>(offset, text_.size());
    error_ =
        regraft::error(options_.code, file_location(options_.file, options_.base_offset + offset),
                       std::move(message));
    return false;
  }

 private:
  struct Open {
    Value value;
    std::string key;
    NameSet keys;  // in use from kFewMembers members on

    // `all`: no member is kept, so each key is.
    bool has(const std::string& name, bool all) {
      if (!all && value.entries.size() < kFewMembers) {
        return std::ranges::any_of(value.entries, [&](auto& entry) { return entry.key == name; });
      }
      if (keys.empty())
        for (auto& entry : value.entries) keys.insert(entry.key);
      return !keys.insert(name);
    }
  };

  // Members of the outermost object go to whoever asked for them.
  bool given_away() const {
    return options_.member && open_.size() == 1 && open_.back().value.kind == Value::Kind::object;
  }

  std::size_t position() const { return static_cast<std::size_t>(reached_ - text_.data()); }

  // The lexer stands behind the closing quote. Inside, a quote has an odd number of backslashes
  // before it; before the opening one there is none.
  std::size_t string_begin() const {
    std::size_t at = position() - 1;
    std::size_t slashes = 0;
    do {
      at = text_.rfind('"', at - 1);
      slashes = 0;
      while (slashes < at && text_[at - 1 - slashes] == '\\') ++slashes;
    } while (slashes % 2 != 0);
    return at;
  }

  Value number_value(Value::Kind kind) const {
    // The lexer read one byte more than the number, unless the text ended.
    std::size_t at = position();
    while (!is_number_char(text_[at - 1])) --at;
    while (at > 0 && is_number_char(text_[at - 1])) --at;
    Value value;
    value.kind = kind;
    value.offset = options_.base_offset + at;
    return value;
  }

  bool literal(Value::Kind kind, bool boolean, std::size_t length) {
    Value value;
    value.kind = kind;
    value.boolean = boolean;
    value.offset = options_.base_offset + position() - length;
    return add(std::move(value));
  }

  bool open(Value::Kind kind) {
    if (open_.size() >= static_cast<std::size_t>(options_.max_depth)) {
      return fail(position() - 1,
                  "more than " + std::to_string(options_.max_depth) + " levels of nesting");
    }
    Open opened;
    opened.value.kind = kind;
    opened.value.offset = options_.base_offset + position() - 1;
    open_.push_back(std::move(opened));
    return true;
  }

  bool close() {
    Value value = std::move(open_.back().value);
    open_.pop_back();
    return add(std::move(value));
  }

  bool add(Value value) {
    if (++values_ > options_.max_values) {
      return fail(value.offset - options_.base_offset,
                  "more than " + std::to_string(options_.max_values) + " values");
    }
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (given_away()) {
      Status taken = options_.member(open_.back().key, value);
      if (taken) return true;
      error_ = std::move(taken).error();
      return false;
    } else if (Open& parent = open_.back(); parent.value.kind == Value::Kind::array) {
      if (parent.value.items.empty()) parent.value.items.reserve(kReserved);
      parent.value.items.push_back(std::move(value));
    } else {
      if (parent.value.entries.empty()) parent.value.entries.reserve(kReserved);
      parent.value.entries.push_back({std::move(parent.key), std::move(value)});
    }
    return true;
  }

  std::string_view text_;
  const Options& options_;
  const char* reached_;
  std::vector<Open> open_;
  std::uint64_t values_ = 0;
  Value root_;
  std::optional<Diagnostic> error_;
};

}  // namespace

const Value* Value::find(std::string_view key) const {
  for (const auto& [name, value] : entries)
    if (name == key) return &value;
  return nullptr;
}

Result<Value> parse(std::string_view text, const Options& options) {
  Handler handler(text, options);
  // nlohmann skips a byte order mark, and takes a NUL for the end of the text.
  if (text.starts_with(kByteOrderMark)) {
    handler.fail(0, "a byte order mark before the value");
  } else if (std::size_t nul = text.find('\0'); nul != text.npos) {
    handler.fail(nul, "a NUL byte");
  } else {
    // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): the second cursor ends the text
    nlohmann::json::sax_parse(Cursor(text.data(), handler.reached()),
                              Cursor(text.data() + text.size(), handler.reached()), &handler);
  }
  if (handler.error()) return std::move(*handler.error());
  return std::move(handler.root());
}

}  // namespace regraft::json
