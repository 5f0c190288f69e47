/*
 * Makes one call of the C library fail, wait or be the last one, in a process that it is preloaded into.
 *
 * FAULT_PATH   calls on files whose path contains this text are looked at
 * FAULT_OP     fwrite, fflush, fdatasync, fsync, write, pwrite, rename, link, unlink or any: these calls count;
 *              or read, pread or mkdir, which any leaves out
 * FAULT_END    if their path ends with this text, where it is given
 * FAULT_WHEN   and while a file of this name exists, where it is given
 * FAULT_AT     number of the first counted call that fails, from 1
 * FAULT_COUNT  how many of them fail, 1 unless it is given
 * FAULT_ERRNO  what they fail with; 0 lets them through
 * FAULT_KILL   if set, the process is killed instead
 * FAULT_DELAY  milliseconds that they wait first
 * FAULT_PARTIAL  if set, half of the bytes of a failing fwrite, write or pwrite are written
 * FAULT_TRACE  a file that gets a line for each call that is looked at: operation, tab, path
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#undef fwrite_unlocked
#undef fflush_unlocked

enum { PATH_BYTES = 1024 };

static const char *operation, *path_part, *path_end, *condition, *trace;
static long fail_at, fail_count = 1, delay;
static int fail_errno = EIO, partial, deadly;
static atomic_long calls;

static long number_of(const char *name, long otherwise) {
  const char *text = getenv(name);
  return text == NULL ? otherwise : atol(text);
}

__attribute__((constructor)) static void read_environment(void) {
  operation = getenv("FAULT_OP");
  path_part = getenv("FAULT_PATH");
  path_end = getenv("FAULT_END");
  condition = getenv("FAULT_WHEN");
  trace = getenv("FAULT_TRACE");
  fail_at = number_of("FAULT_AT", 0);
  fail_count = number_of("FAULT_COUNT", 1);
  fail_errno = (int)number_of("FAULT_ERRNO", EIO);
  delay = number_of("FAULT_DELAY", 0);
  partial = getenv("FAULT_PARTIAL") != NULL;
  deadly = getenv("FAULT_KILL") != NULL;
}

static int ends_with(const char *text, const char *end) {
  size_t length = strlen(text), tail = strlen(end);
  return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* By system call, so that it is not itself a call that counts. */
static void note(const char *name, const char *path) {
  char line[PATH_BYTES + 32];
  int length = snprintf(line, sizeof line, "%s\t%s\n", name, path);
  int file = (int)syscall(SYS_openat, AT_FDCWD, trace, O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (file < 0) return;
  (void)!syscall(SYS_write, file, line, (size_t)length);
  syscall(SYS_close, file);
}

static int fails(const char *name, const char *path) {
  if (operation == NULL || path_part == NULL || strstr(path, path_part) == NULL) return 0;
  if (trace != NULL) note(name, path);
  if (strcmp(operation, name) != 0 && strcmp(operation, "any") != 0) return 0;
  if (path_end != NULL && !ends_with(path, path_end)) return 0;
  if (condition != NULL && syscall(SYS_faccessat, AT_FDCWD, condition, F_OK) != 0) return 0;
  long call = ++calls;
  if (fail_at == 0 || call < fail_at || call >= fail_at + fail_count) return 0;
  if (deadly) raise(SIGKILL);
  if (delay > 0) usleep((useconds_t)delay * 1000);
  errno = fail_errno;
  return fail_errno != 0;
}

static int fails_for(const char *name, int file) {
  char link[64], path[PATH_BYTES];
  if (operation == NULL) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return fails(name, path);
}

#define REAL(name) \
  static __typeof__(&name) real; \
  if (real == NULL) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

size_t fwrite_unlocked(const void *data, size_t size, size_t count, FILE *file) {
  REAL(fwrite_unlocked);
  if (!fails_for("fwrite", fileno(file))) return real(data, size, count, file);
  if (partial) real(data, 1, size * count / 2, file);
  errno = fail_errno;
  return 0;
}

size_t fwrite(const void *data, size_t size, size_t count, FILE *file) {
  REAL(fwrite);
  if (!fails_for("fwrite", fileno(file))) return real(data, size, count, file);
  if (partial) real(data, 1, size * count / 2, file);
  errno = fail_errno;
  return 0;
}

int fflush_unlocked(FILE *file) {
  REAL(fflush_unlocked);
  return file != NULL && fails_for("fflush", fileno(file)) ? EOF : real(file);
}

int fflush(FILE *file) {
  REAL(fflush);
  return file != NULL && fails_for("fflush", fileno(file)) ? EOF : real(file);
}

int fdatasync(int file) {
  REAL(fdatasync);
  return fails_for("fdatasync", file) ? -1 : real(file);
}

int fsync(int file) {
  REAL(fsync);
  return fails_for("fsync", file) ? -1 : real(file);
}

ssize_t write(int file, const void *data, size_t size) {
  REAL(write);
  if (!fails_for("write", file)) return real(file, data, size);
  if (partial && size > 1) return real(file, data, size / 2);
  return -1;
}

/* Node asks for the one with 64 bits; elsewhere it is the same as the other. */
ssize_t pwrite64(int file, const void *data, size_t size, off64_t at) {
  REAL(pwrite64);
  if (!fails_for("pwrite", file)) return real(file, data, size, at);
  if (partial && size > 1) return real(file, data, size / 2, at);
  return -1;
}

ssize_t pwrite(int file, const void *data, size_t size, off_t at) {
  REAL(pwrite);
  if (!fails_for("pwrite", file)) return real(file, data, size, at);
  if (partial && size > 1) return real(file, data, size / 2, at);
  return -1;
}

static int is_asked_for(const char *name) {
  return operation != NULL && strcmp(operation, name) == 0;
}

ssize_t pread64(int file, void *data, size_t size, off64_t at) {
  REAL(pread64);
  return is_asked_for("pread") && fails_for("pread", file) ? -1 : real(file, data, size, at);
}

ssize_t pread(int file, void *data, size_t size, off_t at) {
  REAL(pread);
  return is_asked_for("pread") && fails_for("pread", file) ? -1 : real(file, data, size, at);
}

ssize_t read(int file, void *data, size_t size) {
  REAL(read);
  return is_asked_for("read") && fails_for("read", file) ? -1 : real(file, data, size);
}

int mkdir(const char *path, mode_t mode) {
  REAL(mkdir);
  return is_asked_for("mkdir") && fails("mkdir", path) ? -1 : real(path, mode);
}

int rename(const char *from, const char *to) {
  REAL(rename);
  return fails("rename", to) ? -1 : real(from, to);
}

int unlink(const char *path) {
  REAL(unlink);
  return fails("unlink", path) ? -1 : real(path);
}

int link(const char *from, const char *to) {
  REAL(link);
  return fails("link", to) ? -1 : real(from, to);
}
