#include "execute/execution.h"

#include <array>
#include <cstdio>

namespace regraft {
namespace {

std::string hex_of(std::uint32_t crc) {
  std::array<char, 9> digits{};
  std::snprintf(digits.data(), digits.size(), "%08x", crc);
  return digits.data();
}

}  // namespace

Result<const StorageReader*> Execution::reader(std::uint32_t input) const {
  if (input < checkpoints.size() && checkpoints[input]->reader)
    return checkpoints[input]->reader.get();
  return fault("the schedule reads input " + std::to_string(input) + ", which has no values");
}

std::optional<std::uint32_t> Execution::stated_crc(std::uint32_t input,
                                                   std::uint32_t storage) const {
  // A reader that changes the bytes (another byte order) is not what a stated checksum is about.
  if (!options.verify || !checkpoints[input]->reader->direct(storage)) return std::nullopt;
  return record(input, storage).crc32;
}

std::string Execution::name_of(const Expr& expr) const {
  for (const PlannedTensor& planned : plan.tensors)
    if (planned.steps().get() == &expr) return planned.name;
  return to_string(expr);
}

Diagnostic Execution::fault(const std::string& what) const {
  return error(Code::file_write, file_location(where), "internal fault: " + what,
               "nothing was published; please report this");
}

Diagnostic Execution::bad_checksum(std::uint32_t input, std::uint32_t storage,
                                   std::uint32_t found) const {
  const Catalog& catalog = checkpoints[input]->catalog;
  const Storage& record = catalog.storages[storage];
  return error(Code::checksum, file_location(catalog.path, record.offset, record.key),
               "the bytes have the CRC-32 " + hex_of(found) + ", and the file states " +
                   hex_of(record.crc32.value_or(0)),
               "the file is damaged: get it again; --no-verify carries its bytes as they are");
}

}  // namespace regraft
