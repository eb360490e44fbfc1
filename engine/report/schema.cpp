#include "report/schema.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/code.h"
#include "base/hash.h"
#include "catalog/dtype.h"
#include "compile/rule_keys.h"
#include "spec/spec.h"
#include "verbs/verb.h"

namespace regraft {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kDraft = "http://json-schema.org/draft-07/schema#";

// Not `ref`: a std::string would find std::ref.
Json refer(std::string_view definition) {
  return {{"$ref", "#/definitions/" + std::string(definition)}};
}

// A schema with a description. Draft 7 reads nothing beside a `$ref`, so that goes inside.
Json described(std::string_view description, Json schema) {
  Json out = {{"description", description}};
  if (schema.contains("$ref"))
    out["allOf"] = Json::array({std::move(schema)});
  else
    out.update(schema);
  return out;
}

Json type(std::string_view name) { return {{"type", name}}; }
Json array_of(Json items) { return {{"type", "array"}, {"items", std::move(items)}}; }
Json nullable(Json schema) { return {{"anyOf", Json::array({std::move(schema), type("null")})}}; }
Json natural() { return {{"type", "integer"}, {"minimum", 0}}; }
Json positive() { return {{"type", "integer"}, {"minimum", 1}}; }
Json finite_from(double least) {
  return {{"type", "number"}, {"minimum", least}, {"maximum", std::numeric_limits<double>::max()}};
}
Json matching(std::string_view pattern) { return {{"type", "string"}, {"pattern", pattern}}; }
Json mapping_to(Json values) {
  return {{"type", "object"}, {"additionalProperties", std::move(values)}};
}

// An object of these properties and no others; those named in `optional` may be missing.
Json object(Json properties, std::initializer_list<std::string_view> optional = {}) {
  Json required = Json::array();
  for (const auto& [key, schema] : properties.items())
    if (std::find(optional.begin(), optional.end(), key) == optional.end()) required.push_back(key);
  return {{"type", "object"},
          {"required", std::move(required)},
          {"properties", std::move(properties)},
          {"additionalProperties", false}};
}

Json dtype_names() {
  Json names = Json::array();
  for (const DTypeInfo& dtype : all_dtypes()) names.push_back(dtype.name);
  return names;
}

// As the program reads them: torch's name with or without `torch.`, or one of torch's short words.
Json dtype_in_yaml() {
  return {{"anyOf", Json::array({{{"enum", dtype_names()}},
                                 matching("^torch\\."),
                                 {{"enum",
                                   {"double", "float", "half", "cdouble", "cfloat", "chalf", "long",
                                    "int", "short"}}}})}};
}

std::string document(std::string_view title, std::string_view description, const Json& schema,
                     Json definitions = {}) {
  Json out = {{"$schema", kDraft}, {"title", title}, {"description", description}};
  out.update(schema);
  if (!definitions.is_null()) out["definitions"] = std::move(definitions);
  return out.dump(2) + "\n";
}

// --- the spec
// -------------------------------------------------------------------------------------

// What a key holds. A key that is not here has its description and no type; a test names it.
struct KeyType {
  std::string_view key;
  Json schema;
};

Json properties(std::span<const Key> keys, const std::vector<KeyType>& types) {
  Json out = Json::object();
  for (const Key& key : keys) {
    Json schema = Json::object();
    for (const KeyType& type : types)
      if (type.key == key.name) schema = type.schema;
    out[std::string(key.name)] = described(key.doc, std::move(schema));
  }
  return out;
}

Json section(Json properties) {
  return {{"type", {"object", "null"}},
          {"properties", std::move(properties)},
          {"additionalProperties", false}};
}

Json param_schema(const Param& param, const std::string& description) {
  const auto schema = [&]() -> Json {
    switch (param.type) {
      case ParamType::patterns:
        return refer("patterns");
      case ParamType::patterns_or_table:
        return refer("patterns_or_table");
      case ParamType::text_template:
        return refer("text");
      case ParamType::boolean:
        return type("boolean");
      case ParamType::word: {
        Json words = Json::array();
        for (const std::string_view word : param.words) words.push_back(word);
        return {{"enum", std::move(words)}};
      }
      case ParamType::natural:
        return natural();
      case ParamType::number:
        return finite_from(std::numeric_limits<double>::lowest());
      case ParamType::magnitude:
        return finite_from(0);
      case ParamType::number_or_keep:
        return {{"anyOf", Json::array({type("number"), {{"const", "keep"}}})}};
      case ParamType::dims: {
        Json dims = array_of(type("integer"));
        dims["minItems"] = 1;
        return dims;
      }
      case ParamType::grid: {
        Json sizes = array_of(positive());
        sizes["minItems"] = sizes["maxItems"] = 2;
        return sizes;
      }
      case ParamType::axes:
        return matching("^[ ().0-9A-Z_a-z]*$");
      case ParamType::text:
        return refer("text");
      case ParamType::dtype:
        return refer("dtype");
      case ParamType::scalar:
        return {{"anyOf", Json::array({type("number"), type("string")})}};
      case ParamType::integer:
        return refer("integer");
      case ParamType::integers:
        return {{"anyOf", Json::array({array_of(refer("integer")), type("string")})}};
      case ParamType::named_integers:
        return {{"type", "object"},
                {"propertyNames", {{"pattern", "^[A-Za-z_][A-Za-z0-9_]*$"}}},
                {"additionalProperties", refer("integer")}};
      case ParamType::templates: {
        Json texts = array_of({{"anyOf", Json::array({refer("text"), type("null")})}});
        texts["minItems"] = 1;
        return texts;
      }
      case ParamType::operands: {
        Json operands = mapping_to(refer("patterns"));
        operands["minProperties"] = 1;
        return operands;
      }
      case ParamType::template_or_formulas: {
        Json formulas = mapping_to(refer("text"));
        formulas["minProperties"] = 1;
        return {{"anyOf", Json::array({refer("text"), std::move(formulas)})}};
      }
      case ParamType::values: {
        Json values = mapping_to(refer("value"));
        values["type"] = {"object", "null"};
        return values;
      }
    }
    return Json::object();
  };
  return described(description, schema());
}

// Adds the parameters to the properties of a rule or case.
void add_params(std::span<const Param> params, Json& members, Json& required) {
  for (const Param& param : params) {
    members[std::string(param.name)] = param_schema(param, std::string(param.doc));
    if (param.required) required.push_back(param.name);
  }
}

Json rule_properties() {
  const std::vector<KeyType> where = {
      {"ndim", refer("number")},
      {"dtype", refer("dtype")},
      {"shape", array_of({{"anyOf", Json::array({refer("number"), type("null")})}})},
  };
  return properties(
      rule_keys(),
      {
          {"unless", refer("patterns")},
          {"where",
           {{"type", "object"},
            {"properties", properties(where_keys(), where)},
            {"additionalProperties", false}}},
          {"when", refer("text")},
          {"count",
           {{"anyOf", Json::array({natural(), matching("^ *(>=|<=|==|!=|>|<)? *[0-9]+ *$")})}}},
          {"id", refer("text")},
          {"note", refer("text")},
      });
}

// A rule with this verb. Beside a pattern stands `to`; a table has its own.
Json rule(const Verb& verb) {
  const std::string name(verb.name());
  const std::string description =
      std::string(verb.doc()) + "\n\nFor instance:\n" + std::string(verb.example());
  Json members = Json::object(), required = Json::array({name});
  members[name] = param_schema(
      {.name = verb.name(), .type = verb.operand(), .required = true, .doc = {}}, description);
  add_params(verb.params(), members, required);
  const bool has_to = members.contains("to");
  const Json common = rule_properties();
  for (const auto& [key, schema] : common.items())
    if (!verb.brings_rules() || key == "when" || key == "id" || key == "note")
      members[key] = schema;
  Json out = {{"type", "object"},
              {"required", std::move(required)},
              {"properties", std::move(members)},
              {"additionalProperties", false}};
  if (verb.operand() == ParamType::patterns_or_table && has_to) {
    out["if"] = {{"properties", {{name, refer("patterns")}}}};
    out["then"] = {{"required", {"to"}}};
    out["else"] = {{"properties", {{"to", false}}}};
  }
  return out;
}

Json policy(const Policy& policy) {
  Json words = Json::array(), cases = Json::array();
  std::string doc(policy.doc());
  for (const Action* action : policy.actions()) {
    words.push_back(action->name());
    doc += "\n- `" + std::string(action->name()) + "`: " + std::string(action->doc());
    Json members =
        properties(case_keys(), {{"match", refer("patterns")}, {"unless", refer("patterns")}});
    members["do"] = {{"description", action->doc()}, {"enum", Json::array({action->name()})}};
    Json required = Json::array({"do"});
    add_params(action->params(), members, required);
    cases.push_back({{"type", "object"},
                     {"required", std::move(required)},
                     {"properties", std::move(members)},
                     {"additionalProperties", false}});
  }
  return {{"description", doc},
          {"default", policy.otherwise().name()},
          {"anyOf",
           Json::array({{{"enum", std::move(words)}}, array_of({{"oneOf", std::move(cases)}})})}};
}

Json spec_definitions() {
  const Json list_of_patterns = {
      {"type", "array"},
      {"minItems", 1},
      {"items", {{"anyOf", Json::array({refer("text"), refer("exact")})}}}};
  Json list_of_names = array_of(refer("text"));
  list_of_names["minItems"] = 1;
  Json table = mapping_to(refer("text"));
  table["minProperties"] = 1;
  const auto exact = [](std::string_view description, Json value) {
    return Json{{"description", description},
                {"type", "object"},
                {"required", {"exact"}},
                {"properties", {{"exact", std::move(value)}}},
                {"additionalProperties", false}};
  };
  Json out;
  out["text"] = {
      {"description", "A text. Numbers, `true` and `false` are read as they are written."},
      {"type", {"string", "number", "boolean"}}};
  out["number"] = {{"description", "A number, or an expression over variables as text."},
                   {"anyOf", Json::array({natural(), type("string")})}};
  out["integer"] = {
      {"description", "An integer, or an expression over captures and variables as text."},
      {"anyOf", Json::array({type("integer"), type("string")})}};
  out["dtype"] = dtype_in_yaml();
  out["exact"] = exact("Literal names in place of a pattern.",
                       {{"anyOf", Json::array({refer("text"), list_of_names})}});
  out["patterns"] = {{"description",
                      "A regular expression (RE2) that is found anywhere in the name, a list of "
                      "them, or literal names."},
                     {"anyOf", Json::array({refer("text"), list_of_patterns, refer("exact")})}};
  out["patterns_or_table"] = {
      {"description", "Patterns, or a table: pattern to new text, the first that is found."},
      {"anyOf", Json::array({refer("text"), list_of_patterns, refer("exact"),
                             exact("Literal names and their new names.", table), table})}};
  out["value"] = {{"description", "An integer, float, text, list or map."},
                  {"anyOf", Json::array({type("number"), type("string"), array_of(refer("value")),
                                         mapping_to(refer("value"))})}};
  out["from"] = object(
      {{"from",
        described(
            "A JSON file beside the source; `alias::F` beside that source, `./F` beside the spec.",
            refer("text"))},
       {"key", described("The dotted path of the value inside it.", refer("text"))},
       {"default", described("The value when the file or the key is not there.", refer("value"))}},
      {"default"});
  out["names"] =
      object({{"names", described("The target's names, in order.", {{"const", "target"}})},
              {"match", described("Names in which it is found.", refer("patterns"))},
              {"unless", described("Names that are left out.", refer("patterns"))}},
             {"match", "unless"});
  return out;
}

Json vars_schema() {
  return {
      {"type", {"object", "null"}},
      {"propertyNames",
       {{"pattern", "^[A-Za-z_][A-Za-z0-9_]*$"}, {"not", {{"enum", {"and", "or", "not", "get"}}}}}},
      {"additionalProperties",
       {{"if", {{"type", "object"}, {"required", {"from"}}}},
        {"then", refer("from")},
        {"else",
         {{"if",
           {{"type", "object"},
            {"required", {"names"}},
            {"properties", {{"names", {{"const", "target"}}}}},
            {"additionalProperties", true}}},
          {"then", refer("names")},
          {"else", refer("value")}}}}}};
}

Json aliases_schema(Json needs) {
  const Json alias = matching("^[a-z][a-z0-9_]*$");
  Json list = array_of(alias), mapping = mapping_to(std::move(needs));
  list["uniqueItems"] = true;
  mapping["propertyNames"] = alias;
  return {{"anyOf", Json::array({std::move(list), std::move(mapping), type("null")})}};
}

Json expect_schema() {
  std::vector<KeyType> types = {{"loaded", matching("^ *(>=|<=|==|!=|>|<)? *[0-9][0-9.]* *% *$")},
                                {"unused_rules", {{"enum", {"error"}}}}};
  // All others promise names; an empty list promises that there is none.
  const Json names = {
      {"anyOf", Json::array({refer("patterns"), {{"type", "array"}, {"maxItems", 0}}})}};
  for (const Key& key : expect_keys())
    if (key.name != "loaded" && key.name != "unused_rules") types.push_back({key.name, names});
  return section(properties(expect_keys(), types));
}

}  // namespace

std::string spec_schema(std::span<const Policy* const> policies) {
  Json rules = Json::array();
  Json definitions = spec_definitions();
  for (const Verb* verb : all_verbs()) {
    const std::string name = "rule_" + std::string(verb->name());
    definitions[name] = rule(*verb);
    rules.push_back(refer(name));
  }
  Json policy_members = Json::object();
  for (const Policy* one : policies) policy_members[std::string(one->name())] = policy(*one);
  Json paths = array_of(refer("text"));
  paths["minItems"] = 1;
  std::vector<KeyType> source = {
      {"root", {{"anyOf", Json::array({refer("text"), paths})}}},
      {"require", nullable(refer("patterns"))},
  };
  source.push_back({"aliases", aliases_schema(section(properties(alias_keys(), source)))});
  const std::vector<KeyType> output = {
      {"metadata", mapping_to(refer("text"))},
      {"container", {{"enum", {"flat", "source"}}}},
      {"ties", {{"enum", {"duplicate", "first", "error"}}, {"default", "duplicate"}}},
  };
  const std::vector<KeyType> top = {
      {"regraft", {{"const", kLanguageVersion}}},
      {"name", refer("text")},
      {"description", refer("text")},
      {"revision", refer("text")},
      {"revises", refer("text")},
      {"vars", vars_schema()},
      {"source", section(properties(source_keys(), source))},
      {"rules", {{"type", {"array", "null"}}, {"items", {{"oneOf", std::move(rules)}}}}},
      {"policy", section(std::move(policy_members))},
      {"expect", expect_schema()},
      {"output", section(properties(output_keys(), output))},
  };
  const Json schema = {{"type", "object"},
                       {"required", {"regraft"}},
                       {"properties", properties(spec_keys(), top)},
                       {"additionalProperties", false}};
  return document("regraft migration spec",
                  "How the tensors of a checkpoint become the tensors of a model.", schema,
                  std::move(definitions));
}

// --- the report
// -----------------------------------------------------------------------------------

namespace {

Json name_schema() {
  return described(
      "A tensor's dotted name. Bytes that are no UTF-8 are escaped as \\xNN; `name_bytes` has them "
      "all.",
      type("string"));
}
Json name_bytes_schema() {
  return described("The name's bytes in hex, where it is no UTF-8.", matching("^([0-9a-f]{2})+$"));
}

template <typename Enum>
Json words(std::size_t count) {
  Json out = Json::array();
  for (std::size_t i = 0; i < count; ++i) out.push_back(name(static_cast<Enum>(i)));
  return {{"enum", std::move(out)}};
}

constexpr std::size_t kDecisions = static_cast<std::size_t>(Decision::unexpected) + 1;
constexpr std::size_t kDispositions = static_cast<std::size_t>(Disposition::error) + 1;

template <typename Enum>
Json tallies(std::size_t count, std::string_view all, std::string_view all_doc) {
  Json members = Json::object();
  for (std::size_t i = 0; i < count; ++i)
    members[std::string(name(static_cast<Enum>(i)))] = refer("tally");
  members[std::string(all)] = described(all_doc, refer("tally"));
  return object(std::move(members));
}

Json report_definitions() {
  const Json text = type("string");
  Json codes = Json::array();
  for (const CodeInfo& code : all_codes()) codes.push_back(code.name);
  Json place = {
      {"file", nullable(text)},
      {"line", nullable(positive())},
      {"column", nullable(positive())},
      {"offset", described("Of a byte in a binary file.", nullable(natural()))},
      {"key", described("The record, key or tensor that the place is about.", nullable(text))}};
  Json note = place;
  note["message"] = text;
  Json diagnostic = {{"code", {{"enum", std::move(codes)}}},
                     {"severity", {{"enum", {"error", "warning"}}}}};
  diagnostic.update(place);
  diagnostic["message"] = text;
  diagnostic["hint"] = described("What to do about it; may have several lines.", nullable(text));
  diagnostic["notes"] = array_of(object(std::move(note)));

  Json out;
  out["used_file"] =
      described("The used spec that has the rule; null: the spec itself.", nullable(text));
  out["shape"] = array_of(natural());
  out["dtype"] = {{"enum", dtype_names()}};
  out["digest"] = matching("^([0-9a-f]{32}|[0-9a-f]{64})$");
  out["tally"] = object({{"tensors", natural()},
                         {"parameters", described("Elements.", natural())},
                         {"bytes", natural()}});
  out["policy"] = described("The policy that had a say; its line is null where the default held.",
                            nullable(object({{"word", text}, {"line", nullable(positive())}})));
  out["input"] = object(
      {{"role", {{"enum", {"source", "target"}}}},
       {"alias",
        described("Of a source behind the first: its names begin with `alias::`.", nullable(text))},
       {"path", described("As given; of an absolute path the file name.", text)},
       {"format", text},
       {"root", described("Where the state dict was inside the file; empty: the top.", text)},
       {"bytes", natural()},
       {"tensors", natural()},
       {"values", described("False: names, dtypes and shapes only.", type("boolean"))},
       {"metadata_digest", described("SHA-256 of all bytes that are not tensor data.",
                                     nullable(matching("^([0-9a-f]{2})+$")))},
       {"digest",
        described("Of the table of the tensors that were read.", nullable(refer("digest")))}});
  out["step"] =
      object({{"rule", described("The rule's place in the order they run, from 1.", positive())},
              {"file", refer("used_file")},
              {"entry", described("Which of the rule's entries, from 1.", positive())},
              {"id", nullable(text)},
              {"line", nullable(positive())},
              {"verb", text},
              {"from", text},
              {"to", text}});
  // One range a dimension, from its start up to its stop.
  Json range = array_of(natural());
  range["minItems"] = range["maxItems"] = 2;
  const Json ranges = array_of(std::move(range));
  out["tensor"] = object(
      {{"name", name_schema()},
       {"name_bytes", name_bytes_schema()},
       {"status", words<Decision>(kDecisions)},
       {"sources", described("The source tensors that reached the name, also where it was skipped.",
                             array_of(text))},
       {"source_shape", described("Of the first source.", nullable(refer("shape")))},
       {"source_dtype", nullable(refer("dtype"))},
       {"shape", described("As written; null: not in the output.", nullable(refer("shape")))},
       {"dtype", nullable(refer("dtype"))},
       {"target_shape",
        described("Null: not in the target, or no target.", nullable(refer("shape")))},
       {"target_dtype", nullable(refer("dtype"))},
       {"rules", described("From the source to this name.", array_of(refer("step")))},
       {"policy", refer("policy")},
       {"detail", text},
       {"tied_to",
        described("Loaded with this name, which it is tied to in the target.", nullable(text))},
       {"untied", described("It was tied, and stands alone now.", type("boolean"))},
       {"lossy",
        described("Cast to a dtype that cannot hold every value of its own.", type("boolean"))},
       {"copied", described("The part of a result that a shape policy took over; null: all of it, "
                            "or nothing.",
                            nullable(object({{"from", described("In the result.", ranges)},
                                             {"to", described("In the target.", ranges)}})))},
       {"digest", nullable(refer("digest"))}},
      {"name_bytes"});
  out["unexpected"] = object({{"name", name_schema()},
                              {"name_bytes", name_bytes_schema()},
                              {"sources", array_of(text)},
                              {"shape", refer("shape")},
                              {"dtype", refer("dtype")},
                              {"policy", refer("policy")}},
                             {"name_bytes"});
  out["source"] = object({{"input", described("Index into `inputs`, from 0.", natural())},
                          {"name", name_schema()},
                          {"name_bytes", name_bytes_schema()},
                          {"shape", refer("shape")},
                          {"dtype", refer("dtype")},
                          {"disposition", words<Disposition>(kDispositions)},
                          {"rule", described("That dropped it, from 1.", nullable(positive()))},
                          {"file", refer("used_file")},
                          {"line", described("Of that rule.", nullable(positive()))},
                          {"policy", refer("policy")}},
                         {"name_bytes"});
  out["rule"] =
      object({{"rule", positive()},
              {"id", nullable(text)},
              {"verb", text},
              {"file", refer("used_file")},
              {"line", nullable(positive())},
              {"matches", described("Names, before the effect.", natural())},
              {"entries", array_of(object({{"pattern", text},
                                           {"exact", described("A literal name.", type("boolean"))},
                                           {"line", nullable(positive())},
                                           {"matches", natural()}}))}});
  out["diagnostic"] = object(std::move(diagnostic));
  return out;
}

Json report_body() {
  const Json text = type("string");
  Json kinds = Json::array();
  for (const DigestKind kind : {DigestKind::none, DigestKind::xxh3, DigestKind::sha256})
    kinds.push_back(name(kind));
  Json output = object(
      {{"path", text},
       {"format", nullable(text)},
       {"written", type("boolean")},
       {"bytes", nullable(natural())},
       {"digest", described("Of the table name|dtype|shape|digest.", nullable(refer("digest")))},
       {"digest_kind", {{"enum", std::move(kinds)}}}});
  return object(
      {{"regraft_report", described("The version of this document.", {{"const", 1}})},
       {"engine",
        object(
            {{"version", text},
             {"evaluator",
              described("What computed tensors; null: nothing was computed. Evaluated floats are "
                        "the same for one of these.",
                        nullable(object({{"library", text}, {"cpu_capability", text}})))}})},
       {"verdict", {{"enum", {"ok", "failed"}}}},
       {"complete",
        described("False: there is no plan, or a rule failed and the target was not consulted.",
                  type("boolean"))},
       {"spec", object({{"path", described("Null: rules of the command line.", nullable(text))},
                        {"name", nullable(text)},
                        {"revision", nullable(text)},
                        {"revises", nullable(text)},
                        {"fingerprint", nullable(matching("^[0-9a-f]{64}$"))},
                        {"vars", described("Their values in this run.", type("object"))}})},
       {"inputs", described("Sources in order, then the target.", array_of(refer("input")))},
       {"output", nullable(std::move(output))},
       {"totals", tallies<Decision>(kDecisions, "target",
                                    "All names of the target; without one, of the output.")},
       {"sources_totals", tallies<Disposition>(kDispositions, "sources", "All source tensors.")},
       {"coverage", object({{"elements_loaded",
                             described("Elements of the target that a source fills.", natural())},
                            {"elements", natural()},
                            {"fraction", {{"type", "number"}, {"minimum", 0}, {"maximum", 1}}}})},
       {"tensors", described("One for each name of the target, then unexpected ones that are kept; "
                             "without a target, "
                             "one for each name of the output.",
                             array_of(refer("tensor")))},
       {"unexpected",
        described("Results that the target does not have.", array_of(refer("unexpected")))},
       {"sources", described("One for each tensor of the sources.", array_of(refer("source")))},
       {"rules", array_of(refer("rule"))},
       {"extras",
        described(
            "Content of the sources beside the tensors.",
            array_of(object(
                {{"input", natural()},
                 {"path", text},
                 {"summary", text},
                 {"policy", text},
                 {"kept", type("boolean")},
                 {"left_out", described("Why it is not kept although the policy says so.", text)}},
                {"left_out"})))},
       {"remarks", array_of(text)},
       {"left_out", described("Tied names of which only the first is written.", array_of(text))},
       {"suggestions",
        described("Renames that would settle missing and unexpected names.",
                  array_of(object({{"pattern", text}, {"to", text}, {"tensors", positive()}})))},
       {"diagnostics", array_of(refer("diagnostic"))}});
}

}  // namespace

std::string report_schema() {
  return document("regraft report",
                  "What a migration decided and did: `regraft apply --report FILE.json`.",
                  report_body(), report_definitions());
}

// The report's structure where nothing was executed: there are no digests of tensors, and no
// output.
std::string plan_schema() {
  Json body = report_body(), definitions = report_definitions();
  Json& output = body["properties"]["output"]["anyOf"][0]["properties"];
  output["written"] = {{"const", false}};
  output["digest"] = type("null");
  definitions["input"]["properties"]["digest"] = type("null");
  definitions["tensor"]["properties"]["digest"] = type("null");
  definitions.erase("digest");
  return document(
      "regraft plan",
      "What a migration would do: `regraft plan --json`. A report of which nothing was done.", body,
      std::move(definitions));
}

// --- targets
// --------------------------------------------------------------------------------------

std::string target_schema() {
  const Json text = {{"type", {"string", "number", "boolean"}}};
  Json definitions;
  definitions["tensor"] = object(
      {{"dtype", described("torch's name of the element type.", dtype_in_yaml())},
       {"shape", array_of(natural())},
       {"tie", described("The same view as this tensor, which has no `tie` itself.", text)},
       {"storage", described("Bytes that several views share.", text)},
       {"strides", described("In elements; contiguous unless given.", array_of(natural()))},
       {"offset", described("The first element, in elements from the storage's start.", natural())},
       {"conj", described("The conjugate bit.", type("boolean"))},
       {"neg", described("The negative bit.", type("boolean"))},
       {"parameter", described("Saved as torch.nn.Parameter.", type("boolean"))},
       {"requires_grad", type("boolean")},
       {"unsupported", described("What it is in place of a plain tensor.",
                                 Json{{"type", "string"}, {"minLength", 1}})}},
      {"tie", "storage", "strides", "offset", "conj", "neg", "parameter", "requires_grad",
       "unsupported"});
  // A tie is the whole view of the other tensor.
  definitions["tensor"]["if"] = {{"required", {"tie"}}};
  definitions["tensor"]["then"] = {
      {"properties", {{"storage", false}, {"strides", false}, {"offset", false}}}};
  const Json schema = object(
      {{"regraft_schema", described("The version of this format.", {{"const", 1}})},
       {"metadata", described("Texts of a safetensors header.", mapping_to(text))},
       {"storages",
        described("Sizes of storages; one that is not here is as long as its views need.",
                  mapping_to(object({{"nbytes", natural()}})))},
       {"tensors", described("Name to dtype and shape, in the order of the model.",
                             mapping_to(refer("tensor")))},
       {"module_metadata",
        described("`_metadata` of a state dict: module to integers; '' is the root module.",
                  mapping_to(mapping_to(type("integer"))))},
       {"extras", described("What stands beside the tensors: path to summary.", mapping_to(text))}},
      {"metadata", "storages", "module_metadata", "extras"});
  return document("regraft target schema",
                  "What a model expects: names, dtypes and shapes, without values.", schema,
                  std::move(definitions));
}

}  // namespace regraft
