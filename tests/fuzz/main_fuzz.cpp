// libFuzzer's entry: the target is named by REGRAFT_FUZZ, since libFuzzer has the command line.
#include "fuzz/target.h"

namespace {

const regraft::fuzz::Target* chosen = nullptr;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* name = std::getenv("REGRAFT_FUZZ");
  chosen = regraft::fuzz::find(name == nullptr ? "" : name);
  if (chosen != nullptr) return 0;
  std::fprintf(stderr, "set REGRAFT_FUZZ to one of:");
  for (const auto* target = regraft::fuzz::targets; target != nullptr; target = target->next)
    std::fprintf(stderr, " %s", target->name);
  std::fprintf(stderr, "\n");
  std::exit(2);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  chosen->run({reinterpret_cast<const char*>(data), size});
  return 0;
}
