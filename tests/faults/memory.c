// Refuses allocations of a program, counted from its main: build as a shared library, name it in
// LD_PRELOAD.
//
//   MEMORY_AT=N     the allocation that is refused, from 1 up; 0: none
//   MEMORY_REST=1   and all that come after it
//   MEMORY_LOG=FILE the number of allocations, when the program ends
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t),
    *__libc_memalign(size_t, size_t);

static long at, count;
static int rest, counting;
static int log_fd = -1;
static int (*program_main)(int, char **, char **);

static int refuses(void) {
  if (!counting) return 0;
  long number = __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
  int refused = at > 0 && (rest ? number >= at : number == at);
  if (refused) errno = ENOMEM;
  return refused;
}

void *malloc(size_t size) { return refuses() ? NULL : __libc_malloc(size); }
void *calloc(size_t items, size_t size) { return refuses() ? NULL : __libc_calloc(items, size); }
void *realloc(void *old, size_t size) { return refuses() ? NULL : __libc_realloc(old, size); }
void *memalign(size_t alignment, size_t size) { return refuses() ? NULL : __libc_memalign(alignment, size); }
void *aligned_alloc(size_t alignment, size_t size) { return refuses() ? NULL : __libc_memalign(alignment, size); }
int posix_memalign(void **made, size_t alignment, size_t size) {
  if (refuses()) return ENOMEM;
  *made = __libc_memalign(alignment, size);
  return *made ? 0 : ENOMEM;
}

// What ends the process allocates for itself.
static void stop_counting(void) {
  counting = 0;
  if (log_fd < 0) return;
  char text[32];
  int length = snprintf(text, sizeof text, "%ld\n", count);
  syscall(SYS_write, log_fd, text, length);
}

static int counted_main(int argc, char **argv, char **environment) {
  const char *number = getenv("MEMORY_AT");
  at = number ? atol(number) : 0;
  rest = getenv("MEMORY_REST") != NULL;
  // Before the program confines itself.
  const char *log = getenv("MEMORY_LOG");
  if (log) log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  atexit(stop_counting);
  counting = 1;
  return program_main(argc, argv, environment);
}

int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*linker_fini)(void), void *stack_end) {
  program_main = main;
  return ((int (*)(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void), void (*)(void),
                   void *))dlsym(RTLD_NEXT, "__libc_start_main"))(counted_main, argc, argv, init, fini,
                                                                  linker_fini, stack_end);
}
