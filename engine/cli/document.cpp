#include "cli/document.h"

#include "compile/rule_keys.h"
#include "plan/policy/policies.h"
#include "report/schema.h"
#include "spec/spec.h"
#include "verbs/parameters.h"
#include "verbs/verb.h"

namespace regraft::cli {
namespace {

std::string cell(std::string_view text) {
  std::string out(text);
  for (std::size_t at = 0; (at = out.find('|', at)) != std::string::npos; at += 2)
    out.insert(at, "\\");
  return out;
}

std::string row(std::string_view left, std::string_view right) {
  return "| `" + std::string(left) + "` | " + cell(right) + " |\n";
}

std::string table(std::string_view title, std::span<const Key> keys) {
  std::string out = "### " + std::string(title) + "\n\n| key | |\n|---|---|\n";
  for (const Key& key : keys) out += row(key.name, key.doc);
  return out + "\n";
}

std::string diagnostics_page() {
  std::string out =
      "# Diagnostics\n\n"
      "Every message has a code that stays the same between versions: `spec.yaml:3:5: "
      "error[unknown-key]: ...`.\n"
      "The exit status of a run is the weightiest of its errors: 130, then 3, 2, 1.\n\n";
  constexpr std::pair<int, std::string_view> kGroups[] = {
      {2, "Exit 2: a mistake in the spec or on the command line"},
      {1, "Exit 1: the result is not what the spec promises or allows; nothing was written"},
      {3, "Exit 3: a file cannot be read or written"},
      {130, "Exit 130: interrupted"}};
  for (const auto& [status, title] : kGroups) {
    out += "## " + std::string(title) + "\n\n| code | meaning |\n|---|---|\n";
    for (const CodeInfo& code : all_codes())
      if (code.exit_status == status) out += row(code.name, code.meaning);
    out += "\n";
  }
  out.pop_back();
  return out;
}

std::string parameter_table(std::span<const Param> params) {
  std::string out = "| parameter | value | |\n|---|---|---|\n";
  for (const Param& param : params)
    out += "| `" + std::string(param.name) + "` | " + cell(written_as(param)) + " | " +
           cell(param.doc) + (param.required ? " Required." : "") + " |\n";
  return out + "\n";
}

void verb_section(const Verb& verb, std::string& out) {
  out += "### `" + std::string(verb.name()) + "`\n\n" + std::string(verb.doc()) + "\n\n```yaml\n";
  std::string_view example = verb.example();
  for (bool first = true; !example.empty(); first = false) {
    const std::size_t end = example.find('\n');
    out += (first ? "- " : "  ") + std::string(example.substr(0, end)) + "\n";
    example = end == std::string_view::npos ? std::string_view{} : example.substr(end + 1);
  }
  out += "```\n\n";
  if (verb.params().empty()) return;
  out += parameter_table(verb.params());
}

std::string language_page() {
  std::string out =
      "# Language reference\n\nMade from the program's own tables. [The guide](guide.md) explains "
      "the words.\n\n## Keys\n\n";
  out += table("Top level", spec_keys()) + table("`source`", source_keys());
  out += table("`expect`", expect_keys()) + table("`output`", output_keys());
  out += "## Verbs\n\n";
  for (const Verb* verb : all_verbs()) verb_section(*verb, out);
  out += table("Every rule also takes", rule_keys()) + table("`where`", where_keys());
  out += "## Policies\n\nEach is one word, or a list of cases tried in order.\n\n" +
         table("A case", case_keys());
  for (const Policy* policy : all_policies()) {
    out += "### `" + std::string(policy->name()) + "`\n\n" + std::string(policy->doc()) +
           " Default: `" + std::string(policy->otherwise().name()) +
           "`.\n\n| `do` | |\n|---|---|\n";
    for (const Action* action : policy->actions()) out += row(action->name(), action->doc());
    out += "\n";
    for (const Action* action : policy->actions())
      if (!action->params().empty())
        out += "A case with `do: " + std::string(action->name()) + "` takes\n\n" +
               parameter_table(action->params());
  }
  out.pop_back();
  return out;
}

}  // namespace

std::string schema_document(std::string_view what) {
  if (what == "spec") return spec_schema(all_policies());
  if (what == "report") return report_schema();
  if (what == "plan") return plan_schema();
  return target_schema();
}

std::string reference_document(std::string_view what) {
  return what == "diagnostics" ? diagnostics_page() : language_page();
}

}  // namespace regraft::cli
