/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `screendump`: a file from the picture clerk, drawn by ui-proc. The wait for ui-proc is bounded; a screen
 * that does not come is an error of the command, not of the VM. Must never look at a pixel.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "vmm/lifecycle.h"
#include "vmm/process.h"

#define WAIT_NS 3000000000ull

static uint32_t last_seq, done_seq, done_error;

void screendump_answered(uint32_t seq, uint32_t error)
{
    if (seq != last_seq) /* of a command that was given up */
        return;
    done_seq = seq;
    done_error = error;
}

static struct child *find_ui(struct supervisor *s)
{
    for (unsigned i = 0; i < s->n_child; i++)
        if (s->child[i].program == SPAWN_UI && s->child[i].state == CHILD_RUNNING)
            return &s->child[i];
    return NULL;
}

/* #syscalls:vmm poll */
static int wait_answer(struct child *ui)
{
    uint64_t deadline = ipc_now_ns() + WAIT_NS;

    while (done_seq != last_seq && ui->state == CHILD_RUNNING) {
        struct pollfd p = {.fd = ui->ctl_fd, .events = POLLIN};
        uint64_t now = ipc_now_ns();

        if (now >= deadline)
            return -ETIMEDOUT;
        if (poll(&p, 1, (int)((deadline - now) / 1000000) + 1) > 0)
            sup_child_receive(ui);
    }
    return done_seq == last_seq ? -(int)done_error : -EPIPE;
}

static int draw(int fd, bool png)
{
    struct child *ui = find_ui(lifecycle_supervisor());
    Ctl__Screendump m = CTL__SCREENDUMP__INIT;
    int r;

    if (!ui)
        return -ENOTCONN;
    m.seq = ++last_seq;
    m.png = png;
    r = sup_child_send(ui, CTL_SCREENDUMP, &m, &fd, 1);
    return r < 0 ? r : wait_answer(ui);
}

int vm_screendump(struct vm *vm, const char *path, bool png)
{
    int fd, r;

    if (!vm->display)
        return vm_fail(-ENODEV, "there is no QemuConsole I can screendump from");
    fd = picture_file_create(path);
    if (fd < 0)
        return vm_fail(fd, "failed to open file '%.80s': %s%s", path, strerror(-fd),
                       fd == -EEXIST ? ", and is no picture" : "");
    r = draw(fd, png);
    close(fd);
    return r < 0 ? vm_fail(r, "screendump: the display process: %s", strerror(-r)) : 0;
}
