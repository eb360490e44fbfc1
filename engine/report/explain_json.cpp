// An explanation for a program: what the text says, in the words of the JSON report.
#include <array>
#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "report/explain.h"
#include "report/facts.h"

namespace regraft {
namespace {

using Json = nlohmann::ordered_json;
using Step = Explanation::Step;
using End = Explanation::End;
using Telling = Explanation::Telling;

constexpr std::array<std::string_view, 5> kRoles = {"source", "target", "output", "result",
                                                    "between"};
constexpr std::array<std::string_view, 7> kKinds = {"takes", "failed",  "unless", "where",
                                                    "when",  "outside", "passes"};
constexpr std::array<std::string_view, 5> kPolicies = {"missing", "unexpected", "shape", "dtype",
                                                       "extras"};

// Names are bytes and JSON is text: what is no UTF-8 is escaped, and name_bytes has the bytes.
Json text(std::string_view bytes) {
  return find_invalid_utf8(bytes) == std::string_view::npos ? std::string(bytes) : printable(bytes);
}
Json text_or_null(std::string_view bytes) { return bytes.empty() ? Json() : text(bytes); }

void put_name(Json& entry, std::string_view name) {
  entry["name"] = text(name);
  if (find_invalid_utf8(name) != std::string_view::npos) entry["name_bytes"] = hex(name);
}

Json texts(const std::vector<std::string>& names) {
  Json list = Json::array();
  for (const std::string& name : names) list.push_back(text(name));
  return list;
}

template <typename T, typename ToJson>
Json list_of(const std::vector<T>& items, ToJson to_json_of) {
  Json list = Json::array();
  for (const T& item : items) list.push_back(to_json_of(item));
  return list;
}

void put_place(Json& entry, const Location& where) {
  entry["file"] = where.known() ? text(shown_path(where.path())) : Json();
  entry["line"] = where.line > 0 ? Json(where.line) : Json();
}

Json tensor(const Explanation::Tensor& tensor) {
  Json entry = Json::object();
  put_name(entry, tensor.name);
  entry["dtype"] = name(tensor.dtype);
  entry["shape"] = tensor.shape;
  entry["file"] = text_or_null(tensor.file);
  if (!tensor.below.empty()) entry["root"] = text(tensor.below);
  if (!tensor.unsupported.empty()) entry["unsupported"] = text(tensor.unsupported);
  if (!tensor.fate.empty()) entry["fate"] = text(tensor.fate);
  return entry;
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Lists of objects with an item a line, and the `open` outer objects with a member a line.
std::string lines(const Json& json, int open, const std::string& indent) {
  const bool list = json.is_array() && !json.empty() && json.front().is_object();
  if (!list && (!json.is_object() || open == 0)) return dump(json);
  const std::string inner = indent + "  ";
  std::string out = list ? "[" : "{";
  for (const auto& [key, item] : json.items())
    out.append(out.size() == 1 ? "\n" : ",\n")
        .append(inner)
        .append(list ? "" : dump(Json(key)) + ": ")
        .append(lines(item, list ? open : open - 1, inner));
  return out + "\n" + indent + (list ? "]" : "}");
}

class JsonExplanation {
 public:
  explicit JsonExplanation(const Explanation& explanation) : explanation_(explanation) {}

  std::string write() const {
    Json json = Json::object();
    json["regraft_explanation"] = 1;
    put_name(json, explanation_.name);
    json["complete"] = explanation_.complete;
    json["found"] =
        list_of(explanation_.tellings, [&](const Telling& one) { return telling(one); });
    return lines(json, 2, "") + "\n";
  }

 private:
  [[nodiscard]] Json telling(const Telling& one) const {
    Json entry = Json::object();
    entry["role"] = kRoles[static_cast<std::size_t>(one.role)];
    entry.update(tensor(one.tensor));
    entry["tied"] = texts(one.tied);
    entry["sources"] = list_of(one.sources, tensor);
    entry["rules"] = list_of(one.steps, [&](const Step& each) { return step(each); });
    entry["ends"] = list_of(one.ends, end);
    entry["near"] = list_of(one.near, tensor);
    entry["same_shape"] = list_of(one.same_shape, tensor);
    entry["same_shape_count"] = one.same_shape_count;
    return entry;
  }

  [[nodiscard]] Json step(const Step& step) const {
    const Rule& rule = explanation_.program->rules[step.rule];
    Json entry = Json::object();
    entry["rule"] = step.rule + 1;
    entry["id"] = text_or_null(rule.id);
    put_place(entry, rule.where);
    entry["verb"] = rule.verb->name();
    entry["outcome"] = kKinds[static_cast<std::size_t>(step.kind)];
    entry["from"] = texts(step.from);
    entry["to"] = texts(step.to);
    entry["stays"] = step.stays;
    entry["pattern"] = Json();
    if (step.entry) {
      Json pattern = Json::object();
      pattern["text"] = text(step.entry->pattern.text());
      pattern["exact"] = step.entry->pattern.is_literal();
      put_place(pattern, step.entry->where);
      entry["pattern"] = std::move(pattern);
    }
    entry["reason"] = text_or_null(step.reason);
    return entry;
  }

  static Json end(const End& end) {
    Json entry = Json::object();
    entry["status"] = end.status;
    put_name(entry, end.name);
    entry["file"] = text_or_null(end.file);
    entry["dtype"] = end.dtype ? Json(name(*end.dtype)) : Json();
    entry["shape"] = end.dtype ? Json(end.shape) : Json();
    entry["result_dtype"] = end.result_dtype ? Json(name(*end.result_dtype)) : Json();
    entry["result_shape"] = end.result_dtype ? Json(end.result_shape) : Json();
    entry["rule"] = end.rule == kNone ? Json() : Json(end.rule + 1);
    entry["policies"] = list_of(end.policies, [](const auto& one) {
      Json policy = Json::object();
      policy["policy"] = kPolicies[static_cast<std::size_t>(one.first)];
      policy["word"] = one.second->word;
      put_place(policy, one.second->where);
      return policy;
    });
    entry["detail"] = text(end.text);
    entry["tied_to"] = end.tied_to ? text(*end.tied_to) : Json();
    entry["untied"] = end.untied;
    entry["lossy"] = end.lossy;
    entry["copied"] = end.copied ? Json{{"from", ranges(end.copied->from, *end.copied)},
                                        {"to", ranges(end.copied->to, *end.copied)}}
                                 : Json();
    entry["expression"] = text_or_null(end.expression);
    entry["broken_promises"] = list_of(end.broken, [](const auto& one) {
      Json promise = Json::object();
      promise["promise"] = one.first;
      put_place(promise, one.second);
      return promise;
    });
    entry["code"] = end.code ? Json(info(*end.code).name) : Json();
    entry["where"] = Json();
    if (end.where.known()) put_place(entry["where"], end.where);
    entry["hint"] = text_or_null(end.hint);
    entry["notes"] = list_of(end.notes, [](const Note& note) { return text(note.message); });
    entry["suggestions"] = list_of(end.suggestions, [](const Suggestion& one) {
      return Json{{"pattern", text(one.pattern)}, {"to", text(one.to)}, {"tensors", one.tensors}};
    });
    return entry;
  }

  static Json ranges(const std::vector<std::int64_t>& starts, const CopiedRegion& region) {
    Json ranges = Json::array();
    for (std::size_t i = 0; i < starts.size(); ++i)
      ranges.push_back(Json::array({starts[i], starts[i] + region.size[i]}));
    return ranges;
  }

  const Explanation& explanation_;
};

}  // namespace

std::string to_json(const Explanation& explanation) { return JsonExplanation(explanation).write(); }

}  // namespace regraft
