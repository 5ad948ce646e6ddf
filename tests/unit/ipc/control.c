/* SPDX-License-Identifier: Apache-2.0 */
/* Every rule of every row of CTL_MESSAGES, broken once: the cases come from the table itself. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ipc/chan.h"
#include "ipc/control.h"
#include "ipc/fds.h"
#include "ipc/log.h"
#include "tests/lib/ctest.h"

static const struct row {
    unsigned id, min, max, fds, dir, states;
    const char *name;
    const ProtobufCMessageDescriptor *desc;
} rows[] = {
#define M(id, NAME, type, mn, mx, nf, dr, st) {id, mn, mx, nf, dr, st, #NAME, &ctl__##type##__descriptor},
    CTL_MESSAGES(M)
#undef M
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static struct ctl_peer peer;
static int sv[2];

static void peer_reset(const struct row *r)
{
    ctl_peer_init(&peer, sv[1], (enum ctl_dir)r->dir, 7);
    peer.state = r->states & CTL_ST_RUNNING ? CTL_ST_RUNNING
                                            : (enum ctl_state)(r->states & -r->states);
    peer.arena.used = 4711; /* still there = nothing was unpacked */
}

static int packet(unsigned type, unsigned version, unsigned generation, const void *body, size_t len,
                  unsigned nfds)
{
    static uint8_t buf[IPC_CHAN_MSG_MAX];
    struct ctl_header h = {(uint16_t)type, (uint16_t)version, generation};
    int fds[IPC_CHAN_FDS_MAX], got[IPC_CHAN_FDS_MAX], r;
    unsigned n = IPC_CHAN_FDS_MAX;
    ProtobufCMessage *msg;
    enum ctl_msg t;

    for (unsigned i = 0; i < nfds; i++) {
        fds[i] = sv[0];
    }
    memcpy(buf, &h, sizeof(h));
    if (body) {
        memcpy(buf + sizeof(h), body, len);
    } else {
        memset(buf + sizeof(h), 0xff, len);
    }
    r = ipc_chan_send(sv[0], buf, sizeof(h) + len, fds, nfds, 0);
    if (r < 0) {
        return 1000 + r;
    }
    r = ctl_recv(&peer, &t, &msg, got, &n, 0);
    if (r == 1) {
        ipc_fds_close(got, n);
    }
    return r;
}

/* Every required field, as short as it can be. Bytes written. */
static size_t message_make(const ProtobufCMessageDescriptor *desc, uint8_t *out)
{
    size_t n = 0;

    for (unsigned i = 0; i < desc->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &desc->fields[i];

        if (f->label != PROTOBUF_C_LABEL_REQUIRED) {
            continue;
        }
        if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
            size_t inner = message_make(f->descriptor, out + n + 2);

            out[n] = (uint8_t)(f->id << 3 | 2);
            out[n + 1] = (uint8_t)inner; /* below 128: one byte */
            n += 2 + inner;
        } else if (f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_BYTES) {
            out[n++] = (uint8_t)(f->id << 3 | 2);
            out[n++] = 1;
            out[n++] = 'a';
        } else {
            out[n++] = (uint8_t)(f->id << 3);
            out[n++] = 1;
        }
    }
    return n;
}

static bool refused_unread(int r)
{
    return r == -EPROTO && peer.arena.used == 4711;
}

static void test_row(const struct row *r)
{
    uint8_t body[256];
    size_t len = message_make(r->desc, body);
    unsigned free_generation = r->id == CTL_HELLO || r->id == CTL_BOOT;

    peer_reset(r);
    ok(len >= r->min && packet(r->id, CTL_VERSION, 7, body, len, 0) == 1, "%s: accepted", r->name);
    peer_reset(r);
    ok(refused_unread(packet(r->id, CTL_VERSION + 1, 7, body, len, 0)), "%s: wrong version", r->name);
    peer_reset(r);
    peer.incoming = r->dir == CTL_TO_VMM ? CTL_TO_CHILD : CTL_TO_VMM;
    ok(refused_unread(packet(r->id, CTL_VERSION, 7, body, len, 0)), "%s: wrong direction", r->name);
    for (unsigned st = CTL_ST_NEW; st <= CTL_ST_RUNNING; st <<= 1) {
        peer_reset(r);
        peer.state = (enum ctl_state)st;
        if (!(r->states & st)) {
            ok(refused_unread(packet(r->id, CTL_VERSION, 7, body, len, 0)), "%s: not in state %u", r->name, st);
        }
    }
    peer_reset(r);
    ok(refused_unread(packet(r->id, CTL_VERSION, 7, NULL, r->max + 1, 0)), "%s: too long", r->name);
    if (r->min) {
        peer_reset(r);
        ok(refused_unread(packet(r->id, CTL_VERSION, 7, body, r->min - 1, 0)), "%s: too short", r->name);
    }
    if (r->max) {
        peer_reset(r);
        ok(packet(r->id, CTL_VERSION, 7, NULL, r->max, 0) == -EPROTO, "%s: rubbish", r->name);
    }
    if (r->fds < IPC_CHAN_FDS_MAX) {
        peer_reset(r);
        ok(refused_unread(packet(r->id, CTL_VERSION, 7, body, len, r->fds + 1)), "%s: one descriptor more", r->name);
    }
    peer_reset(r);
    if (!free_generation) {
        ok(packet(r->id, CTL_VERSION, 8, body, len, 0) == -EPROTO, "%s: of the future", r->name);
        peer_reset(r);
        ok(packet(r->id, CTL_VERSION, 6, body, len, 0) == (r->dir == CTL_TO_VMM ? -EAGAIN : -EPROTO),
           "%s: of an older incarnation", r->name);
    }
}

static void test_unknown(void)
{
    static const unsigned types[] = {0, ROWS + 1, 255, 0xffff};
    uint8_t body[4] = {8, 1, 8, 1};

    for (unsigned i = 0; i < 4; i++) {
        peer_reset(&rows[3]);
        ok(refused_unread(packet(types[i], CTL_VERSION, 7, body, 2, 0)), "unknown message %u", types[i]);
    }
    peer_reset(&rows[3]);
    ipc_chan_send(sv[0], body, 4, NULL, 0, 0);
    ok(ctl_recv(&peer, &(enum ctl_msg){0}, &(ProtobufCMessage *){0}, NULL, NULL, 0) == -EPROTO, "half a header");
    ok(!strcmp(ctl_msg_name(0), "?") && !strcmp(ctl_msg_name(CTL_BOOT), "BOOT"), "names");
}

/* 60 kB that would unpack into much more. */
static void test_arena(void)
{
    static uint8_t bomb[60000];
    uint8_t body[256];
    size_t len = message_make(rows[1].desc, body);

    memcpy(bomb, body, len);
    for (; len + 4 <= sizeof(bomb); len += 4) {
        memcpy(bomb + len, "\x32\x02\x08\x01", 4); /* one more element of Boot.fds */
    }
    peer_reset(&rows[1]);
    ok(packet(CTL_BOOT, CTL_VERSION, 7, bomb, len, 0) == -EPROTO, "a message that unpacks beyond the arena");
    peer_reset(&rows[1]);
    len = message_make(rows[1].desc, body);
    ok(packet(CTL_BOOT, CTL_VERSION, 7, body, len, 250) == 1, "the next one is none the worse");
}

static void test_send(void)
{
    Ctl__Ping ping = CTL__PING__INIT;
    Ctl__Pong pong = CTL__PONG__INIT;
    Ctl__InfoReply reply = CTL__INFO_REPLY__INIT;
    static char text[40000];

    ctl_peer_init(&peer, sv[1], CTL_TO_CHILD, 7);
    ok(ctl_send(&peer, CTL_PONG, &pong, NULL, 0, 0) == -EINVAL, "sending in the wrong state is refused here");
    peer.state = CTL_ST_RUNNING;
    ok(ctl_send(&peer, CTL_PING, &ping, NULL, 0, 0) == -EINVAL, "in the wrong direction too");
    ok(ctl_send(&peer, CTL_PONG, &ping, NULL, 0, 0) == -EINVAL, "and the wrong structure");
    memset(text, 'x', sizeof(text) - 1);
    reply.text = text;
    ok(ctl_send(&peer, CTL_INFO_REPLY, &reply, NULL, 0, 0) == -EMSGSIZE, "and one too long");
    ok(ctl_send(&peer, CTL_PONG, &pong, NULL, 0, 0) == 0, "a right one goes out");
}

int main(void)
{
    int quiet[2];

    ipc_chan_pair(quiet);
    ipc_log_init(quiet[0], "test"); /* the refusals are logged; nobody needs to see a hundred of them */
    ipc_chan_pair(sv);
    for (unsigned i = 0; i < ROWS; i++) {
        test_row(&rows[i]);
    }
    test_unknown();
    test_arena();
    test_send();
    return ctest_done();
}
