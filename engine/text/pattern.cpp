#include "text/pattern.h"

#include <re2/re2.h>

#include <algorithm>
#include <utility>

#include "base/utf8.h"
#include "text/place.h"
#include "text/re2_compat.h"

namespace regraft {

struct Pattern::Impl {
  std::string text;
  std::unique_ptr<const re2::RE2> re2;  // null: a literal
  std::vector<std::pair<std::string, int>> group_names;
};

namespace {

re2::RE2::Options options() {
  re2::RE2::Options options;
  options.set_encoding(re2::RE2::Options::EncodingLatin1);
  options.set_log_errors(false);
  return options;
}

// RE2 turns a Latin-1 pattern into UTF-8 before it reads it, and quotes that in its errors.
std::string from_utf8_to_latin1(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size();) {
    Utf8 next = utf8_at(text, i);
    if (next.length == 0 || next.code_point > 0xFF) return std::string(text);
    bytes += static_cast<char>(next.code_point);
    i += next.length;
  }
  return bytes;
}

// Where `part` stands in the pattern, not counting what an escape covers.
std::size_t find_part(std::string_view pattern, std::string_view part) {
  if (part.empty()) return pattern.npos;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const std::string_view here = pattern.substr(i);
    // RE2 blames `(?P` alone for `(?P=name)`, also where a good `(?P<name>` stands before it.
    const bool good_group = part == "(?P" && here.starts_with("(?P<");
    if (here.starts_with(part) && !good_group) return i;
    if (pattern[i] == '\\') ++i;
  }
  return pattern.npos;
}

std::string hint_for(re2::RE2::ErrorCode code, std::string_view rest) {
  if (rest.starts_with("(?!")) {
    return "RE2 has no lookahead; `unless:` takes the names out that this would";
  }
  if (rest.starts_with("(?=")) {
    return "RE2 has no lookahead; match the text and put it back with a capture, or use `when:`";
  }
  if (rest.starts_with("(?<=") || rest.starts_with("(?<!")) {
    return "RE2 has no lookbehind; match the text and put it back with a capture, or use `unless:`";
  }
  if (rest.starts_with("(?<") || rest.starts_with("(?'")) return "a named group is (?P<name>...)";
  if (rest.starts_with("(?P=")) {
    return "RE2 has no backreferences; capture both and compare them: `when: 'a == b'`";
  }
  if (rest.starts_with("(?>") || rest.starts_with("(?|") || rest.starts_with("(?#")) {
    return "RE2 has no such group; (?:...) groups without a capture";
  }
  if (rest.size() > 1 && rest[0] == '\\' && rest[1] >= '1' && rest[1] <= '9') {
    return "RE2 has no backreferences; capture both and compare them: `when: '\\1 == \\2'`";
  }
  switch (code) {
    case re2::RE2::ErrorRepeatSize:
      return "a count is at most 1000";
    case re2::RE2::ErrorPatternTooLarge:
      return "use smaller counts";
    case re2::RE2::ErrorBadEscape:
      return "'\\\\' finds a backslash";
    case re2::RE2::ErrorMissingParen:
    case re2::RE2::ErrorUnexpectedParen:
      return "'\\(' and '\\)' find parentheses";
    case re2::RE2::ErrorMissingBracket:
      return "'\\[' finds a bracket";
    case re2::RE2::ErrorRepeatArgument:
      return "'\\*', '\\+' and '\\?' find these characters";
    default:
      return {};
  }
}

Diagnostic explain(const re2::RE2& re2, std::string_view text, const Location& where) {
  std::string_view reason = re2.error();
  std::string part = re2.error_arg();
  if (!part.empty() && reason.ends_with(part)) {
    reason.remove_suffix(part.size());
    if (reason.ends_with(": ")) reason.remove_suffix(2);
  }
  std::size_t at = find_part(text, part);
  if (at == text.npos) {
    part = from_utf8_to_latin1(part);
    at = find_part(text, part);
  }
  std::string message = "RE2 cannot read the pattern: " + std::string(reason);
  if (!part.empty() && part != text) message += ' ' + quoted(part);
  std::string_view rest = at == text.npos ? std::string_view(part) : text.substr(at);
  return error(Code::bad_pattern,
               at == text.npos ? where : place_within(where, text, at, part.size()),
               std::move(message), hint_for(re2.error_code(), rest));
}

}  // namespace

std::optional<Pattern> Pattern::compile(std::string text, const Location& where,
                                        Diagnostics& diagnostics) {
  auto impl = std::make_shared<Impl>();
  impl->text = std::move(text);
  auto re2 = std::make_unique<re2::RE2>(to_piece(impl->text), options());
  if (!re2->ok()) {
    diagnostics.add(explain(*re2, impl->text, where));
    return std::nullopt;
  }
  for (const auto& [group, name] : re2->CapturingGroupNames()) {
    // RE2 takes the first of two groups with one name.
    for (const auto& [earlier, number] : impl->group_names) {
      if (earlier != name) continue;
      std::size_t at = find_part(impl->text, "(?P<" + name + ">");
      std::size_t again = impl->text.find("(?P<" + name + ">", at + 1);
      diagnostics.add(error(Code::bad_pattern,
                            place_within(where, impl->text, again, name.size() + 5),
                            "two groups are named " + quoted(name), "rename one of them"));
      return std::nullopt;
    }
    impl->group_names.emplace_back(name, group);
  }
  impl->re2 = std::move(re2);
  return Pattern(std::move(impl));
}

Pattern Pattern::literal(std::string name) {
  auto impl = std::make_shared<Impl>();
  impl->text = std::move(name);
  return Pattern(std::move(impl));
}

const std::string& Pattern::text() const { return impl_->text; }
bool Pattern::is_literal() const { return impl_->re2 == nullptr; }
int Pattern::group_count() const {
  return is_literal() ? 0 : impl_->re2->NumberOfCapturingGroups();
}
const std::vector<std::pair<std::string, int>>& Pattern::group_names() const {
  return impl_->group_names;
}

std::string Pattern::prefix() const {
  if (is_literal()) return text();
  // Found at the beginning alone. Of all texts that say so this knows the plain ones.
  const std::string& text = impl_->text;
  if (!text.starts_with('^') || text.find('|') != text.npos) return {};
  if (text.size() > 1 && std::string_view("*+?{").find(text[1]) != text.npos) return {};
  // What lies between the bounds of what is matched begins as both do.
  constexpr int kLongest = 64;
  std::string low, high;
  if (!impl_->re2->PossibleMatchRange(&low, &high, kLongest)) return {};
  const auto ends = std::ranges::mismatch(low, high);
  return {low.begin(), ends.in1};
}

bool Pattern::found_in(std::string_view name) const {
  if (is_literal()) return name == impl_->text;
  return impl_->re2->Match(to_piece(name), 0, name.size(), re2::RE2::UNANCHORED, nullptr, 0);
}

std::optional<Found> Pattern::find(std::string_view name, std::size_t start) const {
  Found found;
  if (is_literal()) {
    if (start > 0 || name != impl_->text) return std::nullopt;
    found.end = name.size();
    found.groups = {name};
    return found;
  }
  if (start > name.size()) return std::nullopt;
  std::vector<Piece> pieces(static_cast<std::size_t>(group_count()) + 1);
  if (!impl_->re2->Match(to_piece(name), start, name.size(), re2::RE2::UNANCHORED, pieces.data(),
                         static_cast<int>(pieces.size())))
    return std::nullopt;
  found.groups.reserve(pieces.size());
  for (const Piece& piece : pieces) found.groups.emplace_back(piece.data(), piece.size());
  found.begin = static_cast<std::size_t>(pieces[0].data() - name.data());
  found.end = found.begin + pieces[0].size();
  return found;
}

}  // namespace regraft
