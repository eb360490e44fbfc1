// The JSON Schema documents know what the program knows.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "catch.h"
#include "compile/rule_keys.h"
#include "plan/policy/policies.h"
#include "report/schema.h"
#include "spec/spec.h"
#include "verbs/verb.h"

namespace regraft {
namespace {

using Json = nlohmann::ordered_json;

std::set<std::string> keys_of(const Json& object) {
  std::set<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.insert(key);
  return keys;
}
std::set<std::string> names_of(std::span<const Key> keys) {
  std::set<std::string> names;
  for (const Key& key : keys) names.emplace(key.name);
  return names;
}

// Every `$ref` leads somewhere, and every object says what it may have.
void check_well_formed(const Json& node, const Json& document) {
  if (node.is_object()) {
    if (node.contains("$ref")) {
      const std::string path = node["$ref"];
      INFO(path);
      REQUIRE(path.substr(0, 14) == "#/definitions/");
      CHECK(document["definitions"].contains(path.substr(14)));
    }
    if (node.contains("properties") && node.contains("type"))
      CHECK(node.contains("additionalProperties"));
  }
  if (node.is_structured())
    for (const auto& [key, value] : node.items()) check_well_formed(value, document);
}

// A description alone is no schema: a key without a type was added to a table and not to
// schema.cpp.
void check_typed(const Json& properties) {
  for (const auto& [key, schema] : properties.items()) {
    INFO("the key " << key << " has no type in report/schema.cpp");
    CHECK(schema.size() > 1);
    CHECK(!schema["description"].get<std::string>().empty());
  }
}

TEST_CASE("the schema documents are well-formed and end with a newline") {
  for (const std::string& text :
       {spec_schema(all_policies()), report_schema(), plan_schema(), target_schema()}) {
    CHECK(text.back() == '\n');
    const Json document = Json::parse(text);
    CHECK(document["$schema"] == "http://json-schema.org/draft-07/schema#");
    check_well_formed(document, document);
  }
}

TEST_CASE("the spec's schema has every key of the tables") {
  const Json schema = Json::parse(spec_schema(all_policies()));
  const Json& top = schema["properties"];
  CHECK(keys_of(top) == names_of(spec_keys()));
  CHECK(keys_of(top["source"]["properties"]) == names_of(source_keys()));
  CHECK(keys_of(top["expect"]["properties"]) == names_of(expect_keys()));
  CHECK(keys_of(top["output"]["properties"]) == names_of(output_keys()));
  check_typed(top);
  for (const char* section : {"source", "expect", "output"})
    check_typed(top[section]["properties"]);
}

TEST_CASE("the spec's schema has every verb and its parameters") {
  const Json schema = Json::parse(spec_schema(all_policies()));
  CHECK(schema["properties"]["rules"]["items"]["oneOf"].size() == all_verbs().size());
  for (const Verb* verb : all_verbs()) {
    const Json reference = {{"$ref", "#/definitions/rule_" + std::string(verb->name())}};
    const Json& rules = schema["properties"]["rules"]["items"]["oneOf"];
    CHECK(std::find(rules.begin(), rules.end(), reference) != rules.end());
    const Json& rule = schema["definitions"]["rule_" + std::string(verb->name())];
    std::set<std::string> keys = names_of(rule_keys());
    if (verb->brings_rules()) keys = {"when", "id", "note"};  // the others ask for names
    keys.emplace(verb->name());
    for (const Param& param : verb->params()) keys.emplace(param.name);
    CHECK(keys_of(rule["properties"]) == keys);
    check_typed(rule["properties"]);
    if (verb->brings_rules()) continue;
    CHECK(keys_of(rule["properties"]["where"]["properties"]) == names_of(where_keys()));
    check_typed(rule["properties"]["where"]["properties"]);
  }
}

TEST_CASE("the spec's schema has every policy and its words") {
  const Json schema = Json::parse(spec_schema(all_policies()));
  const Json& policies = schema["properties"]["policy"]["properties"];
  for (const Policy* policy : all_policies()) {
    const Json& one = policies[std::string(policy->name())];
    CHECK(one["default"] == policy->otherwise().name());
    CHECK(one["anyOf"][0]["enum"].size() == policy->actions().size());
    const Json& cases = one["anyOf"][1]["items"]["oneOf"];
    for (std::size_t i = 0; i < policy->actions().size(); ++i) {
      std::set<std::string> keys = names_of(case_keys());
      for (const Param& param : policy->actions()[i]->params()) keys.emplace(param.name);
      CHECK(keys_of(cases[i]["properties"]) == keys);
      check_typed(cases[i]["properties"]);
    }
  }
}

TEST_CASE("the plan's schema is the report's without what was executed") {
  const Json report = Json::parse(report_schema()), plan = Json::parse(plan_schema());
  CHECK(keys_of(report["properties"]) == keys_of(plan["properties"]));
  CHECK(plan["definitions"]["tensor"]["properties"]["digest"] == Json{{"type", "null"}});
}

}  // namespace
}  // namespace regraft
