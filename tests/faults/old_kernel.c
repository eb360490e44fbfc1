// A kernel without Landlock and seccomp, or with the version LANDLOCK of the former.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>

long syscall(long number, ...) {
  long arguments[6];
  va_list list;
  va_start(list, number);
  for (int i = 0; i < 6; ++i) arguments[i] = va_arg(list, long);
  va_end(list);
  const char *version = getenv("LANDLOCK");
  if (number >= 444 && number <= 446) {
    if (!version) return errno = ENOSYS, -1;
    if (number == 444 && arguments[0] == 0) return atoi(version);
  }
  return ((long (*)(long, ...))dlsym(RTLD_NEXT, "syscall"))(number, arguments[0], arguments[1], arguments[2],
                                                           arguments[3], arguments[4], arguments[5]);
}

int prctl(int option, ...) {
  unsigned long arguments[4];
  va_list list;
  va_start(list, option);
  for (int i = 0; i < 4; ++i) arguments[i] = va_arg(list, unsigned long);
  va_end(list);
  if (option == PR_SET_SECCOMP && !getenv("LANDLOCK")) return errno = EINVAL, -1;
  return ((int (*)(int, ...))dlsym(RTLD_NEXT, "prctl"))(option, arguments[0], arguments[1], arguments[2],
                                                       arguments[3]);
}
