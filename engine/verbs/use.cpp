// use: strip-wrappers      the rules of that spec run here
#include <array>

#include "verbs/verbs.h"

namespace regraft {
namespace {

constexpr auto kParams = std::to_array<Param>({
    {"with", ParamType::values, false,
     "Values of that spec's variables: literal, or with `{...}` over this one's."},
});

// What it brings are rules, so compile() puts them in its place and nothing is bound.
class Use final : public Verb {
 public:
  std::string_view name() const override { return "use"; }
  std::string_view doc() const override {
    return "The rules of another spec run here, a shipped one by its name or a file by its path "
           "from "
           "this one. Of that spec the rules and their variables count, and nothing else. Of what "
           "every rule takes, `use` takes `when` (over variables), `id` and `note`.";
  }
  std::string_view example() const override { return "use: ema-prefix\nwith: {prefix: averaged}"; }
  std::string_view sample() const override {
    return "averaged.fc.weight float32 [4, 2]\n"
           "fc.weight float32 [4, 2]";
  }
  ParamType operand() const override { return ParamType::text; }
  std::span<const Param> params() const override { return kParams; }
  bool brings_rules() const override { return true; }
  BoundParts bind(BindContext&) const override { return {}; }
};

}  // namespace

const Verb& use_verb() {
  static const Use verb;
  return verb;
}

}  // namespace regraft
