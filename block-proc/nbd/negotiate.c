/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fixed newstyle handshake: options until the client chooses the export. Must never keep anything of an option
 * longer than its answer takes.
 */
#include <errno.h>
#include <string.h>
#include "block-proc/image/bytes.h"
#include "block-proc/nbd/nbd.h"

#define OPTIONS_MAX 256 /* of one client, before it has to choose */
#define MAGIC_OPT   0x49484156454f5054ull /* IHAVEOPT */
#define MAGIC_REPLY 0x0003e889045565a9ull

enum { OPT_EXPORT_NAME = 1, OPT_ABORT, OPT_LIST, OPT_STARTTLS = 5, OPT_INFO, OPT_GO, OPT_STRUCTURED, OPT_LIST_META, OPT_SET_META };
enum { REP_ACK = 1, REP_SERVER, REP_INFO, REP_META };
#define REP_ERR_UNSUP   0x80000001u
#define REP_ERR_INVALID 0x80000003u
#define REP_ERR_UNKNOWN 0x80000006u
enum { INFO_EXPORT, INFO_NAME, INFO_DESCRIPTION, INFO_BLOCK_SIZE };

struct option {
    uint32_t type, len;
    uint8_t data[NBD_NAME_MAX + 256];
};

static int reply(const struct nbd_client *c, uint32_t option, uint32_t type, const void *data, uint32_t len)
{
    uint8_t h[20];
    be64_put(h, MAGIC_REPLY);
    be32_put(h + 8, option);
    be32_put(h + 12, type);
    be32_put(h + 16, len);
    return nbd_send(c->fd, h, sizeof(h), data, len);
}

static bool is_ours(const struct nbd_client *c, const uint8_t *name, uint32_t len)
{
    return len == strlen(c->e->name) && !memcmp(name, c->e->name, len);
}

static int option_read(const struct nbd_client *c, struct option *o)
{
    uint8_t h[16];
    int r = nbd_recv(c->fd, h, sizeof(h));
    if (r < 0)
        return r;
    o->type = be32_get(h + 8);
    o->len = be32_get(h + 12);
    if (be64_get(h) != MAGIC_OPT || o->len > sizeof(o->data))
        return -EPROTO;
    return nbd_recv(c->fd, o->data, o->len);
}

static int export_name(struct nbd_client *c, const struct option *o)
{
    uint8_t answer[10 + 124] = {0};
    if (!is_ours(c, o->data, o->len))
        return -ENOENT; /* this option knows no refusal but to hang up */
    be64_put(answer, c->e->size);
    be16_put(answer + 8, nbd_flags(c->e));
    return nbd_send(c->fd, answer, c->no_zeroes ? 10 : sizeof(answer), NULL, 0);
}

static int list(const struct nbd_client *c)
{
    uint8_t b[4 + 2 * NBD_NAME_MAX];
    uint32_t n = (uint32_t)strlen(c->e->name), d = (uint32_t)strlen(c->e->description);
    be32_put(b, n);
    memcpy(b + 4, c->e->name, n);
    memcpy(b + 4 + n, c->e->description, d);
    int r = reply(c, OPT_LIST, REP_SERVER, b, 4 + n + d);
    return r < 0 ? r : reply(c, OPT_LIST, REP_ACK, NULL, 0);
}

static int info_text(const struct nbd_client *c, uint32_t option, uint16_t type, const char *text)
{
    uint8_t b[2 + NBD_NAME_MAX];
    size_t n = strlen(text);
    be16_put(b, type);
    memcpy(b + 2, text, n);
    return reply(c, option, REP_INFO, b, (uint32_t)(2 + n));
}

static int info_sizes(const struct nbd_client *c, uint32_t option)
{
    uint8_t b[14];
    be16_put(b, INFO_BLOCK_SIZE);
    be32_put(b + 2, 1);
    be32_put(b + 6, 4096);
    be32_put(b + 10, NBD_REQUEST_MAX);
    return reply(c, option, REP_INFO, b, sizeof(b));
}

/* INFO and GO. *chosen: the client has its export. */
static int info(struct nbd_client *c, const struct option *o, bool *chosen)
{
    uint8_t b[12];
    uint32_t n = o->len >= 6 ? be32_get(o->data) : UINT32_MAX;
    if (n > o->len - 6 || o->len < 6 || n + 6 + 2ull * be16_get(o->data + 4 + n) != o->len)
        return reply(c, o->type, REP_ERR_INVALID, NULL, 0);
    if (!is_ours(c, o->data + 4, n))
        return reply(c, o->type, REP_ERR_UNKNOWN, NULL, 0);
    int r = 0;
    for (unsigned i = 0; r == 0 && i < be16_get(o->data + 4 + n); i++) {
        uint16_t want = be16_get(o->data + 6 + n + 2 * i);
        if (want == INFO_NAME)
            r = info_text(c, o->type, want, c->e->name);
        else if (want == INFO_DESCRIPTION && c->e->description[0])
            r = info_text(c, o->type, want, c->e->description);
        else if (want == INFO_BLOCK_SIZE)
            r = info_sizes(c, o->type);
    }
    be16_put(b, INFO_EXPORT);
    be64_put(b + 2, c->e->size);
    be16_put(b + 10, nbd_flags(c->e));
    if (r == 0)
        r = reply(c, o->type, REP_INFO, b, sizeof(b));
    if (r == 0)
        r = reply(c, o->type, REP_ACK, NULL, 0);
    *chosen = r == 0 && o->type == OPT_GO;
    return r;
}

static bool is_allocation(const uint8_t *q, uint32_t n, bool listing)
{
    static const char name[] = "base:allocation";
    if (n == sizeof(name) - 1 && !memcmp(q, name, n))
        return true;
    return listing && n == 5 && !memcmp(q, "base:", 5);
}

/* base:allocation is the one context there is. */
static int meta(struct nbd_client *c, const struct option *o)
{
    static const char name[] = "base:allocation";
    bool listing = o->type == OPT_LIST_META, wanted = false;
    uint32_t n = o->len >= 8 ? be32_get(o->data) : UINT32_MAX, at = 8 + n;
    if (o->len < 8 || n > o->len - 8 || (!listing && !c->structured))
        return reply(c, o->type, REP_ERR_INVALID, NULL, 0);
    if (!is_ours(c, o->data + 4, n))
        return reply(c, o->type, REP_ERR_UNKNOWN, NULL, 0);
    uint32_t queries = be32_get(o->data + 4 + n);
    wanted = listing && !queries;
    for (uint32_t i = 0; i < queries; i++) {
        if (o->len - at < 4 || be32_get(o->data + at) > o->len - at - 4)
            return reply(c, o->type, REP_ERR_INVALID, NULL, 0);
        wanted = wanted || is_allocation(o->data + at + 4, be32_get(o->data + at), listing);
        at += 4 + be32_get(o->data + at);
    }
    uint8_t b[4 + sizeof(name) - 1];
    be32_put(b, listing ? 0 : 1);
    memcpy(b + 4, name, sizeof(name) - 1);
    int r = wanted ? reply(c, o->type, REP_META, b, sizeof(b)) : 0;
    c->allocation = listing ? c->allocation : wanted;
    return r < 0 ? r : reply(c, o->type, REP_ACK, NULL, 0);
}

static int option_answer(struct nbd_client *c, const struct option *o, bool *chosen)
{
    switch (o->type) {
    case OPT_EXPORT_NAME:
        *chosen = true;
        return export_name(c, o);
    case OPT_ABORT:
        (void)reply(c, o->type, REP_ACK, NULL, 0);
        return -ECONNRESET;
    case OPT_LIST:
        return o->len ? reply(c, o->type, REP_ERR_INVALID, NULL, 0) : list(c);
    case OPT_INFO:
    case OPT_GO:
        return info(c, o, chosen);
    case OPT_STRUCTURED:
        c->structured = true;
        return reply(c, o->type, REP_ACK, NULL, 0);
    case OPT_LIST_META:
    case OPT_SET_META:
        return meta(c, o);
    default: /* STARTTLS among them: TLS is not built */
        return reply(c, o->type, REP_ERR_UNSUP, NULL, 0);
    }
}

int nbd_negotiate(struct nbd_client *c)
{
    struct option o;
    uint8_t hello[18] = "NBDMAGIC", flags[4];
    bool chosen = false;
    be64_put(hello + 8, MAGIC_OPT);
    be16_put(hello + 16, 3); /* fixed newstyle, no zeroes */
    int r = nbd_send(c->fd, hello, sizeof(hello), NULL, 0);
    if (r == 0)
        r = nbd_recv(c->fd, flags, 4);
    if (r == 0 && (be32_get(flags) & ~3u || !(be32_get(flags) & 1)))
        r = -EPROTO;
    c->no_zeroes = be32_get(flags) & 2;
    for (unsigned i = 0; r == 0 && !chosen; i++) {
        r = i < OPTIONS_MAX ? option_read(c, &o) : -EPROTO;
        if (r == 0)
            r = option_answer(c, &o, &chosen);
    }
    return r;
}
