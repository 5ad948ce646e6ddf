/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor with a fake spawner: the processes are real (they only sleep), their side of the
 * protocol is played by the test, and timers are fired by hand, so nothing here depends on how fast
 * the machine is.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "ipc/chan.h"
#include "tests/unit/supervise/tap.h"
#include "vmm/supervise/supervisor.h"

#define WORKER 0
#define BLOCK  1
#define UI     2

static struct vm vm;
static struct supervisor sup;
static struct fake { /* the other side of one role */
    int ctl, log, pid;
    uint32_t gen;
    unsigned starts, kills;
    int last_sig;
    struct ctl_peer peer;
} fake[SUP_CHILDREN_MAX];
static struct {
    unsigned up, down, failed, all_running, start_failed, worker_lost, all_stopped, crashed,
        restarted, given_up;
    int up_result;
    char line[400], reason[200], event[800];
} seen;

/* ---- fakes --------------------------------------------------------------------------------- */

int spawn_client_start(struct spawn_client *sc, const struct spawn_plan *plan, const int *files,
                       struct spawn_plan_reply *reply, char *err, size_t errlen)
{
    (void)plan, (void)files, (void)reply, (void)err, (void)errlen;
    sc->pid = getpid();
    return 0;
}
void machine_mailbox(struct vm *vm)
{
    (void)vm;
}
void spawn_client_serve(struct spawn_client *sc)
{
    (void)sc;
}
int spawn_client_watch(struct spawn_client *sc, struct ipc_loop *l)
{
    (void)sc, (void)l;
    return 0;
}
int spawn_client_start_role(struct spawn_client *sc, unsigned role, uint32_t generation, int ctl_fd,
                            int log_fd)
{
    struct fake *f = &fake[role];

    (void)sc;
    f->ctl = dup(ctl_fd);
    f->log = dup(log_fd);
    f->gen = generation;
    f->starts++;
    ctl_peer_init(&f->peer, f->ctl, CTL_TO_CHILD, generation);
    return 0;
}
int spawn_client_kill(struct spawn_client *sc, unsigned role, uint32_t generation, int sig)
{
    struct fake *f = &fake[role];

    (void)sc;
    f->kills++;
    f->last_sig = sig;
    if (generation == f->gen && f->pid > 0)
        kill(f->pid, sig);
    return 0;
}
int machine_backend_up(struct vm *v, const char *id, int fd)
{
    (void)v, (void)id;
    close(fd);
    seen.up++;
    return seen.up_result;
}
void machine_device_ready(struct vm *v, const char *id)
{
    (void)v;
    (void)id;
}

void machine_backend_down(struct vm *v, const char *id)
{
    (void)v, (void)id;
    seen.down++;
}
void machine_backend_failed(struct vm *v, const char *id)
{
    (void)v, (void)id;
    seen.failed++;
}
void qmp_event(struct vm *v, const char *name, const char *json)
{
    (void)v;
    seen.crashed += !strcmp(name, "BULKHEAD_PROCESS_CRASHED");
    seen.restarted += !strcmp(name, "BULKHEAD_PROCESS_RESTARTED");
    seen.given_up += !strcmp(name, "BULKHEAD_PROCESS_FAILED");
    snprintf(seen.event, sizeof(seen.event), "%s", json ? json : "");
}

/* ---- hooks --------------------------------------------------------------------------------- */

static void h_all_running(struct vm *v)
{
    (void)v;
    seen.all_running++;
}
static void h_start_failed(struct vm *v, const char *line)
{
    (void)v;
    seen.start_failed++;
    snprintf(seen.line, sizeof(seen.line), "%s", line);
}
static void h_worker_lost(struct vm *v, const char *reason)
{
    (void)v;
    seen.worker_lost++;
    snprintf(seen.reason, sizeof(seen.reason), "%s", reason);
}
static void h_void(struct vm *v)
{
    (void)v;
}
static void h_stopped(struct vm *v)
{
    (void)v;
    seen.all_stopped++;
}
static void h_num(struct vm *v, uint32_t n)
{
    (void)v, (void)n;
}
static void h_int(struct vm *v, int n)
{
    (void)v, (void)n;
}
static void h_pair(uint32_t a, uint32_t b)
{
    (void)a, (void)b;
}
static const struct sup_hooks hooks = {h_all_running, h_start_failed, h_worker_lost, h_void,
                                       h_num,         h_int,          h_void, h_pair, h_stopped,
                                       h_void};

/* ---- the children's side ------------------------------------------------------------------- */

static void pump(void)
{
    for (int i = 0; i < 20; i++)
        ipc_loop_run_once(&vm.loop, 0);
}

static void event(unsigned role, uint32_t kind, uint32_t gen, int status, const char *text,
                  int pidfd)
{
    struct spawn_event ev = {.kind = kind,
                             .role = role,
                             .generation = gen,
                             .pid = role < SUP_CHILDREN_MAX ? fake[role].pid : 1,
                             .uid = 1234,
                             .layers = 0x1ff,
                             .status = status};
    int fds[1] = {pidfd};

    snprintf(ev.text, sizeof(ev.text), "%s", text);
    sup_spawn_event(&sup, &ev, fds, pidfd >= 0);
}

static void start_process(unsigned role)
{
    struct fake *f = &fake[role];

    f->pid = fork();
    if (f->pid == 0) {
        alarm(60); /* nothing is left behind if the test dies */
        for (;;)
            pause();
    }
    event(role, SPAWN_EV_STARTED, f->gen, 0, "", (int)syscall(SYS_pidfd_open, f->pid, 0));
}

static void hello(unsigned role)
{
    Ctl__Hello m = CTL__HELLO__INIT;

    m.version = CTL_VERSION;
    m.program = (char *)(uintptr_t) "test";
    ctl_send(&fake[role].peer, CTL_HELLO, &m, NULL, 0, 1000);
}

/* Takes BOOT; true if it is addressed to this role and generation. */
static bool take_boot(unsigned role, unsigned *nfds)
{
    struct fake *f = &fake[role];
    enum ctl_msg type = CTL_HELLO;
    ProtobufCMessage *msg;
    int fds[IPC_CHAN_FDS_MAX];
    const Ctl__Boot *b;

    *nfds = IPC_CHAN_FDS_MAX;
    if (ctl_recv(&f->peer, &type, &msg, fds, nfds, 1000) != 1 || type != CTL_BOOT)
        return false;
    for (unsigned i = 0; i < *nfds; i++)
        close(fds[i]);
    b = (const Ctl__Boot *)msg;
    f->peer.state = CTL_ST_BOOTING;
    return b->generation == f->gen && !strcmp(b->role, sup.child[role].role_name) &&
           b->n_fds == *nfds;
}

static void ready(unsigned role)
{
    Ctl__Ready m = CTL__READY__INIT;

    m.stages = 0x1f;
    ctl_send(&fake[role].peer, CTL_READY, &m, NULL, 0, 1000);
    fake[role].peer.state = CTL_ST_RUNNING;
}

static bool bring_up(unsigned role)
{
    unsigned nfds;
    bool good;

    start_process(role);
    hello(role);
    good = take_boot(role, &nfds);
    pump();
    ready(role);
    pump();
    return good && sup.child[role].state == CHILD_RUNNING;
}

/* Waits for the real process and reports it, as the spawner would. */
static void reap(unsigned role)
{
    struct fake *f = &fake[role];
    uint32_t gen = f->gen;
    int status = 0;

    waitpid(f->pid, &status, 0);
    f->pid = -1;
    close(f->ctl);
    close(f->log);
    pump();
    event(role, SPAWN_EV_EXITED, gen, status, "", -1);
    pump();
}

static void die(unsigned role, int sig)
{
    kill(fake[role].pid, sig);
    reap(role);
}

/* kill -9 of a process that had been serving for a while. */
static void kill_served(unsigned role)
{
    sup.child[role].ready_ns -= RP_SHORT_NS;
    die(role, SIGKILL);
}

static void log_line(unsigned role, enum ipc_log_level level, const char *text)
{
    ipc_log_init(fake[role].log, "");
    ipc_log(level, "%s", text);
    ipc_log_init(-1, "test");
    pump();
}

static void fire(struct ipc_timer *t)
{
    ok(t->deadline_ns != 0, "timer is armed");
    t->deadline_ns = 0;
    t->fn(t->opaque);
    pump();
}

static void set_up(void)
{
    int files[SPAWN_FILES_MAX];

    memset(&vm, 0, sizeof(vm));
    memset(&sup, 0, sizeof(sup));
    memset(fake, 0, sizeof(fake));
    memset(&seen, 0, sizeof(seen));
    vm.ram_fd = vm.board_fd = vm.page_fd = vm.codepage_fd = vm.doorbell_vmm = vm.doorbell_worker = -1;
    vm.input_fd = vm.display_fd = vm.display_ro_fd = -1;
    snprintf(vm.plan.name, sizeof(vm.plan.name), "t");
    vm.plan.n_disk = 1;
    vm.plan.disk[0].used = true;
    vm.plan.disk[0].fd = 0;
    snprintf(vm.plan.disk[0].id, 64, "virtio0");
    snprintf(vm.plan.disk[0].qdev_id, 64, "disk0");
    snprintf(vm.plan.disk[0].file, 64, "x.raw");
    ipc_loop_init(&vm.loop);
    sup_plan_roles(&sup, &vm, files);
    sup_init(&sup, &hooks);
    sup_start_all(&sup);
}

static void tear_down(void)
{
    for (unsigned i = 0; i < sup.n_child; i++) {
        if (fake[i].pid > 0) {
            kill(fake[i].pid, SIGKILL);
            waitpid(fake[i].pid, NULL, 0);
        }
        incarnation_close(&sup.child[i]);
        if (sup.child[i].state_fd >= 0)
            close(sup.child[i].state_fd);
        free(sup.child[i].ctl);
    }
    ipc_loop_fini(&vm.loop);
}

static void start_up(void)
{
    set_up();
    for (unsigned r = 0; r < sup.n_child; r++)
        if (!sup.child[r].standby)
            ok(bring_up(r), "child comes up");
}

/* ---- tests --------------------------------------------------------------------------------- */

static void test_start_up(void)
{
    struct child *b;

    set_up();
    ok(sup.n_child == 3 + 2 * SUP_NET_RESERVE && sup.splan.roles == sup.n_child && sup.splan.files == 1,
       "three roles and those in reserve, one file");
    ok(sup.splan.role[BLOCK].file == 0 && sup.splan.role[WORKER].file == -1, "the disk's file");
    ok(bring_up(WORKER) && bring_up(BLOCK), "worker and block come up");
    ok(seen.all_running == 0, "not all running yet");
    ok(bring_up(UI) && seen.all_running == 1, "all running");
    ok(seen.up == 1, "one back end was connected");
    b = sup_find(&sup, "disk0");
    ok(b && b == sup_find(&sup, "virtio0"), "found by either id");
    ok(seen.crashed == 0 && seen.restarted == 0, "no events at start-up");
    tear_down();
}

static void test_kill_is_free(void)
{
    struct child *b;

    start_up();
    b = &sup.child[BLOCK];
    for (unsigned i = 0; i < 12; i++) {
        kill_served(BLOCK);
        ok(b->state == CHILD_SPAWNING && fake[BLOCK].starts == i + 2,
           "successor asked for at once");
        ok(bring_up(BLOCK), "successor comes up");
    }
    ok(seen.down == 12 && seen.up == 13 && seen.failed == 0, "the machine was told each time");
    ok(seen.crashed == 12 && seen.restarted == 12 && b->restarts == 12, "events and count");
    ok(strstr(seen.event, "\"generation\": 13") != NULL, "event carries the generation");
    tear_down();
}

static void test_budget(void)
{
    struct child *b;

    start_up();
    b = &sup.child[BLOCK];
    for (unsigned i = 0; i < 4; i++) {
        die(BLOCK, SIGSEGV);
        if (b->state == CHILD_BACKOFF)
            fire(&b->timer);
        ok(bring_up(BLOCK), "comes back after a crash");
    }
    die(BLOCK, SIGSEGV);
    ok(b->state == CHILD_FAILED && seen.failed == 1 && seen.given_up == 1, "fifth crash: given up");
    ok(sup_restart(&sup, b) == 0 && bring_up(BLOCK), "device_restart brings it back");
    die(BLOCK, SIGSEGV);
    ok(b->state == CHILD_SPAWNING, "with a fresh budget");
    tear_down();
}

static void test_old_generation(void)
{
    struct child *b;

    start_up();
    b = &sup.child[BLOCK];
    kill_served(BLOCK);
    event(BLOCK, SPAWN_EV_EXITED, 1, 0, "", -1);
    ok(b->state == CHILD_SPAWNING && b->generation == 2, "a late event of generation 1 is dropped");
    event(77, SPAWN_EV_EXITED, 1, 0, "", -1);
    ok(true, "a role out of range is dropped");
    tear_down();
}

static void test_protocol_error(void)
{
    struct child *b;

    start_up();
    b = &sup.child[BLOCK];
    hello(BLOCK); /* refused by our own table in this state, so send raw rubbish as well */
    ipc_chan_send(fake[BLOCK].ctl, "rubbish!", 8, NULL, 0, 1000);
    pump();
    ok(b->state == CHILD_DEAD && fake[BLOCK].last_sig == SIGKILL && seen.down == 1, "condemned");
    reap(BLOCK);
    ok(b->policy.n_crash == 1, "counts, although it died of SIGKILL");
    tear_down();
}

static void test_hang_up_alive(void)
{
    struct child *b;

    start_up();
    b = &sup.child[BLOCK];
    shutdown(fake[BLOCK].ctl, 2);
    pump();
    ok(b->state == CHILD_DEAD && fake[BLOCK].kills == 0, "hang-up: condemned, given time to die");
    fire(&b->timer);
    ok(fake[BLOCK].last_sig == SIGKILL, "then killed");
    reap(BLOCK);
    ok(b->policy.n_crash == 1, "and charged");
    tear_down();
}

static void test_heartbeat(void)
{
    struct child *b;

    start_up();
    b = &sup.child[BLOCK];
    for (unsigned i = 0; i < 3; i++)
        fire(&sup.heartbeat);
    ok(b->state == CHILD_RUNNING && b->missed == 2, "two answers missed: still trusted");
    {
        Ctl__Pong m = CTL__PONG__INIT;
        m.seq = 3;
        ctl_send(&fake[BLOCK].peer, CTL_PONG, &m, NULL, 0, 1000);
        pump();
    }
    fire(&sup.heartbeat);
    ok(b->missed == 0, "an answer makes up for it");
    for (unsigned i = 0; i < 5; i++)
        fire(&sup.heartbeat);
    ok(b->state == CHILD_DEAD && fake[BLOCK].kills == 1 && fake[BLOCK].last_sig == SIGABRT,
       "five in a row: SIGABRT");
    fire(&b->timer);
    ok(fake[BLOCK].last_sig == SIGKILL, "then SIGKILL");
    tear_down();
}

static void test_start_failure(void)
{
    set_up();
    bring_up(WORKER);
    start_process(BLOCK);
    hello(BLOCK);
    log_line(BLOCK, IPC_LOG_ERROR, "image is too small");
    log_line(BLOCK, IPC_LOG_ERROR, "setup failed");
    die(BLOCK, SIGTERM);
    ok(seen.start_failed == 1 && !strcmp(seen.line, "block/virtio0: image is too small"),
       "the child's own first error is the line");
    sup_stop_all(&sup);
    pump();
    die(WORKER, SIGTERM); /* it was asked, and goes */
    ok(seen.all_stopped == 0, "the ui was only asked for");
    event(UI, SPAWN_EV_FAILED, 1, EPERM, "no", -1);
    ok(seen.all_stopped == 1, "nothing is left");
    tear_down();
}

static void test_spawn_failure_later(void)
{
    struct child *b;

    start_up();
    b = &sup.child[BLOCK];
    kill_served(BLOCK);
    event(BLOCK, SPAWN_EV_FAILED, 2, ENOMEM, "clone: out of memory", -1);
    ok(b->policy.n_crash == 1 && (b->state == CHILD_BACKOFF || b->state == CHILD_SPAWNING),
       "counts and is tried again");
    tear_down();
}

static void test_backend_refused(void)
{
    struct child *b;

    start_up();
    b = &sup.child[BLOCK];
    kill_served(BLOCK);
    seen.up_result = -ENOTSUP;
    ok(!bring_up(BLOCK) && b->state == CHILD_DEAD, "front end refuses: condemned");
    ok(seen.down == 1, "down is told only for what was up");
    ok(fake[BLOCK].kills == 0, "it may be dying by itself");
    fire(&b->timer);
    ok(fake[BLOCK].last_sig == SIGKILL, "it is not: killed");
    reap(BLOCK);
    ok(b->policy.n_crash == 1, "and charged");
    tear_down();
}

static void test_worker_death(void)
{
    start_up();
    die(WORKER, SIGSEGV);
    ok(seen.worker_lost == 1 && sup.child[WORKER].state == CHILD_FAILED, "no restart by itself");
    ok(!strcmp(seen.reason, "killed by SIGSEGV"), "with its reason");
    ok(sup_restart(&sup, &sup.child[WORKER]) == 0 && bring_up(WORKER), "a new one by order");
    tear_down();
}

static void test_orderly_end(void)
{
    enum ctl_msg type = CTL_HELLO;
    ProtobufCMessage *msg;

    start_up();
    sup_stop_all(&sup);
    ok(ctl_recv(&fake[BLOCK].peer, &type, &msg, NULL, NULL, 1000) == 1 && type == CTL_SHUTDOWN,
       "SHUTDOWN is sent");
    for (unsigned r = 0; r < 3; r++)
        die(r, SIGTERM);
    ok(seen.all_stopped == 1 && seen.crashed == 0, "all stopped, no crash reported");
    tear_down();
}

static void test_stop_deadline(void)
{
    start_up();
    sup_stop_all(&sup);
    fire(&sup.stop_timer);
    ok(fake[BLOCK].last_sig == SIGKILL && fake[UI].last_sig == SIGKILL,
       "deadline: SIGKILL for all");
    fire(&sup.stop_timer);
    ok(seen.all_stopped == 1, "and the vmm leaves even if nobody is reaped");
    tear_down();
}

int main(void)
{
    alarm(120);
    signal(SIGSEGV, SIG_DFL); /* the processes are killed with it: no sanitizer may take it over */
    signal(SIGPIPE, SIG_IGN);
    ipc_log_init(-1, "test");
    test_start_up();
    test_kill_is_free();
    test_budget();
    test_old_generation();
    test_protocol_error();
    test_hang_up_alive();
    test_heartbeat();
    test_start_failure();
    test_spawn_failure_later();
    test_backend_refused();
    test_worker_death();
    test_orderly_end();
    test_stop_deadline();
    return tap_end();
}
