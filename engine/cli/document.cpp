#include "cli/document.h"

#include <charconv>

#include "cli/rules_folder.h"
#include "compile/program.h"
#include "compile/rule_keys.h"
#include "plan/plan.h"
#include "plan/policy/policies.h"
#include "report/schema.h"
#include "spec/spec.h"
#include "spec/use.h"
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

template <typename Visit>
void for_lines(std::string_view text, Visit visit) {
  for (bool first = true; !text.empty(); first = false) {
    const std::size_t end = text.find('\n');
    visit(text.substr(0, end), first);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  }
}

// A line each: "a.q.weight float32 [8, 4]".
Catalog sampled(std::string_view lines) {
  Catalog catalog;
  catalog.containers.emplace_back();
  for_lines(lines, [&](std::string_view line, bool) {
    const std::size_t dtype = line.find(' ') + 1, shape = line.find(' ', dtype) + 1;
    Tensor tensor;
    tensor.name = line.substr(0, dtype - 1);
    tensor.dtype = *dtype_by_name(line.substr(dtype, shape - 1 - dtype));
    for (const char* at = line.data() + shape; *at != ']';) {
      std::int64_t size = 0;
      const auto read = std::from_chars(at, line.data() + line.size(), size);
      if (read.ec == std::errc()) tensor.shape.push_back(size);
      at = read.ec == std::errc() ? read.ptr : at + 1;
    }
    tensor.strides = contiguous_strides(tensor.shape);
    tensor.storage = static_cast<std::uint32_t>(catalog.storages.size());
    catalog.storages.push_back({.nbytes = nbytes(tensor)});
    catalog.tensors.push_back(std::move(tensor));
  });
  return catalog;
}

// What the example makes of the sample, by the program itself.
std::string worked(const Verb& verb) {
  Diagnostics problems;
  std::string text = "regraft: 1\nrules:\n";
  for_lines(verb.example(), [&](std::string_view line, bool first) {
    text.append(first ? "  - " : "    ").append(line).append("\n");
  });
  auto spec = parse_spec(std::make_shared<const SourceText>(SourceText{"example", std::move(text)}),
                         problems);
  const Catalog source = sampled(verb.sample());
  std::string out = "```text\n";
  out.append(verb.sample()).append("\n->\n");
  if (spec) {
    load_used(*spec, rules_folder(), problems);
    CompileInputs inputs;
    inputs.verbs = all_verbs();
    inputs.policies = all_policies();
    if (const auto program = compile(*spec, inputs, problems)) {
      Inputs sources;
      sources.sources = {&source};
      for (const PlannedTensor& planned : make_plan(*program, sources, problems).tensors)
        if (planned.expr)
          out += planned.name + " " + std::string(name(planned.expr->dtype)) + " " +
                 to_string(planned.expr->shape) + "\n";
    }
  }
  // Shown in the page, where the check of generated files finds it.
  for (const Diagnostic& problem : problems.items()) out += render(problem, false);
  return out + "```\n\n";
}

void verb_section(const Verb& verb, std::string& out) {
  out += "### `" + std::string(verb.name()) + "`\n\n" + std::string(verb.doc()) + "\n\n```yaml\n";
  for_lines(verb.example(), [&](std::string_view line, bool first) {
    out.append(first ? "- " : "  ").append(line).append("\n");
  });
  out += "```\n\n" + worked(verb);
  if (verb.params().empty()) return;
  out += parameter_table(verb.params());
}

std::string language_page() {
  std::string out =
      "# Language reference\n\nMade from the program's own tables. [The guide](guide.md) explains "
      "the words. Below the example of a verb stand the tensors before and after it.\n\n"
      "## Keys\n\n";
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
