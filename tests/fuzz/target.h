// A fuzz target: one function over bytes, and a name. All targets are in one program, which
// libFuzzer drives (main_fuzz.cpp) or which reads the corpora again (main_replay.cpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "formats/format.h"

namespace regraft::fuzz {

struct Target {
  const char* name;
  void (*run)(std::string_view input);
  const Target* next;
};
inline const Target* targets = nullptr;
const Target* find(std::string_view name);

// What has to hold for any input. Not assert(): a fuzzer may be built without it.
#define FUZZ_CHECK(condition)                                                             \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                       \
    }                                                                                     \
  } while (false)

#define FUZZ_TARGET(target)                                                      \
  static void run_##target(std::string_view input);                              \
  static const Target target_##target{#target, run_##target,                     \
                                      std::exchange(targets, &target_##target)}; \
  static void run_##target(std::string_view input)

// A file in memory that holds `bytes`, until the next call with the same slot.
std::string file_with(std::string_view bytes, int slot = 0);
// In memory too, and removed when the program ends.
const std::string& folder();
std::shared_ptr<InputFile> opened(std::string_view bytes);

// So small that inputs of a few kilobytes meet them.
Limits small_limits();

// Reads everything that a checkpoint gives: each tensor is a view of its storage, each storage can
// be read (an error is an answer), and its names can be found below a root.
void use(const Checkpoint& checkpoint);

// The tensors that the format can hold, written and read again: they are the same.
void write_and_read_again(const Catalog& catalog, const Format& format);

// The same for what stands beside the tensors: all that can be kept is, and could be again.
void keep_and_read_again(const Catalog& catalog, const Format& format);

// The first part of the input up to a line `---`, and what is behind it.
std::pair<std::string_view, std::string_view> cut(std::string_view input);

}  // namespace regraft::fuzz
