// Tries from inside of a program what a checkpoint's bytes must not be able to make it do: build as a shared
// library, name it in LD_PRELOAD. At read number PROBE_AT of the file PROBE_OWN each attempt becomes a line of stderr, `probe: NAME: done`
// or the error.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *name, int done) {
  char line[256];
  int length = snprintf(line, sizeof line, "probe: %s: %s\n", name, done ? "done" : strerrorname_np(errno));
  syscall(SYS_write, 2, line, length);
}

static void *nothing(void *argument) { return argument; }

static int starts(const char *how) {
  char *arguments[] = {"/bin/true", NULL};
  pid_t child = !strcmp(how, "fork") ? (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) : -2;
  if (child == 0) _exit(0);
  if (child == -2) {  // what it is now would end, so only the error is looked at
    execve("/nowhere/that/is", arguments, arguments + 1);
    return errno == ENOENT;
  }
  if (child > 0) waitpid(child, NULL, 0);
  return child > 0;
}

static int opens(const char *path, int flags) {
  if (!path) return 0;
  int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0600);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

static void probe(void) {
  const char *foreign = getenv("PROBE_FOREIGN"), *folder = getenv("PROBE_FOLDER"), *own = getenv("PROBE_OWN");
  char made[4096];
  snprintf(made, sizeof made, "%s/made", folder);
  say("socket", socket(AF_INET, SOCK_STREAM, 0) >= 0);
  say("unix socket", socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
  say("exec", starts("exec"));
  say("fork", starts("fork"));
  say("io_uring", syscall(SYS_io_uring_setup, 1, NULL) >= 0 || errno == EFAULT);
  say("read foreign", opens(foreign, O_RDONLY));
  say("read /etc/passwd", opens("/etc/passwd", O_RDONLY));
  say("list foreign folder", opens(folder, O_RDONLY | O_DIRECTORY));
  say("write foreign", opens(foreign, O_WRONLY));
  say("truncate foreign", truncate(foreign, 1) == 0);
  say("make foreign", opens(made, O_WRONLY | O_CREAT));
  say("remove foreign", unlink(foreign) == 0);
  say("read own", opens(own, O_RDONLY));
  say("write own", opens(own, O_WRONLY));
  pthread_t thread;
  say("thread", pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0);
}

// The checkpoint is read with this.
ssize_t pread(int fd, void *bytes, size_t size, off_t offset) {
  static int count;
  struct stat own, read;
  const char *at = getenv("PROBE_AT");
  if (at && stat(getenv("PROBE_OWN"), &own) == 0 && fstat(fd, &read) == 0 && own.st_ino == read.st_ino &&
      ++count == atoi(at))
    probe();
  return ((ssize_t(*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread"))(fd, bytes, size, offset);
}
