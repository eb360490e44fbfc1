// The schedule: where each byte of the output comes from, and where it goes. Made from the plan and
// the catalogs; depends on nothing else.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "expr/expr.h"
#include "formats/format.h"
#include "plan/plan.h"

namespace regraft {

// Bytes of an input storage, in order.
struct CopyRange {
  std::uint32_t input, storage;
  std::uint64_t offset, length;  // within the storage
};
// A view brought into row-major order: strided, or compacted from a larger storage.
struct Gather {
  View view;
};
// One element again and again.
struct Repeat {
  std::string element;
  std::uint64_t nbytes;  // in all
};
// What lies one after the other, without anything being computed; none is empty.
using Part = std::variant<CopyRange, Gather, Repeat>;
std::uint64_t nbytes(const Part& part);
struct Parts {
  std::vector<Part> parts;
};
// The same of another dtype, each element cast on its way (expr/convert.h).
struct Convert {
  Parts parts;
  DType from;
  bool checked;  // as Cast
  Shape shape;   // of the cast, for messages
};
// A tensor that has to be computed.
struct Evaluate {
  ExprPtr expr;
  std::int64_t rows = 0;  // at a time (expr/tiles.h); 0: all of it
};
using Origin = std::variant<CopyRange, Gather, Parts, Convert, Evaluate>;

// The parts of a storage that is made of such; null for others.
const Parts* parts_of(const Origin& origin);

// How the storage's CRC-32 comes about, where the format wants one.
enum class Checksum { none, reuse, compute };

struct ScheduledStorage {
  std::uint64_t nbytes = 0;
  DType dtype = DType::uint8;
  Origin origin;
  Checksum checksum = Checksum::none;
  // The source record's, when it is copied whole; also where the output's format has no checksum,
  // since a record that is read whole is checked.
  std::optional<std::uint32_t> known_crc;
  std::uint64_t buffers = 0;  // bytes of memory that bringing it about takes, beside two blocks
};

struct ScheduledTensor {
  Tensor tensor;           // as written: storage indexes Schedule::storages
  std::uint32_t planned;   // index into Plan::tensors
  bool shares = false;     // other names use bytes of the same storage
  bool compacted = false;  // stands alone now: was a small part of a larger storage
};

struct Schedule {
  const Format* format = nullptr;
  OutputCatalog output;  // tensors and storages as below, metadata
  Layout layout;
  std::vector<ScheduledStorage> storages;
  std::vector<ScheduledTensor> tensors;
  std::vector<std::string> remarks;   // "1 tied tensor is written again: ... holds no ties"
  std::vector<std::string> left_out;  // names that `ties: first` leaves to their first name
  std::uint64_t peak_bytes = 0;       // buffers that executing takes
  std::uint64_t bytes_read = 0, bytes_written = 0;
};

// What a tile is made of lies in a core's cache, and below what allocators ask the system for.
inline constexpr std::uint64_t kDefaultTileSize = 512 << 10;

struct ScheduleOptions {
  bool verify = true;  // records that are read whole have their CRC checked, so computed
  // Data that is copied may have this many times the bytes of the input files: a view with stride 0
  // states any size over a few bytes. 0: no limit.
  std::uint64_t max_growth = 4;
  // Buffers that executing may take. Empty: what the largest tensor needs.
  std::optional<std::uint64_t> max_memory;
  // Digests will be made of all tensors, and of those of the inputs too: what they are of is
  // bounded in the same way.
  bool digests = false, digests_of_inputs = false;
  // The pass of that name: tensors that lie in parts in the inputs are no Evaluate but Parts.
  bool byte_ranges = true;
  // The same, of casts alone: no Evaluate but Convert.
  bool casts = true;
  // Bytes of a computed tensor that are computed at a time, about; 0: all.
  std::uint64_t tile_size = kDefaultTileSize;
};

// Refusals of the format (cannot-write, cannot-carry, ties: error) go to `diagnostics`.
std::optional<Schedule> make_schedule(const Plan& plan, const Program& program,
                                      const Inputs& inputs, const Format& format,
                                      const ScheduleOptions& options, Diagnostics& diagnostics);

// Stable text: a line for each storage and each tensor, for `plan --print schedule`.
std::string print(const Schedule& schedule, const Inputs& inputs);

}  // namespace regraft
