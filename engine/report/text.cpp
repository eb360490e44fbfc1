// The report for a person: a row for each status, its names grouped where all that is said of them
// agrees. Nothing is left out silently: what a row does not list, it counts.
#include <algorithm>
#include <array>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/utf8.h"
#include "report/facts.h"
#include "report/group.h"

namespace regraft {
namespace {

constexpr std::size_t kStatusWidth = 11;  // "transformed", "initialised"
constexpr std::size_t kMostLines = 12;    // of one row, unless verbose
constexpr std::size_t kLongestPattern = 300;
constexpr std::size_t kShownNames = 4;      // in place of a longer pattern
constexpr std::size_t kWidestPlace = 28;    // a longer place stands in the text
constexpr std::size_t kNarrowestText = 24;  // less, and the text stands on lines of its own
constexpr std::string_view kNotAllowed = "NOT ALLOWED";

enum class Tone { plain, good, changed, careful, bad };

std::string_view escape(Tone tone) {
  switch (tone) {
    case Tone::plain:
      return "";
    case Tone::good:
      return "\x1b[32m";
    case Tone::changed:
      return "\x1b[36m";
    case Tone::careful:
      return "\x1b[33m";
    case Tone::bad:
      return "\x1b[1;31m";
  }
  return "";
}

std::string plural(std::uint64_t count, std::string_view noun) {
  return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

// A number with one decimal, cut.
std::string tenths(std::uint64_t number, std::uint64_t unit) {
  return std::to_string(number / unit) + "." + std::to_string(number % unit * 10 / unit);
}

std::string parameters(std::uint64_t count) {
  return count < 1'000'000 ? std::to_string(count) : tenths(count, 1'000'000) + " M";
}

std::string size_text(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 4> kUnits = {" kB", " MB", " GB", " TB"};
  if (bytes < 1000) return plural(bytes, "byte");
  std::uint64_t unit = 1000;
  std::size_t at = 0;
  while (at + 1 < kUnits.size() && bytes / unit >= 1000) {
    unit *= 1000;
    ++at;
  }
  return tenths(bytes, unit) + std::string(kUnits[at]);
}

std::string percent(std::uint64_t part, std::uint64_t whole) {
  const std::uint64_t share = permille(part, whole);
  if (share == 0 && part > 0) return "<0.1%";
  return std::to_string(share / 10) + "." + std::to_string(share % 10) + "%";
}

// Columns on a terminal, near enough: code points.
std::size_t columns(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size(); i += std::max<std::size_t>(utf8_at(text, i).length, 1))
    ++count;
  return count;
}

// Lines of at most `width` columns, cut behind spaces, commas, dots and slashes where there are
// any.
std::vector<std::string> wrap(std::string_view text, std::size_t width) {
  std::vector<std::string> lines;
  while (true) {
    std::size_t end = 0, used = 0, good = 0;
    while (end < text.size() && used < width) {
      end += std::max<std::size_t>(utf8_at(text, end).length, 1);
      ++used;
      const char last = text[end - 1];
      if (last == ' ' || last == ',' || last == '.' || last == '/') good = end;
      if (end < text.size() && text[end] == ' ') good = end;
    }
    if (end == text.size()) break;
    if (good == 0) good = end;
    std::string_view line = text.substr(0, good);
    while (line.ends_with(' ')) line.remove_suffix(1);
    lines.emplace_back(line);
    text.remove_prefix(good);
    while (text.starts_with(' ')) text.remove_prefix(1);
  }
  lines.emplace_back(text);
  return lines;
}

// A YAML scalar that reads back as `text`; empty for what has no plain spelling.
std::optional<std::string> yaml_text(std::string_view text) {
  if (printable(text) != text) return std::nullopt;
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "''" : std::string(1, c);
  return out + "'";
}

// `spec.yaml:38`; empty for a policy's default.
std::string place(const Location& where) {
  if (!where.known()) return "";
  return printable(shown_path(where.path())) +
         (where.line > 0 ? ":" + std::to_string(where.line) : "");
}

// What is said of a name. `key` is equal for names that may stand in one group, `full` says it
// exactly: they differ where sizes are cut to those that matter.
struct Saying {
  std::string key, full;
};

// "[1000, 192] against [10, 192]: kept" and the same of "[1000]" are both "[1000, ...] against
// [10, ...]: kept" when they stand in one group.
Saying saying(const std::string& full, const Shape& before, const Shape& after) {
  Saying said{full, full};
  std::size_t differs = std::min(before.size(), after.size());
  if (before.size() != after.size()) return said;
  while (differs > 0 && before[differs - 1] == after[differs - 1]) --differs;
  if (differs == 0) return said;
  const auto cut = [&](const Shape& shape) {
    std::string out = "[";
    for (std::size_t i = 0; i < differs; ++i) out += std::to_string(shape[i]) + ", ";
    return out + "...]";
  };
  for (const std::string_view between : {" against ", " -> "}) {
    const std::string exact = to_string(before) + std::string(between) + to_string(after);
    const std::size_t at = said.key.find(exact);
    if (at == std::string::npos) continue;
    said.key.replace(at, exact.size(), cut(before) + std::string(between) + cut(after));
    break;
  }
  return said;
}

struct Line {
  std::string text;
  std::string place;                 // the right column
  std::vector<std::string> members;  // for `verbose`
  std::uint64_t count = 0;           // of names
};

class Row {
 public:
  Row(std::string_view status, Tone tone) : status_(status), tone_(tone) {}

  // A name; those of which the same is said are grouped.
  void add(std::string_view name, const Saying& said, const std::string& place,
           std::string member) {
    ++count_;
    const auto [entry, fresh] = by_key_.try_emplace(place + '\n' + said.key, buckets_.size());
    if (fresh) buckets_.push_back({place, {}, {}, {}});
    Bucket& bucket = buckets_[entry->second];
    bucket.names.push_back(name);
    bucket.said.push_back(said);
    bucket.members.push_back(std::move(member));
  }
  // A line that groups nothing.
  void add_line(Line line) {
    count_ += line.count;
    lines_.push_back(std::move(line));
  }

  [[nodiscard]] std::string_view status() const { return status_; }
  [[nodiscard]] Tone tone() const { return tone_; }
  [[nodiscard]] std::uint64_t count() const { return count_; }

  // A line about names that are counted already.
  void add_remark(Line line) { lines_.push_back(std::move(line)); }

  [[nodiscard]] std::vector<Line> all_lines(bool verbose) const {
    std::vector<Line> lines = lines_;
    for (const Bucket& bucket : buckets_)
      for (const NameGroup& group : group_names(bucket.names))
        lines.push_back(line(bucket, group, verbose));
    return lines;
  }
  // The same, but more than kMostLines are cut, and said to be, unless `verbose`.
  [[nodiscard]] std::vector<Line> lines(bool verbose) const {
    std::vector<Line> lines = all_lines(verbose);
    if (verbose || lines.size() <= kMostLines) return lines;
    std::uint64_t hidden = 0;
    for (std::size_t i = kMostLines - 1; i < lines.size(); ++i) hidden += lines[i].count;
    lines.resize(kMostLines - 1);
    lines.push_back({"and " + std::to_string(hidden) + " more (--verbose lists all)", {}, {}, 0});
    return lines;
  }

 private:
  struct Bucket {
    std::string place;
    std::vector<std::string_view> names;
    std::vector<Saying> said;
    std::vector<std::string> members;
  };

  static Line line(const Bucket& bucket, const NameGroup& group, bool verbose) {
    const Saying& first = bucket.said[group.members.front()];
    bool agree = true;
    for (const std::uint32_t member : group.members)
      agree = agree && bucket.said[member].full == first.full;
    Line line;
    line.count = group.members.size();
    line.place = bucket.place;
    line.text = names(bucket, group, verbose);
    const std::string& said = agree ? first.full : first.key;
    if (!said.empty()) line.text += "  " + printable(said);
    if (verbose && line.count > 1)
      for (const std::uint32_t member : group.members)
        line.members.push_back(bucket.members[member]);
    return line;
  }

  static std::string names(const Bucket& bucket, const NameGroup& group, bool verbose) {
    if (group.members.size() == 1) return printable(bucket.names[group.members.front()]);
    if (verbose || group.pattern.size() <= kLongestPattern) return printable(group.pattern);
    std::string out;
    const std::size_t shown = std::min(kShownNames, group.members.size());
    for (std::size_t i = 0; i < shown; ++i)
      out += (i > 0 ? ", " : "") + printable(bucket.names[group.members[i]]);
    if (shown == group.members.size()) return out;
    return out + " and " + std::to_string(group.members.size() - shown) +
           " more (--verbose lists all)";
  }

  std::string_view status_;
  Tone tone_;
  std::uint64_t count_ = 0;
  std::vector<Line> lines_;
  std::vector<Bucket> buckets_;  // in the order of their first names
  std::unordered_map<std::string, std::size_t> by_key_;
};

class TextReport {
 public:
  TextReport(const Report& report, const TextOptions& options)
      : report_(report), options_(options), scrub_(report) {}

  std::string write() {
    header();
    if (report_.plan && report_.program && report_.inputs) {
      chains_.emplace(report_.plan->steps);
      decide_rows();
      print_rows();
    }
    verdict();
    return std::move(out_);
  }

 private:
  // --- header -----------------------------------------------------------------------------------

  void header() {
    std::string line;
    const auto add = [&](const std::string& part, std::string_view between) {
      if (!part.empty()) line += (line.empty() ? "" : std::string(between)) + part;
    };
    if (const Program* program = report_.program) {
      add(printable(program->name), "");
      const std::string to = printable(program->revision), from = printable(program->revises);
      add(from.empty() ? to : from + " -> " + to, " ");
    }
    std::string files;
    if (report_.inputs) {
      for (const Catalog* source : report_.inputs->sources)
        files += (files.empty() ? "" : ", ") + (source->alias.empty() ? "" : source->alias + "=") +
                 printable(shown_path(source->path));
      if (const Catalog* target = report_.inputs->target; target && report_.output_path.empty())
        files += " against " + printable(shown_path(target->path));
    }
    if (!report_.output_path.empty()) files += " -> " + printable(shown_path(report_.output_path));
    add(files, "   ");
    if (!line.empty()) out_ += line + "\n\n";
  }

  // --- rows -------------------------------------------------------------------------------------

  Row& row(std::string_view status, Tone tone) { return rows_.emplace_back(status, tone); }

  void decide_rows() {
    if (report_.plan->complete) {
      lossy();
      loaded();
      by_decision("transformed", Tone::changed, Decision::transformed);
      by_decision("adapted", Tone::changed, Decision::adapted);
      by_decision("kept", Tone::careful, Decision::kept);
      by_decision("initialised", Tone::careful, Decision::initialised);
      by_decision("skipped", Tone::careful, Decision::skipped);
      by_decision("omitted", Tone::careful, Decision::omitted);
      errors();
      unexpected();
    }
    dropped();
    if (report_.plan->complete) {
      untied();
      left_out();
    }
    extras();
    unused();
    remarks();
    std::erase_if(rows_,
                  [&](const Row& one) { return one.count() == 0 && one.status() != "loaded"; });
  }

  // Counted again below, under what became of them.
  void lossy() {
    Row& shown = row("lossy", Tone::careful);
    for (const PlannedTensor& planned : report_.plan->tensors) {
      if (!planned.lossy || !planned.expr) continue;
      const std::string said = cast_of(planned);
      // Of an adapted tensor the place is that of the shape's case.
      const bool decided_here = planned.decision != Decision::adapted;
      shown.add(planned.name, {said, said}, decided_here ? place(*planned.policy) : std::string(),
                member(planned));
    }
  }

  // "float32 -> float16": of the result, or of the target's own values around a part of it.
  std::string cast_of(const PlannedTensor& planned) const {
    const DType to = planned.expr->dtype;
    const auto said = [&](DType from) {
      return std::string(name(from)) + " -> " + std::string(name(to));
    };
    if (planned.result_dtype && !widens(*planned.result_dtype, to))
      return said(*planned.result_dtype);
    if (planned.copied && planned.target != kNone && !widens(target(planned).dtype, to))
      return "target's own values " + said(target(planned).dtype);
    return "";
  }

  void loaded() {
    const Plan& plan = *report_.plan;
    const Totals& totals = plan.totals;
    Row& shown = row("loaded", Tone::good);
    std::string said = parameters(totals.loaded_elements);
    if (plan.has_target)
      said += " of " + parameters(totals.target.parameters) + " parameters (" +
              percent(totals.loaded_elements, totals.target.parameters) + ")";
    else
      said += " parameters";
    std::uint64_t count = 0;
    std::vector<std::string> members;
    // Where more was done to a tensor than to move it, that is said below.
    Row changed("", Tone::plain);
    for (const PlannedTensor& planned : plan.tensors) {
      if (planned.decision != Decision::loaded) continue;
      ++count;
      if (options_.verbose) members.push_back(member(planned));
      std::string detail = planned.lossy ? "" : planned.detail;  // the row above has it
      if (planned.tied_to)
        detail.append(detail.empty() ? "" : "; ")
            .append("with ")
            .append(printable(*planned.tied_to))
            .append(", which it is tied to in the target");
      if (!detail.empty()) changed.add(planned.name, {detail, detail}, place(*planned.policy), "");
    }
    shown.add_line({said, "", std::move(members), count});
    for (Line& line : changed.all_lines(options_.verbose)) {
      line.members.clear();  // stand above
      shown.add_remark(std::move(line));
    }
  }

  void by_decision(std::string_view status, Tone tone, Decision decision) {
    Row& shown = row(status, tone);
    for (const PlannedTensor& planned : report_.plan->tensors)
      if (planned.decision == decision)
        shown.add(planned.name, said_of(planned), place(*planned.policy), member(planned));
  }

  // What stands behind the name of a tensor that was not simply loaded.
  Saying said_of(const PlannedTensor& planned) {
    const Shape none;
    const Shape& after = planned.target == kNone ? none : target(planned).shape;
    std::string detail = scrub_(planned.detail);
    const bool reached = !planned.from.empty() && planned.target != kNone;
    if (planned.decision == Decision::adapted && reached &&
        detail.find(to_string(planned.result_shape)) == std::string::npos)
      detail = to_string(planned.result_shape) + " -> " + to_string(after) + " " + detail;
    if (planned.decision == Decision::transformed)
      detail = rules_of(planned) + (detail.empty() ? "" : ": " + detail);
    if (!reached) return {detail, detail};
    Saying said = saying(detail, planned.result_shape, after);
    if (planned.copied && planned.decision == Decision::adapted) {
      said.key += region(planned, after, true);
      said.full += region(planned, after, false);
    }
    return said;
  }

  // "; copied to [:, 0:197, :]": where a part of a result came from and went, whole sides of it not
  // named. `cut`: without the dimensions behind the last that differs.
  static std::string region(const PlannedTensor& planned, const Shape& after, bool cut) {
    const CopiedRegion& copied = *planned.copied;
    const Shape& before = planned.result_shape;
    std::size_t shown = after.size();
    while (cut && shown > 0 && before[shown - 1] == after[shown - 1]) --shown;
    const auto part = [&](const std::vector<std::int64_t>& starts, const Shape& whole) {
      if (copied.size == whole) return std::string();
      std::string out;
      for (std::size_t i = 0; i < shown; ++i)
        out += (i > 0 ? ", " : "") +
               (copied.size[i] == whole[i]
                    ? std::string(":")
                    : std::to_string(starts[i]) + ":" + std::to_string(starts[i] + copied.size[i]));
      return "[" + out + (cut ? ", ...]" : "]");
    };
    std::string from = part(copied.from, before), to = part(copied.to, after);
    if (!to.empty()) to = " to " + to;
    if (!from.empty()) from = " " + from;
    return "; copied" + from + to;
  }

  // "rearrange (rule 7)": the rules that change more than names.
  std::string rules_of(const PlannedTensor& planned) {
    std::string out, all;
    std::uint32_t last = kNone;
    for (const std::uint32_t at : chains_->up_to(planned.step)) {
      const std::uint32_t index = report_.plan->steps[at].rule;
      if (index == last) continue;
      last = index;
      const Rule& rule = report_.program->rules[index];
      const std::string text =
          std::string(rule.verb->name()) + " (rule " + std::to_string(index + 1) + ")";
      all += (all.empty() ? "" : ", ") + text;
      const std::string_view verb = rule.verb->name();
      if (verb != "rename" && verb != "copy" && verb != "keep")
        out += (out.empty() ? "" : ", ") + text;
    }
    return out.empty() ? all : out;
  }

  void errors() {
    Row missing("missing", Tone::bad), mismatched("mismatched", Tone::bad),
        refused("refused", Tone::bad);
    for (const PlannedTensor& planned : report_.plan->tensors) {
      if (planned.decision != Decision::error) continue;
      const bool unreached = planned.target != kNone && planned.from.empty();
      Row& shown = unreached ? missing : planned.policy_word.empty() ? refused : mismatched;
      // The row says that it is missing; what else there is: the policy's word cannot be had.
      const Saying said = planned.detail == missing.status() ? Saying{} : said_of(planned);
      shown.add(planned.name, said, std::string(kNotAllowed), member(planned));
    }
    missing_ = missing.count();
    mismatched_ = mismatched.count();
    refused_ = refused.count();
    rows_.push_back(std::move(missing));
    rows_.push_back(std::move(mismatched));
    rows_.push_back(std::move(refused));
  }

  void unexpected() {
    const std::vector<UnexpectedResult>& results = report_.plan->unexpected;
    for (const UnexpectedResult& result : results) unexpected_ += result.policy_word == "error";
    Row& shown = row("unexpected", unexpected_ > 0 ? Tone::bad : Tone::careful);
    for (const UnexpectedResult& result : results) {
      const bool refused = result.policy_word == "error";
      const std::string said = refused                        ? ""
                               : result.policy_word == "keep" ? "kept"
                                                              : "dropped by the policy";
      shown.add(result.name, {said, said},
                refused ? std::string(kNotAllowed) : place(*result.policy),
                member(result.name, result.shape, result.dtype, result.from));
    }
  }

  void dropped() {
    const Plan& plan = *report_.plan;
    std::vector<std::vector<const Tensor*>> by_rule(report_.program->rules.size());
    for (std::size_t input = 0; input < plan.sources.size(); ++input)
      for (std::size_t i = 0; i < plan.sources[input].size(); ++i)
        if (const SourceFate& fate = plan.sources[input][i];
            fate.disposition == Disposition::dropped && fate.rule < by_rule.size())
          by_rule[fate.rule].push_back(&report_.inputs->sources[input]->tensors[i]);
    const auto rules =
        std::count_if(by_rule.begin(), by_rule.end(), [](const auto& one) { return !one.empty(); });
    Row& shown = row("dropped", Tone::careful);
    for (std::size_t i = 0; i < by_rule.size(); ++i) {
      if (by_rule[i].empty()) continue;
      const Rule& rule = report_.program->rules[i];
      Line line;
      line.count = by_rule[i].size();
      line.text = rules > 1 ? std::to_string(line.count) + " by " : "";
      line.text += "rule " + std::to_string(i + 1) + (rule.id.empty() ? "" : " " + quoted(rule.id));
      line.place = place(rule.where);
      if (options_.verbose)
        for (const Tensor* tensor : by_rule[i])
          line.members.push_back(member(tensor->name, tensor->shape, tensor->dtype, {}));
      shown.add_line(std::move(line));
    }
  }

  void untied() {
    Row& shown = row("untied", Tone::careful);
    for (const PlannedTensor& planned : report_.plan->tensors)
      if (planned.untied) shown.add(planned.name, {"stands alone now", "stands alone now"}, "", "");
  }

  void left_out() {
    if (!report_.schedule) return;
    Row& shown = row("left out", Tone::careful);
    const std::string said = "tied, and only the first name is written";
    for (const std::string& one : report_.schedule->left_out) shown.add(one, {said, said}, "", "");
  }

  void extras() {
    const std::vector<ExtraFate>& fates = report_.plan->extras;
    for (const ExtraFate& fate : fates) extras_ += fate.word == "error";
    Row& shown = row("extras", extras_ > 0 ? Tone::bad : Tone::careful);
    for (const ExtraFate& fate : fates) {
      const Extra& extra = report_.inputs->sources[fate.input]->extras[fate.extra];
      Line line;
      line.count = 1;
      line.text = printable(extra.path) + " (" + printable(extra.summary) + ")";
      if (fate.word == "drop") line.text += " dropped";
      if (fate.kept()) line.text += " kept";
      if (!fate.left_out.empty()) line.text += " left out: " + printable(fate.left_out);
      if (fate.word == "error") line.place = kNotAllowed;
      shown.add_line(std::move(line));
    }
  }

  // Rules and entries of tables that match nothing, unless their `count` says that it may be so.
  void unused() {
    Row& shown = row("unused", Tone::careful);
    const Plan& plan = *report_.plan;
    const std::size_t rules = std::min(plan.rules.size(), report_.program->rules.size());
    for (std::size_t i = 0; plan.complete && i < rules; ++i) {
      const Rule& rule = report_.program->rules[i];
      const RuleUse& use = plan.rules[i];
      if (rule.count && rule.count->holds(0)) continue;
      const std::string number = "rule " + std::to_string(i + 1);
      if (use.matches == 0) {
        shown.add_line({number + " (" + std::string(rule.verb->name()) + ") matches nothing",
                        place(rule.where),
                        {},
                        1});
        continue;
      }
      if (!rule.table) continue;  // of a list, any pattern will do
      for (std::size_t entry = 0; entry < std::min(use.entries.size(), rule.entries.size());
           ++entry)
        if (use.entries[entry] == 0)
          shown.add_line(
              {quoted(rule.entries[entry].pattern.text()) + " of " + number + " matches nothing",
               place(rule.entries[entry].where),
               {},
               1});
    }
  }

  void remarks() {
    Row& shown = row("remarks", Tone::plain);
    for (const Catalog* catalog : report_.inputs->all())
      for (const std::string& remark : catalog->remarks)
        shown.add_line({printable(shown_path(catalog->path) + ": " + scrub_(remark)), "", {}, 1});
    if (report_.schedule)
      for (const std::string& remark : report_.schedule->remarks)
        shown.add_line({printable(scrub_(remark)), "", {}, 1});
  }

  // --- members, for verbose
  // -----------------------------------------------------------------------

  [[nodiscard]] const Tensor& target(const PlannedTensor& planned) const {
    return report_.inputs->target->tensors[planned.target];
  }
  [[nodiscard]] const Tensor& tensor_of(const Load& load) const {
    const Inputs& inputs = *report_.inputs;
    return (load.input < inputs.sources.size() ? inputs.sources[load.input] : inputs.target)
        ->tensors[load.tensor];
  }

  std::string member(std::string_view name, const Shape& shape, DType dtype,
                     const std::vector<Load>& from) const {
    if (!options_.verbose) return "";
    std::string out =
        printable(name) + "  " + to_string(shape) + " " + std::string(regraft::name(dtype));
    if (from.size() == 1 && tensor_of(from[0]).name == name) return out;
    for (std::size_t i = 0; i < from.size(); ++i)
      out += (i == 0 ? "  from " : ", ") + printable(tensor_of(from[i]).name);
    return out;
  }

  std::string member(const PlannedTensor& planned) const {
    if (planned.expr)
      return member(planned.name, planned.expr->shape, planned.expr->dtype, planned.from);
    if (planned.target != kNone)
      return member(planned.name, target(planned).shape, target(planned).dtype, planned.from);
    return member(planned.name, planned.result_shape, planned.result_dtype.value_or(DType::float32),
                  planned.from);
  }

  // --- printing
  // -----------------------------------------------------------------------------------

  [[nodiscard]] std::string painted(std::string_view text, Tone tone) const {
    if (!options_.color || tone == Tone::plain) return std::string(text);
    return std::string(escape(tone)) + std::string(text) + "\x1b[m";
  }

  void print_rows() {
    std::vector<std::vector<Line>> lines;
    std::uint64_t most = 0;
    for (const Row& one : rows_) {
      most = std::max(most, one.count());
      lines.push_back(one.lines(options_.verbose));
      for (Line& line : lines.back()) {
        if (columns(line.place) > kWidestPlace)
          line.text += "  (" + std::exchange(line.place, "") + ")";
        place_width_ = std::max(place_width_, columns(line.place));
      }
    }
    count_width_ = std::max<std::size_t>(6, std::to_string(most).size() + 1);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      print_row(rows_[i], lines[i]);
      if (rows_[i].status() == "unexpected") print_suggestions();
    }
    if (!rows_.empty()) out_ += "\n";
  }

  void print_row(const Row& one, const std::vector<Line>& lines) {
    const std::string count = std::to_string(one.count());
    std::string head = " " + painted(one.status(), one.tone());
    head.append(kStatusWidth - one.status().size() + count_width_ - count.size(), ' ');
    head += count;
    head += one.status() != "loaded" ? "           "
            : one.count() == 1       ? " tensor    "
                                     : " tensors   ";
    const std::size_t indent = 1 + kStatusWidth + count_width_ + 11;
    const auto width = static_cast<std::size_t>(std::max(options_.width, 20));
    const std::size_t right = place_width_ == 0 ? 0 : place_width_ + 2;
    bool beside = indent + right + kNarrowestText <= width;
    if (!beside) {
      while (head.ends_with(' ')) head.pop_back();
      out_ += head + "\n";
    }
    for (const Line& line : lines) {
      if (beside) {
        print_line(line, head, indent, width - indent - right);
        head.assign(indent, ' ');
      } else {
        print_line(line, "    ", 4, width - 4);
      }
      for (const std::string& member : line.members) {
        std::string start = "      ";
        for (const std::string& part : wrap(member, width - 8)) {
          out_ += start + part + "\n";
          start = "        ";
        }
      }
    }
  }

  // The text behind `head`, wrapped under itself; the place in the right column, or below where
  // there is none.
  void print_line(const Line& line, std::string head, std::size_t indent, std::size_t width) {
    const Tone tone = line.place == kNotAllowed ? Tone::bad : Tone::plain;
    const bool column = indent > 4;
    const std::vector<std::string> parts = wrap(line.text, width);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      out_ += head + parts[i];
      if (i == 0 && column && !line.place.empty())
        out_ += std::string(width - columns(parts[i]) + 2, ' ') + painted(line.place, tone);
      while (out_.ends_with(' ')) out_.pop_back();
      out_ += "\n";
      head.assign(indent, ' ');
    }
    if (!column && !line.place.empty()) out_ += head + painted(line.place, tone) + "\n";
  }

  // Not wrapped: it is there to be pasted.
  void print_suggestions() {
    std::string lead = "     same shapes and count; try   ";
    for (const Suggestion& suggestion : report_.plan->suggestions) {
      const auto pattern = yaml_text(suggestion.pattern), to = yaml_text(suggestion.to);
      if (!pattern || !to) continue;
      out_ += lead + "- rename: " + *pattern + "\n";
      lead.assign(lead.size(), ' ');
      out_ += lead + "  to: " + *to + "\n";
    }
  }

  // --- the last line
  // ------------------------------------------------------------------------------

  void verdict() {
    if (report_.failed()) {
      out_ += painted("failed", Tone::bad) + ": " + reasons() + "; ";
      if (report_.executed && !report_.output_path.empty())  // what failed came behind it
        out_ += printable(shown_path(report_.output_path)) + " is written\n";
      else
        out_ += "nothing was written\n";
      return;
    }
    out_ += painted("ok", Tone::good) + ": ";
    const std::string output = printable(shown_path(report_.output_path));
    if (const Executed* executed = report_.executed) {
      out_ += output.empty() ? "loaded into the model, " : "wrote " + output + ", ";
      out_ += size_text(executed->output_bytes);
      if (!executed->output_digest.empty())
        out_ += ", " + std::string(name(report_.digest)) + " " + hex(executed->output_digest);
      out_ += "\n";
      return;
    }
    if (report_.schedule)
      out_ += output + " would have " + size_text(report_.schedule->layout.size) + "; ";
    out_ += "nothing was written\n";
  }

  [[nodiscard]] std::string reasons() const {
    const std::size_t errors = report_.diagnostics->error_count();
    const std::string counted = " (" + plural(errors, "error") + ")";
    if (!report_.program) return "the spec cannot be used" + counted;
    if (!report_.inputs || report_.inputs->sources.empty())
      return "the inputs cannot be read" + counted;
    if (!report_.plan) return "there is no plan" + counted;
    if (!report_.plan->complete)
      return "the rules cannot run on this source" + counted + ", so the target was not consulted";

    std::vector<std::string> parts;
    std::string kinds;
    std::uint64_t tensors = 0;
    const std::pair<std::uint64_t, std::string_view> counts[] = {
        {missing_, "missing"}, {mismatched_, "mismatched"}, {unexpected_, "unexpected"}};
    for (const auto& [count, kind] : counts) {
      if (count == 0) continue;
      tensors += count;
      parts.push_back(std::to_string(count) + " " + std::string(kind));
    }
    for (std::size_t i = 0; i < parts.size(); ++i)
      kinds += (i == 0 ? "" : i + 1 == parts.size() ? " and " : ", ") + parts[i];
    std::string out;
    const auto add = [&](const std::string& reason) { out += (out.empty() ? "" : "; ") + reason; };
    if (tensors > 0)
      add(kinds + (tensors == 1 ? " tensor is" : " tensors are") + " not allowed by the policy");
    if (refused_ > 0) add(plural(refused_, "tensor") + " cannot be loaded");
    if (extras_ > 0)
      add(plural(extras_, "extra") + (extras_ == 1 ? " is" : " are") +
          " not allowed by the policy");
    const std::size_t others = other_errors();
    if (others > 0) add(plural(others, out.empty() ? "error" : "other error"));
    return out;
  }

  // Those that no row shows.
  [[nodiscard]] std::size_t other_errors() const {
    std::size_t count = 0;
    for (const Diagnostic& diagnostic : report_.diagnostics->items()) {
      if (diagnostic.severity != Severity::error) continue;
      switch (diagnostic.code) {
        case Code::missing_tensor:
        case Code::unexpected_tensor:
        case Code::shape_mismatch:
        case Code::dtype_mismatch:
        case Code::no_values:
          count += missing_ + mismatched_ + unexpected_ == 0;
          break;
        case Code::tie_conflict:
        case Code::cannot_carry:
          count += refused_ == 0;
          break;
        case Code::extras_present:
          count += extras_ == 0;
          break;
        default:
          ++count;
      }
    }
    return count;
  }

  const Report& report_;
  const TextOptions& options_;
  PathScrubber scrub_;
  std::optional<StepChains> chains_;
  std::vector<Row> rows_;
  std::size_t place_width_ = 0, count_width_ = 0;
  std::uint64_t missing_ = 0, mismatched_ = 0, refused_ = 0, unexpected_ = 0, extras_ = 0;
  std::string out_;
};

}  // namespace

std::string to_text(const Report& report, const TextOptions& options) {
  return TextReport(report, options).write();
}

}  // namespace regraft
