// The limits of the readers: what a file may ask for before it is refused.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace regraft {

struct Limits {
  std::uint64_t pickle_bytes = 100ull << 20;
  std::uint64_t pickle_opcodes = 20'000'000;  // and steps of the walk over its values
  std::uint64_t pickle_depth = 1'000;
  std::uint64_t pickle_stack = 1'000'000;
  std::uint64_t pickle_memo = 10'000'000;
  std::uint64_t pickle_string_bytes = 16ull << 20;
  std::uint64_t pickle_integer_bytes = 1024;
  std::uint64_t pickle_value_bytes = 1ull << 30;  // in memory; also an inflated record
  std::uint64_t zip_entries = 1'000'000;
  std::uint64_t script_bytes = 32ull << 20;  // of the class files of a TorchScript archive
  std::uint64_t safetensors_header_bytes = 100'000'000;
};

// A limit as an option has it: `pickle-depth=2000`, `value-bytes=4GiB`.
struct LimitInfo {
  std::string_view name;
  std::uint64_t Limits::* member;
  bool bytes;          // KiB, MiB and GiB may be said
  std::uint64_t most;  // what the readers' own numbers can hold
  std::string_view what;
};
std::span<const LimitInfo> all_limits();

// For what this program wrote itself.
Limits largest_limits();

// `NAME=N`. Errors: usage, which names the nearest limit or the range.
Status set_limit(Limits& limits, std::string_view setting);
Status set_limit(Limits& limits, std::string_view name, std::uint64_t value);

// A number of bytes, which KiB, MiB or GiB may follow; UINT64_MAX for what is larger. Empty: it is
// none.
std::optional<std::uint64_t> bytes_of(std::string_view text);

// "the pickle is nested too deep; the limit is 1000", with the option that raises it.
Diagnostic past_limit(Location where, const std::string& what, const Limits& limits,
                      std::uint64_t Limits::* member);
// "`--limit pickle-depth=N` raises it"
std::string how_to_raise(std::uint64_t Limits::* member);

}  // namespace regraft
