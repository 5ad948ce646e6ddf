/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host ends (character devices): the terminal, files, sockets and ptys behind serial ports and
 * monitors. Owns descriptors, buffering and the Ctrl-a keys; must never know what the bytes mean,
 * and must never block the loop: output waits in a bounded buffer, or in the guest's ring.
 */
#ifndef BULKHEAD_VMM_MONITOR_CHR_H
#define BULKHEAD_VMM_MONITOR_CHR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ipc/log.h"
#include "vmm/vm.h"

#define CHR_OUT    65536
#define CHR_PEND   512
#define CHR_FE_MAX 4

enum chr_event {
    CHR_OPENED,   /* somebody is there now */
    CHR_CLOSED,   /* and has left */
    CHR_FOCUS_IN, /* mux: input comes here from now on */
    CHR_FOCUS_OUT,
    CHR_BREAK, /* mux: Ctrl-a b */
};
struct chr_fe { /* one user of a host end: a serial port or a monitor */
    /* Takes input; returns how much, the rest is offered again after chr_resume. */
    size_t (*receive)(void *opaque, const uint8_t *buf, size_t len);
    void (*event)(void *opaque, enum chr_event ev);
    void (*writable)(void *opaque); /* room again after chr_room said 0; may be NULL */
    void *opaque;
    uint8_t pend[CHR_PEND];
    unsigned pend_len;
};
struct chr_watch { /* one descriptor in the loop; events == 0: not in it */
    int fd;
    uint32_t events;
};
struct chr {
    const struct plan_chardev *cfg;
    struct vm *vm;
    int listen_fd, in_fd, out_fd; /* -1 = none; in_fd == out_fd for sockets and ptys */
    int ready_fd; /* readable always: stands for an in_fd that epoll cannot watch (files) */
    bool connected, in_eof, in_tty, leaving, starved;
    bool keep_nonblock[2]; /* stdio: O_NONBLOCK was set on the shared description, undo it */
    struct chr_watch w_listen, w_in, w_out;
    struct ipc_timer leave_timer, pty_timer;
    struct ipc_ratelimit error_rate;
    char peer[300]; /* "pty:/dev/pts/3", "unix:/x,server=on": for people */
    /* mux */
    struct chr_fe *fe[CHR_FE_MAX];
    unsigned n_fe, focus;
    bool escape, timestamps, line_start;
    uint64_t time_zero_ns;
    /* output */
    size_t out_off, out_len;
    uint8_t out[CHR_OUT];
};

/* chr-open.c: opens the host end of cfg. 0, or -1 with one line in err. Prints pty names. */
int chr_open(struct chr *c, struct vm *vm, const struct plan_chardev *cfg, char *err,
             size_t errlen);
/* Blocks until the first client of a wait=on server is there. 0, or -1 with err. */
int chr_wait(struct chr *c, char *err, size_t errlen);
void chr_close(
    struct chr *c); /* flushes for a short, bounded time, restores the terminal, unlinks */

/* chr.c: the order of joining is the order of Ctrl-a c; the first one has the focus. */
int chr_join(struct chr *c, struct chr_fe *fe);
void chr_start(struct chr *c);        /* all have joined: begin to watch */
size_t chr_room(const struct chr *c); /* bytes chr_write will take now */
size_t chr_write(struct chr *c, const void *buf,
                 size_t len); /* returns how many; nobody there: all */
bool chr_write_all(struct chr *c, const void *buf,
                   size_t len);         /* false: no room, client is dropped */
void chr_resume(struct chr *c);         /* offer pending input again */
void chr_hang_up(struct chr *c);        /* from the loop, soon */
void chr_attach(struct chr *c, int fd); /* a client is there */
void chr_update(struct chr *c);         /* what to watch, after a change of state */
void chr_opened(struct chr *c);         /* tells the users; the first one gets the focus */
void chr_closed(struct chr *c);         /* nobody is there: forgets what was buffered, tells them */
void chr_feed(struct chr *c, const uint8_t *buf, size_t len); /* raw input, through the mux */

/* mux.c */
void mux_input(struct chr *c, uint8_t byte);
size_t mux_output(struct chr *c, const uint8_t *buf, size_t len); /* with timestamps */
void chr_queue_input(struct chr *c, uint8_t byte);                /* to the one with the focus */
size_t chr_put(struct chr *c, const void *buf, size_t len);       /* to the buffer, no mux */

/* chr-tty.c: the controlling terminal, raw while the emulator runs, restored however it ends. */
void tty_raw(int fd, bool signals);
void tty_restore(void);

#endif
