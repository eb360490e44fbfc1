// Tensors that become one: what `cat`, `stack` and `combine` share. Results with equal rewritten
// names are one group; a list of patterns gives the order of its parts, of one pattern the number
// that `to` leaves out does.
//   cat: ['\.q\.', '\.k\.', '\.v\.']  to: '.qkv.'          a.q.weight a.k.weight a.v.weight
//   stack: '\.experts\.(\d+)\.w1$'    to: '.experts.w1'    0..n-1 in numeric order, no gap
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "verbs/integers.h"

namespace regraft {

struct Group {
  std::string name;                  // of the result
  std::vector<std::uint32_t> parts;  // matches, in the order of the parts
  std::vector<Match> matches;        // the same, for a Subject
};

class Groups {
 public:
  // Reads the operand, `to` and `partial`. `parts` gets entries and variables; empty when a mistake
  // was reported.
  static std::optional<Groups> read(BindContext& context, BoundParts& parts);
  // The same with the parts given, by `names`: `part_of` and `to` for each of the rule's entries.
  static std::optional<Groups> of_operands(BindContext& context, std::vector<std::string> names,
                                           std::vector<std::size_t> part_of,
                                           std::vector<Template> to);

  // Groups in the order of their first parts. Doubled and missing parts are errors (bad-group);
  // with `partial: pass` incomplete groups are left out, and stay as they are.
  [[nodiscard]] std::vector<Group> collect(std::span<const Match> matches,
                                           const Variables& variables,
                                           std::vector<Diagnostic>& errors) const;

 private:
  struct Part {
    std::int64_t number;
    std::uint32_t match;
  };
  Groups() = default;
  bool read_partial(BindContext& context);
  Result<std::int64_t> number_of(const Match& match) const;
  [[nodiscard]] std::string part_name(std::int64_t number) const;
  [[nodiscard]] std::optional<Diagnostic> doubled(const std::string& name,
                                                  std::span<const Part> parts,
                                                  std::span<const Match> matches) const;
  [[nodiscard]] std::optional<Diagnostic> missing(const std::string& name,
                                                  std::span<const Part> parts,
                                                  std::span<const Match> matches) const;

  std::vector<Template> to_;          // by entry
  std::vector<std::string> names_;    // of the parts; empty for one pattern
  std::vector<std::size_t> part_of_;  // by entry; empty for one pattern
  int number_ = 0;                    // the capture that numbers the parts of one pattern
  bool partial_ = false;
};

inline constexpr std::string_view kPartialWords[] = {"pass"};
inline constexpr Param kPartial = {
    "partial", ParamType::word, false,
    "`pass`: what is no complete group stays as it was. Otherwise it is an error.", kPartialWords};
inline constexpr Param kGroupDType = {
    "dtype", ParamType::dtype, false,
    "Of the result. Otherwise the parts' dtypes are promoted as torch does; where it cannot "
    "(float8), this is required."};

// The dtype of a result of these parts: `given`, or theirs promoted (rule-dtype where torch has no
// answer).
Result<DType> joint_dtype(const Group& group, std::optional<DType> given);
// The matches' expressions, cast to the dtype where they are of another.
std::vector<ExprPtr> cast_to(const Group& group, DType dtype);

}  // namespace regraft
