/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client says once it is in (RFC 6143 section 7.5, and the extensions it may use). Every length is
 * checked before it is believed; what is of no interest is skipped without being kept.
 */
#include "ui-proc/vnc/vnc-internal.h"

#include <linux/input-event-codes.h>
#include <string.h>

enum { MSG_SET_FORMAT = 0, MSG_SET_ENCODINGS = 2, MSG_UPDATE_REQUEST = 3, MSG_KEY = 4, MSG_POINTER = 5,
       MSG_CUT_TEXT = 6, MSG_CONTINUOUS = 150, MSG_FENCE = 248, MSG_SET_SIZE = 251, MSG_QEMU = 255 };
#define ENCODINGS_MAX 500u /* fit into the input buffer */
#define FENCE_MAX     64u
#define FENCE_BLOCK_BEFORE 0x1u
#define FENCE_BLOCK_AFTER  0x2u
#define FENCE_SYNC_NEXT    0x4u
#define FENCE_REQUEST      0x80000000u

/* ---- encodings ---- */

static bool pseudo_take(struct vnc_client *c, int32_t e)
{
    if (e >= PSEUDO_JPEG_LOW && e <= PSEUDO_JPEG_HIGH) {
        c->quality = e - PSEUDO_JPEG_LOW;
    } else if (e >= PSEUDO_COMPRESS_LOW && e <= PSEUDO_COMPRESS_HIGH) {
        c->level = e - PSEUDO_COMPRESS_LOW;
    }
    switch (e) {
    case PSEUDO_DESKTOP_SIZE:   c->has_size = true; break;
    case PSEUDO_EXT_DESKTOP:    c->has_ext_size = true; break;
    case PSEUDO_LAST_RECT:      c->has_last_rect = true; break;
    case PSEUDO_POINTER_CHANGE: c->has_pointer_change = true; break;
    case PSEUDO_EXT_KEY:        c->has_ext_key = true; break;
    case PSEUDO_LED:            c->has_led = true; break;
    case PSEUDO_FENCE:          c->has_fence = true; break;
    case PSEUDO_CONTINUOUS:     c->has_continuous = true; break;
    }
    return e < 0;
}

static bool encoding_known(int32_t e)
{
    return e == ENC_RAW || e == ENC_HEXTILE || e == ENC_ZLIB || e == ENC_TIGHT || e == ENC_ZRLE;
}

static void fence_put(struct vnc_client *c, uint32_t flags, const uint8_t *payload, unsigned len)
{
    static const uint8_t pad[3];

    put8(c, MSG_FENCE);
    put(c, pad, 3);
    put32(c, flags);
    put8(c, len);
    put(c, payload, len);
}

/* The first known encoding is the one that is used. */
static void encodings_set(struct vnc_client *c, const uint8_t *list, unsigned n)
{
    bool had_fence = c->has_fence, chosen = false;

    c->encoding = ENC_RAW;
    c->quality = c->level = -1;
    c->has_size = c->has_ext_size = c->has_last_rect = c->has_pointer_change = c->has_ext_key = false;
    c->has_led = c->has_fence = c->has_continuous = false;
    for (unsigned i = 0; i < n; i++) {
        int32_t e = (int32_t)get32(list + (size_t)4 * i);

        if (!pseudo_take(c, e) && !chosen && encoding_known(e)) {
            c->encoding = e;
            chosen = true;
        }
    }
    if (c->has_fence && !had_fence) { /* the server shows that it knows fences by sending one */
        fence_put(c, FENCE_REQUEST, NULL, 0);
    }
    if (c->has_continuous && !c->greeted_continuous) {
        put8(c, MSG_CONTINUOUS); /* EndOfContinuousUpdates: supported */
        c->greeted_continuous = true;
    }
    if (!c->has_led) {
        c->leds_told = 0;
    }
}

static size_t encodings(struct vnc_client *c)
{
    unsigned n, take;

    if (c->in_len < 4) {
        return 0;
    }
    n = get16(c->in + 2);
    take = n < ENCODINGS_MAX ? n : ENCODINGS_MAX;
    if (c->in_len < 4 + (size_t)4 * take) {
        return 0;
    }
    encodings_set(c, c->in + 4, take);
    c->in_skip = (uint64_t)4 * (n - take);
    return 4 + (size_t)4 * take;
}

/* ---- updates ---- */

static size_t update_request(struct vnc_client *c)
{
    const uint8_t *m = c->in;

    if (c->in_len < 10) {
        return 0;
    }
    if (!m[1]) { /* not incremental: everything in the rectangle again */
        tiles_set(&c->dirty, get16(m + 2), get16(m + 4), get16(m + 6), get16(m + 8));
    }
    c->wants = true;
    server_wake(c->v);
    return 10;
}

static size_t continuous(struct vnc_client *c)
{
    if (c->in_len < 10) {
        return 0;
    }
    if (c->continuous && !c->in[1]) {
        put8(c, MSG_CONTINUOUS);
    }
    c->continuous = c->in[1];
    server_wake(c->v);
    return 10;
}

static size_t fence(struct vnc_client *c)
{
    unsigned len;
    uint32_t flags;

    if (c->in_len < 9) {
        return 0;
    }
    len = c->in[8];
    if (len > FENCE_MAX) {
        client_condemn(c, "a fence with too much inside");
        return 9;
    }
    if (c->in_len < 9 + len) {
        return 0;
    }
    flags = get32(c->in + 4);
    if (flags & FENCE_REQUEST) { /* everything before it was dealt with: this is one thread */
        fence_put(c, flags & (FENCE_BLOCK_BEFORE | FENCE_BLOCK_AFTER | FENCE_SYNC_NEXT), c->in + 9, len);
    }
    return 9 + len;
}

/* The guest decides about its screen; the client is told so (status 1: prohibited). */
static size_t set_size(struct vnc_client *c)
{
    const struct screen *s = c->v->screen;
    struct rect r = {1, 1, s->width, s->height};
    unsigned screens;

    if (c->in_len < 8) {
        return 0;
    }
    screens = c->in[6];
    c->in_skip = 16u * screens;
    if (c->has_ext_size && !c->told_w) {
        return 8;
    }
    if (c->has_ext_size) {
        put8(c, 0);
        put8(c, 0);
        put16(c, 1);
        rect_head(c, &r, PSEUDO_EXT_DESKTOP);
        put32(c, 1u << 24);
        put32(c, 0);
        put32(c, 0);
        put16(c, s->width);
        put16(c, s->height);
        put32(c, 0);
    }
    return 8;
}

/* ---- keys ---- */

static void key_remember(struct vnc_client *c, unsigned key, bool down)
{
    for (unsigned i = 0; i < c->n_held; i++) {
        if (c->held[i] == key) {
            if (!down) {
                c->held[i] = c->held[--c->n_held];
            }
            return;
        }
    }
    if (down && c->n_held < VNC_KEYS) {
        c->held[c->n_held++] = (uint16_t)key;
    }
}
static bool key_held(const struct vnc_client *c, unsigned key)
{
    for (unsigned i = 0; i < c->n_held; i++) {
        if (c->held[i] == key) {
            return true;
        }
    }
    return false;
}

static void key_send(struct vnc_client *c, unsigned key, bool down)
{
    if (!key) {
        return;
    }
    if (!down && !key_held(c, key)) {
        return;
    }
    key_remember(c, key, down);
    if (down && !key_held(c, key)) {
        return; /* more keys than fingers */
    }
    input_send(c->v->input, ABI_INPUT_KEY, key, down, 0);
    server_wake(c->v);
}

void client_keys_release(struct vnc_client *c)
{
    while (c->n_held) {
        input_send(c->v->input, ABI_INPUT_KEY, c->held[--c->n_held], 0, 0);
    }
    for (unsigned b = 0; b < 5; b++) {
        if (c->buttons >> b & 1) {
            input_send(c->v->input, ABI_INPUT_BUTTON, b, 0, 0);
        }
    }
    c->buttons = 0;
}

/* A program that types sends the symbol alone, where a person holds Shift. */
static size_t key_event(struct vnc_client *c)
{
    bool shift, down = c->in[1], held;
    unsigned key;

    if (c->in_len < 8) {
        return 0;
    }
    key = keymap_find(get32(c->in + 4), &shift);
    held = key_held(c, KEY_LEFTSHIFT) || key_held(c, KEY_RIGHTSHIFT);
    if (shift && down && !held) {
        input_send(c->v->input, ABI_INPUT_KEY, KEY_LEFTSHIFT, 1, 0);
        key_send(c, key, true);
        input_send(c->v->input, ABI_INPUT_KEY, KEY_LEFTSHIFT, 0, 0);
    } else {
        key_send(c, key, down);
    }
    return 8;
}

static size_t qemu_message(struct vnc_client *c)
{
    if (c->in_len < 2) {
        return 0;
    }
    if (c->in[1] == 0) { /* extended key event: keysym and scan code */
        if (c->in_len < 12) {
            return 0;
        }
        key_send(c, keymap_xt(get32(c->in + 8)), get16(c->in + 2));
        return 12;
    }
    client_condemn(c, "an extension message that was not offered");
    return 2;
}

/* ---- pointer ---- */

static void wheel(struct vnc_client *c, unsigned was, unsigned now)
{
    if (!(was & 8) && (now & 8)) {
        input_send(c->v->input, ABI_INPUT_WHEEL, 0, 1, 0);
    }
    if (!(was & 16) && (now & 16)) {
        input_send(c->v->input, ABI_INPUT_WHEEL, 0, -1, 0);
    }
}

static void buttons(struct vnc_client *c, unsigned now)
{
    unsigned mask = (now & 7) | (now >> 7 & 1) << 3, changed = mask ^ c->buttons;

    for (unsigned b = 0; b < 4; b++) {
        if (changed >> b & 1) {
            input_send(c->v->input, ABI_INPUT_BUTTON, b, mask >> b & 1, 0);
        }
    }
    c->buttons = mask;
}

/* A mouse moves; a client that was told so sends 7FFFh plus the movement, others send where it is. */
static size_t pointer(struct vnc_client *c)
{
    static const unsigned middle = 0x7fff;
    unsigned x, y;
    int dx, dy;

    if (c->in_len < 6) {
        return 0;
    }
    x = get16(c->in + 2);
    y = get16(c->in + 4);
    dx = (int)x - (int)(c->pointer_absolute_told ? middle : c->last_x);
    dy = (int)y - (int)(c->pointer_absolute_told ? middle : c->last_y);
    if ((c->pointer_seen || c->pointer_absolute_told) && (dx || dy)) {
        input_send(c->v->input, ABI_INPUT_MOVE, 0, dx, dy);
    }
    c->last_x = x;
    c->last_y = y;
    c->pointer_seen = true;
    wheel(c, c->wheel_was, c->in[1]);
    c->wheel_was = c->in[1];
    buttons(c, c->in[1]);
    server_wake(c->v);
    return 6;
}

static size_t cut_text(struct vnc_client *c)
{
    if (c->in_len < 8) {
        return 0;
    }
    int32_t len = (int32_t)get32(c->in + 4);
    c->in_skip = len < 0 ? (uint64_t)-(int64_t)len : (uint64_t)len; /* negative: the extended form */
    return 8;
}

static size_t set_format(struct vnc_client *c)
{
    if (c->in_len < 20) {
        return 0;
    }
    if (!format_set(c, c->in + 4)) {
        client_condemn(c, "a pixel format that cannot be made");
    }
    tiles_set(&c->dirty, 0, 0, c->told_w, c->told_h);
    return 20;
}

size_t message_input(struct vnc_client *c)
{
    switch (c->in[0]) {
    case MSG_SET_FORMAT:     return set_format(c);
    case MSG_SET_ENCODINGS:  return encodings(c);
    case MSG_UPDATE_REQUEST: return update_request(c);
    case MSG_KEY:            return key_event(c);
    case MSG_POINTER:        return pointer(c);
    case MSG_CUT_TEXT:       return cut_text(c);
    case MSG_CONTINUOUS:     return continuous(c);
    case MSG_FENCE:          return fence(c);
    case MSG_SET_SIZE:       return set_size(c);
    case MSG_QEMU:           return qemu_message(c);
    }
    client_condemn(c, "an unknown message");
    return 1;
}
