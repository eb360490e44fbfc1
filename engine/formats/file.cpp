#include "formats/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <vector>

#include "base/nearest.h"
#include "base/system.h"

namespace regraft {
namespace {

std::int64_t mtime_ns(const struct stat& status) {
  return static_cast<std::int64_t>(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec;
}

// A file beside the one that is not there, with nearly its name.
std::string similar_path(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const std::string_view name =
      std::string_view(path).substr(slash == std::string::npos ? 0 : slash + 1);
  DIR* stream = opendir(folder.c_str());
  if (stream == nullptr) return {};
  std::vector<std::string> names;
  while (const dirent* entry = readdir(stream)) {
    const std::string_view found = entry->d_name;
    if (found != "." && found != "..") names.emplace_back(found);
  }
  closedir(stream);
  std::sort(names.begin(), names.end());  // a folder has no order of its own
  const std::vector<std::string_view> views(names.begin(), names.end());
  const std::string similar = nearest(name, views);
  if (similar.empty()) return {};
  return slash == std::string::npos ? similar : folder + similar;
}

std::string why_not_there(const std::string& path) {
  std::string target(PATH_MAX, '\0');
  if (const ssize_t length = ::readlink(path.c_str(), target.data(), target.size()); length > 0)
    return "it is a symbolic link to " +
           quoted(target.substr(0, static_cast<std::size_t>(length))) + ", which is not there";
  const std::string similar = similar_path(path);
  return similar.empty() ? "check the path" : "did you mean " + quoted(similar) + "?";
}

Diagnostic cannot_open(const std::string& path, int error_number) {
  std::string hint;
  switch (error_number) {
    case ENOENT:
      hint = why_not_there(path);
      break;
    case ENOTDIR:
      hint = "a part of the path is a file, not a folder";
      break;
    case EACCES:  // unreached: tests may run as root, whom nothing is refused
    case EPERM:   // unreached: as EACCES
      hint = "check who may read it: ls -l";
      break;
    case ELOOP:
      hint = "its symbolic links lead in a circle";
      break;
    case EMFILE:
    // unreached: the whole machine's limit
    case ENFILE:
      hint = "too many files are open; raise the limit with ulimit -n";
      break;
    default:
      break;
  }
  return error(Code::file_open, file_location(path), "cannot open: " + reason(error_number),
               std::move(hint));
}

}  // namespace

std::string kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  // unreached: what is none of these; there may be no block device to open
  if (S_ISCHR(mode)) return "a character device";
  if (S_ISBLK(mode)) return "a block device";  // unreached: as above
  return "not a regular file";
}

Result<std::shared_ptr<InputFile>> InputFile::open(const std::string& path) {
  if (path.find('\0') != std::string::npos) {
    return error(Code::file_open, file_location(path), "cannot open: a path has no zero bytes");
  }
  // O_NONBLOCK: a FIFO would wait here for its other end.
  const int fd = uninterrupted(
      [&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); });
  if (fd < 0) {
    const int cause = errno;
    // A socket cannot be opened at all, so its kind has to be asked for by name.
    struct stat status{};
    if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
      return error(Code::file_open, file_location(path),
                   "cannot open: it is " + kind_of(status.st_mode), "give a regular file");
    }
    return cannot_open(path, cause);
  }
  std::shared_ptr<InputFile> file(new InputFile());
  file->path_ = path;
  file->fd_ = fd;  // closed with the file from here on
  struct stat status{};
  if (::fstat(fd, &status) != 0)  // unreached: tests/faults makes it fail
    return cannot_open(path, errno);
  if (!S_ISREG(status.st_mode)) {
    return error(Code::file_open, file_location(path),
                 "cannot open: it is " + kind_of(status.st_mode), "give a regular file");
  }
  file->size_ = static_cast<std::uint64_t>(status.st_size);
  file->device_ = status.st_dev;
  file->inode_ = status.st_ino;
  file->mtime_ns_ = mtime_ns(status);
  return file;
}

InputFile::~InputFile() { ::close(fd_); }

Status InputFile::read(std::uint64_t offset, std::span<std::byte> out) const {
  if (out.empty()) return Done{};
  if (offset > size_ || out.size() > size_ - offset) {
    return error(Code::file_read, file_location(path_, offset),
                 std::to_string(out.size()) + " bytes wanted at offset " + std::to_string(offset) +
                     ", but the file has " + std::to_string(size_));
  }
  while (!out.empty()) {
    // Linux reads at most 2 GiB at once; the cap keeps a single count within ssize_t elsewhere too.
    const std::size_t wanted = std::min<std::size_t>(out.size(), std::size_t{1} << 30);
    const ssize_t count =
        uninterrupted([&] { return ::pread(fd_, out.data(), wanted, static_cast<off_t>(offset)); });
    if (count < 0) {  // unreached: tests/faults makes it fail
      return error(Code::file_read, file_location(path_, offset), "cannot read: " + reason(errno));
    }
    if (count == 0) {
      return error(Code::file_read, file_location(path_, offset),
                   "the file shrank while it was read: it had " + std::to_string(size_) +
                       " bytes and now ends at or before " + std::to_string(offset),
                   "run again when nothing writes to the file");
    }
    out = out.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return Done{};
}

Result<std::string> InputFile::read_string(std::uint64_t offset, std::uint64_t length) const {
  if (offset > size_ || length > size_ - offset) {
    return error(Code::file_read, file_location(path_, offset),
                 std::to_string(length) + " bytes wanted at offset " + std::to_string(offset) +
                     ", but the file has " + std::to_string(size_));
  }
  std::string text(length, '\0');
  REGRAFT_CHECK(read(offset, std::as_writable_bytes(std::span(text))));
  return text;
}

Status InputFile::unchanged() const {
  const auto changed = [&](const std::string& what) {
    return error(Code::file_changed, file_location(path_),
                 "the file changed during the run: " + what,
                 "run again when nothing writes to the file");
  };
  struct stat status{};
  if (::fstat(fd_, &status) != 0) {  // unreached: tests/faults makes it fail
    return error(Code::file_read, file_location(path_), "cannot stat: " + reason(errno));
  }
  if (static_cast<std::uint64_t>(status.st_size) != size_) {
    return changed("it had " + std::to_string(size_) + " bytes and has " +
                   std::to_string(status.st_size));
  }
  if (mtime_ns(status) != mtime_ns_) return changed("it was written to");
  // The path may lead to another file by now, which is not the one that was read.
  if (::stat(path_.c_str(), &status) != 0) return changed(reason(errno));
  // unreached: a file on another device, for which a second file system is needed
  if (status.st_dev != device_ || status.st_ino != inode_) {
    return changed("another file took its place");
  }
  return Done{};
}

}  // namespace regraft
