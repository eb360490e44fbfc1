#include "verbs/groups.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <unordered_map>

#include "verbs/one_to_one.h"
#include "verbs/parameters.h"
#include "verbs/rewrite.h"

namespace regraft {
namespace {

constexpr std::size_t kShown = 5;

Diagnostic bad_group(std::string message, std::string hint = {}) {
  return error(Code::bad_group, {}, std::move(message), std::move(hint));
}

// "parts 0, 3 and 2 more are": the first of `count`, and what they do.
std::string counted(const std::vector<std::string>& names, std::int64_t count,
                    const std::string& noun) {
  const std::string verb = count == 1 ? "is" : "are";
  std::string out = noun.empty() ? verb + " " : noun + (count == 1 ? " " : "s ");
  const std::size_t shown = std::min(names.size(), kShown);
  for (std::size_t i = 0; i < shown; ++i) out += (i ? ", " : "") + names[i];
  if (const auto rest = count - static_cast<std::int64_t>(shown); rest > 0)
    out += " and " + std::to_string(rest) + " more";
  return noun.empty() ? out : out + " " + verb;
}

// The one capture of the pattern that `to` does not use.
std::optional<int> numbering_capture(BindContext& context, const RuleEntry& entry,
                                     const Template& to) {
  const std::vector<int> used = to.groups();
  std::vector<int> unused;
  for (int group = 1; group <= entry.pattern.group_count(); ++group)
    if (std::find(used.begin(), used.end(), group) == used.end()) unused.push_back(group);
  if (unused.size() == 1) return unused.front();
  if (unused.empty())
    context.diagnostics().add(
        error(Code::bad_group, entry.where,
              "no capture of the pattern numbers the parts: " +
                  std::string(used.empty() ? "it has none" : "`to` uses them all"),
              "one capture that `to` does not use gives their order, for instance '\\.(\\d+)\\.'; "
              "or list "
              "a pattern for each part"));
  else
    context.diagnostics().add(error(Code::bad_group, entry.where,
                                    "two captures of the pattern could number the parts: \\" +
                                        std::to_string(unused[0]) + " and \\" +
                                        std::to_string(unused[1]) + " are not used by `to`",
                                    "use one of them in `to`, or make it (?:...)"));
  return std::nullopt;
}

}  // namespace

std::optional<Groups> Groups::read(BindContext& context, BoundParts& parts) {
  parts.entries = context.patterns(context.operand());
  Groups groups;
  bool good = groups.read_partial(context);
  const yaml::Node* to = context.param("to");
  if (!to || parts.entries.empty()) return std::nullopt;  // reported by the table's check
  for (const RuleEntry& entry : parts.entries) {
    auto text = context.text_template(*to, entry.pattern);
    if (!text) return std::nullopt;
    for (std::string& variable : text->variables()) parts.variables.push_back(std::move(variable));
    groups.to_.push_back(std::move(*text));
  }
  if (context.operand().is_scalar()) {
    const auto number = numbering_capture(context, parts.entries.front(), groups.to_.front());
    groups.number_ = number.value_or(0);
    good = good && number;
  } else {
    for (const RuleEntry& entry : parts.entries) {
      groups.part_of_.push_back(groups.names_.size());
      groups.names_.push_back(quoted(entry.pattern.text()));
    }
  }
  return good ? std::optional(std::move(groups)) : std::nullopt;
}

std::optional<Groups> Groups::of_operands(BindContext& context, std::vector<std::string> names,
                                          std::vector<std::size_t> part_of,
                                          std::vector<Template> to) {
  Groups groups;
  if (!groups.read_partial(context)) return std::nullopt;
  groups.names_ = std::move(names);
  groups.part_of_ = std::move(part_of);
  groups.to_ = std::move(to);
  return groups;
}

bool Groups::read_partial(BindContext& context) {
  const std::size_t before = context.diagnostics().error_count();
  partial_ = context.parameters({&kPartial, 1}).word("partial").has_value();
  return context.diagnostics().error_count() == before;
}

Result<std::int64_t> Groups::number_of(const Match& match) const {
  if (number_ == 0) return static_cast<std::int64_t>(part_of_[match.entry]);
  const std::string_view digits = match.found.groups[static_cast<std::size_t>(number_)];
  std::int64_t number = 0;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (digits.empty() || digits.front() == '-' || end != digits.data() + digits.size() ||
      problem != std::errc() || number == std::numeric_limits<std::int64_t>::max())
    return bad_group("\\" + std::to_string(number_) + " is " + quoted(digits) + " in " +
                         quoted(match.name) + ", which is no number of a part",
                     "the capture that `to` does not use is a decimal of at most 18 digits, as "
                     "(\\d+) finds it");
  return number;
}

std::string Groups::part_name(std::int64_t number) const {
  if (names_.empty()) return std::to_string(number);
  return names_[static_cast<std::size_t>(number)];
}

std::optional<Diagnostic> Groups::doubled(const std::string& name, std::span<const Part> parts,
                                          std::span<const Match> matches) const {
  for (std::size_t i = 1; i < parts.size(); ++i)
    if (parts[i].number == parts[i - 1].number)
      return bad_group("two names for the part " + part_name(parts[i].number) + " of " +
                           quoted(name) + ": " + quoted(matches[parts[i - 1].match].name) +
                           " and " + quoted(matches[parts[i].match].name),
                       "drop one of them, or let `to` keep what tells them apart");
  return std::nullopt;
}

std::optional<Diagnostic> Groups::missing(const std::string& name, std::span<const Part> parts,
                                          std::span<const Match> matches) const {
  // Numbers are sorted and there once each, so what is missing is between them and behind.
  const auto count = static_cast<std::int64_t>(parts.size());
  const std::int64_t whole =
      names_.empty() ? parts.back().number + 1 : static_cast<std::int64_t>(names_.size());
  if (count == whole) return std::nullopt;
  std::vector<std::string> lost;
  std::int64_t next = 0;
  const auto gap_to = [&](std::int64_t end) {
    for (; next < end && lost.size() <= kShown; ++next) lost.push_back(part_name(next));
  };
  for (const Part& part : parts) {
    gap_to(part.number);
    next = part.number + 1;
  }
  gap_to(whole);
  std::vector<std::string> there;
  for (const Part& part : parts) there.push_back(quoted(matches[part.match].name));
  return bad_group(quoted(name) + " is not complete: " + counted(lost, whole - count, "part") +
                       " missing, and there " + counted(there, count, ""),
                   "`partial: pass` leaves incomplete groups as they were");
}

std::vector<Group> Groups::collect(std::span<const Match> matches, const Variables& variables,
                                   std::vector<Diagnostic>& errors) const {
  struct Open {
    std::string name;
    std::vector<Part> parts;
    bool failed = false;
  };
  std::vector<Open> open;
  std::unordered_map<std::string, std::size_t> by_name;
  for (std::uint32_t i = 0; i < matches.size(); ++i) {
    Result<std::string> name = rewrite(matches[i], to_[matches[i].entry], false, variables);
    if (!name) {
      errors.push_back(std::move(name).error());
      continue;
    }
    const auto [at, fresh] = by_name.emplace(*name, open.size());
    if (fresh) open.push_back({*name, {}, false});
    Open& group = open[at->second];
    if (const Result<std::int64_t> number = number_of(matches[i])) {
      group.parts.push_back({*number, i});
    } else {
      errors.push_back(number.error());
      group.failed = true;
    }
  }
  std::vector<Group> groups;
  for (Open& one : open) {
    if (one.failed) continue;
    std::stable_sort(one.parts.begin(), one.parts.end(),
                     [](const Part& a, const Part& b) { return a.number < b.number; });
    if (auto problem = doubled(one.name, one.parts, matches)) {
      errors.push_back(std::move(*problem));
      continue;
    }
    if (auto problem = missing(one.name, one.parts, matches)) {
      if (!partial_) errors.push_back(std::move(*problem));
      continue;
    }
    Group group{std::move(one.name), {}, {}};
    for (const Part& part : one.parts) {
      group.parts.push_back(part.match);
      group.matches.push_back(matches[part.match]);
    }
    groups.push_back(std::move(group));
  }
  return groups;
}

Result<DType> joint_dtype(const Group& group, std::optional<DType> given) {
  DType joint = (*group.matches.front().expr)->dtype;
  const Match* widest = &group.matches.front();
  for (const Match& match : group.matches) {
    const DType dtype = (*match.expr)->dtype;
    if (given) {
      if (!convertible(dtype, *given))
        return dtype_error("torch does not convert " + quoted(match.name) + ", which is " +
                           std::string(name(dtype)) + ", to " + std::string(name(*given)));
      continue;
    }
    const std::optional<DType> both = promote(joint, dtype);
    if (!both)
      return dtype_error("torch has no dtype for both " + quoted(widest->name) + ", " +
                             std::string(name(joint)) + ", and " + quoted(match.name) + ", " +
                             std::string(name(dtype)),
                         "say which one the result has, for instance `dtype: float32`");
    if (*both != joint) widest = &match;
    joint = *both;
  }
  return given.value_or(joint);
}

std::vector<ExprPtr> cast_to(const Group& group, DType dtype) {
  std::vector<ExprPtr> exprs;
  for (const Match& match : group.matches) exprs.push_back(cast(*match.expr, dtype, true));
  return exprs;
}

}  // namespace regraft
