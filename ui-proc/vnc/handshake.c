/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 6143 section 7.1 to 7.3: version, security, initialisation, and the older 3.3 and 3.7 forms. Owns
 * the decision who is let in. A wrong password is answered after a delay, and nothing else is looked at
 * meanwhile.
 */
#include "ui-proc/vnc/vnc-internal.h"

#include <nettle/des.h>
#include <nettle/memops.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define SEC_NONE 1
#define SEC_VNC  2
#define REFUSE_NS 2000000000ull

void handshake_begin(struct vnc_client *c)
{
    c->state = CL_VERSION;
    put(c, "RFB 003.008\n", 12);
}

static size_t version(struct vnc_client *c)
{
    unsigned major, minor;
    char text[13];

    if (c->in_len < 12) {
        return 0;
    }
    memcpy(text, c->in, 12);
    text[12] = 0;
    if (sscanf(text, "RFB %3u.%3u\n", &major, &minor) != 2 || major != 3) {
        client_condemn(c, "does not speak RFB 3");
        return 12;
    }
    c->minor = minor >= 8 ? 8 : minor == 7 ? 7 : 3;
    c->state = CL_SECURITY;
    unsigned type = c->v->cfg.password ? SEC_VNC : SEC_NONE;
    if (c->minor >= 7) {
        put8(c, 1);
        put8(c, type);
        return 12;
    }
    put32(c, type); /* 3.3: the server decides */
    return 12;
}

/* #syscalls:ui getrandom */
static void challenge_send(struct vnc_client *c)
{
    c->state = CL_AUTH;
    if (getrandom(c->challenge, sizeof(c->challenge), 0) != sizeof(c->challenge)) {
        client_condemn(c, "no random numbers for a challenge");
        return;
    }
    put(c, c->challenge, sizeof(c->challenge));
}

static void let_in(struct vnc_client *c, bool tell)
{
    c->state = CL_INIT;
    if (tell) {
        put32(c, 0);
    }
}

static size_t security(struct vnc_client *c)
{
    unsigned want = c->v->cfg.password ? SEC_VNC : SEC_NONE;

    if (c->in[0] != want) {
        client_condemn(c, "chose a security type that was not offered");
    } else if (want == SEC_VNC) {
        challenge_send(c);
    } else {
        let_in(c, c->minor >= 8);
    }
    return 1;
}

/* RFB uses the password's bits in reverse order as a DES key. */
static void answer_make(const char *password, const uint8_t challenge[16], uint8_t answer[16])
{
    struct des_ctx des;
    uint8_t key[8] = {0};

    for (unsigned i = 0; i < 8 && password[i]; i++) {
        for (unsigned b = 0; b < 8; b++) {
            key[i] |= (uint8_t)(((uint8_t)password[i] >> b & 1) << (7 - b));
        }
    }
    des_set_key(&des, key);
    des_encrypt(&des, 16, answer, challenge);
}

static bool password_good(const struct vnc_client *c, const uint8_t *answer)
{
    const struct vnc *v = c->v;
    uint8_t want[16];
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    answer_make(v->password, c->challenge, want);
    bool same = memeql_sec(want, answer, sizeof(want));
    return same && v->password[0] && (!v->password_expires || now.tv_sec < v->password_expires);
}

static size_t auth(struct vnc_client *c)
{
    if (c->in_len < 16) {
        return 0;
    }
    if (password_good(c, c->in)) {
        let_in(c, true);
        return 16;
    }
    c->refusal = "Authentication failed";
    ipc_timer_set(&c->timer, ipc_now_ns() + REFUSE_NS);
    return 16;
}

/* Whether somebody may come in beside those who are there. */
static bool may_share(struct vnc_client *c, bool shared)
{
    struct vnc *v = c->v;

    if (v->cfg.share == VNC_SHARE_IGNORE) {
        return true;
    }
    if (v->cfg.share == VNC_SHARE_FORCE_SHARED && !shared) {
        return false;
    }
    if (!shared) {
        server_exclusive(v, c);
    }
    return true;
}

static size_t init(struct vnc_client *c)
{
    const struct vnc *v = c->v;
    size_t n = strlen(v->cfg.name);
    static const uint8_t wire[16] = {32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0};

    c->shared = c->in[0];
    if (!may_share(c, c->shared)) {
        client_condemn(c, "wants the screen for itself, which share=force-shared refuses");
        return 1;
    }
    server_look(c->v); /* nobody may have looked for long */
    format_set(c, wire);
    c->told_w = v->screen->width;
    c->told_h = v->screen->height;
    put16(c, c->told_w);
    put16(c, c->told_h);
    format_put(c);
    put32(c, (uint32_t)n);
    put(c, v->cfg.name, n);
    tiles_set(&c->dirty, 0, 0, c->told_w, c->told_h);
    c->state = CL_RUNNING;
    ipc_timer_set(&c->timer, 0);
    return 1;
}

size_t handshake_input(struct vnc_client *c)
{
    size_t used = 0;

    switch (c->state) {
    case CL_VERSION:
        used = version(c);
        if (used && c->state == CL_SECURITY && c->minor < 7) {
            if (c->v->cfg.password) {
                challenge_send(c);
            } else {
                let_in(c, false);
            }
        }
        return used;
    case CL_SECURITY:
        return security(c);
    case CL_AUTH:
        return auth(c);
    default:
        return init(c);
    }
}
