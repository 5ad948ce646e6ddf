/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The running VM as the rest of the vmm sees it: run state, the operations a monitor may ask for, and
 * what can be reported. Implemented by vmm/supervise and vmm/main. One VM per process, one thread.
 */
#ifndef BULKHEAD_VMM_VM_H
#define BULKHEAD_VMM_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ipc/abi/display.h"
#include "ipc/abi/machine-page.h"
#include "ipc/loop.h"
#include "vmm/config/plan.h"

enum vm_run_state { VM_PRELAUNCH, VM_RUNNING, VM_PAUSED, VM_SHUTDOWN, VM_INTERNAL_ERROR, VM_IO_ERROR, VM_SUSPENDED };
const char *vm_run_state_name(enum vm_run_state s); /* QEMU's names: "prelaunch", "running", ... */

enum child_state { CHILD_ABSENT, CHILD_SPAWNING, CHILD_HANDSHAKE, CHILD_RUNNING, CHILD_STOPPING,
                   CHILD_DEAD, CHILD_BACKOFF, CHILD_FAILED };
struct child_info { /* one line of `info processes` / query-processes */
    const char *role; /* "vmm", "spawner", "cpu-worker", "block", "net", "ui", "translator" */
    const char *id;
    int pid;
    uint32_t uid;
    const char *state;
    unsigned restarts;
    uint32_t generation;
    uint64_t uptime_ms, rss_kib;
    /* sandbox report */
    uint32_t layers; /* SPAWN_LAYER_* */
    uint64_t cap_eff;
    int seccomp, no_new_privs;
};

struct vm_link { /* between a controller's process and a block process; descriptors, -1 = none */
    int fd, kick, call;
};
struct vm_ctl { /* what the process of plan.ctl[n] is given */
    int page_fd;
    unsigned kick, call0, n_call; /* slots below */
    uint64_t ram_low, ram_high;
    struct vm_link link[PLAN_UNITS_MAX];
};

#define VNC_LISTEN_MAX 4
struct vm {
    struct plan plan;
    struct ipc_loop loop;
    struct abi_machine_page *page;
    uint8_t *ram; /* whole RAM memfd, mapped read-write */
    uint64_t ram_size;
    uint8_t *board; /* board memory: ROMs and flash */
    uint64_t board_size, board_used;
    int ram_fd, board_fd, page_fd, codepage_fd;
    struct abi_display *display; /* display memory, display_size bytes; NULL = no graphics card */
    uint64_t display_size;
    int vnc_fd[VNC_LISTEN_MAX]; /* listening sockets; they outlive every ui-proc */
    unsigned n_vnc;
    uint16_t vnc_port;      /* where the TCP ones listen, 0 = there are none */
    char vnc_password[9];   /* "" = none is set */
    int64_t vnc_expires;    /* seconds since 1970, 0 = never */
    int input_fd; /* struct abi_input_page, between ui-proc and the worker */
    int display_fd, display_ro_fd; /* -1 = none; the second is open for reading only */
    int xl_cache_fd, xl_cache_ro_fd, xl_rings_fd, xl_rings_ro_fd, xl_bell_fd; /* of the translator; -1: none */
    int kick_fd[ABI_KICK_MAX], call_fd[ABI_CALL_MAX]; /* allocated with vm_alloc_kicks/calls */
    unsigned n_kick, n_call;
    struct vm_ctl ctl[PLAN_CTLS_MAX];
    int doorbell_vmm, doorbell_worker; /* eventfds */
    enum vm_run_state state;
    int exit_status;
};

/* Operations: return 0, or -errno after setting a message for the user. Asynchronous where noted. */
int vm_stop(struct vm *vm);             /* RUNNING -> PAUSED, acknowledged by the worker */
int vm_cont(struct vm *vm);
int vm_reset(struct vm *vm);            /* system_reset */
void vm_powerdown(struct vm *vm);       /* ACPI power button */
int vm_wakeup(struct vm *vm);           /* ends a suspend to RAM */
/* A machine-check error; seq of the record does not count. */
void vm_mce(struct vm *vm, unsigned vcpu, const struct abi_mce *e);
/* The guest wrote value to isa-debug-exit: the process ends with status value * 2 + 1 (8 bits). */
void vm_guest_exit(struct vm *vm, uint32_t value);
void vm_quit(struct vm *vm);            /* end the process tree; exit status 0 */
unsigned vm_children(struct vm *vm, struct child_info *out, unsigned max);
int vm_device_restart(struct vm *vm, const char *id); /* kill and bring back a device process */
/* Drives, by id or by the guest device's id. The process carries it out later; what it cannot do is an event. */
int vm_block_resize(struct vm *vm, const char *id, uint64_t size);
int vm_block_throttle(struct vm *vm, const char *id, const uint64_t v[PLAN_THROTTLE]);
int vm_screendump(struct vm *vm, const char *path, bool png); /* the screen into a picture file */
/* Events for the guest, all or none. -EAGAIN: it does not take any. */
int vm_input(struct vm *vm, const struct abi_input_event *e, unsigned n);
int vm_vnc_password(struct vm *vm, const char *password);
int vm_vnc_expire(struct vm *vm, int64_t when);
int vm_fail(int e, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* sets the message */
/* Networks of a running machine (netdev.c). `card` is the card's id or its netdev's. */
int vm_netdev_replace(struct vm *vm, const char *card, const char *netdev); /* the cable to another netdev */
int vm_netdev_add(struct vm *vm, const char *arg); /* "type,id=..." or a JSON object */
int vm_netdev_del(struct vm *vm, const char *id);
int vm_set_link(struct vm *vm, const char *card, bool up);
int vm_hostfwd(struct vm *vm, const char *netdev, const char *rule, bool add); /* netdev "": the first user network */
int vm_info_usernet(struct vm *vm, unsigned i, char *text, size_t cap); /* of plan.net[i], its process asked */
const char *vm_last_error(void); /* the message that belongs to the last failed operation above */
/* The front end found this device's back end dead, wrong or silent: it is killed (which counts as a crash
 * of its own) and a successor follows. machine_backend_down is called before this returns. */
void vm_backend_broken(struct vm *vm, const char *id, const char *why);

/* Host end of the UARTs (vmm/monitor's chardevs use these; vm implements them over the char rings). */
/* Bytes of guest output of serial port n: returns count; 0 = empty. */
unsigned vm_serial_read(struct vm *vm, unsigned n, uint8_t *buf, unsigned len);
/* Input for the guest: returns how many were taken (ring full otherwise). */
unsigned vm_serial_write(struct vm *vm, unsigned n, const uint8_t *buf, unsigned len);
void vm_serial_break(struct vm *vm, unsigned n);

/* Events to management: kept by monitor/, called by anyone in the vmm. data is a JSON object or NULL. */
void qmp_event(struct vm *vm, const char *name, const char *json_data);

/* Entry points of monitor/ (chardevs, HMP, QMP), called by main and the loop. */
int monitor_init(struct vm *vm, char *err, size_t errlen); /* opens chardevs; waits for wait=on servers */
void monitor_serial_poll(struct vm *vm); /* serial output may be waiting (worker rang the doorbell) */
void monitor_fini(struct vm *vm);        /* restores the terminal */

/* machine/ and frontend/: */
int machine_build(struct vm *vm, char *err, size_t errlen);  /* PCI, ACPI, devices, kernel images read */
int machine_reset(struct vm *vm);      /* images back into RAM, PCI to power-on, vCPU boot state */
/* A reset that ends a suspend to RAM: memory and what maps it stay. */
int machine_wake(struct vm *vm);
void machine_mailbox(struct vm *vm);   /* answer every pending mailbox request */
/* A device process of this id is up: fd is the vmm's end of its vhost-user socket (taken over). */
int machine_backend_up(struct vm *vm, const char *id, int fd);
void machine_backend_down(struct vm *vm, const char *id);     /* died; a successor will come */
void machine_backend_failed(struct vm *vm, const char *id);   /* given up: NEEDS_RESET / link down */
/* The back end new_id, on fd (taken over), goes on where id stands; the driver sees nothing. On failure id goes
 * on. 0 or -errno. */
int machine_backend_replace(struct vm *vm, const char *id, const char *new_id, int fd);
void machine_backend_unplug(struct vm *vm, const char *id);   /* gone by order: a card's cable is out */
/* A device process without a vhost-user socket of its own is ready to serve. */
void machine_device_ready(struct vm *vm, const char *id);
unsigned machine_info_pci(struct vm *vm, char *out, unsigned len); /* text for `info pci` */

/* resources of the machine page */
int vm_alloc_kicks(struct vm *vm, unsigned n); /* first slot, or -1 */
int vm_alloc_calls(struct vm *vm, unsigned n);
/* Board memory, zeroed: its offset in ABI_SLOT_BOARD (and from vm->board), or -1: no room. */
int64_t vm_board_alloc(struct vm *vm, uint64_t size, uint64_t align);

#endif
