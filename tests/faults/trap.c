/* Counts the system calls by which this process writes below a folder, and makes one of them go wrong.
 *
 * A seccomp filter raises SIGSYS at every such call, whoever makes it: Python, HDF5, SQLite, CatBoost, the C library itself.
 * The handler carries it out, with a mark in the unused sixth argument that the filter lets through, or does not.
 * x86-64 Linux. A process that was armed stays so.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#define MARK 0x6e627674u
#define MOST 65536
enum { COUNT, ERROR, FULL, KILL }; /* what becomes of the call: see harness.py */

static char below[4096];
static int mode, wanted, calls, full;
static short made[MOST];

static long carry_out(long number, const long *a) {
    register long r10 __asm__("r10") = a[3];
    register long r8 __asm__("r8") = a[4];
    register long r9 __asm__("r9") = MARK;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static int path_is_below(const char *path) {
    size_t length = strlen(below);
    return strncmp(path, below, length) == 0;
}

static int descriptor_is_below(long descriptor) {
    char link[64], target[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%ld", descriptor);
    ssize_t length = readlink(link, target, sizeof target - 1);
    if (length < 0) return 0;
    target[length] = 0;
    return path_is_below(target);
}

static int named_below(long folder, long path) {
    const char *text = (const char *)path;
    if (text == NULL) return descriptor_is_below(folder);
    return text[0] == '/' ? path_is_below(text) : folder != AT_FDCWD && descriptor_is_below(folder);
}

static int writes_below(long number, const long *a) {
    const long writing = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC;
    switch (number) {
    case SYS_open: return (a[1] & writing) && named_below(AT_FDCWD, a[0]);
    case SYS_openat: return (a[2] & writing) && named_below((int)a[0], a[1]);
    case SYS_write: case SYS_pwrite64: case SYS_writev: case SYS_pwritev: case SYS_fsync: case SYS_fdatasync:
    case SYS_ftruncate: case SYS_fallocate: case SYS_sendfile: return descriptor_is_below(a[0]);
    case SYS_copy_file_range: return descriptor_is_below(a[2]);
    case SYS_rename: case SYS_mkdir: case SYS_unlink: case SYS_rmdir: case SYS_link: case SYS_symlink: case SYS_truncate:
        return named_below(AT_FDCWD, a[0]);
    case SYS_renameat: case SYS_renameat2: case SYS_mkdirat: case SYS_unlinkat: case SYS_utimensat: case SYS_fchmodat:
        return named_below((int)a[0], a[1]);
    default: return 0;
    }
}

/* Half of what was to be written, as where a disk is full or a process dies amid it. */
static long half(long number, const long *a) {
    long less[6];
    memcpy(less, a, sizeof less);
    if (number == SYS_writev || number == SYS_pwritev) {
        struct iovec first = *(const struct iovec *)a[1];
        first.iov_len /= 2;
        less[1] = (long)&first;
        less[2] = 1;
        return first.iov_len ? carry_out(number, less) : 0;
    }
    int where = number == SYS_sendfile ? 3 : number == SYS_copy_file_range ? 4 : 2;
    less[where] /= 2;
    return less[where] ? carry_out(number, less) : 0;
}

static int moves_bytes(long number) {
    return number == SYS_write || number == SYS_pwrite64 || number == SYS_writev || number == SYS_pwritev ||
           number == SYS_sendfile || number == SYS_copy_file_range;
}

static int needs_space(long number) {
    return moves_bytes(number) || number == SYS_open || number == SYS_openat || number == SYS_mkdir ||
           number == SYS_mkdirat || number == SYS_fallocate;
}

static void on_call(int signal, siginfo_t *info, void *context) {
    (void)signal;
    int before = errno;
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    const long a[6] = {r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8], r[REG_R9]};
    long number = info->si_syscall, result;
    if (!writes_below(number, a)) {
        result = carry_out(number, a);
    } else {
        int call = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
        if (call <= MOST) made[call - 1] = (short)number;
        if (full && needs_space(number)) {
            result = -ENOSPC;
        } else if (call != wanted || mode == COUNT) {
            result = carry_out(number, a);
        } else if (mode == KILL) {
            if (moves_bytes(number)) half(number, a);
            syscall(SYS_kill, getpid(), SIGKILL);
            result = -EINTR;
        } else if (mode == FULL && needs_space(number)) {
            full = 1;
            result = moves_bytes(number) ? half(number, a) : 0;
            if (result <= 0) result = -ENOSPC;
        } else {
            result = -EIO;
        }
    }
    r[REG_RAX] = result;
    errno = before;
}

/* 0, or the number of the error. `call` counts from 1. */
int arm(const char *folder, int what, int call) {
    static const int trapped[] = {
        SYS_open, SYS_openat, SYS_write, SYS_pwrite64, SYS_writev, SYS_pwritev, SYS_fsync, SYS_fdatasync, SYS_ftruncate,
        SYS_fallocate, SYS_sendfile, SYS_copy_file_range, SYS_rename, SYS_renameat, SYS_renameat2, SYS_mkdir, SYS_mkdirat,
        SYS_unlink, SYS_unlinkat, SYS_rmdir, SYS_link, SYS_symlink, SYS_truncate, SYS_utimensat, SYS_fchmodat};
    enum { TRAPPED = sizeof trapped / sizeof *trapped };
    struct sock_filter filter[TRAPPED + 5];
    int n = 0;
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5]));
    filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MARK, TRAPPED + 1, 0);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < TRAPPED; i++)
        filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, trapped[i], TRAPPED - i, 0);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
    struct sock_fprog program = {(unsigned short)n, filter};
    struct sigaction action = {.sa_sigaction = on_call, .sa_flags = SA_SIGINFO | SA_NODEFER};
    snprintf(below, sizeof below, "%s", folder);
    mode = what;
    wanted = call;
    if (sigaction(SIGSYS, &action, NULL) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return errno;
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program)) return errno;
    return 0;
}

/* How many calls there were, and in `into` their numbers. */
int counted(short *into, int most) {
    int known = calls < most ? calls : most;
    memcpy(into, made, (known < MOST ? known : MOST) * sizeof *into);
    return calls;
}
