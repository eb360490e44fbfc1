// Every step that one name took from source to target, or why it did not arrive: what the program,
// the inputs and the plan of a run say about it. One structure, two writers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "report/report.h"

namespace regraft {

struct Explanation {
  struct Tensor {
    std::string name;
    DType dtype{};
    Shape shape;
    std::string file;         // as shown; empty: on its way between two rules
    std::string below;        // the path of the state dict in it
    std::string unsupported;  // Tensor::unsupported
    std::string fate;         // "dropped by rule 3"
  };

  // What one rule makes of a name.
  struct Step {
    enum class Kind {
      takes,    // into `to`; when that is empty and nothing `stays`, it is dropped
      failed,   // it should, and there is no new name
      unless,   // the pattern is found, but
      where,    // one of these
      when,     // does not hold
      outside,  // `keep`: no pattern is found
      passes,   // any other rule: no pattern is found; told only on demand
    };
    Kind kind = Kind::takes;
    std::uint32_t rule = 0;             // index into Program::rules
    const RuleEntry* entry = nullptr;   // whose pattern is found
    std::vector<std::string> from, to;  // `from` begins with the name that the pattern is found in
    bool stays = false;                 // that name is there behind the rule too
    std::string reason;                 // what does not hold
  };

  // What became of it.
  struct End {
    std::string status;          // a Decision's name, "dropped", "unexpected", "undecided"
    std::optional<Code> code;    // of an error
    std::string text;            // "target's own values"; an error's message
    std::string name;            // the last one that it has
    std::string file;            // the target's, where it is a name of it
    std::optional<DType> dtype;  // of what is written
    Shape shape;
    std::optional<DType> result_dtype;  // of what the rules made
    Shape result_shape;
    std::vector<std::pair<PolicyKind, const PolicyCase*>> policies;  // that had a say, in order
    std::uint32_t rule = kNone;                                      // that dropped it, or failed
    std::optional<CopiedRegion> copied;
    bool lossy = false, untied = false;
    std::optional<std::string> tied_to;
    std::string expression;  // where it is more than a tensor of an input
    std::vector<std::pair<std::string_view, Location>> broken;  // promises of `expect`
    std::string hint;
    Location where;           // of an error of the rules
    std::vector<Note> notes;  // of it
    std::vector<Suggestion> suggestions;
  };

  // `result`: no name of the target; `between`: a later rule took it.
  enum class Role { source, target, output, result, between };

  // One thing that has the name.
  struct Telling {
    Role role{};
    Tensor tensor;
    std::vector<std::string> tied;  // other names of the same tensor, in its file
    std::vector<Tensor> sources;    // that it is made of; of a source: none
    std::vector<Step> steps;        // in the order of the rules
    std::vector<End> ends;
    // Of a name of the target that nothing reaches.
    std::vector<Tensor> near;        // results that the target does not have
    std::vector<Tensor> same_shape;  // sources that end nowhere: the likeliest
    std::size_t same_shape_count = 0;
  };

  std::string name;
  std::vector<Telling> tellings;  // one or more
  const Program* program = nullptr;
  bool complete = true;  // false: a rule failed, so the target was not consulted
};

// `report` has a plan and diagnostics. `all_rules`: those too whose patterns are not found. When
// nothing has the name, an error (usage) that names what is like it.
Result<Explanation> explain(const Report& report, std::string_view name, bool all_rules = false);

std::string to_text(const Explanation& explanation);
// Ends with a newline.
std::string to_json(const Explanation& explanation);

}  // namespace regraft
