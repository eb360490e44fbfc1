// What the words of the shape policy share.
#pragma once

#include <array>

#include "plan/policy/action.h"

namespace regraft {

// "[3, 3] against [32, 3]"
std::string against(const Situation& situation);
// "[3, 3] -> [32, 3] pad"
std::string becomes(const Situation& situation, std::string_view word);

// `or: omit`, of words that ask for the target's own values.
inline constexpr std::array<std::string_view, 1> kOrWords = {"omit"};
inline constexpr Param kOrParam = {"or", ParamType::word, false,
                                   "A target without values leaves the name out.", kOrWords};
// What such a word makes of a target without values.
Settled without_values(const Situation& situation, bool or_omit);

// Words with files of their own.
std::span<const Action* const> region_actions();  // pad, slice, pad_slice
const Action& interpolate_action();

}  // namespace regraft
