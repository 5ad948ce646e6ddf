/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-net: one network card with its back end, in a process of its own. Joins the runtime, the
 * card and the back end; must never look at a frame.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device-procs/runtime/devproc.h"
#include "ipc/abi/codepage.h"
#include "net-proc/backend/packet.h"
#include "net-proc/backend/slirp.h"
#include "net-proc/backend/stream.h"
#include "net-proc/net-config.h"
#include "net-proc/virtio-net.h"

#define INFO_TEXT_MAX 32000 /* of the 32768 an INFO_REPLY may have */

struct net_proc {
    struct devproc *proc;
    struct net_config cfg;
    struct net_dev *dev;
    struct net_backend be;
    struct abi_codepage *codepage;
    uint64_t code_pages;
    char text[INFO_TEXT_MAX];
};

static void front_end_gone(void *opaque)
{
    struct net_proc *n = opaque;

    log_info("the front end is gone");
    n->proc->loop.quit = true;
}

/* The map is shared with the vmm and the cpu-worker; its size is the file's, not what it says. */
static int codepage_map(struct net_proc *n, int fd)
{
    struct stat st;

    if (fstat(fd, &st) || st.st_size <= (off_t)ABI_CODEPAGE_HDR)
        return -EINVAL;
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return -errno;
    n->codepage = p;
    n->code_pages = (uint64_t)st.st_size - ABI_CODEPAGE_HDR;
    close(fd);
    return 0;
}

static int card_start(struct net_proc *n, const Ctl__Boot *boot, const int *fds, unsigned nfds)
{
    int vu_fd = devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_VHOST_USER, 0);
    int code_fd = devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_CODEPAGE, 0);
    int r = code_fd >= 0 ? codepage_map(n, code_fd) : 0;

    if (vu_fd < 0 || r) {
        log_error("BOOT without a usable %s descriptor", r ? "code-page" : "vhost-user");
        return r ? r : -EINVAL;
    }
    r = net_dev_connect(n->dev, vu_fd, n->codepage, n->code_pages, front_end_gone, n);
    if (r)
        log_error("cannot serve the vhost-user socket: %s", strerror(-r));
    return r;
}

/* ---- back ends
 * --------------------------------------------------------------------------------- */

static void stream_peer(void *opaque, bool connected)
{
    struct net_proc *n = opaque;

    devproc_event(n->proc, connected ? "NETDEV_STREAM_CONNECTED" : "NETDEV_STREAM_DISCONNECTED", "%s",
                  n->proc->id);
}

static struct net_stream_state *state_map(int fd)
{
    struct stat st;

    if (fd < 0 || fstat(fd, &st) || st.st_size < (off_t)sizeof(struct net_stream_state))
        return NULL;
    void *p = mmap(NULL, sizeof(struct net_stream_state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

static bool null_input(void *opaque, const uint8_t *frame, size_t len, const net_todo *todo)
{
    (void)opaque, (void)frame, (void)len, (void)todo;
    return true;
}

struct net_fds { /* of the BOOT message, -1: not given */
    int link, listen, state;
};

static int backend_open(struct net_proc *n, const struct net_fds *f, char *err, size_t errlen)
{
    struct ipc_loop *l = &n->proc->loop;
    struct net_sink sink = net_dev_sink(n->dev);
    struct net_packet_config packet = {f->link, n->cfg.kind == NET_TAP, n->cfg.mac, n->cfg.send_to,
                                       n->cfg.send_to_len};
    struct net_stream_config stream = {f->link, f->listen, state_map(f->state), stream_peer, n};

    switch (n->cfg.kind) {
    case NET_TAP:
    case NET_DGRAM:
        return net_packet_open(&n->be, l, &packet, &sink, err, errlen);
    case NET_STREAM:
        return net_stream_open(&n->be, l, &stream, &sink, err, errlen);
    case NET_NULL:
        n->be = (struct net_backend){.can = NET_CAN_FINISH, .input = null_input};
        return 0;
    default:
        return net_slirp_open(&n->be, l, &n->cfg, &sink, err, errlen);
    }
}

/* A back end that only has descriptors it was given gets a filter without a way to others. */
static int backend_start(struct net_proc *n, const struct net_fds *f)
{
    char err[256];
    bool needs_fd = n->cfg.kind != NET_USER && n->cfg.kind != NET_NULL;

    if (needs_fd && f->link < 0 && (n->cfg.kind != NET_STREAM || f->listen < 0)) {
        log_error("BOOT without the network descriptor");
        return -EINVAL;
    }
    if (n->cfg.kind != NET_USER)
        n->proc->sbx = SBX_NET_LINK;
    int r = backend_open(n, f, err, sizeof err);
    if (!r) {
        net_dev_attach(n->dev, &n->be);
        return 0;
    }
    if (!strncmp(err, "hostfwd", 7))
        devproc_event(n->proc, "NET_HOSTFWD_FAILED", "%s", err);
    log_error("%s", err);
    return r;
}

static int net_setup(struct devproc *p, const Ctl__Boot *boot, const int *fds, unsigned nfds)
{
    struct net_proc *n = p->opaque;
    const struct net_fds f = {devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_NETDEV, 0),
                              devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_NETDEV, 1),
                              devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_STATE, 0)};
    char err[256];

    n->proc = p;
    if (!boot->net) {
        log_error("BOOT without a network configuration");
        return -EINVAL;
    }
    int r = net_config_parse(&n->cfg, boot->net, err, sizeof err);
    if (r) {
        log_error("%s", err);
        return r;
    }
    n->dev = net_dev_create(&p->loop, &n->cfg);
    if (!n->dev)
        return -ENOMEM;
    r = backend_start(n, &f);
    return r ? r : card_start(n, boot, fds, nfds);
}

static int info_answer(struct net_proc *n, const Ctl__InfoRequest *req)
{
    Ctl__InfoReply reply = CTL__INFO_REPLY__INIT;

    n->text[0] = 0;
    if (!strcmp(req->what, "usernet") && n->be.info)
        n->be.info(n->be.opaque, n->text, sizeof n->text);
    else if (!strcmp(req->what, "stats"))
        net_dev_info(n->dev, n->text, sizeof n->text);
    else
        snprintf(n->text, sizeof n->text, "no information '%s'\n", req->what);
    reply.seq = req->seq;
    reply.text = n->text;
    /* A vmm that does not read loses the answer, not this process. */
    int r = ctl_send(&n->proc->ctl, CTL_INFO_REPLY, &reply, NULL, 0, 0);
    return r == -EAGAIN ? 0 : r;
}

static int forward(struct net_proc *n, const Ctl__NetForward *m, char *err, size_t errlen)
{
    struct net_config *c = &n->cfg;
    int r = n->be.forward ? net_config_forward(c, m->rule, err, errlen) : -ENOTSUP;

    if (r == -ENOTSUP)
        snprintf(err, errlen, "this netdev forwards no ports");
    if (r)
        return r;
    r = n->be.forward(n->be.opaque, &c->fwd[c->n_fwd - 1], m->add, err, errlen);
    if (r || !m->add)
        c->n_fwd--; /* the list is for the start; the vmm keeps what comes later */
    return r;
}

static int forward_answer(struct net_proc *n, const Ctl__NetForward *m)
{
    Ctl__InfoReply reply = CTL__INFO_REPLY__INIT;

    n->text[0] = 0;
    (void)forward(n, m, n->text, 256);
    reply.seq = m->seq;
    reply.text = n->text;
    int r = ctl_send(&n->proc->ctl, CTL_INFO_REPLY, &reply, NULL, 0, 0);
    return r == -EAGAIN ? 0 : r;
}

static int net_message(struct devproc *p, enum ctl_msg type, ProtobufCMessage *msg)
{
    struct net_proc *n = p->opaque;

    switch (type) {
    case CTL_NET_LINK:
        net_dev_link_set(n->dev, ((const Ctl__NetLink *)msg)->up);
        return 0;
    case CTL_NET_FORWARD:
        return forward_answer(n, (const Ctl__NetForward *)msg);
    case CTL_INFO_REQUEST:
        return info_answer(n, (const Ctl__InfoRequest *)msg);
    default:
        return -EPROTO;
    }
}

int main(int argc, char **argv)
{
    static struct net_proc n;
    static const struct devproc_ops ops = {
        .program = "bulkhead-net",
        .role = "net",
        .sbx = SBX_NET,
        .setup = net_setup,
        .message = net_message,
    };

    return devproc_main(argc, argv, &ops, &n);
}
