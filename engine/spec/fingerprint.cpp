// The fingerprint: what the spec means, not how it is written or called.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "spec/spec.h"

namespace regraft {
namespace {

using Json = nlohmann::ordered_json;

// Names are bytes; JSON is text. Latin-1 keeps every byte apart.
std::string to_utf8(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      out += c;
    } else {
      out += static_cast<char>(0xC0 | (byte >> 6));
      out += static_cast<char>(0x80 | (byte & 0x3F));
    }
  }
  return out;
}

Json scalar(const yaml::Node& node) {
  if (const auto value = yaml::as_bool(node)) return *value;
  if (const auto value = yaml::as_int(node)) return *value;
  if (const auto value = yaml::as_float(node); value && std::isfinite(*value)) return *value;
  return to_utf8(node.text);
}

enum class Order { sorted, written };

Json canonical(const yaml::Node& node, Order order) {
  switch (node.kind) {
    case yaml::Node::Kind::null:
      return nullptr;
    case yaml::Node::Kind::scalar:
      return scalar(node);
    case yaml::Node::Kind::sequence: {
      Json list = Json::array();
      for (const yaml::Node& item : node.items) list.push_back(canonical(item, Order::sorted));
      return list;
    }
    case yaml::Node::Kind::mapping:
      break;
  }
  std::vector<std::pair<std::string, Json>> members;
  for (const yaml::Entry& entry : node.entries) {
    // Tables of `rename`, also literal ones, operands of `combine`, and the formulas of its `to`.
    const bool table = entry.key.text == "rename" || entry.key.text == "combine" ||
                       entry.key.text == "to" ||
                       (order == Order::written && entry.key.text == "exact");
    members.emplace_back(to_utf8(entry.key.text),
                         canonical(entry.value, table ? Order::written : Order::sorted));
  }
  if (order == Order::written) {
    Json pairs = Json::array();
    for (auto& [key, value] : members) pairs.push_back(Json::array({key, std::move(value)}));
    return pairs;
  }
  std::sort(members.begin(), members.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  Json object = Json::object();
  for (auto& [key, value] : members) object[key] = std::move(value);
  return object;
}

bool is_label(std::string_view key) {
  return key == "name" || key == "revision" || key == "revises" || key == "description";
}

// The document without what names it, and with what it uses in place of the words that name that:
// of a used spec, variables and rules count.
yaml::Node meaning(const Spec& spec) {
  yaml::Node tree = spec.tree;
  std::erase_if(tree.entries, [](const yaml::Entry& entry) { return is_label(entry.key.text); });
  for (yaml::Entry& entry : tree.entries) {
    if (entry.key.text != "rules") continue;
    for (std::size_t i = 0; i < entry.value.items.size(); ++i) {
      std::vector<yaml::Entry>& rule = entry.value.items[i].entries;
      std::erase_if(rule, [](const yaml::Entry& inner) {
        return inner.key.text == "id" || inner.key.text == "note";
      });
      if (i >= spec.used.size() || !spec.used[i]) continue;
      yaml::Node used = meaning(*spec.used[i]);
      std::erase_if(used.entries, [](const yaml::Entry& inner) {
        return inner.key.text != "vars" && inner.key.text != "rules";
      });
      const auto use = std::find_if(rule.begin(), rule.end(), [](const yaml::Entry& inner) {
        return inner.key.text == "use";
      });
      use->value = std::move(used);
    }
  }
  return tree;
}

}  // namespace

std::string canonical_json(const Spec& spec) {
  return canonical(meaning(spec), Order::sorted).dump();
}

std::string fingerprint(const Spec& spec) {
  return hex(digest(DigestKind::sha256, as_bytes(canonical_json(spec))));
}

}  // namespace regraft
