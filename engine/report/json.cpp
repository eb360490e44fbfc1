// The report as JSON: one entry a line, so that two reports can be compared line by line.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "base/version.h"
#include "report/facts.h"

namespace regraft {
namespace {

using Json = nlohmann::ordered_json;

// Names are bytes and JSON is text: what is no UTF-8 is escaped, and name_bytes() has the bytes.
Json text(std::string_view bytes) {
  return find_invalid_utf8(bytes) == std::string_view::npos ? std::string(bytes) : printable(bytes);
}
Json text_or_null(std::string_view bytes) { return bytes.empty() ? Json() : text(bytes); }
Json path_or_null(std::string_view path) { return text_or_null(shown_path(path)); }
Json hex_or_null(std::string_view raw) { return raw.empty() ? Json() : Json(hex(raw)); }
Json used_file(const Rule& rule) {
  return rule.uses.empty() ? Json() : path_or_null(rule.where.path());
}
Json line_or_null(int line) { return line > 0 ? Json(line) : Json(); }

void put_name(Json& entry, std::string_view name) {
  entry["name"] = text(name);
  if (find_invalid_utf8(name) != std::string_view::npos) entry["name_bytes"] = hex(name);
}

Json tally(const Tally& tally) {
  return {{"tensors", tally.tensors}, {"parameters", tally.parameters}, {"bytes", tally.bytes}};
}

Json policy(std::string_view word, const Location& where) {
  if (word.empty()) return {};
  return {{"word", word}, {"line", line_or_null(where.line)}};
}

Json value(const Value& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value.data)) return *number;
  if (const auto* number = std::get_if<double>(&value.data)) {
    if (std::isfinite(*number)) return *number;
    return std::isnan(*number) ? ".nan" : *number > 0 ? ".inf" : "-.inf";  // as YAML writes them
  }
  if (const auto* words = std::get_if<std::string>(&value.data)) return text(*words);
  if (const auto* list = std::get_if<List>(&value.data)) {
    Json items = Json::array();
    for (const Value& item : *list) items.push_back(regraft::value(item));
    return items;
  }
  Json object = Json::object();
  for (const auto& [key, item] : std::get<Map>(value.data))
    object[text(key).get<std::string>()] = regraft::value(item);
  return object;
}

class JsonReport {
 public:
  explicit JsonReport(const Report& report)
      : report_(report),
        program_(report.program ? *report.program : no_program_),
        inputs_(report.inputs ? *report.inputs : no_inputs_),
        plan_(report.plan ? *report.plan : no_plan_),
        chains_(plan_.steps),
        scrub_(report),
        scheduled_(plan_.tensors.size(), kNone) {
    if (!report.schedule) return;
    for (std::uint32_t i = 0; i < report.schedule->tensors.size(); ++i)
      if (const std::uint32_t planned = report.schedule->tensors[i].planned;
          planned < scheduled_.size())
        scheduled_[planned] = i;
  }

  std::string write() {
    member("regraft_report", 1);
    member("engine", {{"version", version()}, {"evaluator", evaluator()}});
    member("verdict", report_.failed() ? "failed" : "ok");
    member("complete", plan_.complete);
    member("spec", spec());
    inputs();
    member("output", output());
    totals();
    tensors();
    unexpected();
    sources();
    rules();
    extras();
    remarks();
    list("left_out", [&] {
      if (report_.schedule)
        for (const std::string& one : report_.schedule->left_out) item(text(one));
    });
    list("suggestions", [&] {
      for (const Suggestion& one : plan_.suggestions)
        item({{"pattern", text(one.pattern)}, {"to", text(one.to)}, {"tensors", one.tensors}});
    });
    diagnostics();
    return out_ + "\n}\n";
  }

 private:
  static std::string dump(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
  }

  void key(std::string_view name) {
    out_ += out_.empty() ? "{\n  " : ",\n  ";
    out_ += dump(Json(name)) + ": ";
  }

  // Members of objects stand on lines of their own.
  void member(std::string_view name, const Json& json) {
    key(name);
    if (!json.is_object() || json.empty()) {
      out_ += dump(json);
      return;
    }
    std::string_view before = "{\n    ";
    for (const auto& [inner, element] : json.items()) {
      out_.append(before).append(dump(Json(inner))).append(": ").append(dump(element));
      before = ",\n    ";
    }
    out_ += "\n  }";
  }

  // An array whose items `write_items` gives to item(), one a line and none kept in memory.
  template <typename WriteItems>
  void list(std::string_view name, WriteItems write_items) {
    key(name);
    first_item_ = true;
    write_items();
    out_ += first_item_ ? "[]" : "\n  ]";
  }
  void item(const Json& json) {
    out_.append(first_item_ ? "[\n    " : ",\n    ").append(dump(json));
    first_item_ = false;
  }

  Json spec() const {
    Json vars = Json::object();
    for (const auto& [name, variable] : program_.variables)
      vars[name] = variable.value ? value(*variable.value) : Json();
    return {{"path", path_or_null(report_.spec_path)},
            {"name", text_or_null(program_.name)},
            {"revision", text_or_null(program_.revision)},
            {"revises", text_or_null(program_.revises)},
            {"fingerprint", text_or_null(program_.fingerprint)},
            {"vars", std::move(vars)}};
  }

  void inputs() {
    list("inputs", [&] {
      std::size_t index = 0;
      for (const Catalog* catalog : inputs_.all()) {
        const auto* digests = report_.executed ? &report_.executed->input_table_digests : nullptr;
        const std::string root = catalog->containers.empty() ? "" : catalog->containers[0].path;
        item({{"role", index < inputs_.sources.size() ? "source" : "target"},
              {"alias", text_or_null(catalog->alias)},
              {"path", path_or_null(catalog->path)},
              {"format", text(catalog->format)},
              {"root", text(root)},
              {"bytes", catalog->file_bytes},
              {"tensors", catalog->tensors.size()},
              {"values", catalog->has_values},
              {"metadata_digest", hex_or_null(catalog->metadata_digest)},
              {"digest",
               digests && index < digests->size() ? hex_or_null((*digests)[index]) : Json()}});
        ++index;
      }
    });
  }

  Json evaluator() const {
    if (!report_.executed || !report_.executed->evaluator) return {};
    const EvaluatorInfo& info = *report_.executed->evaluator;
    return {{"library", text(info.library)}, {"cpu_capability", text(info.cpu_capability)}};
  }

  Json output() const {
    if (report_.output_path.empty()) return {};
    const Executed* executed = report_.executed;
    const Schedule* schedule = report_.schedule;
    return {{"path", path_or_null(report_.output_path)},
            {"format", schedule && schedule->format ? text(schedule->format->name()) : Json()},
            {"written", executed != nullptr},
            {"bytes", executed   ? Json(executed->output_bytes)
                      : schedule ? Json(schedule->layout.size)
                                 : Json()},
            {"digest", executed ? hex_or_null(executed->output_digest) : Json()},
            {"digest_kind", name(report_.digest)}};
  }

  void totals() {
    const Totals& totals = plan_.totals;
    Json decisions = Json::object();
    for (std::size_t i = 0; i < totals.decisions.size(); ++i)
      decisions[std::string(name(static_cast<Decision>(i)))] = tally(totals.decisions[i]);
    decisions["target"] = tally(totals.target);
    member("totals", decisions);
    Json dispositions = Json::object();
    for (std::size_t i = 0; i < totals.dispositions.size(); ++i)
      dispositions[std::string(name(static_cast<Disposition>(i)))] = tally(totals.dispositions[i]);
    dispositions["sources"] = tally(totals.sources);
    member("sources_totals", dispositions);
    const std::uint64_t part = totals.loaded_elements, whole = totals.target.parameters;
    double fraction = whole == 0 ? (plan_.complete ? 1.0 : 0.0)
                                 : static_cast<double>(part) / static_cast<double>(whole);
    if (part < whole) fraction = std::min(fraction, std::nextafter(1.0, 0.0));
    member("coverage", {{"elements_loaded", part}, {"elements", whole}, {"fraction", fraction}});
  }

  [[nodiscard]] const Tensor& tensor_of(const Load& load) const {
    const Catalog* catalog =
        load.input < inputs_.sources.size() ? inputs_.sources[load.input] : inputs_.target;
    return catalog->tensors[load.tensor];
  }

  Json source_names(const std::vector<Load>& loads) const {
    Json names = Json::array();
    for (const Load& load : loads) names.push_back(text(tensor_of(load).name));
    return names;
  }

  void tensors() {
    list("tensors", [&] {
      for (std::uint32_t i = 0; i < plan_.tensors.size(); ++i) item(tensor(i));
    });
  }

  Json tensor(std::uint32_t index) {
    const PlannedTensor& planned = plan_.tensors[index];
    const Tensor* source = planned.from.empty() ? nullptr : &tensor_of(planned.from.front());
    const Tensor* target = planned.target == kNone || !inputs_.target
                               ? nullptr
                               : &inputs_.target->tensors[planned.target];
    const std::uint32_t scheduled = scheduled_[index];
    const bool written = planned.expr && (!report_.schedule || scheduled != kNone);
    Json entry = Json::object();
    put_name(entry, planned.name);
    entry["status"] = name(planned.decision);
    entry["sources"] = source_names(planned.from);
    entry["source_shape"] = source ? Json(source->shape) : Json();
    entry["source_dtype"] = source ? Json(name(source->dtype)) : Json();
    entry["shape"] = written ? Json(planned.expr->shape) : Json();
    entry["dtype"] = written ? Json(name(planned.expr->dtype)) : Json();
    entry["target_shape"] = target ? Json(target->shape) : Json();
    entry["target_dtype"] = target ? Json(name(target->dtype)) : Json();
    entry["rules"] = steps(planned.step);
    entry["policy"] = policy(planned.policy_word, *planned.policy);
    entry["detail"] = text(scrub_(planned.detail));
    entry["tied_to"] = planned.tied_to ? text(*planned.tied_to) : Json();
    entry["untied"] = planned.untied;
    entry["lossy"] = planned.expr && planned.lossy;
    entry["copied"] = planned.expr ? copied(planned.copied) : Json();
    const auto* digests = report_.executed ? &report_.executed->tensor_digests : nullptr;
    entry["digest"] =
        digests && scheduled < digests->size() ? hex_or_null((*digests)[scheduled]) : Json();
    return entry;
  }

  static Json copied(const std::optional<CopiedRegion>& region) {
    if (!region) return {};
    const auto ranges = [&](const std::vector<std::int64_t>& starts) {
      Json pairs = Json::array();
      for (std::size_t i = 0; i < starts.size(); ++i)
        pairs.push_back(Json::array({starts[i], starts[i] + region->size[i]}));
      return pairs;
    };
    return {{"from", ranges(region->from)}, {"to", ranges(region->to)}};
  }

  Json steps(std::uint32_t last) {
    Json steps = Json::array();
    for (const std::uint32_t at : chains_.up_to(last)) {
      const Step& step = plan_.steps[at];
      const Rule& rule = program_.rules[step.rule];
      Json& entry = steps.emplace_back(Json::object());
      entry["rule"] = step.rule + 1;
      entry["entry"] = step.entry + 1;
      entry["id"] = text_or_null(rule.id);
      entry["file"] = used_file(rule);
      entry["line"] = line_or_null(rule.where.line);
      entry["verb"] = rule.verb->name();
      entry["from"] = text(step.from);
      entry["to"] = text(step.to);
    }
    return steps;
  }

  void unexpected() {
    list("unexpected", [&] {
      for (const UnexpectedResult& result : plan_.unexpected) {
        Json entry = Json::object();
        put_name(entry, result.name);
        entry["sources"] = source_names(result.from);
        entry["shape"] = result.shape;
        entry["dtype"] = name(result.dtype);
        entry["policy"] = policy(result.policy_word, *result.policy);
        item(entry);
      }
    });
  }

  void sources() {
    list("sources", [&] {
      for (std::size_t input = 0; input < plan_.sources.size(); ++input)
        for (std::size_t i = 0; i < plan_.sources[input].size(); ++i) {
          const SourceFate& fate = plan_.sources[input][i];
          const Tensor& tensor = inputs_.sources[input]->tensors[i];
          const Rule* rule = fate.rule == kNone ? nullptr : &program_.rules[fate.rule];
          Json entry = Json::object();
          entry["input"] = input;
          put_name(entry, tensor.name);
          entry["shape"] = tensor.shape;
          entry["dtype"] = name(tensor.dtype);
          entry["disposition"] = name(fate.disposition);
          entry["rule"] = rule ? Json(fate.rule + 1) : Json();
          entry["file"] = rule ? used_file(*rule) : Json();
          entry["line"] = rule ? line_or_null(rule->where.line) : Json();
          entry["policy"] = policy(fate.policy_word, *fate.policy);
          item(entry);
        }
    });
  }

  void rules() {
    list("rules", [&] {
      for (std::size_t i = 0; i < program_.rules.size(); ++i) {
        const Rule& rule = program_.rules[i];
        const RuleUse* use = i < plan_.rules.size() ? &plan_.rules[i] : nullptr;
        Json entries = Json::array();
        for (std::size_t j = 0; j < rule.entries.size(); ++j) {
          const RuleEntry& entry = rule.entries[j];
          entries.push_back({{"pattern", text(entry.pattern.text())},
                             {"exact", entry.pattern.is_literal()},
                             {"line", line_or_null(entry.where.line)},
                             {"matches", use && j < use->entries.size() ? use->entries[j] : 0}});
        }
        item({{"rule", i + 1},
              {"id", text_or_null(rule.id)},
              {"verb", rule.verb->name()},
              {"file", used_file(rule)},
              {"line", line_or_null(rule.where.line)},
              {"matches", use ? use->matches : 0},
              {"entries", std::move(entries)}});
      }
    });
  }

  void extras() {
    list("extras", [&] {
      for (const ExtraFate& fate : plan_.extras) {
        const Extra& extra = inputs_.sources[fate.input]->extras[fate.extra];
        Json entry = {{"input", fate.input},
                      {"path", text(extra.path)},
                      {"summary", text(extra.summary)},
                      {"policy", fate.word},
                      {"kept", fate.kept()}};
        if (!fate.left_out.empty()) entry["left_out"] = text(fate.left_out);
        item(entry);
      }
    });
  }

  void remarks() {
    list("remarks", [&] {
      for (const Catalog* catalog : inputs_.all())
        for (const std::string& remark : catalog->remarks)
          item(text(shown_path(catalog->path) + ": " + scrub_(remark)));
      if (report_.schedule)
        for (const std::string& remark : report_.schedule->remarks) item(text(scrub_(remark)));
    });
  }

  static void put_place(Json& entry, const Location& where) {
    entry["file"] = path_or_null(where.path());
    entry["line"] = line_or_null(where.line);
    entry["column"] = where.line > 0 ? line_or_null(where.column) : Json();
    entry["offset"] = where.offset ? Json(*where.offset) : Json();
    entry["key"] = text_or_null(where.key);
  }

  void diagnostics() {
    list("diagnostics", [&] {
      if (!report_.diagnostics) return;
      for (const Diagnostic& diagnostic : report_.diagnostics->items()) {
        Json entry = Json::object();
        entry["code"] = info(diagnostic.code).name;
        entry["severity"] = diagnostic.severity == Severity::error ? "error" : "warning";
        put_place(entry, diagnostic.where);
        entry["message"] = text(scrub_(diagnostic.message));
        entry["hint"] = text_or_null(scrub_(diagnostic.hint));
        entry["notes"] = Json::array();
        for (const Note& note : diagnostic.notes) {
          Json inner = Json::object();
          put_place(inner, note.where);
          inner["message"] = text(scrub_(note.message));
          entry["notes"].push_back(std::move(inner));
        }
        item(entry);
      }
    });
  }

  const Program no_program_;
  const Inputs no_inputs_;
  const Plan no_plan_;
  const Report& report_;
  const Program& program_;
  const Inputs& inputs_;
  const Plan& plan_;
  StepChains chains_;
  PathScrubber scrub_;
  std::vector<std::uint32_t> scheduled_;  // by planned tensor: index into Schedule::tensors
  std::string out_;
  bool first_item_ = true;
};

}  // namespace

std::string to_json(const Report& report) { return JsonReport(report).write(); }

}  // namespace regraft
