// The string view that RE2's functions take: re2::StringPiece on Debian 12, absl::string_view where
// RE2 is built on abseil. The second is untested.
#pragma once

#include <re2/re2.h>

#include <string_view>
#include <type_traits>

namespace regraft {

// Read off a function of RE2, because releases between the two have both names and the later ones
// only one of them.
template <typename R, typename Text>
std::remove_cvref_t<Text> text_parameter(R (*)(Text));
using Piece = decltype(text_parameter(&re2::RE2::QuoteMeta));

inline Piece to_piece(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace regraft
