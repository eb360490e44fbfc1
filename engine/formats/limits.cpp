#include "formats/limits.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "base/nearest.h"

namespace regraft {
namespace {

constexpr std::uint64_t k32Bits = 0xFFFFFFFE;  // nodes, offsets and lengths of a pickle are so wide
constexpr std::uint64_t kAnySize = 1ull << 60;

constexpr auto kLimits = std::to_array<LimitInfo>({
    {"pickle-bytes", &Limits::pickle_bytes, true, k32Bits, "a pickle"},
    {"pickle-opcodes", &Limits::pickle_opcodes, false, k32Bits,
     "opcodes of a pickle, and steps over its values"},
    // Keys of dicts are compared by walking down into them.
    {"pickle-depth", &Limits::pickle_depth, false, 10'000, "values in values of a pickle"},
    {"pickle-stack", &Limits::pickle_stack, false, k32Bits, "values on a pickle's stack"},
    {"pickle-memo", &Limits::pickle_memo, false, k32Bits, "entries of a pickle's memo"},
    {"pickle-string-bytes", &Limits::pickle_string_bytes, true, k32Bits, "a string of a pickle"},
    {"pickle-integer-bytes", &Limits::pickle_integer_bytes, true, k32Bits,
     "an integer of a pickle"},
    {"value-bytes", &Limits::pickle_value_bytes, true, kAnySize,
     "memory for what a file says beside its data; a compressed record"},
    {"zip-entries", &Limits::zip_entries, false, k32Bits, "entries of a zip archive"},
    {"script-bytes", &Limits::script_bytes, true, k32Bits, "the class files of TorchScript"},
    {"header-bytes", &Limits::safetensors_header_bytes, true, kAnySize, "a safetensors header"},
});

const LimitInfo& info_of(std::uint64_t Limits::* member) {
  return *std::ranges::find(kLimits, member, &LimitInfo::member);
}

Diagnostic wrong(std::string message, std::string hint = {}) {
  return error(Code::usage, {}, std::move(message), std::move(hint));
}

// The number that a text begins with, UINT64_MAX for a larger one; and what follows it.
std::pair<std::optional<std::uint64_t>, std::string_view> number_and_rest(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem == std::errc::invalid_argument) return {std::nullopt, text};
  if (problem == std::errc::result_out_of_range) number = UINT64_MAX;
  return {number, text.substr(static_cast<std::size_t>(end - text.data()))};
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
  const auto [number, rest] = number_and_rest(text);
  return rest.empty() ? number : std::nullopt;
}

Result<const LimitInfo*> limit_named(std::string_view name) {
  const auto* found = std::ranges::find(kLimits, name, &LimitInfo::name);
  if (found != kLimits.end()) return found;
  std::vector<std::string_view> names;
  std::string list;
  for (const LimitInfo& one : kLimits) {
    names.push_back(one.name);
    list += (list.empty() ? "" : ", ") + std::string(one.name);
  }
  const std::string near = nearest(name, names);
  return wrong("there is no limit " + quoted(name),
               near.empty() ? "there are " + list : "did you mean `" + near + "`?");
}

}  // namespace

std::span<const LimitInfo> all_limits() { return kLimits; }

Limits largest_limits() {
  Limits limits;
  for (const LimitInfo& limit : kLimits) limits.*limit.member = limit.most;
  return limits;
}

Status set_limit(Limits& limits, std::string_view name, std::uint64_t value) {
  REGRAFT_TRY(const LimitInfo* limit, limit_named(name));
  if (value == 0 || value > limit->most)
    return wrong("the limit " + std::string(name) + " is from 1 to " + std::to_string(limit->most) +
                 ", not " + std::to_string(value));
  limits.*limit->member = value;
  return Done{};
}

std::optional<std::uint64_t> bytes_of(std::string_view text) {
  const auto [number, unit] = number_and_rest(text);
  if (!number || unit.empty()) return number;
  constexpr std::array<std::string_view, 3> kUnits = {"KiB", "MiB", "GiB"};
  const auto* found = std::find(kUnits.begin(), kUnits.end(), unit);
  if (found == kUnits.end()) return std::nullopt;
  return checked_mul(*number, std::uint64_t{1024} << (10 * (found - kUnits.begin())))
      .value_or(UINT64_MAX);
}

Status set_limit(Limits& limits, std::string_view setting) {
  const std::size_t equals = setting.find('=');
  if (equals == std::string_view::npos)
    return wrong("the limit " + quoted(setting) + " is not NAME=N");
  REGRAFT_TRY(const LimitInfo* limit, limit_named(setting.substr(0, equals)));
  const std::string_view text = setting.substr(equals + 1);
  const std::optional<std::uint64_t> value = limit->bytes ? bytes_of(text) : whole_number(text);
  if (!value)
    return wrong("the limit " + std::string(limit->name) + " is a number" +
                 (limit->bytes ? " of bytes, which KiB, MiB or GiB may follow" : "") + ", not " +
                 quoted(text));
  return set_limit(limits, limit->name, *value);
}

std::string how_to_raise(std::uint64_t Limits::* member) {
  return "`--limit " + std::string(info_of(member).name) +
         "=N` raises it, for a file that you trust";
}

Diagnostic past_limit(Location where, const std::string& what, const Limits& limits,
                      std::uint64_t Limits::* member) {
  return error(Code::limit_exceeded, std::move(where),
               what + "; the limit is " + std::to_string(limits.*member), how_to_raise(member));
}

}  // namespace regraft
