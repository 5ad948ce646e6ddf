/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging for every process. A child writes fixed records to its log channel (fd 4); the vmm, which
 * receives them, prefixes "name/role#generation:" and writes to its own stderr. A process without a
 * channel (the vmm, tests, tools) writes to stderr. Never blocks: a full channel drops the record.
 */
#ifndef BULKHEAD_IPC_LOG_H
#define BULKHEAD_IPC_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ipc_log_level { IPC_LOG_ERROR, IPC_LOG_WARN, IPC_LOG_INFO, IPC_LOG_DEBUG };

#define IPC_LOG_TEXT_MAX 480
struct ipc_log_record { /* one SOCK_SEQPACKET message */
    uint32_t level;
    uint32_t len; /* bytes of text, no terminator */
    char text[IPC_LOG_TEXT_MAX];
};

/* fd >= 0: send records there. fd < 0: print "tag: text" on stderr. tag is kept by reference. */
void ipc_log_init(int fd, const char *tag);
/* Hands each line to fn instead: for a program whose answer the text belongs to. */
void ipc_log_capture(void (*fn)(void *opaque, const char *text), void *opaque);
void ipc_log_set_level(enum ipc_log_level max);
void ipc_log(enum ipc_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) ipc_log(IPC_LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  ipc_log(IPC_LOG_WARN, __VA_ARGS__)
#define log_info(...)  ipc_log(IPC_LOG_INFO, __VA_ARGS__)
#define log_debug(...) ipc_log(IPC_LOG_DEBUG, __VA_ARGS__)

/* Receiving end of a log channel, never waits. 1 = a record: checked, text NUL-terminated and free of
 * control characters; 0 = hang-up; -EAGAIN = none now; -EPROTO = not a record, drop the channel. */
int ipc_log_record_recv(int fd, struct ipc_log_record *out);
/* Replaces control characters: text of a peer must not reach a terminal raw. */
void ipc_log_text_clean(char *text, size_t len);

/* Token bucket for messages a guest or a peer can provoke: true when this one may be logged. */
struct ipc_ratelimit {
    uint64_t window_start_ns;
    uint32_t in_window;
    uint32_t suppressed;
};
bool ipc_ratelimit_ok(struct ipc_ratelimit *rl, unsigned burst, unsigned per_seconds);

#endif
