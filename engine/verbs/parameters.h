// Parameters whose values are literal: what is said of each type, and how it is read.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/axes.h"
#include "verbs/verb.h"

namespace regraft {

// "an integer from 0 up", "`omit`": how a value is written, for messages and the reference.
std::string written_as(const Param& param);
// "for instance `dim: 1`"; empty for words.
std::string example(const Param& param);

// torch's name of a dtype, the value of the key `name`; reports what is none.
std::optional<DType> read_dtype(const yaml::Node& node, std::string_view name,
                                Diagnostics& diagnostics);

struct GridSize {
  std::int64_t h = 0, w = 0;
  bool operator==(const GridSize&) const = default;
};

// The parameters of one rule or case, by the table that they are declared in. What is of another
// type is reported, with its place and an example, and counts as not given.
class Parameters {
 public:
  // `mapping`: null for a bare word, which has no parameters.
  Parameters(const yaml::Node* mapping, std::span<const Param> table, Diagnostics& diagnostics)
      : mapping_(mapping), table_(table), diagnostics_(diagnostics) {}

  std::optional<bool> boolean(std::string_view name);
  std::optional<std::string_view> word(std::string_view name);  // one of Param::words
  std::optional<std::int64_t> natural(std::string_view name);
  std::optional<double> number(std::string_view name);  // also a magnitude
  // Empty inside: `keep`.
  std::optional<std::optional<Scalar>> number_or_keep(std::string_view name);
  std::optional<DType> dtype(std::string_view name);
  std::optional<std::vector<std::int64_t>> dims(std::string_view name);
  std::optional<GridSize> grid(std::string_view name);
  std::optional<Axes> axes(std::string_view name);

  // The value as it stands in the spec; null when it is not given.
  [[nodiscard]] const yaml::Node* find(std::string_view name) const {
    return mapping_ ? mapping_->find(name) : nullptr;
  }

 private:
  const Param& param(std::string_view name) const;
  void wrong(std::string_view name, const yaml::Node& node);
  // `what` is not as it should be: "and this one is empty".
  void wrong(std::string_view name, const Location& where, const std::string& what);
  // The integers of a list, `count` of them (0: one or more), none below `least`.
  std::optional<std::vector<std::int64_t>> integers(std::string_view name, std::size_t count,
                                                    std::int64_t least);

  const yaml::Node* mapping_;
  std::span<const Param> table_;
  Diagnostics& diagnostics_;
};

}  // namespace regraft
