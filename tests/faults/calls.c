// Makes one system call of a program fail: build as a shared library and name it in LD_PRELOAD.
//
//   FAULT_AT=N      the call that fails, from 1 up in the order they are made; 0: none
//   FAULT_ERROR=E   errno of the failure; or "short": half of what was to be written or read; or
//                   "flip": another byte in the middle of what is written
//   FAULT_SIDE=S    which calls count: "write" (what makes and publishes files, the default), "read"
//                   or "change": it is well, and the file FAULT_FILE gets another byte before it
//   FAULT_LOG=FILE  the names of the calls that count, a line each
//
// Calls on stdin, stdout and stderr do not count, nor does what the dynamic linker does before main.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// What a process may open later is up to the process: it confines itself.
static int log_fd = -1, change_fd = -1;
static int at, error_number, is_short, is_flip, is_change, reads;
static int count;

__attribute__((constructor)) static void read_settings(void) {
  const char *number = getenv("FAULT_AT"), *error = getenv("FAULT_ERROR");
  const char *side = getenv("FAULT_SIDE"), *log = getenv("FAULT_LOG");
  at = number ? atoi(number) : 0;
  is_short = error && !strcmp(error, "short");
  is_flip = error && !strcmp(error, "flip");
  is_change = error && !strcmp(error, "change");
  error_number = error ? atoi(error) : EIO;
  reads = side && !strcmp(side, "read");
  if (is_change) change_fd = (int)syscall(SYS_openat, AT_FDCWD, getenv("FAULT_FILE"), O_WRONLY | O_CLOEXEC);
  if (log) log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
}

// Whether this is the call that fails.
static int fails(int of_reading, const char *name) {
  if (of_reading != reads) return 0;
  int number = __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
  if (log_fd >= 0) {
    char line[64];
    int length = snprintf(line, sizeof line, "%s\n", name);
    syscall(SYS_write, log_fd, line, length);
  }
  if (number != at || !is_change) return number == at;
  off_t size = syscall(SYS_lseek, change_fd, 0, SEEK_END);
  syscall(SYS_pwrite64, change_fd, "\x55", 1, size - 1);
  return 0;
}

#define NEXT(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))
#define FAIL() return (errno = error_number), -1

int open(const char *path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
  va_end(list);
  if (fails(!(flags & O_CREAT), "open") && !is_short) FAIL();
  return NEXT(int, "open", const char *, int, ...)(path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
  va_end(list);
  if (fails(!(flags & O_CREAT), "openat") && !is_short) FAIL();
  return NEXT(int, "openat", int, const char *, int, ...)(folder, path, flags, mode);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset) {
  if (fails(0, "pwrite")) {
    if (is_flip) {
      char *other = memcpy(malloc(size), bytes, size);
      other[size / 2] ^= 1;
      return NEXT(ssize_t, "pwrite", int, const void *, size_t, off_t)(fd, other, size, offset);
    }
    if (!is_short) FAIL();
    size = (size + 1) / 2;
  }
  return NEXT(ssize_t, "pwrite", int, const void *, size_t, off_t)(fd, bytes, size, offset);
}

ssize_t write(int fd, const void *bytes, size_t size) {
  if (fd > 2 && fails(0, "write")) {
    if (!is_short) FAIL();
    size = (size + 1) / 2;
  }
  return NEXT(ssize_t, "write", int, const void *, size_t)(fd, bytes, size);
}

ssize_t pread(int fd, void *bytes, size_t size, off_t offset) {
  if (fails(1, "pread")) {
    if (!is_short) FAIL();
    size = (size + 1) / 2;
  }
  return NEXT(ssize_t, "pread", int, void *, size_t, off_t)(fd, bytes, size, offset);
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
  if (fails(0, "fallocate") && !is_short) FAIL();
  return NEXT(int, "fallocate", int, int, off_t, off_t)(fd, mode, offset, length);
}

int ftruncate(int fd, off_t length) {
  if (fails(0, "ftruncate") && !is_short) FAIL();
  return NEXT(int, "ftruncate", int, off_t)(fd, length);
}

int fsync(int fd) {
  if (fails(0, "fsync") && !is_short) FAIL();
  return NEXT(int, "fsync", int)(fd);
}

int fchmod(int fd, mode_t mode) {
  if (fails(0, "fchmod") && !is_short) FAIL();
  return NEXT(int, "fchmod", int, mode_t)(fd, mode);
}

int flock(int fd, int operation) {
  if (fails(0, "flock") && !is_short) FAIL();
  return NEXT(int, "flock", int, int)(fd, operation);
}

int fcntl(int fd, int command, ...) {
  va_list list;
  va_start(list, command);
  void *argument = va_arg(list, void *);
  va_end(list);
  if (command == F_DUPFD_CLOEXEC && fails(0, "fcntl") && !is_short) FAIL();
  return NEXT(int, "fcntl", int, int, ...)(fd, command, argument);
}

// As on Linux: whatever it says, the descriptor is gone.
int close(int fd) {
  struct stat status;
  int writable = fd > 2 && (NEXT(int, "fcntl", int, int, ...)(fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
  int of_file = fd > 2 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  int fail = of_file && fails(!writable, "close") && !is_short;
  int result = NEXT(int, "close", int)(fd);
  if (fail) FAIL();
  return result;
}

int rename(const char *from, const char *to) {
  if (fails(0, "rename") && !is_short) FAIL();
  return NEXT(int, "rename", const char *, const char *)(from, to);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
  if (fails(0, "renameat") && !is_short) FAIL();
  return NEXT(int, "renameat", int, const char *, int, const char *)(from_folder, from, to_folder, to);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
  if (fails(0, "renameat2") && !is_short) FAIL();
  return NEXT(int, "renameat2", int, const char *, int, const char *, unsigned)(from_folder, from, to_folder,
                                                                               to, flags);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
  if (fails(0, "linkat") && !is_short) FAIL();
  return NEXT(int, "linkat", int, const char *, int, const char *, int)(from_folder, from, to_folder, to,
                                                                       flags);
}

int unlinkat(int folder, const char *path, int flags) {
  if (fails(0, "unlinkat") && !is_short) FAIL();
  return NEXT(int, "unlinkat", int, const char *, int)(folder, path, flags);
}

int unlink(const char *path) {
  if (fails(0, "unlink") && !is_short) FAIL();
  return NEXT(int, "unlink", const char *)(path);
}

int fstat(int fd, struct stat *status) {
  if (fails(1, "fstat") && !is_short) FAIL();
  return NEXT(int, "fstat", int, struct stat *)(fd, status);
}
