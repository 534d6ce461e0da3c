/* Preloaded into a server: a disk that is slow or fails, for paths that say so.

   While the file $SICK_DISK is there, to open, stat or unlink a path with "-slow-" in it takes $SICK_SECONDS,
   as on a file server that hangs; asked only for what is in memory (RESOLVE_CACHED) it says EAGAIN at once.
   "-errno-N-" in a path makes the same calls fail with that number. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define OPENAT2 437
#define RESOLVE_CACHED 0x20

struct how { uint64_t flags, mode, resolve; };

static int is_sick(void) {
    const char *file = getenv("SICK_DISK");
    return file && access(file, F_OK) == 0;
}

/* Return 0, or -1 with errno set. */
static int suffer(const char *path, int waits) {
    if (!path) return 0;
    const char *failing = strstr(path, "-errno-");
    int is_slow = strstr(path, "-slow-") != NULL;
    if ((!failing && !is_slow) || !is_sick()) return 0;
    if (failing) {
        errno = atoi(failing + strlen("-errno-"));
        return -1;
    }
    if (!waits) {
        errno = EAGAIN;
        return -1;
    }
    const char *seconds = getenv("SICK_SECONDS");
    struct timespec left = {seconds ? atoi(seconds) : 10, 0};
    while (nanosleep(&left, &left) != 0) {}
    return 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define MODE(flags) mode_t mode = 0; if ((flags) & (O_CREAT | O_TMPFILE)) { \
    va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *path, int flags, ...) {
    MODE(flags)
    return suffer(path, 1) ? -1 : REAL(open)(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    MODE(flags)
    return suffer(path, 1) ? -1 : REAL(open64)(path, flags, mode);
}
int openat(int folder, const char *path, int flags, ...) {
    MODE(flags)
    return suffer(path, 1) ? -1 : REAL(openat)(folder, path, flags, mode);
}
int openat64(int folder, const char *path, int flags, ...) {
    MODE(flags)
    return suffer(path, 1) ? -1 : REAL(openat64)(folder, path, flags, mode);
}
int fstatat(int folder, const char *path, struct stat *status, int flags) {
    return suffer(path, 1) ? -1 : REAL(fstatat)(folder, path, status, flags);
}
int fstatat64(int folder, const char *path, struct stat64 *status, int flags) {
    return suffer(path, 1) ? -1 : REAL(fstatat64)(folder, path, status, flags);
}
int unlinkat(int folder, const char *path, int flags) {
    return suffer(path, 1) ? -1 : REAL(unlinkat)(folder, path, flags);
}

long syscall(long number, ...) {
    va_list rest;
    va_start(rest, number);
    long a = va_arg(rest, long), b = va_arg(rest, long), c = va_arg(rest, long), d = va_arg(rest, long),
         e = va_arg(rest, long), f = va_arg(rest, long);
    va_end(rest);
    if (number == OPENAT2 && suffer((const char *)b, !(((const struct how *)c)->resolve & RESOLVE_CACHED)))
        return -1;
    return REAL(syscall)(number, a, b, c, d, e, f);
}
