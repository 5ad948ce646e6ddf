/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The skeleton of a device whose registers are reached through a device page: bootstrap, mailbox,
 * interrupt lines, disk links, and the rule that makes a kill harmless: every event is one step, and a
 * step is carried out on a private copy of the state, committed, and only then seen outside (requests
 * leave, lines move, the answer is published). Knows no register.
 */
#ifndef BULKHEAD_DEVICE_PROCS_RUNTIME_REGDEV_H
#define BULKHEAD_DEVICE_PROCS_RUNTIME_REGDEV_H

#include "device-procs/runtime/devproc.h"
#include "device-procs/runtime/devstate.h"
#include "device-procs/runtime/disklink.h"
#include "device-procs/runtime/guestram.h"
#include "ipc/abi/device-page.h"

#define REGDEV_CALLS_MAX 64

struct regdev;
struct regdev_head { /* first member of every device's state */
    uint32_t reset_seen;
    uint32_t last_vcpu, last_req; /* the last request answered, */
    uint32_t pad;
    uint64_t last_value;          /* in case its answer was not published */
};
struct regdev_unit { /* private copy of what the vmm says about a drive */
    uint32_t flags, media_seq;
    uint64_t sectors;
    char serial[24], model[48];
};
struct regdev_ops {
    struct devproc_ops proc; /* setup and message are set by regdev_main */
    uint32_t kind, version;  /* of the state layout */
    int (*setup)(struct regdev *d, const Ctl__Boot *boot, const int *fds, unsigned nfds); /* optional */
    void *state;             /* begins with struct regdev_head */
    size_t state_size;
    /* Optional: a step begins; its effects in guest memory that must not be seen before the commit. A
     * successor publishes the last committed step's once more. */
    void (*step_begin)(struct regdev *d);
    void (*publish)(struct regdev *d);
    /* All but lines may be called only inside a step. */
    void (*power_on)(struct regdev *d); /* state is zero but for its head */
    bool (*state_ok)(struct regdev *d); /* a predecessor's state: every index in range? */
    void (*resume)(struct regdev *d);   /* nothing is out: start again what the state says is running */
    uint64_t (*read)(struct regdev *d, unsigned region, uint32_t off, unsigned size);
    void (*write)(struct regdev *d, unsigned region, uint32_t off, unsigned size, uint64_t value);
    void (*window_done)(struct regdev *d, unsigned window); /* NULL: has none */
    void (*disk_done)(struct regdev *d, unsigned unit, uint32_t cookie, bool ok);
    void (*units_changed)(struct regdev *d); /* optional */
    unsigned (*lines)(struct regdev *d);     /* wanted level of each line, from the state */
    unsigned n_lines;
};
struct regdev {
    struct devproc *proc;
    const struct regdev_ops *ops;
    struct abi_devpage *page;
    struct guestram ram;
    struct devstate st;
    struct regdev_unit unit[ABI_DEV_UNITS];
    struct regdev_link {
        struct regdev *dev;
        unsigned unit;
        bool there;
        struct disklink l;
    } link[ABI_DEV_UNITS];
    int doorbell;
    int call[REGDEV_CALLS_MAX];
    uint64_t calls_due;    /* bit n: ring call n after the commit */
    uint32_t units_seen;
    bool ready;            /* the links are drained and the state is resumed */
    bool in_access;
    struct ipc_ratelimit guest_rl;
};

/* For a device with event sources of its own: the end of its step; and whatever else is to be done. */
void regdev_step_end(struct regdev *d);
void regdev_look(struct regdev *d);
int regdev_main(int argc, char **argv, struct regdev_ops *ops);
/* A message or a line's eventfd, after the commit. Calls 0.. are the lines. */
void regdev_call(struct regdev *d, unsigned call);
bool regdev_bus_master(const struct regdev *d); /* may the device reach memory? */
struct disklink *regdev_link(struct regdev *d, unsigned unit); /* NULL: no block process behind it */
/* Opens a window on n bytes already in page->data[window]; at is the port. */
void regdev_window_open(struct regdev *d, unsigned window, enum abi_dev_window_dir dir, uint64_t at,
                        uint32_t n);
void regdev_window_close(struct regdev *d, unsigned window);
/* The guest did something wrong: a log line now and then. */
void regdev_guest_error(struct regdev *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
