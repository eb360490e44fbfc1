// The classes that a TorchScript archive's objects are of. `__torch__.a.b.C` stands in the record
// `code/__torch__/a/b.py`, with other classes of that qualifier; names that were taken already are
// mangled into the qualifier (`__torch__.a.b.___torch_mangle_3.C`).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "formats/format.h"
#include "formats/torch/script_source.h"
#include "formats/torch/torch_archive.h"

namespace regraft {

class ScriptClasses {
 public:
  ScriptClasses(TorchArchive& archive, const Limits& limits) : archive_(archive), limits_(limits) {}

  // The class of an object that stands at `object`. Each file is read once.
  Result<const ScriptClass*> find(std::string_view qualifier, std::string_view name,
                                  const Location& object);

  // Modules without a list of their buffers, in the files that were read.
  [[nodiscard]] std::size_t without_buffers() const { return without_buffers_; }

 private:
  using Names = std::unordered_map<std::string_view, std::size_t>;  // into `classes`
  struct File {
    std::string record;
    std::uint64_t offset = 0;
    std::vector<ScriptClass> classes;
    Names by_name;
  };

  Result<const File*> file(std::string_view qualifier, std::string_view name,
                           const Location& object);

  TorchArchive& archive_;
  const Limits& limits_;
  std::unordered_map<std::string, File> files_;  // by qualifier
  std::uint64_t bytes_ = 0;
  std::size_t without_buffers_ = 0;
};

}  // namespace regraft
