// The report as one page, made from the JSON and nothing else.
#include <cassert>
#include <kainjow/mustache.hpp>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "report/group.h"
#include "report/html_template.h"
#include "report/report.h"

namespace regraft {
namespace {

using Json = nlohmann::ordered_json;
using kainjow::mustache::data;
using kainjow::mustache::mustache;

// Any value as text that is safe on a screen; null is nothing. The templates escape it.
std::string shown(const Json& json) {
  if (json.is_null()) return "";
  return printable(json.is_string() ? json.get_ref<const std::string&>()
                                    : json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::string joined(const Json& names) {
  std::string out;
  for (const Json& name : names) out += (out.empty() ? "" : ", ") + shown(name);
  return out;
}

// `spec.yaml:38`
std::string place(const Json& json) {
  std::string out = shown(json["file"]);
  if (!json["line"].is_null()) out += ":" + shown(json["line"]);
  if (!json["column"].is_null()) out += ":" + shown(json["column"]);
  if (!json["offset"].is_null()) out += " at offset " + shown(json["offset"]);
  if (!json["key"].is_null()) out += " in " + shown(json["key"]);
  return out;
}

std::string policy_text(const Json& policy) {
  if (policy.is_null()) return "";
  return shown(policy["word"]) +
         (policy["line"].is_null() ? "" : " (line " + shown(policy["line"]) + ")");
}

// A YAML text between quotes, as a person would paste it.
std::string quoted_yaml(const Json& json) {
  std::string out = "'";
  for (const char c : shown(json)) out += c == '\'' ? "''" : std::string(1, c);
  return out + "'";
}

data object(std::initializer_list<std::pair<const char*, std::string>> members) {
  data object;
  for (const auto& [key, value] : members) object.set(key, value);
  return object;
}

class Page {
 public:
  explicit Page(const Json& report) : report_(report) {}

  std::string write() {
    data page;
    const Json& spec = report_["spec"];
    page.set("title", spec["name"].is_null() ? "migration" : shown(spec["name"]));
    page.set("subtitle", subtitle());
    page.set("verdict", shown(report_["verdict"]));
    page.set("version", shown(report_["engine"]["version"]));
    if (!spec["fingerprint"].is_null()) page.set("fingerprint", shown(spec["fingerprint"]));
    page.set("tiles", tiles());
    page.set("files", files());
    page.set("tensors", by_status(report_["tensors"], "status"));
    page.set("sources", by_status(report_["sources"], "disposition"));
    if (!report_["unexpected"].empty())
      page.set("unexpected", by_status(report_["unexpected"], nullptr));
    page.set("has_unexpected", !report_["unexpected"].empty());
    section(page, "diagnostics", diagnostics());
    section(page, "suggestions", suggestions());
    section(page, "rules", rules());
    section(page, "extras", extras());
    section(page, "remarks", remarks());
    section(page, "vars", vars());
    return mustache(kPageTemplate).render(page);
  }

 private:
  static void section(data& page, const std::string& name, const data& list) {
    page.set("has_" + name, list.is_non_empty_list());
    page.set(name, list);
  }

  std::string subtitle() const {
    const Json& spec = report_["spec"];
    std::string out = shown(spec["revises"]);
    if (!out.empty() && !spec["revision"].is_null()) out += " \xE2\x86\x92 ";
    out += shown(spec["revision"]);
    if (!spec["path"].is_null()) out += (out.empty() ? "" : ", ") + shown(spec["path"]);
    if (!report_["complete"].get<bool>())
      out += (out.empty() ? "" : ", ") + std::string("no complete plan");
    return out;
  }

  data tiles() const {
    data list(data::type::list);
    const Json& coverage = report_["coverage"];
    const auto tenths = static_cast<std::uint64_t>(coverage["fraction"].get<double>() * 1000);
    list << object(
        {{"number", std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + "%"},
         {"label", "of all elements loaded"},
         {"class", ""}});
    for (const auto& [status, tally] : report_["totals"].items())
      if (status != "target" && tally["tensors"] != 0)
        list << object({{"number", shown(tally["tensors"])}, {"label", status}, {"class", status}});
    if (const Json& tally = report_["sources_totals"]["dropped"]; tally["tensors"] != 0)
      list << object(
          {{"number", shown(tally["tensors"])}, {"label", "dropped"}, {"class", "dropped"}});
    return list;
  }

  data files() const {
    data list(data::type::list);
    for (const Json& input : report_["inputs"])
      list << object({{"role", shown(input["role"])},
                      {"path", shown(input["path"])},
                      {"format", shown(input["format"])},
                      {"bytes", shown(input["bytes"])},
                      {"tensors", shown(input["tensors"])},
                      {"digest", shown(input["digest"])}});
    if (const Json& output = report_["output"]; !output.is_null())
      list << object({{"role", output["written"].get<bool>() ? "output" : "output, not written"},
                      {"path", shown(output["path"])},
                      {"format", shown(output["format"])},
                      {"bytes", shown(output["bytes"])},
                      {"digest", shown(output["digest"])}});
    return list;
  }

  // Entries by status, in the order in which statuses first stand there, each in groups of names of
  // which the same is said.
  std::string by_status(const Json& entries, const char* key) {
    std::vector<std::pair<std::string, std::vector<const Json*>>> statuses;
    std::unordered_map<std::string, std::size_t> places;
    for (const Json& entry : entries) {
      std::string status = key ? entry[key].get<std::string>() : "";
      const auto [at, fresh] = places.try_emplace(status, statuses.size());
      if (fresh) statuses.push_back({status, {}});
      statuses[at->second].second.push_back(&entry);
    }
    std::string out;
    for (const auto& [status, members] : statuses) {
      if (key)
        out +=
            status_.render(object({{"status", status}, {"count", std::to_string(members.size())}}));
      out += groups(members);
    }
    return out.empty() ? "<p class=\"soft\">none</p>\n" : out;
  }

  std::string groups(const std::vector<const Json*>& entries) {
    std::vector<std::pair<std::string, std::vector<const Json*>>> buckets;
    std::unordered_map<std::string, std::size_t> places;
    for (const Json* entry : entries) {
      std::string said = said_of(*entry);
      const auto [at, fresh] = places.try_emplace(said, buckets.size());
      if (fresh) buckets.push_back({said, {}});
      buckets[at->second].second.push_back(entry);
    }
    std::string out;
    for (const auto& [said, members] : buckets) {
      std::vector<std::string_view> names;
      for (const Json* entry : members)
        names.push_back((*entry)["name"].get_ref<const std::string&>());
      for (const NameGroup& group : group_names(names)) {
        std::string rows;
        for (const std::uint32_t member : group.members) rows += row(*members[member]);
        const std::size_t count = group.members.size();
        out += group_.render(
            object({{"pattern", printable(count == 1 ? names[group.members[0]] : group.pattern)},
                    {"count", count == 1 ? "" : std::to_string(count) + " tensors"},
                    {"said", said},
                    {"head", kTensorHead},
                    {"rows", rows}}));
      }
    }
    return out;
  }

  // "[0:4, 2:5]"
  static std::string ranges(const Json& pairs) {
    std::string out;
    for (const Json& pair : pairs)
      out += (out.empty() ? "" : ", ") + shown(pair[0]) + ":" + shown(pair[1]);
    return "[" + out + "]";
  }

  // What has to agree in a group.
  static std::string said_of(const Json& entry) {
    std::string out;
    const auto add = [&](const std::string& part) {
      if (!part.empty()) out += (out.empty() ? "" : ", ") + part;
    };
    if (const Json& shape = entry["shape"]; !shape.is_null())
      add(shown(entry["dtype"]) + " " + shown(shape));
    if (entry.contains("target_shape") && entry["target_shape"] != entry["shape"] &&
        !entry["target_shape"].is_null())
      add("target " + shown(entry["target_dtype"]) + " " + shown(entry["target_shape"]));
    if (entry.contains("detail")) add(shown(entry["detail"]));
    if (entry.contains("rule") && !entry["rule"].is_null()) add("rule " + shown(entry["rule"]));
    add(policy_text(entry["policy"]));
    if (entry.contains("untied") && entry["untied"] == true) add("untied");
    if (entry.contains("lossy") && entry["lossy"] == true) add("lossy");
    if (entry.contains("copied") && !entry["copied"].is_null())
      add("copied " + ranges(entry["copied"]["from"]) + " to " + ranges(entry["copied"]["to"]));
    return out;
  }

  // Not a template: there are as many rows as tensors, and a template copies every cell.
  static std::string row(const Json& entry) {
    std::string rules;
    if (entry.contains("rules")) {
      for (const Json& rule : entry["rules"])
        rules += (rules.empty() ? "" : ", ") + shown(rule["rule"]) + " " + shown(rule["verb"]);
    } else if (entry.contains("rule")) {
      rules = shown(entry["rule"]);
    }
    std::string out = "<tr>";
    const auto cell = [&](std::string_view kind, const std::string& text) {
      out.append("<td").append(kind).append(">").append(kainjow::mustache::html_escape(text));
      out.append("</td>");
    };
    constexpr std::string_view kName = " class=\"name\"";
    cell(kName, shown(entry["name"]));
    cell("", shown(entry["dtype"]));
    cell("", shown(entry["shape"]));
    cell(kName, entry.contains("sources") ? joined(entry["sources"]) : "");
    cell("", rules);
    cell(kName, entry.contains("digest") ? shown(entry["digest"]) : "");
    return out + "</tr>\n";
  }

  data diagnostics() const {
    data list(data::type::list);
    for (const Json& diagnostic : report_["diagnostics"]) {
      data one = object({{"severity", shown(diagnostic["severity"])},
                         {"code", shown(diagnostic["code"])},
                         {"place", place(diagnostic)},
                         {"message", shown(diagnostic["message"])}});
      // A section is looked up outwards, so `false` is said.
      if (diagnostic["hint"].is_null())
        one.set("hint", false);
      else
        one.set("hint", hint(diagnostic["hint"].get_ref<const std::string&>()));
      data notes(data::type::list);
      for (const Json& note : diagnostic["notes"])
        notes << object({{"place", place(note)}, {"message", shown(note["message"])}});
      one.set("notes", notes);
      list << one;
    }
    return list;
  }

  // Hints may have several lines.
  static std::string hint(std::string_view text) {
    std::string out;
    while (true) {
      const std::size_t end = text.find('\n');
      out += printable(text.substr(0, end));
      if (end == std::string_view::npos) return out;
      out += '\n';
      text.remove_prefix(end + 1);
    }
  }

  data suggestions() const {
    data list(data::type::list);
    for (const Json& one : report_["suggestions"])
      list << object({{"pattern", quoted_yaml(one["pattern"])}, {"to", quoted_yaml(one["to"])}});
    return list;
  }

  data rules() const {
    data list(data::type::list);
    for (const Json& rule : report_["rules"]) {
      bool first = true;
      for (const Json& entry : rule["entries"]) {
        std::string number =
            shown(rule["rule"]) + (rule["id"].is_null() ? "" : " " + shown(rule["id"]));
        list << object({{"rule", first ? number : ""},
                        {"verb", first ? shown(rule["verb"]) : ""},
                        {"line", (rule["file"].is_null() ? "" : shown(rule["file"]) + ":") +
                                     shown(entry["line"])},
                        {"pattern", shown(entry["pattern"])},
                        {"matches", shown(entry["matches"])},
                        {"class", entry["matches"] == 0 ? "warning" : ""}});
        first = false;
      }
    }
    return list;
  }

  data extras() const {
    data list(data::type::list);
    for (const Json& extra : report_["extras"])
      list << object(
          {{"path", shown(extra["path"])},
           {"summary", shown(extra["summary"])},
           {"policy", extra.contains("left_out") ? "left out: " + shown(extra["left_out"])
                                                 : shown(extra["policy"])}});
    return list;
  }

  data remarks() const {
    data list(data::type::list);
    for (const Json& remark : report_["remarks"]) list << object({{"text", shown(remark)}});
    for (const Json& name : report_["left_out"])
      list << object(
          {{"text", "left out: " + shown(name) + " is tied, and only the first name is written"}});
    return list;
  }

  data vars() const {
    data list(data::type::list);
    for (const auto& [name, value] : report_["spec"]["vars"].items())
      list << object({{"name", printable(name)}, {"value", shown(value)}});
    return list;
  }

  const Json& report_;
  mustache status_{kStatusTemplate}, group_{kGroupTemplate};  // parsed once
};

}  // namespace

std::string to_html(std::string_view report_json) {
  const Json report = Json::parse(report_json, nullptr, false);
  assert(!report.is_discarded() && "it is what to_json() wrote");
  return Page(report).write();
}

}  // namespace regraft
