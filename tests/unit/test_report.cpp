// The writers of the report, over plans that are put together here.
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "base/version.h"
#include "catch.h"
#include "report/report.h"
#include "text/yaml.h"
#include "verbs/verbs.h"

namespace regraft {
namespace {

using Json = nlohmann::ordered_json;

SourceTextPtr spec_text() {
  static const auto text =
      std::make_shared<const SourceText>(SourceText{"spec.yaml", "regraft: 1\n"});
  return text;
}
Location line(int number) { return {.text = spec_text(), .line = number, .column = 5}; }
// The same, to point to.
const Location* at_line(int number) {
  static std::map<int, Location> lines;
  return &lines.try_emplace(number, line(number)).first->second;
}

Tensor tensor(std::string name, Shape shape, DType dtype = DType::float32) {
  Tensor tensor;
  tensor.name = std::move(name);
  tensor.dtype = dtype;
  tensor.strides = contiguous_strides(shape);
  tensor.shape = std::move(shape);
  return tensor;
}

Rule rule(const Verb& verb, int at, std::vector<std::string> patterns) {
  Rule rule;
  rule.verb = &verb;
  rule.where = line(at);
  Diagnostics none;
  for (std::string& pattern : patterns)
    rule.entries.push_back({*Pattern::compile(std::move(pattern), {}, none), line(at++)});
  return rule;
}

// A run of everything that the report's text shows on the design page, on a small scale.
struct Run {
  Program program;
  Catalog source, target;
  Inputs inputs;
  Plan plan;
  Diagnostics diagnostics;
  Schedule schedule;
  Executed executed;
  std::string spec_path = "spec.yaml", output_path = "new.safetensors";
  bool has_executed = false;

  Run() {
    program.name = "small";
    program.revises = "v2";
    program.revision = "v3";
    program.fingerprint = std::string(64, 'f');
    program.text = spec_text();
    program.variables["heads"].value = Value{std::int64_t{6}};
    program.variables["later"];
    program.rules.push_back(rule(drop_verb(), 12, {"ids$", "^not there$"}));
    program.rules.push_back(rule(rename_verb(), 14, {"^module\\.", "^unused\\."}));
    program.rules[1].table = true;
    program.rules[1].id = "strip";
    source.path = "old.pt";
    source.format = "torch-zip";
    source.file_bytes = 4096;
    source.metadata_digest = std::string(32, '\x01');
    source.remarks = {"no CRC stated for 3 records"};
    source.containers.push_back({.path = "state_dict"});
    source.tensors = {tensor("module.conv.weight", {16, 3}), tensor("blocks.0.gamma_1", {4}),
                      tensor("blocks.2.gamma_1", {4}),       tensor("head.weight", {1000, 8}),
                      tensor("head.bias", {1000}),           tensor("ids", {8}, DType::int64)};
    target.path = "model.yaml";
    target.format = "schema";
    target.tensors = {tensor("conv.weight", {16, 3}), tensor("blocks.0.ls1.gamma", {4}),
                      tensor("blocks.2.ls1.gamma", {4}), tensor("head.weight", {10, 8}),
                      tensor("head.bias", {10})};
    target.has_values = true;
    inputs.sources = {&source};
    inputs.target = &target;

    plan.has_target = plan.complete = true;
    plan.steps.push_back({1, 0, "module.conv.weight", "conv.weight", {}});
    plan.rules = {{1, {1, 0}}, {1, {1, 0}}};
    add_loaded();
    for (const std::uint32_t index : {1u, 2u}) {
      PlannedTensor missing;
      missing.name = target.tensors[index].name;
      missing.target = index;
      missing.policy_word = "error";
      plan.tensors.push_back(std::move(missing));
      plan.unexpected.push_back(
          {source.tensors[index].name, DType::float32, {4}, {{0, index}}, "error", at_line(25)});
    }
    add_skipped(3, "[1000, 8] against [10, 8]: target's own values");
    add_skipped(4, "[1000] against [10]: target's own values");
    plan.sources = {std::vector<SourceFate>(6)};
    plan.sources[0][0] = {Disposition::used, kNone, {}};
    plan.sources[0][3] = plan.sources[0][4] = {Disposition::skipped, kNone, "skip", at_line(43)};
    plan.sources[0][5] = {Disposition::dropped, 0, {}};
    plan.suggestions = {{"\\.gamma_1$", ".ls1.gamma", 2}};
    plan.totals.decisions[static_cast<std::size_t>(Decision::loaded)] = {1, 48, 192};
    plan.totals.target = {5, 146, 584};
    plan.totals.loaded_elements = 48;
    diagnostics.add(
        error(Code::missing_tensor, line(20), "missing: 2 tensors", "add `missing: keep`"));
    diagnostics.add(error(Code::unexpected_tensor, line(25), "unexpected: 2 tensors"));
    diagnostics.add(warning(Code::unused_rule, line(15), "'^unused\\.' of rule 2 matches nothing"));
  }
  Run(const Run&) = delete;

  void add_loaded() {
    PlannedTensor loaded;
    loaded.name = "conv.weight";
    loaded.decision = Decision::loaded;
    loaded.expr = load(0, 0, source.tensors[0]);
    loaded.target = 0;
    loaded.step = 0;
    loaded.from = {{0, 0}};
    loaded.result_dtype = DType::float32;
    loaded.result_shape = {16, 3};
    plan.tensors.push_back(std::move(loaded));
  }

  void add_skipped(std::uint32_t index, std::string detail) {
    PlannedTensor skipped;
    skipped.name = target.tensors[index].name;
    skipped.decision = Decision::skipped;
    skipped.expr = load(1, index, target.tensors[index]);
    skipped.target = index;
    skipped.from = {{0, index}};
    skipped.result_dtype = DType::float32;
    skipped.result_shape = source.tensors[index].shape;
    skipped.policy_word = "skip";
    skipped.policy = at_line(43);
    skipped.detail = std::move(detail);
    plan.tensors.push_back(std::move(skipped));
  }

  // Everything that is not allowed is gone.
  void allow() {
    plan.tensors.erase(plan.tensors.begin() + 1, plan.tensors.begin() + 3);
    plan.unexpected.clear();
    plan.suggestions.clear();
    diagnostics = {};
  }

  void execute() {
    schedule.format = &safetensors_format();
    schedule.layout.size = 1'234'567;
    schedule.tensors.push_back({source.tensors[0], 0});
    executed.output_bytes = 1'234'567;
    executed.tensor_digests = {std::string(16, '\x02')};
    executed.output_digest = std::string(16, '\x03');
    executed.input_table_digests = {std::string(16, '\x04'), ""};
    has_executed = true;
  }

  Report report() const {
    Report report;
    report.program = &program;
    report.inputs = &inputs;
    report.plan = &plan;
    report.schedule = has_executed ? &schedule : nullptr;
    report.executed = has_executed ? &executed : nullptr;
    report.diagnostics = &diagnostics;
    report.spec_path = spec_path;
    report.output_path = output_path;
    report.digest = DigestKind::xxh3;
    return report;
  }
};

constexpr std::string_view kRefusedReport =
    R"(small v2 -> v3   old.pt -> new.safetensors

 loaded          1 tensor    48 of 146 parameters (32.8%)
 skipped         2           head.{weight,bias}  [1000, ...] against [10, ...]:         spec.yaml:43
                             target's own values
 missing         2           blocks.{0,2}.ls1.gamma                                     NOT ALLOWED
 unexpected      2           blocks.{0,2}.gamma_1                                       NOT ALLOWED
     same shapes and count; try   - rename: '\.gamma_1$'
                                    to: '.ls1.gamma'
 dropped         1           rule 1                                                     spec.yaml:12
 unused          1           '^unused\.' of rule 2 matches nothing                      spec.yaml:15
 remarks         1           old.pt: no CRC stated for 3 records

failed: 2 missing and 2 unexpected tensors are not allowed by the policy; nothing was written
)";

TEST_CASE("the text report shows each status once, with groups, places and a suggestion") {
  const Run run;
  CHECK(to_text(run.report(), {}) == kRefusedReport);
}

TEST_CASE("the last line of the text report says what happened") {
  const auto last = [](const Run& run) {
    std::string text = to_text(run.report(), {});
    text.pop_back();
    return text.substr(text.rfind('\n') + 1);
  };
  Run run;
  run.allow();
  CHECK(last(run) == "ok: nothing was written");
  run.execute();
  CHECK(last(run) ==
        "ok: wrote new.safetensors, 1.2 MB, xxh3-128 03030303030303030303030303030303");
  run.diagnostics.add(error(Code::expect_unmet, {}, "broken"));
  // A report file that cannot be written, for instance: the output is there.
  CHECK(last(run) == "failed: 1 error; new.safetensors is written");
  Run refused;
  refused.allow();
  refused.diagnostics.add(error(Code::expect_unmet, {}, "broken"));
  CHECK(last(refused) == "failed: 1 error; nothing was written");
  refused.plan.complete = false;
  CHECK(last(refused) ==
        "failed: the rules cannot run on this source (1 error), so the target was not consulted; "
        "nothing was written");
  Report early;
  early.diagnostics = &run.diagnostics;
  CHECK(to_text(early, {}) == "failed: the spec cannot be used (1 error); nothing was written\n");
  early.program = &run.program;
  CHECK(to_text(early, {}) ==
        "small v2 -> v3\n\nfailed: the inputs cannot be read (1 error); nothing was written\n");
}

TEST_CASE("colours only where they are asked for") {
  const Run run;
  CHECK(to_text(run.report(), {}).find('\x1b') == std::string::npos);
  const std::string text = to_text(run.report(), {.color = true});
  CHECK(text.find("\x1b[1;31mNOT ALLOWED\x1b[m") != std::string::npos);
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b')
      i = text.find('m', i);
    else
      plain += text[i];
  }
  CHECK(plain == kRefusedReport);
}

TEST_CASE("verbose lists every name") {
  const Run run;
  const std::string text = to_text(run.report(), {.verbose = true});
  CHECK(text.find("\n      conv.weight  [16, 3] float32  from module.conv.weight\n") !=
        std::string::npos);
  CHECK(text.find("\n      blocks.2.ls1.gamma  [4] float32\n") != std::string::npos);
  CHECK(text.find("\n      ids  [8] int64\n") != std::string::npos);
}

TEST_CASE("lines of the text report are as wide as the terminal") {
  Run run;
  for (int i = 0; i < 60; ++i)
    run.add_skipped(
        3, "[1000, 8] against [10, 8]: reason " + std::string(static_cast<std::size_t>(i), 'x'));
  run.plan.suggestions.clear();  // never wrapped: they are there to be pasted
  for (const int width : {40, 60, 80, 100, 200}) {
    for (const bool verbose : {false, true}) {
      const std::string text = to_text(run.report(), {.verbose = verbose, .width = width});
      const std::string rows = text.substr(0, text.rfind("\nfailed"));
      std::size_t begin = rows.find("\n\n") + 2;
      for (std::size_t end; begin < rows.size(); begin = end + 1) {
        end = std::min(rows.find('\n', begin), rows.size());
        CHECK(end - begin <= static_cast<std::size_t>(width));
      }
      CHECK((text.find("more (--verbose lists all)") != std::string::npos) == !verbose);
    }
  }
}

TEST_CASE("what the text report does not list, it counts") {
  Run run;
  for (int i = 0; i < 40; ++i)
    run.add_skipped(3, "[1000, 8] against [10, 8]: reason " + std::to_string(i));
  // One line for head.{weight,bias} and ten of the forty.
  CHECK(to_text(run.report(), {}).find("and 30 more (--verbose lists all)") != std::string::npos);
  CHECK(to_text(run.report(), {}).find(" skipped        42 ") != std::string::npos);
}

TEST_CASE("coverage is cut, never rounded up") {
  Run run;
  const auto coverage = [&](std::uint64_t part, std::uint64_t whole) {
    run.plan.totals.loaded_elements = part;
    run.plan.totals.target.parameters = whole;
    const std::string text = to_text(run.report(), {});
    const std::size_t begin = text.find('(');
    const Json json = Json::parse(to_json(run.report()));
    CHECK((json["coverage"]["fraction"] == 1.0) == (part == whole));
    return text.substr(begin + 1, text.find(')') - begin - 1);
  };
  CHECK(coverage(22'099'999'999, 22'100'000'000) == "99.9%");
  CHECK(coverage(22'100'000'000, 22'100'000'000) == "100.0%");
  CHECK(coverage(1, 22'100'000'000) == "<0.1%");
  CHECK(coverage(0, 22'100'000'000) == "0.0%");
  CHECK(coverage(0, 0) == "100.0%");
  CHECK(coverage((1ull << 62) - 1, 1ull << 62) == "99.9%");
}

TEST_CASE("a suggestion is YAML that reads back") {
  Run run;
  run.plan.suggestions = {{"^it's\\.", "x: #'y'", 2}, {"second", "", 1}};
  const std::string text = to_text(run.report(), {});
  const std::size_t begin = text.find("- rename");
  const std::size_t end = text.find("\n dropped");
  std::string pasted = std::string(begin - text.rfind('\n', begin) - 1, ' ') +
                       text.substr(begin, end - begin) + "\n";
  Diagnostics diagnostics;
  const auto node = yaml::parse(std::make_shared<SourceText>(SourceText{"", pasted}), diagnostics);
  REQUIRE(node);
  CHECK(!diagnostics.has_errors());
  REQUIRE(node->items.size() == 2);
  CHECK(node->items[0].find("rename")->text == "^it's\\.");
  CHECK(node->items[0].find("to")->text == "x: #'y'");
  CHECK(node->items[1].find("to")->text == "");
}

TEST_CASE("untrusted names do nothing to a terminal or a page") {
  Run run;
  run.target.tensors[3].name = "evil\x1b[2J\n<script>alert(1)</script>{{name}}";
  run.plan.tensors[3].name = run.target.tensors[3].name;
  const std::string text = to_text(run.report(), {.verbose = true});
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find("evil\\x1b[2J\\x0a<script>") != std::string::npos);
  const std::string html = to_html(to_json(run.report()));
  CHECK(html.find('\x1b') == std::string::npos);
  CHECK(html.find("<script") == std::string::npos);
  CHECK(html.find("&lt;script&gt;") != std::string::npos);
  CHECK(html.find("{{name}}") != std::string::npos);
}

TEST_CASE("the JSON report has the tensors, their way and their sources") {
  Run run;
  run.execute();
  const Json json = Json::parse(to_json(run.report()));
  CHECK(json["regraft_report"] == 1);
  CHECK(json["engine"] == Json{{"version", version()}, {"evaluator", nullptr}});
  CHECK(json["verdict"] == "failed");
  CHECK(json["spec"] == Json{{"path", "spec.yaml"},
                             {"name", "small"},
                             {"revision", "v3"},
                             {"revises", "v2"},
                             {"fingerprint", std::string(64, 'f')},
                             {"vars", {{"heads", 6}, {"later", nullptr}}}});
  CHECK(json["inputs"][0] ==
        Json::parse(R"({"role": "source", "alias": null, "path": "old.pt", "format": "torch-zip",
      "root": "state_dict", "bytes": 4096, "tensors": 6, "values": true,
      "metadata_digest": "0101010101010101010101010101010101010101010101010101010101010101",
      "digest": "04040404040404040404040404040404"})"));
  CHECK(json["inputs"][1]["role"] == "target");
  CHECK(json["inputs"][1]["digest"] == nullptr);
  CHECK(json["output"] ==
        Json::parse(R"({"path": "new.safetensors", "format": "safetensors", "written": true,
      "bytes": 1234567, "digest": "03030303030303030303030303030303", "digest_kind": "xxh3-128"})"));
  CHECK(json["totals"]["loaded"] == Json{{"tensors", 1}, {"parameters", 48}, {"bytes", 192}});
  CHECK(json["totals"]["target"]["parameters"] == 146);
  CHECK(json["coverage"]["elements"] == 146);
  CHECK(json["tensors"][0] == Json::parse(R"({"name": "conv.weight", "status": "loaded",
      "sources": ["module.conv.weight"], "source_shape": [16, 3], "source_dtype": "float32",
      "shape": [16, 3], "dtype": "float32", "target_shape": [16, 3], "target_dtype": "float32",
      "rules": [{"rule": 2, "entry": 1, "id": "strip", "file": null, "line": 14, "verb": "rename",
                 "from": "module.conv.weight", "to": "conv.weight"}],
      "policy": null, "detail": "", "tied_to": null, "untied": false, "lossy": false,
      "copied": null, "digest": "02020202020202020202020202020202"})"));
  CHECK(json["tensors"][1]["status"] == "error");
  CHECK(json["tensors"][1]["shape"] == nullptr);
  CHECK(json["tensors"][1]["policy"] == Json{{"word", "error"}, {"line", nullptr}});
  CHECK(json["tensors"][3]["policy"] == Json{{"word", "skip"}, {"line", 43}});
  CHECK(json["sources"][5] ==
        Json::parse(R"({"input": 0, "name": "ids", "shape": [8], "dtype": "int64",
      "disposition": "dropped", "rule": 1, "file": null, "line": 12, "policy": null})"));
  CHECK(json["rules"][1]["entries"][1] ==
        Json{{"pattern", "^unused\\."}, {"exact", false}, {"line", 15}, {"matches", 0}});
  CHECK(json["unexpected"][0]["name"] == "blocks.0.gamma_1");
  CHECK(json["remarks"] == Json{"old.pt: no CRC stated for 3 records"});
  CHECK(json["suggestions"][0] ==
        Json{{"pattern", "\\.gamma_1$"}, {"to", ".ls1.gamma"}, {"tensors", 2}});
  CHECK(json["diagnostics"].size() == 3);
  CHECK(json["diagnostics"][0] ==
        Json::parse(R"({"code": "missing", "severity": "error", "file": "spec.yaml",
      "line": 20, "column": 5, "offset": null, "key": null, "message": "missing: 2 tensors",
      "hint": "add `missing: keep`", "notes": []})"));
}

TEST_CASE("what is lossy comes first, and the part that was copied is said") {
  Run run;
  for (const std::uint32_t index : {3u, 4u}) {
    PlannedTensor& adapted = run.plan.tensors[index];
    const Shape& before = run.source.tensors[index].shape;
    const Shape& after = run.target.tensors[index].shape;
    adapted.decision = Decision::adapted;
    adapted.detail =
        to_string(before) + " -> " + to_string(after) + " slice align end; float32 -> float16";
    adapted.expr =
        cast(narrow(load(0, index, run.source.tensors[index]), 0, 990, 10), DType::float16, true);
    adapted.result_dtype = DType::float32;
    adapted.lossy = true;
    adapted.copied = CopiedRegion{{990}, {0}, after};
    if (index == 3) {
      adapted.copied->from.push_back(0);
      adapted.copied->to.push_back(0);
    }
  }
  const std::string text = to_text(run.report(), {.width = 200});
  const std::size_t lossy = text.find(
      " lossy           2           head.{weight,bias}  float32 -> "
      "float16\n");
  REQUIRE(lossy != std::string::npos);
  CHECK(lossy < text.find(" loaded "));
  CHECK(text.find("head.{weight,bias}  [1000, ...] -> [10, ...] slice align end; float32 -> "
                  "float16; copied [990:1000, ...]") != std::string::npos);

  const std::string json = to_json(run.report());
  const Json weight = Json::parse(json)["tensors"][3];
  CHECK(weight["lossy"] == true);
  CHECK(weight["copied"] == Json::parse(R"({"from": [[990, 1000], [0, 8]],
      "to": [[0, 10], [0, 8]]})"));
  CHECK(Json::parse(json)["tensors"][4]["copied"] ==
        Json::parse(R"({"from": [[990, 1000]], "to": [[0, 10]]})"));
  CHECK_THAT(to_html(json), Catch::Contains("lossy, copied [990:1000, 0:8] to [0:10, 0:8]"));
}

TEST_CASE("the steps of a tensor stand in the order of the rules, each once") {
  Run run;
  run.plan.steps = {{0, 0, "a", "b", {}},
                    {1, 0, "b", "c", {0}},
                    {0, 0, "a2", "b2", {}},
                    {1, 0, "b2", "d", {2, 0, 1}}};
  run.plan.tensors[0].step = 3;
  const Json rules = Json::parse(to_json(run.report()))["tensors"][0]["rules"];
  std::string order;
  for (const Json& step : rules) order += step["from"].get<std::string>() + " ";
  CHECK(order == "a a2 b b2 ");
}

TEST_CASE("names that are no UTF-8 are escaped, and their bytes are there") {
  Run run;
  run.source.tensors[5].name = "bad\xff";
  const Json source = Json::parse(to_json(run.report()))["sources"][5];
  CHECK(source["name"] == "bad\\xff");
  CHECK(source["name_bytes"] == "626164ff");
}

TEST_CASE("a report has no absolute path") {
  Run run;
  run.source.path = "/data/me/old.pt";
  run.spec_path = "/data/specs/spec.yaml";
  run.output_path = "/data/out/new.safetensors";
  run.source.remarks = {"beside /data/me/old.pt lies /data/me/config.json, not /data/me/old.ptx"};
  run.diagnostics.add(error(Code::file_open, file_location("/data/me/old.pt"),
                            "no folder '/data/out' for '/data/out/new.safetensors'"));
  const std::string json = to_json(run.report());
  CHECK(json.find("/data") == std::string::npos);
  CHECK(Json::parse(json)["diagnostics"][3]["message"] == "no folder 'out' for 'new.safetensors'");
  CHECK(Json::parse(json)["remarks"][0] == "old.pt: beside old.pt lies config.json, not old.ptx");
  CHECK(to_text(run.report(), {}).find("/data") == std::string::npos);
  run.source.path = "relative/old.pt";
  CHECK(Json::parse(to_json(run.report()))["inputs"][0]["path"] == "relative/old.pt");
}

TEST_CASE("a run that ended early has a report too") {
  Diagnostics diagnostics;
  diagnostics.add(error(Code::unknown_key, line(3), "`rules` has no 'renam'"));
  Report report;
  report.diagnostics = &diagnostics;
  const Json json = Json::parse(to_json(report));
  CHECK(json["verdict"] == "failed");
  CHECK(json["complete"] == false);
  CHECK(json["output"] == nullptr);
  CHECK(json["tensors"].empty());
  CHECK(json["diagnostics"][0]["code"] == "unknown-key");
  CHECK(to_html(to_json(report)).find("unknown-key") != std::string::npos);
}

TEST_CASE("the page has everything and needs nothing") {
  Run run;
  run.execute();
  const std::string html = to_html(to_json(run.report()));
  for (const char* part :
       {"<!doctype html>", "blocks.{0,2}.ls1.gamma", "head.bias", "conv.weight", "spec.yaml:20:5",
        "add `missing: keep`", "- rename: &apos;\\.gamma_1$&apos;", "32.8%", "no CRC stated",
        "02020202020202020202020202020202", "<details>", "</html>"}) {
    INFO(part);
    CHECK(html.find(part) != std::string::npos);
  }
  for (const char* part : {"<script", "http:", "https:", "<link", "@import", "url("}) {
    INFO(part);
    CHECK(html.find(part) == std::string::npos);
  }
}

}  // namespace
}  // namespace regraft
