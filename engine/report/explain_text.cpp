// An explanation for a person. Names are never wrapped or cut: they are there to be searched for.
#include <algorithm>
#include <array>
#include <utility>

#include "base/utf8.h"
#include "report/explain.h"
#include "report/facts.h"
#include "text/yaml.h"

namespace regraft {
namespace {

using Step = Explanation::Step;
using End = Explanation::End;
using Telling = Explanation::Telling;
using Role = Explanation::Role;

constexpr std::size_t kMostParts = 8;
constexpr std::size_t kWidest = 100;  // more stands on two lines, where it has two parts
constexpr std::array<std::string_view, 5> kPolicies = {"missing", "unexpected", "shape", "dtype",
                                                       "extras"};

std::string place(const Location& where) {
  if (!where.known()) return "";
  return printable(shown_path(where.path())) +
         (where.line > 0 ? ":" + std::to_string(where.line) : "");
}

// Columns on a terminal, near enough: code points.
std::size_t columns(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size(); i += std::max<std::size_t>(utf8_at(text, i).length, 1))
    ++count;
  return count;
}

std::string padded(std::string text, std::size_t width) {
  const std::size_t used = columns(text);
  if (used < width) text.append(width - used, ' ');
  return text;
}

std::string sized(DType dtype, const Shape& shape) {
  return std::string(name(dtype)) + " " + to_string(shape);
}

std::string list(const std::vector<std::string>& names) {
  std::string out;
  const std::size_t shown = std::min(names.size(), kMostParts);
  for (std::size_t i = 0; i < shown; ++i) out += (i > 0 ? ", " : "") + quoted(names[i]);
  if (shown < names.size()) out += " and " + std::to_string(names.size() - shown) + " more";
  return out;
}

std::string with_file(const Explanation::Tensor& tensor) {
  std::string out = sized(tensor.dtype, tensor.shape);
  if (!tensor.file.empty()) out += " in " + printable(tensor.file);
  if (!tensor.below.empty()) out += ", below " + quoted(tensor.below);
  return out;
}

std::string joined(std::string a, std::string_view between, std::string_view b) {
  if (!a.empty() && !b.empty()) a += between;
  a += b;
  return a;
}

class TextExplanation {
 public:
  explicit TextExplanation(const Explanation& explanation) : explanation_(explanation) {}

  std::string write() {
    for (const Telling& telling : explanation_.tellings) {
      if (!out_.empty()) out_ += "\n";
      head(telling);
      steps(telling);
      ends(telling);
    }
    return std::move(out_);
  }

 private:
  void line(const std::string& text) { out_ += "  " + text + "\n"; }

  // --- what it is --------------------------------------------------------------------------------

  void head(const Telling& telling) {
    const Explanation::Tensor& tensor = telling.tensor;
    out_ += std::string(role(telling.role)) + " " + quoted(tensor.name) + "\n";
    line(with_file(tensor));
    if (!tensor.unsupported.empty()) line("it is " + printable(tensor.unsupported));
    if (!telling.tied.empty()) line("one tensor with " + list(telling.tied));
    for (std::size_t i = 0; i < std::min(telling.sources.size(), kMostParts); ++i) {
      const Explanation::Tensor& source = telling.sources[i];
      line("from " + quoted(source.name) + ", " + with_file(source));
    }
    if (telling.sources.size() > kMostParts)
      line("and " + std::to_string(telling.sources.size() - kMostParts) + " more");
  }

  static std::string_view role(Role role) {
    switch (role) {
      case Role::source:
        return "source";
      case Role::target:
        return "target";
      case Role::output:
        return "output";
      case Role::result:
        return "result";
      case Role::between:
        break;
    }
    return "between rules";
  }

  // --- the rules ---------------------------------------------------------------------------------

  void steps(const Telling& telling) {
    out_ += "\n";
    if (telling.steps.empty() && (telling.role == Role::source || !telling.sources.empty()))
      line("no rule takes it");
    std::vector<std::array<std::string, 3>> columns_of;
    std::array<std::size_t, 3> widths{};
    for (const Step& step : telling.steps) {
      const Rule& rule = explanation_.program->rules[step.rule];
      std::string label = "rule " + std::to_string(step.rule + 1);
      if (!rule.id.empty()) label += " (" + printable(rule.id) + ")";
      columns_of.push_back({label, place(rule.where), std::string(rule.verb->name())});
      for (std::size_t i = 0; i < 3; ++i)
        widths[i] = std::max(widths[i], columns(columns_of.back()[i]));
    }
    for (std::size_t i = 0; i < telling.steps.size(); ++i) {
      std::string start;
      for (std::size_t column = 0; column < 3; ++column)
        if (widths[column] > 0) start += padded(columns_of[i][column], widths[column]) + "  ";
      const std::string under(columns(start), ' ');
      for (const auto& [before, after] : {effect(telling.steps[i]), reason(telling.steps[i])}) {
        if (before.empty()) continue;
        const bool fits =
            after.empty() || under.size() + columns(before) + 1 + columns(after) <= kWidest;
        line(start + (fits ? joined(before, " ", after) : before));
        if (!fits) line(under + after);
        start = under;
      }
    }
    if (!telling.steps.empty() || telling.role == Role::source || !telling.sources.empty())
      out_ += "\n";
  }

  // On one line, or on two where they would be too long for it.
  using TwoParts = std::pair<std::string, std::string>;

  static TwoParts effect(const Step& step) {
    const std::string first = quoted(step.from.front());
    switch (step.kind) {
      case Step::Kind::takes:
        if (!step.to.empty())
          return {list(step.from),
                  "-> " + list(step.to) + (step.stays ? ", and " + first + " stays" : "")};
        return {first + (step.stays ? " stays" : " is dropped"), ""};
      case Step::Kind::failed:
        return {first + ": the rule fails", ""};
      case Step::Kind::outside:
        return {first + " is dropped: no pattern is found", ""};
      case Step::Kind::passes:
        return {first + " passes: no pattern is found", ""};
      case Step::Kind::unless:
      case Step::Kind::where:
      case Step::Kind::when:
        break;
    }
    return {first + (step.stays ? " passes" : " is dropped"), ""};
  }

  [[nodiscard]] TwoParts reason(const Step& step) const {
    if (!step.entry) return {};
    std::string pattern = quoted(step.entry->pattern.text());
    if (step.entry->where.line != explanation_.program->rules[step.rule].where.line)
      pattern = joined(pattern, ", ", place(step.entry->where));
    if (step.entry->pattern.is_literal()) pattern = "the exact name " + pattern;
    if (step.reason.empty()) return {"by " + pattern, ""};
    return {pattern + " is found,",
            (step.kind == Step::Kind::unless ? "" : "but ") + printable(step.reason)};
  }

  // --- the ends ----------------------------------------------------------------------------------

  // A label and what it says, which may have several lines.
  struct Said {
    std::string label, text;
  };

  void ends(const Telling& telling) {
    std::vector<Said> said;
    for (const End& end : telling.ends) add(telling, end, said);
    std::string label = "near";
    for (const Explanation::Tensor& near : telling.near) {
      said.push_back({label, quoted(near.name) + ", " + sized(near.dtype, near.shape) +
                                 ": a result that the target does not have"});
      label.clear();
    }
    label = "same shape";
    for (const Explanation::Tensor& one : telling.same_shape) {
      said.push_back({label, quoted(one.name) + " of the source: " + one.fate});
      label.clear();
    }
    if (telling.same_shape_count > telling.same_shape.size())
      said.push_back({"", "and " +
                              std::to_string(telling.same_shape_count - telling.same_shape.size()) +
                              " more that end nowhere"});
    std::size_t width = 0;
    for (const Said& one : said) width = std::max(width, one.label.size() + 2);
    for (const Said& one : said) {
      std::string start = padded(one.label, width);
      for (std::string_view rest = one.text;;) {
        const std::size_t end = rest.find('\n');
        line(start + printable(rest.substr(0, end)));
        if (end == std::string_view::npos) break;
        rest.remove_prefix(end + 1);
        start.assign(width, ' ');
      }
    }
  }

  static void add(const Telling& telling, const End& end, std::vector<Said>& said) {
    const auto more = [&](std::string label, std::string text) {
      if (!text.empty()) said.push_back({std::move(label), std::move(text)});
    };
    const bool of_rules = end.status == "undecided" || end.status == "dropped";
    more(end.code && !of_rules ? error_label(end) : end.status, outcome(telling, end));
    if (end.code && of_rules) more(error_label(end), joined(end.text, "  ", place(end.where)));
    for (const Note& note : end.notes) more("note", joined(note.message, "  ", place(note.where)));
    if (end.tied_to)
      more("tied", "in the target to " + quoted(*end.tied_to) + ", which a result reaches");
    if (end.untied) more("untied", "was one tensor with another name, and stands alone");
    if (end.copied) more("copied", region(*end.copied));
    if (end.lossy) more("lossy", "the dtype cannot hold every value");
    for (const auto& [kind, chosen] : end.policies) more("policy", policy(kind, *chosen));
    for (const auto& [promise, where] : end.broken)
      more("expect",
           joined("`" + std::string(promise) + "` does not allow it", "  ", place(where)));
    more("is", end.expression);
    more("hint", end.hint);
    std::string rename;
    for (const Suggestion& suggestion : end.suggestions)
      rename = joined(rename, "\n",
                      "- rename: " + yaml::quoted_scalar(suggestion.pattern) +
                          "\n  to: " + yaml::quoted_scalar(suggestion.to));
    more("try", rename);
  }

  static std::string error_label(const End& end) {
    return "error[" + std::string(info(*end.code).name) + "]";
  }

  // The first line of an end.
  static std::string outcome(const Telling& telling, const End& end) {
    const bool itself = end.name == telling.tensor.name &&
                        (telling.role == Role::target || telling.role == Role::output);
    const std::string named = itself ? "" : quoted(end.name);
    if (end.status == "dropped")
      return quoted(end.name) + " by rule " + std::to_string(end.rule + 1);
    if (end.status == "undecided") {
      const std::string rule = "rule " + std::to_string(end.rule + 1);
      return rule + " fails, so the rules behind it did not run and the target was not consulted";
    }
    if (end.status == "unexpected" && !end.dtype)
      return quoted(end.name) + " " +
             (end.text.empty() ? "is no name of the target" : printable(end.text)) +
             (end.code ? "" : ": dropped by the policy");
    const bool own = end.status == "kept" || end.status == "skipped" || end.status == "omitted";
    if (end.status == "error" && end.policies.size() == 1 &&
        end.policies[0].first == PolicyKind::missing)
      return "nothing reaches it" + (end.text == "missing" ? "" : ": " + end.text);
    if (own || !end.dtype) return joined(named.empty() ? "" : "at " + named, ": ", end.text);
    std::string as = named.empty() ? "" : "as " + named;
    return joined(joined(as, ", ", sized(*end.dtype, end.shape)), "; ", end.text);
  }

  static std::string policy(PolicyKind kind, const PolicyCase& chosen) {
    std::string out =
        std::string(kPolicies[static_cast<std::size_t>(kind)]) + ": " + std::string(chosen.word);
    if (!chosen.where.known()) return out + ", the default";
    if (!chosen.match.empty()) {
      std::vector<std::string> patterns;
      for (const RuleEntry& entry : chosen.match) patterns.push_back(entry.pattern.text());
      out += ", match " + list(patterns);
    }
    return out + "  " + place(chosen.where);
  }

  // "[0:1, 0:197] of the result to [0:1, 2:199]".
  static std::string region(const CopiedRegion& copied) {
    const auto part = [&](const std::vector<std::int64_t>& starts) {
      std::string out;
      for (std::size_t i = 0; i < starts.size(); ++i)
        out += (i > 0 ? ", " : "") + std::to_string(starts[i]) + ":" +
               std::to_string(starts[i] + copied.size[i]);
      return "[" + out + "]";
    };
    return part(copied.from) + " of the result to " + part(copied.to) + " of the target";
  }

  const Explanation& explanation_;
  std::string out_;
};

}  // namespace

std::string to_text(const Explanation& explanation) { return TextExplanation(explanation).write(); }

}  // namespace regraft
