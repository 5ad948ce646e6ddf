/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts one bulkhead-ui through spawn-client and the real spawner, as whoever runs it, and prints what came
 * out as "key value" lines; tests/sandbox/spawn.py judges. Must end by itself in bounded time.
 *
 *     spawn-drive require|reduced|off [kills] [hold]
 * kills: how often the child is killed and replaced (times are printed); hold: wait for a line on stdin
 * at the end, so that the processes can be looked at.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/chan.h"
#include "ipc/control.h"
#include "ipc/fds.h"
#include "ipc/log.h"
#include "seccomp/sandbox.h"
#include "vmm/supervise/spawn-client.h"

#define LIMIT_NS 20000000000u

static struct ipc_loop loop;
static struct spawn_client client;
static struct ctl_peer peer;
static struct spawn_event last;
static int pidfd = -1, log_fd = -1;
static unsigned started, ended;
static uint32_t generation;
static enum spawn_sandbox mode;

static void __attribute__((noreturn)) die(const char *what, int err)
{
    printf("error %s: %s\n", what, strerror(err));
    exit(1);
}

static void on_event(void *opaque, const struct spawn_event *ev, int *fds, unsigned nfds)
{
    (void)opaque;
    last = *ev;
    if (ev->kind == SPAWN_EV_STARTED) {
        started++;
        ipc_fds_close(&pidfd, 1);
        pidfd = fds[0];
        for (unsigned i = 1; i < nfds; i++) {
            close(fds[i]);
        }
        return;
    }
    ended++;
    if (ev->kind == SPAWN_EV_FAILED) {
        printf("failed %s\n", ev->text);
        exit(1);
    }
}

static void on_gone(void *opaque)
{
    (void)opaque;
    die("spawner", EPIPE);
}

static void wait_for(const unsigned *count, unsigned value)
{
    uint64_t end = ipc_now_ns() + LIMIT_NS;

    while (*count < value) {
        if (ipc_now_ns() > end) {
            die("waiting for the spawner", ETIMEDOUT);
        }
        ipc_loop_run_once(&loop, 100);
    }
}

static void log_print(void)
{
    struct ipc_log_record r;

    while (ipc_log_record_recv(log_fd, &r) == 1) {
        printf("log %s\n", r.text);
    }
}

static void expect(enum ctl_msg want, ProtobufCMessage **msg)
{
    enum ctl_msg type = CTL_SHUTDOWN;
    int r = ctl_recv(&peer, &type, msg, NULL, NULL, 10000);

    if (r != 1 || type != want) {
        log_print();
        die(ctl_msg_name(want), r < 0 ? -r : EPIPE);
    }
}

static void child_boot(void)
{
    Ctl__Boot boot = CTL__BOOT__INIT;
    Ctl__UiConfig ui = CTL__UI_CONFIG__INIT;
    ProtobufCMessage *msg;

    expect(CTL_HELLO, &msg);
    boot.vm_name = (char *)"test";
    boot.role = (char *)"ui";
    boot.id = (char *)"ui0";
    boot.generation = generation;
    boot.sandbox = mode;
    ui.display = (char *)"none";
    boot.ui = &ui;
    if (ctl_send(&peer, CTL_BOOT, &boot, NULL, 0, 1000) < 0) {
        die("BOOT", EPIPE);
    }
    peer.state = CTL_ST_BOOTING;
    expect(CTL_READY, &msg);
    printf("stages %u\n", ((Ctl__Ready *)msg)->stages);
    peer.state = CTL_ST_RUNNING;
}

static void child_start(void)
{
    int ctl[2], lg[2];

    if (ipc_chan_pair(ctl) < 0 || ipc_chan_pair(lg) < 0) {
        die("channels", errno);
    }
    ipc_fds_close(&log_fd, 1);
    log_fd = lg[0];
    generation++;
    ctl_peer_init(&peer, ctl[0], CTL_TO_VMM, generation);
    if (spawn_client_start_role(&client, 0, generation, ctl[1], lg[1]) < 0) {
        die("START", EPIPE);
    }
    close(ctl[1]);
    close(lg[1]);
    wait_for(&started, generation);
    child_boot();
}

static void child_kill(void)
{
    unsigned before = ended;
    uint64_t t0 = ipc_now_ns(), t1;
    int old = peer.fd;

    spawn_client_kill(&client, 0, generation, SIGKILL);
    wait_for(&ended, before + 1);
    t1 = ipc_now_ns();
    close(old);
    child_start();
    printf("restart %llu us (seen dead after %llu)\n", (unsigned long long)(ipc_now_ns() - t0) / 1000,
           (unsigned long long)(t1 - t0) / 1000);
}

static void report(const struct spawn_plan_reply *reply)
{
    struct sbx_status st = {0};

    printf("how %s\nlayers 0x%x\nmissing %s\nvmm-uid %u\n", client.how, reply->layers, reply->text, reply->uid);
    if (sbx_status_read(last.pid, &st) < 0) {
        die("status", errno);
    }
    printf("child-pid %d\nchild-uid %u\nevent-uid %u\nchild-layers 0x%x\n", last.pid, st.uid, last.uid,
           last.layers);
    printf("child-capeff %llx\nchild-seccomp %d\nchild-nnp %d\n", (unsigned long long)st.cap_eff,
           st.seccomp, st.no_new_privs);
    printf("spawner-pid %d\n", (int)client.pid);
}

int main(int argc, char **argv)
{
    struct spawn_plan plan = {.version = SPAWN_VERSION, .roles = 1, .vm_name = "test"};
    struct spawn_plan_reply reply;
    int kills = argc > 2 ? atoi(argv[2]) : 0;
    enum sbx_mode m;
    char err[512];

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 2 || sbx_mode_parse(argv[1], &m) < 0 || ipc_loop_init(&loop) < 0) {
        die("usage", EINVAL);
    }
    mode = (enum spawn_sandbox)m;
    plan.sandbox = mode;
    plan.role[0] = (struct spawn_role){.program = SPAWN_UI, .file = -1, .title = "ui0"};
    client.event = on_event;
    client.gone = on_gone;
    if (spawn_client_start(&client, &plan, NULL, &reply, err, sizeof(err)) < 0) {
        printf("refused %s\n", err);
        return 2;
    }
    spawn_client_watch(&client, &loop);
    child_start();
    for (int i = 0; i < kills; i++) {
        child_kill();
    }
    report(&reply);
    log_print();
    if (argc > 3) {
        printf("holding\n");
        (void)getchar();
    }
    spawn_client_stop(&client);
    printf("stopped\n");
    return 0;
}
