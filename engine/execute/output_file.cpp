#include "execute/output_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "base/system.h"
#include "execute/execute.h"
#include "schedule/gather_way.h"

namespace regraft {
namespace {

// Another process may remove the part file that was just opened, so locking is tried again; each
// time somebody else has come further.
constexpr int kAttempts = 100;
constexpr std::string_view kInTheWay =
    "something else stands where the output is written; look at it and move it";

// The file system cannot do it at all, as opposed to: it failed.
bool unsupported(int error_number) {
  return error_number == EOPNOTSUPP || error_number == ENOSYS || error_number == EINVAL;
}

}  // namespace

Result<std::unique_ptr<OutputFile>> OutputFile::create(
    const std::string& path, const std::vector<const Checkpoint*>& checkpoints, bool force) {
  REGRAFT_CHECK(check_output(path, checkpoints, force));
  REGRAFT_TRY(OutputPath place, output_path(path));
  std::unique_ptr<OutputFile> file(new OutputFile(std::move(place)));
  const OutputPath& output = file->path_;
  file->folder_ = uninterrupted(
      [&] { return ::open(output.folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (file->folder_ < 0) {
    return file->failed("cannot open the folder " + quoted(output.folder), errno);
  }
  REGRAFT_CHECK(file->lock(checkpoints));
  // Whoever held the lock before may have published by now.
  REGRAFT_CHECK(check_output(path, checkpoints, force));
  return file;
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) {
    if (!published_ && part_is(fd_)) remove_part();
    ::close(fd_);
  }
  if (folder_ >= 0) ::close(folder_);
}

namespace {

bool size_is_limited() {
  struct rlimit limit{};
  return ::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

}  // namespace

Diagnostic OutputFile::failed(const std::string& what, int error_number) const {
  std::string message = what + ": " + reason(error_number);
  std::string hint;
  if (error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG) {
    message += "; " + std::to_string(size_) + " bytes are needed";
    struct statvfs status{};
    if (error_number == ENOSPC && fd_ >= 0 && ::fstatvfs(fd_, &status) == 0) {
      struct stat part{};  // what it has taken already is there for it
      const std::uint64_t taken =
          ::fstat(fd_, &part) == 0 ? static_cast<std::uint64_t>(part.st_blocks) * 512 : 0;
      message += ", " + std::to_string(status.f_bavail * status.f_frsize + taken) + " are free";
    }
    hint = error_number != EFBIG ? "make room, or write to another disk"
           : size_is_limited()   ? "raise the limit on the size of files: ulimit -f"
                                 : "this file system holds no file of that size";
  }
  return error(Code::file_write, file_location(path_.whole), std::move(message), std::move(hint));
}

int OutputFile::remove_part() const {
  return uninterrupted([&] { return ::unlinkat(folder_, path_.part_name.c_str(), 0); });
}

bool OutputFile::part_is(int fd) const {
  struct stat open{}, named{};
  return ::fstat(fd, &open) == 0 &&
         ::fstatat(folder_, path_.part_name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
         open.st_dev == named.st_dev && open.st_ino == named.st_ino;
}

// A stale part file is removed, never written over: it may be a hard link to the output (of a run
// that was killed between link and unlink), and it may have another owner's permissions.
Status OutputFile::lock(const std::vector<const Checkpoint*>& checkpoints) {
  const std::string& part = path_.part_name;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    constexpr int kFlags = O_RDWR | O_CLOEXEC | O_NOFOLLOW;
    fd_ = uninterrupted(
        [&] { return ::openat(folder_, part.c_str(), kFlags | O_CREAT | O_EXCL, 0666); });
    const bool created = fd_ >= 0;
    if (!created && errno == EEXIST) {
      fd_ = uninterrupted([&] { return ::openat(folder_, part.c_str(), kFlags | O_NONBLOCK); });
      if (fd_ < 0 && errno == ENOENT) continue;
    }
    if (fd_ < 0) {
      return error(Code::file_write, file_location(path_.whole),
                   "cannot open " + quoted(path_.part()) + ": " + reason(errno),
                   errno == ELOOP || errno == EISDIR || errno == EACCES ? std::string(kInTheWay)
                                                                        : std::string());
    }
    struct stat status{};
    const int file = std::exchange(fd_, -1);  // not ours to remove, until it is locked
    const auto closed = [&](Diagnostic diagnostic) {
      ::close(file);
      return diagnostic;
    };
    if (::fstat(file, &status) != 0) {
      Diagnostic problem = failed("cannot stat " + quoted(path_.part()), errno);
      if (created) remove_part();
      return closed(std::move(problem));
    }
    if (!S_ISREG(status.st_mode)) {
      return closed(error(Code::file_write, file_location(path_.whole),
                          quoted(path_.part()) + " is not a regular file", std::string(kInTheWay)));
    }
    for (const Checkpoint* checkpoint : checkpoints) {
      if (checkpoint == nullptr || checkpoint->reader == nullptr) continue;
      const InputFile* input = checkpoint->reader->file();
      if (!input || input->device() != status.st_dev || input->inode() != status.st_ino) continue;
      return closed(error(
          Code::file_is_input, file_location(path_.whole),
          "the input " + quoted(input->path()) + " has the name under which the output is written",
          "rename the input, or choose another output"));
    }
    if (uninterrupted([&] { return ::flock(file, LOCK_EX | LOCK_NB); }) != 0) {
      if (errno == EWOULDBLOCK) {
        return closed(error(Code::file_locked, file_location(path_.whole),
                            "another process is writing this output",
                            "wait until it is done, or choose another output"));
      }
      Diagnostic problem = failed("cannot lock " + quoted(path_.part()), errno);
      if (created && part_is(file)) remove_part();
      return closed(std::move(problem));
    }
    if (!part_is(file)) {  // removed or published while we waited
      ::close(file);
    } else if (created) {
      fd_ = file;
      return Done{};
    } else {
      remove_part();
      ::close(file);
    }
  }
  return error(Code::file_locked, file_location(path_.whole),
               "other processes keep writing this output", "choose another output");
}

Status OutputFile::reserve(std::uint64_t size) {
  size_ = size;
  if (size > static_cast<std::uint64_t>(INT64_MAX)) return failed("cannot write", EFBIG);
  const auto length = static_cast<off_t>(size);
  if (size > 0 && uninterrupted([&] { return ::fallocate(fd_, 0, 0, length); }) != 0) {
    if (!unsupported(errno)) return failed("cannot write", errno);
  }
  if (uninterrupted([&] { return ::ftruncate(fd_, length); }) != 0) {
    return failed("cannot write", errno);
  }
  return Done{};
}

Status OutputFile::write(std::uint64_t offset, Bytes bytes) {
  while (!bytes.empty()) {
    const std::size_t wanted = std::min<std::size_t>(bytes.size(), std::size_t{1} << 30);
    const ssize_t count = uninterrupted(
        [&] { return ::pwrite(fd_, bytes.data(), wanted, static_cast<off_t>(offset)); });
    if (count < 0) return failed("cannot write at offset " + std::to_string(offset), errno);
    // POSIX leaves open what nothing written and no error means; trying for ever is no answer.
    if (count == 0) return failed("cannot write at offset " + std::to_string(offset), EIO);
    // Nothing waits for it; fsync says what went wrong.
    if (writes_back_)
      ::sync_file_range(fd_, static_cast<off_t>(offset), count, SYNC_FILE_RANGE_WRITE);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return Done{};
}

Sink::Shared OutputFile::share(std::uint64_t offset, const InputFile& file, std::uint64_t from,
                               std::uint64_t length) {
  Shared shared{(kSharedPage - offset % kSharedPage) % kSharedPage, length};
  if (!shares_ || offset % kSharedPage != from % kSharedPage || shared.begin >= length) return {};
  shared.end -= (offset + length) % kSharedPage;
  if (shared.end <= shared.begin) return {};
  file_clone_range range{};
  range.src_fd = file.fd();
  range.src_offset = from + shared.begin;
  range.src_length = shared.end - shared.begin;
  range.dest_offset = offset + shared.begin;
  // Whatever is the matter, copying tells better.
  shares_ = uninterrupted([&] { return ::ioctl(fd_, FICLONERANGE, &range); }) == 0;
  return shares_ ? shared : Shared{};
}

Status OutputFile::sync_file() {
  if (uninterrupted([&] { return ::fsync(fd_); }) != 0) {
    return failed("cannot bring the data to the disk", errno);
  }
  return Done{};
}

Status OutputFile::to_disk() {
  REGRAFT_CHECK(sync_file());
  ::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED);
  return Done{};
}

Status OutputFile::publish(bool force, bool sync) {
  struct stat old{};
  if (force && ::fstatat(folder_, path_.name.c_str(), &old, AT_SYMLINK_NOFOLLOW) == 0) {
    if (!S_ISREG(old.st_mode)) {
      return error(Code::file_write, file_location(path_.whole),
                   "what stands at the output's path is no longer a regular file");
    }
    if (uninterrupted([&] { return ::fchmod(fd_, old.st_mode & 0777); }) != 0) {
      return failed("cannot keep the permissions of the file that is replaced", errno);
    }
  }
  if (sync) REGRAFT_CHECK(sync_file());
  // Network file systems say at close that a write failed; the lock needs its descriptor open.
  const int twin = ::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
  if (twin >= 0 && ::close(twin) != 0 && errno != EINTR) return failed("cannot close", errno);
  REGRAFT_CHECK(force ? rename_over() : rename_to_new());
  published_ = true;
  if (sync && uninterrupted([&] { return ::fsync(folder_); }) != 0 && !unsupported(errno)) {
    return failed("the output is complete, but cannot bring its name to the disk", errno);
  }
  return Done{};
}

Status OutputFile::rename_over() {
  if (uninterrupted([&] {
        return ::renameat(folder_, path_.part_name.c_str(), folder_, path_.name.c_str());
      }) != 0) {
    return failed("cannot rename the complete file to its name", errno);
  }
  return Done{};
}

// Never replaces a file that appeared meanwhile.
Status OutputFile::rename_to_new() {
  const std::string& part = path_.part_name;
  const auto exists = [&] {
    return error(Code::file_exists, file_location(path_.whole),
                 "the output appeared while it was written",
                 "--force replaces it once the new one is complete");
  };
  if (uninterrupted([&] {
        return ::renameat2(folder_, part.c_str(), folder_, path_.name.c_str(), RENAME_NOREPLACE);
      }) == 0) {
    return Done{};
  }
  if (errno == EEXIST) return exists();
  if (!unsupported(errno)) return failed("cannot rename the complete file to its name", errno);
  // Some network and FUSE file systems have plain rename only. A hard link never replaces either.
  if (uninterrupted(
          [&] { return ::linkat(folder_, part.c_str(), folder_, path_.name.c_str(), 0); }) == 0) {
    if (remove_part() == 0) return Done{};
    return failed("cannot remove the part file", errno);
  }
  if (errno == EEXIST) return exists();
  if (!unsupported(errno) && errno != EPERM && errno != EMLINK) {
    return failed("cannot rename the complete file to its name", errno);
  }
  // No hard links: the lock still keeps every other run away.
  struct stat status{};
  if (::fstatat(folder_, path_.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) return exists();
  return rename_over();
}

}  // namespace regraft
