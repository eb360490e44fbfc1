// What can be said of an output's path before anything is done.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "base/system.h"
#include "execute/execute.h"
#include "execute/output_file.h"

namespace regraft {
namespace {

constexpr std::string_view kSuffix = ".regraft-part";

Diagnostic refusal(Code code, const OutputPath& path, std::string message, std::string hint = {}) {
  return error(code, file_location(path.whole), std::move(message), std::move(hint));
}

// As one word of a shell.
std::string shell_quoted(const std::string& text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-+,:=@%";
  if (!text.empty() && text[0] != '-' && text.find_first_not_of(kPlain) == std::string::npos) {
    return text;
  }
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
  return (text.starts_with('-') ? "-- " : "") + out + "'";
}

const InputFile* same_file(const struct stat& status,
                           const std::vector<const Checkpoint*>& checkpoints) {
  for (const Checkpoint* checkpoint : checkpoints) {
    if (checkpoint == nullptr || checkpoint->reader == nullptr) continue;
    const InputFile* file = checkpoint->reader->file();
    if (file && file->device() == status.st_dev && file->inode() == status.st_ino) return file;
  }
  return nullptr;
}

Diagnostic is_input(const OutputPath& path, const InputFile& input) {
  return refusal(Code::file_is_input, path,
                 "the output is the input " + quoted(input.path()) +
                     (path.whole == input.path() ? std::string() : " under another name"),
                 "give another path: inputs are never changed");
}

Status check_folder(const OutputPath& path) {
  struct stat status{};
  if (::stat(path.folder.c_str(), &status) != 0) {
    if (errno == ENOENT) {
      return refusal(Code::file_write, path, "there is no folder " + quoted(path.folder),
                     "mkdir -p " + shell_quoted(path.folder));
    }
    return refusal(Code::file_write, path,
                   "cannot look into the folder " + quoted(path.folder) + ": " + reason(errno));
  }
  if (!S_ISDIR(status.st_mode)) {
    return refusal(Code::file_write, path, quoted(path.folder) + " is not a folder");
  }
  if (::access(path.folder.c_str(), W_OK | X_OK) != 0) {
    return refusal(
        Code::file_write, path,
        "cannot write in the folder " + quoted(path.folder) + ": " + reason(errno),
        "choose another folder, or check who may write there: ls -ld " + shell_quoted(path.folder));
  }
  const long limit = ::pathconf(path.folder.c_str(), _PC_NAME_MAX);
  const std::size_t most = limit > 0 ? static_cast<std::size_t>(limit) : NAME_MAX;
  if (path.part_name.size() > most) {
    return refusal(Code::file_write, path,
                   "the name has " + std::to_string(path.name.size()) +
                       " bytes, and while it is written " +
                       std::to_string(path.part_name.size() - path.name.size()) +
                       " more; names have at most " + std::to_string(most),
                   "choose a shorter name");
  }
  return Done{};
}

std::string link_target(const std::string& path) {
  std::string target(PATH_MAX, '\0');
  const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
  target.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
  return target;
}

}  // namespace

std::string OutputPath::part() const {
  if (whole == name) return part_name;
  return folder + (folder.ends_with('/') ? "" : "/") + part_name;
}

Result<OutputPath> output_path(const std::string& path) {
  OutputPath result;
  result.whole = path;
  if (path.find('\0') != std::string::npos) {
    return refusal(Code::file_write, result, "a path has no zero bytes");
  }
  const std::size_t slash = path.rfind('/');
  result.folder = slash == std::string::npos ? "." : path.substr(0, slash == 0 ? 1 : slash);
  result.name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (result.name.empty() || result.name == "." || result.name == "..") {
    return refusal(Code::file_write, result,
                   "the output is to be a file, and this is a folder's path",
                   "add the name of a file");
  }
  result.part_name = "." + result.name + std::string(kSuffix);
  return result;
}

Status check_output(const std::string& path, const std::vector<const Checkpoint*>& checkpoints,
                    bool force) {
  REGRAFT_TRY(const OutputPath output, output_path(path));
  REGRAFT_CHECK(check_folder(output));
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return Done{};
    return refusal(Code::file_write, output, "cannot look at it: " + reason(errno));
  }
  if (S_ISLNK(status.st_mode)) {
    struct stat behind{};
    if (::stat(path.c_str(), &behind) == 0) {
      if (const InputFile* input = same_file(behind, checkpoints)) return is_input(output, *input);
    }
    return refusal(Code::file_write, output,
                   "the output is a symbolic link to " + quoted(link_target(path)),
                   "give the path that it leads to, or remove the link");
  }
  if (S_ISDIR(status.st_mode)) {
    return refusal(Code::file_write, output, "the output is to be a file, and this is a folder",
                   "add the name of a file");
  }
  if (!S_ISREG(status.st_mode)) {
    return refusal(Code::file_write, output,
                   "the output is to be a file, and this is a device, a FIFO or a socket",
                   "choose another path");
  }
  if (const InputFile* input = same_file(status, checkpoints)) return is_input(output, *input);
  if (!force) {
    return refusal(Code::file_exists, output, "the output exists",
                   "--force replaces it once the new one is complete");
  }
  return Done{};
}

}  // namespace regraft
