/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging: records to the log channel of a child, lines to stderr elsewhere. Never blocks, never
 * allocates, never lets control characters through to a terminal.
 */
#include "ipc/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ipc/loop.h"

static int log_fd = -1;
static const char *log_tag;
static void (*capture)(void *opaque, const char *text);
static void *capture_opaque;
static enum ipc_log_level log_max = IPC_LOG_INFO;

void ipc_log_init(int fd, const char *tag)
{
    log_fd = fd;
    log_tag = tag;
}

void ipc_log_capture(void (*fn)(void *opaque, const char *text), void *opaque)
{
    capture = fn;
    capture_opaque = opaque;
}

void ipc_log_set_level(enum ipc_log_level max)
{
    log_max = max;
}

void ipc_log_text_clean(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c < 0x20 || c == 0x7f) {
            text[i] = c == '\t' || c == '\n' ? ' ' : '?';
        }
    }
}

/* #syscalls:all sendmsg */
static void log_record_send(const struct ipc_log_record *r)
{
    struct iovec iov = {.iov_base = (void *)r,
                        .iov_len = offsetof(struct ipc_log_record, text) + r->len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    /* A full channel drops the record: a child must not be stopped by whoever reads its log. */
    (void)sendmsg(log_fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* #syscalls:vmm writev */
static void log_stderr_write(const struct ipc_log_record *r)
{
    const char *tag = log_tag ? log_tag : "";
    struct iovec iov[4] = {
        {.iov_base = (void *)tag, .iov_len = strlen(tag)},
        {.iov_base = (void *)": ", .iov_len = log_tag ? 2 : 0},
        {.iov_base = (void *)r->text, .iov_len = r->len},
        {.iov_base = (void *)"\n", .iov_len = 1},
    };

    if (writev(STDERR_FILENO, iov, 4) < 0) {
        return; /* nobody is listening; there is nowhere to say so */
    }
}

void ipc_log(enum ipc_log_level level, const char *fmt, ...)
{
    struct ipc_log_record r;
    int saved = errno; /* callers log between a failing call and their use of errno */
    va_list ap;
    int n;

    if (level > log_max) {
        return;
    }
    va_start(ap, fmt);
    n = vsnprintf(r.text, sizeof(r.text), fmt, ap);
    va_end(ap);
    if (n < 0) {
        n = 0;
    }
    r.level = level;
    r.len = (size_t)n < sizeof(r.text) ? (uint32_t)n : (uint32_t)sizeof(r.text) - 1;
    ipc_log_text_clean(r.text, r.len);
    if (capture) {
        r.text[r.len] = '\0';
        capture(capture_opaque, r.text);
    } else if (log_fd >= 0) {
        log_record_send(&r);
    } else {
        log_stderr_write(&r);
    }
    errno = saved;
}

/* #syscalls:vmm recvmsg */
int ipc_log_record_recv(int fd, struct ipc_log_record *out)
{
    const size_t head = offsetof(struct ipc_log_record, text);
    struct iovec iov = {.iov_base = out, .iov_len = sizeof(*out)};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);

    if (n < 0) {
        return errno == EINTR ? -EAGAIN : -errno;
    }
    if (n == 0) {
        return 0;
    }
    if ((size_t)n < head || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || out->level > IPC_LOG_DEBUG ||
        out->len != (size_t)n - head) {
        return -EPROTO;
    }
    if (out->len == sizeof(out->text)) {
        out->len--;
    }
    out->text[out->len] = '\0';
    ipc_log_text_clean(out->text, out->len);
    return 1;
}

bool ipc_ratelimit_ok(struct ipc_ratelimit *rl, unsigned burst, unsigned per_seconds)
{
    uint64_t now = ipc_now_ns();

    if (now - rl->window_start_ns >= (uint64_t)per_seconds * 1000000000u) {
        rl->window_start_ns = now;
        rl->in_window = 0;
    }
    if (rl->in_window >= burst) {
        rl->suppressed++;
        return false;
    }
    rl->in_window++;
    return true;
}
