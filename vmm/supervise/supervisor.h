/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor: starts every child of the VM, watches it, buries it and brings it back. What the
 * death of the cpu-worker or the end of all children means for the VM is decided by the owner of
 * the hooks.
 */
#ifndef BULKHEAD_VMM_SUPERVISE_SUPERVISOR_H
#define BULKHEAD_VMM_SUPERVISE_SUPERVISOR_H

#include "vmm/supervise/child.h"
#include "vmm/supervise/spawn-client.h"

/* Roles in reserve for netdevs that come at run time: some that see the host's network, some that do not. */
#define SUP_NET_RESERVE  4u
#define SUP_CHILDREN_MAX (PLAN_DISKS_MAX + PLAN_NETS_MAX + PLAN_CTLS_MAX + 2 * SUP_NET_RESERVE + 3)

#define SUP_SPAWN_DEADLINE_NS 10000000000ull /* START until STARTED */
#define SUP_HANDSHAKE_DEADLINE_NS                                                                  \
    20000000000ull /* STARTED until READY: includes waiting for the block fence */
#define SUP_PING_INTERVAL_NS 1000000000ull
#define SUP_PING_MISSES      5u            /* heartbeats in a row: hung */
#define SUP_ABORT_GRACE_NS   500000000ull  /* between SIGABRT and SIGKILL */
#define SUP_STOP_DEADLINE_NS 5000000000ull /* orderly end, before SIGKILL */
#define SUP_REAP_DEADLINE_NS 2000000000ull /* after that SIGKILL, before the vmm leaves anyway */

struct sup_hooks {                      /* all are called from the loop; opaque is the VM */
    void (*all_running)(struct vm *vm); /* start-up is over; once */
    void (*start_failed)(struct vm *vm, const char *line); /* a child ended before that; once */
    void (*worker_lost)(struct vm *vm, const char *reason);
    void (*worker_ready)(struct vm *vm); /* a successor, after start-up */
    void (*worker_ack)(struct vm *vm, uint32_t seq);
    void (*worker_event)(struct vm *vm, int kind); /* Ctl__WorkerEvent__Kind */
    void (*io_error)(struct vm *vm); /* a drive holds a request back until the user has helped */
    void (*screendump_done)(uint32_t seq, uint32_t error);
    void (*all_stopped)(struct vm *vm);            /* after sup_stop_all */
    void (*spawner_gone)(struct vm *vm);
};

struct supervisor {
    struct vm *vm;
    const struct sup_hooks *hooks;
    struct spawn_client spawn;
    struct spawn_plan splan;
    struct spawn_plan_reply reply;
    struct child child[SUP_CHILDREN_MAX];
    unsigned n_child;
    bool starting, start_failed, stopping, stopped, killed_all;
    struct ipc_timer heartbeat, stop_timer;
    uint64_t vmm_started_ns;
};

/* Fills in the child table and the spawn plan from vm->plan. The descriptors that the spawner is to
 * hold are put in files[SPAWN_FILES_MAX] in order; returns how many. roles.c */
unsigned sup_plan_roles(struct supervisor *s, struct vm *vm, int *files);

/* Starts the spawner and hands it the plan. 0, or -1 with a line in err. */
int sup_start_spawner(struct supervisor *s, const int *files, char *err, size_t errlen);
/* Once the loop exists: watch the spawner, prepare timers and memory. 0 or -errno. */
int sup_init(struct supervisor *s, const struct sup_hooks *hooks);
void sup_start_all(struct supervisor *s);
/* Orderly end of every child; all_stopped is called when nothing is left, after 7 s at the latest.
 */
void sup_stop_all(struct supervisor *s);

struct child *sup_find(struct supervisor *s,
                       const char *id); /* by id or by guest device id, NULL */
struct child *sup_worker(struct supervisor *s);
/* device_restart: kills and brings back, also out of FAILED. 0 or -errno. */
int sup_restart(struct supervisor *s, struct child *c);
/* Ends a child that serves no device any more: in an orderly way, killed if it takes too long. */
void sup_child_retire(struct child *c);
/* net-roles.c: the child of plan.net[config]; a role in reserve for another one, NULL if there is none left. */
struct child *sup_net_child(struct supervisor *s, unsigned config);
struct child *sup_net_reserve(struct supervisor *s, unsigned config, const struct plan_net *n);
void sup_net_release(struct child *c); /* back into reserve; it must be ABSENT or ending */
/* Starts a standby child and waits until it serves. Bounded; the vCPUs' register accesses are answered meanwhile.
 * 0, or -errno with its own words in c->first_error. */
int sup_await(struct child *c);
/* A question to a running child (INFO_REQUEST, NET_FORWARD): its answer in text, bounded. 0 or -errno. */
int sup_ask(struct child *c, enum ctl_msg type, void *msg, uint32_t *seq, char *text, size_t cap);
void sup_answer(struct child *c, const Ctl__InfoReply *m);
/* Everything that arrived on a child's control channel, without waiting. */
void sup_child_receive(struct child *c);
/* 0 or -errno; a child that does not take the message is lost. */
int sup_child_send(struct child *c, enum ctl_msg type, const void *msg, const int *fds,
                   unsigned nfds);
/* Condemns the current incarnation: kills it, tells the machine, waits for the spawner to reap it.
 */
void sup_child_lose(struct child *c, enum child_cause cause, const char *why);
void sup_child_start(struct child *c);

/* ---- parts of the supervisor, for its own files -------------------------------------------- */
/* boot.c: BOOT with everything this child gets; vu_fd stays the caller's. 0 or -errno. */
int boot_send(struct child *c, int vu_fd);
/* incarnation.c */
void sup_child_started(struct child *c, const struct spawn_event *ev, int *fds, unsigned nfds);
void sup_child_deadline(void *opaque);
void incarnation_close(struct child *c);    /* every descriptor but the state memfd */
void sup_child_boot_state(struct child *c); /* child-control.c */
/* burial.c: the process is gone (status known or not); draws the consequences. */
void sup_child_bury(struct child *c, int status, bool known);
void sup_spawn_event(void *opaque, const struct spawn_event *ev, int *fds, unsigned nfds);
void sup_check_all_stopped(struct supervisor *s);
/* child-log.c */
void child_log_read(struct child *c);
void child_log_flush_held(struct child *c);
void log_child_text(struct child *c, unsigned level,
                    const char *text); /* hostile text, made safe */
/* crash-record.c */
void death_reason(const struct child *c, int status, bool known, char *out, size_t len);
bool death_is_charged(const struct child *c, int status, bool known);
struct crash_note { /* what a death looked like, so that it can be told after the successor was
                       asked for */
    char line[512], json[768];
};
void crash_note_make(const struct child *c, int status, bool known, struct crash_note *n);
void crash_note_tell(struct supervisor *s, const struct crash_note *n);
void restart_record(struct child *c);
void failure_record(struct child *c);
void device_event_record(struct child *c, const char *name, const char *detail);
/* heartbeat.c */
void heartbeat_tick(void *opaque);

#endif
