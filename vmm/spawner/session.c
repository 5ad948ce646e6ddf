/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One virtual machine, from its plan to its end.
 */
#include "vmm/spawner/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/chan.h"

#define REPLY_WAIT_MS 5000

static struct spawner the_spawner;

static void session_init(struct spawner *sp, int fd, bool userns, unsigned ids)
{
    memset(sp, 0, sizeof(*sp));
    sp->fd = fd;
    sp->userns = userns;
    sp->ids = ids;
    sp->slot_fd = sp->own_mnt_fd = sp->cgroup_fd = sp->cgroup_parent_fd = -1;
    for (unsigned i = 0; i < SPAWN_PROGRAMS; i++) {
        sp->program[i] = -1;
    }
}

/* From here on nobody's terminal is held, and "/" is a directory nobody wants to unmount. */
static int session_detach(const struct spawner *sp)
{
    for (int i = 0; i < 3; i++) {
        if (dup2(sp->null_fd, i) < 0) {
            return -errno;
        }
    }
    return chdir("/") < 0 ? -errno : 0;
}

static bool peer_is_root(int fd)
{
    struct ucred who = {.uid = (uid_t)-1};
    socklen_t len = sizeof(who);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.uid == 0;
}

int sp_session(int fd, bool userns, unsigned ids, bool foreign)
{
    struct spawner *sp = &the_spawner;
    struct spawn_plan_reply reply = {.version = SPAWN_VERSION};
    int err;

    session_init(sp, fd, userns, ids);
    sp->foreign = foreign;
    err = sp_plan_receive(sp, reply.text, sizeof(reply.text));
    if (!err) {
        err = sp_setup(sp, reply.text, sizeof(reply.text));
    }
    if (!err) {
        err = session_detach(sp);
    }
    reply.error = -err;
    if (!err) {
        /* Only a vmm that is root can change to the block's first UID; others stay who they are. */
        reply.uid = !userns && sp->ids && peer_is_root(fd) ? sp->uid_base : 0;
        reply.layers = sp->layers;
        snprintf(reply.text, sizeof(reply.text), "%s", sp->missing);
    }
    if (ipc_chan_send(fd, &reply, sizeof(reply), NULL, 0, REPLY_WAIT_MS) < 0 || err) {
        sp_cgroup_remove(sp);
        return 1;
    }
    return sp_serve(sp);
}
