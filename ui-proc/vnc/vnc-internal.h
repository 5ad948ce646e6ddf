/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's parts among themselves. One thread. Included by ui-proc/vnc only.
 */
#ifndef BULKHEAD_UI_PROC_VNC_INTERNAL_H
#define BULKHEAD_UI_PROC_VNC_INTERNAL_H

#include <stddef.h>
#include <sys/types.h>
#include <zlib.h>

#include "ui-proc/vnc/vnc.h"

#define VNC_IN      4096u      /* bytes of a client that wait to be understood */
#define VNC_OUT_MAX (192u << 20) /* one whole update of the largest screen, raw */
#define VNC_RECTS   2048u
#define VNC_KEYS    64u

enum { ENC_RAW = 0, ENC_COPYRECT = 1, ENC_HEXTILE = 5, ENC_ZLIB = 6, ENC_TIGHT = 7, ENC_ZRLE = 16 };
enum { PSEUDO_JPEG_LOW = -32, PSEUDO_JPEG_HIGH = -23, PSEUDO_DESKTOP_SIZE = -223, PSEUDO_LAST_RECT = -224,
       PSEUDO_CURSOR = -239, PSEUDO_COMPRESS_LOW = -256, PSEUDO_COMPRESS_HIGH = -247,
       PSEUDO_POINTER_CHANGE = -257, PSEUDO_EXT_KEY = -258, PSEUDO_LED = -261, PSEUDO_EXT_DESKTOP = -308,
       PSEUDO_FENCE = -312, PSEUDO_CONTINUOUS = -313 };

struct rect {
    unsigned x, y, w, h;
};

struct pixel_format {
    uint8_t bpp, depth, big_endian, true_colour;
    uint16_t max[3];
    uint8_t shift[3];
};

enum client_state { CL_FREE, CL_VERSION, CL_SECURITY, CL_AUTH, CL_INIT, CL_RUNNING, CL_CONDEMNED };
struct vnc_client {
    struct vnc *v;
    int fd;
    enum client_state state;
    unsigned minor;      /* RFB 3.minor */
    bool shared;
    char peer[80];
    struct ipc_timer timer; /* end of the handshake, or of the delay before a refusal */
    uint8_t challenge[16];
    const char *refusal;

    uint8_t in[VNC_IN];
    size_t in_len;
    uint64_t in_skip; /* bytes of a message that is of no interest */
    uint8_t *out;
    size_t out_len, out_sent, out_room;
    bool out_failed;

    struct pixel_format pf;
    uint32_t lut[3][256]; /* red, green, blue: shifted into place, in the client's byte order */
    bool plain;           /* pixels are ours as they are */
    int encoding;
    int quality, level;   /* -1 = not asked for */
    bool has_size, has_ext_size, has_last_rect, has_pointer_change, has_ext_key, has_led, has_fence, has_continuous;
    bool greeted_ext_key, greeted_continuous, pointer_absolute_told, size_told;
    unsigned leds_told;

    struct tiles dirty;
    bool wants;            /* an update was asked for */
    bool continuous;
    struct rect continuous_area;
    unsigned told_w, told_h; /* size of the screen as the client knows it */

    unsigned buttons, wheel_was, last_x, last_y;
    bool pointer_seen;
    uint16_t held[VNC_KEYS]; /* keys this client holds */
    unsigned n_held;

    z_stream zlib, zrle, tight[4];
    bool zlib_on, zrle_on, tight_on[4];
    uint64_t frames, bytes;
};

struct vnc {
    struct vnc_config cfg;
    struct ipc_loop *loop;
    struct screen *screen;
    struct input *input;
    struct ipc_timer tick;
    uint64_t interval_ns, blink_ns;
    bool ticking;
    char password[VNC_PASSWORD_MAX + 1];
    int64_t password_expires;
    struct vnc_client *client[VNC_CLIENTS_MAX];
    struct rect rect[VNC_RECTS];
    uint8_t *work; /* encoders' scratch */
    size_t work_room;
};

/* client.c */
void client_condemn(struct vnc_client *c, const char *why); /* closed at the end of the event */
void client_free(struct vnc_client *c);
void client_flush(struct vnc_client *c);
bool client_idle(const struct vnc_client *c); /* everything was sent */
void put(struct vnc_client *c, const void *data, size_t len);
uint8_t *put_room(struct vnc_client *c, size_t len); /* uninitialised bytes at the end; NULL: failed */
void put8(struct vnc_client *c, unsigned v);
void put16(struct vnc_client *c, unsigned v);
void put32(struct vnc_client *c, uint32_t v);
static inline uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* handshake.c, messages.c: bytes used of in[0..in_len), 0 = more are needed. */
void handshake_begin(struct vnc_client *c);
size_t handshake_input(struct vnc_client *c);
size_t message_input(struct vnc_client *c);
void client_keys_release(struct vnc_client *c);

/* server.c */
void server_look(struct vnc *v); /* at the screen, for everybody */
void server_wake(struct vnc *v); /* somebody wants an update, or types */
void server_exclusive(struct vnc *v, const struct vnc_client *but);

/* update.c */
void update_send(struct vnc_client *c);
void rect_head(struct vnc_client *c, const struct rect *r, int32_t encoding);

/* pixels.c */
bool format_set(struct vnc_client *c, const uint8_t *wire); /* 16 bytes; false: not one we can make */
void format_put(struct vnc_client *c);
void pixels_convert(const struct vnc_client *c, const uint32_t *from, size_t n, uint8_t *to);
uint32_t pixel_value(const struct vnc_client *c, uint32_t rgb);

/* encoders: one rectangle with its head, from the screen's pixels */
void encode_raw(struct vnc_client *c, const struct rect *r);
void encode_hextile(struct vnc_client *c, const struct rect *r);
void encode_zlib(struct vnc_client *c, const struct rect *r);
void encode_zrle(struct vnc_client *c, const struct rect *r);
void encode_tight(struct vnc_client *c, const struct rect *r);
void encoders_free(struct vnc_client *c);
uint8_t *work_area(struct vnc_client *c, size_t len); /* NULL: no memory, the client is condemned */
/* deflate.c: data into the client's output through one of its streams, flushed. Bytes put. */
size_t deflate_put(struct vnc_client *c, z_stream *z, bool *on, int level, const uint8_t *data, size_t len);

/* keymap.c: keys of a keysym on a US keyboard, 0 = none; *shift: the symbol needs it. */
unsigned keymap_find(uint32_t keysym, bool *shift);
unsigned keymap_xt(uint32_t xt); /* an XT scan code with 80h for E0h */

#endif
