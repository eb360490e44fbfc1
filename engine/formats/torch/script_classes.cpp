#include "formats/torch/script_classes.h"

#include <algorithm>
#include <utility>

namespace regraft {
namespace {

constexpr std::string_view kAgain =
    "save the module with torch.jit.save again; an archive that is packed again needs its folder "
    "'code'";

}  // namespace

Result<const ScriptClass*> ScriptClasses::find(std::string_view qualifier, std::string_view name,
                                               const Location& object) {
  REGRAFT_TRY(const File* found, file(qualifier, name, object));
  auto known = found->by_name.find(name);
  if (known != found->by_name.end()) return &found->classes[known->second];
  return error(
      Code::zip_corrupt, file_location(archive_.zip().file().path(), found->offset, found->record),
      "the class file does not define " + quoted(name) + ", of which data.pkl has an object",
      std::string(kAgain));
}

Result<const ScriptClasses::File*> ScriptClasses::file(std::string_view qualifier,
                                                       std::string_view name,
                                                       const Location& object) {
  auto [place, is_new] = files_.try_emplace(std::string(qualifier));
  File& file = place->second;
  if (!is_new) return &file;
  std::string path(qualifier);
  std::ranges::replace(path, '.', '/');
  path = "code/" + path + ".py";
  const ZipReader& zip = archive_.zip();
  const ZipEntry* entry = zip.find(path);
  if (entry == nullptr)
    return error(Code::zip_corrupt, object,
                 "the record " + quoted(path) + " with the class " +
                     quoted(std::string(qualifier) + "." + std::string(name)) + " is missing",
                 std::string(kAgain));
  if (entry->size > limits_.script_bytes - bytes_)
    return past_limit(record_place(zip, *entry), "the class files have too many bytes together",
                      limits_, &Limits::script_bytes);
  bytes_ += entry->size;
  REGRAFT_TRY(const std::string text,
              archive_.read_metadata(*entry, limits_, &Limits::script_bytes));
  PickleOrigin origin = record_origin(zip, *entry);
  REGRAFT_TRY(file.classes, read_script_source(text, origin));
  file.record = origin.record;
  file.offset = origin.offset;
  file.by_name.reserve(file.classes.size());
  for (std::size_t i = 0; i < file.classes.size(); ++i)
    file.by_name.emplace(file.classes[i].name, i);
  for (const ScriptClass& one : file.classes)
    if (one.module && !one.lists_buffers) ++without_buffers_;
  return &file;
}

}  // namespace regraft
