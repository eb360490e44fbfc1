#include "formats/file.h"
#include "spec/spec.h"

namespace regraft {

Result<SourceTextPtr> read_spec_file(const std::string& path) {
  constexpr std::uint64_t kMost = 16ull << 20;
  REGRAFT_TRY(const std::shared_ptr<InputFile> file, InputFile::open(path));
  if (file->size() > kMost)
    return error(Code::limit_exceeded, file_location(path),
                 "it is larger than 16 MiB, which no spec is");
  REGRAFT_TRY(std::string text, file->read_string(0, file->size()));
  return std::make_shared<const SourceText>(SourceText{path, std::move(text)});
}

}  // namespace regraft
