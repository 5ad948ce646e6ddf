/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small file descriptor work: eventfds, pidfds, closing ranges. Owns no descriptor, keeps no state.
 */
#ifndef BULKHEAD_IPC_FDS_H
#define BULKHEAD_IPC_FDS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* eventfd, close-on-exec and nonblocking, counter 0: descriptor or -errno. */
int ipc_eventfd_create(void);
/* Adds 1. A full counter is not an error: the reader has not looked yet and will. */
void ipc_eventfd_signal(int fd);
/* Resets the counter: its value before, 0 when it was not signalled. */
uint64_t ipc_eventfd_drain(int fd);

/* pidfd of a process: descriptor (close-on-exec) or -errno. */
int ipc_pidfd_open(pid_t pid);
int ipc_pidfd_kill(int pidfd, int sig);       /* 0 or -errno */
bool ipc_pidfd_wait(int pidfd, int timeout_ms); /* true: the process has ended */

int ipc_fd_nonblock(int fd, bool on); /* 0 or -errno */
int ipc_fd_cloexec(int fd, bool on);  /* 0 or -errno */
/* Socket of this family and type (AF_UNIX, SOCK_SEQPACKET, ...)? */
bool ipc_fd_is_socket(int fd, int family, int type);
/* Closes each descriptor of the array and sets it to -1. */
void ipc_fds_close(int *fds, unsigned n);
/* Closes first..last inclusive (last = ~0u: all). 0 or -errno. */
int ipc_close_range(unsigned first, unsigned last);

#endif
