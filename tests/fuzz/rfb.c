/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: one hostile VNC client's whole life. The first byte chooses who connects (with a password or
 * without, version, how far the handshake is done for it), the rest is what it sends, in pieces. A screen
 * of known size is there; input goes to a page of its own. LibFuzzer, or rfb-run.c as a short test.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ui-proc/vnc/vnc-internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern unsigned long rfb_fuzz_frames;

static struct ipc_loop loop;
static struct screen screen;
static struct display display;
static uint32_t *vram;
static struct abi_input_page page;
static struct input input = {&page, -1, 0};
static struct vnc *server[2];

#define WIDTH  320u
#define HEIGHT 200u

/* A linear mode of 32 bits per pixel. */
static void display_make(void)
{
    struct abi_display *d = calloc(1, ABI_DISPLAY_VRAM + WIDTH * HEIGHT * 4);
    uint16_t *b;

    if (!d) {
        abort();
    }
    b = d->vga.vbe;
    b[ABI_VBE_ENABLE] = ABI_VBE_ENABLED | ABI_VBE_LFB;
    b[ABI_VBE_XRES] = b[ABI_VBE_VIRT_WIDTH] = WIDTH;
    b[ABI_VBE_YRES] = HEIGHT;
    b[ABI_VBE_BPP] = 32;
    vram = (uint32_t *)((uint8_t *)d + ABI_DISPLAY_VRAM);
    display = (struct display){d, WIDTH * HEIGHT * 4};
}

static void set_up(void)
{
    struct vnc_config cfg = {.name = "fuzz", .lossy = true};

    display_make();
    if (ipc_loop_init(&loop) < 0 || screen_init(&screen, &display) < 0) {
        abort();
    }
    for (unsigned i = 0; i < 2; i++) {
        cfg.password = i;
        server[i] = vnc_create(&cfg, &loop, &screen, &input);
        if (!server[i]) {
            abort();
        }
    }
    vnc_password_set(server[1], "secret", 0);
}

unsigned long rfb_fuzz_frames; /* pictures sent, so that a run can tell that it reached the encoders */

static void frames_count(const struct vnc *v)
{
    for (unsigned i = 0; i < VNC_CLIENTS_MAX; i++) {
        rfb_fuzz_frames += v->client[i] ? v->client[i]->frames : 0;
    }
}

static void drain(int fd)
{
    static uint8_t sink[1 << 20];

    for (int i = 0; i < 64 && recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0; i++) {
    }
}

static void turn(int fd)
{
    for (unsigned i = 0; i < 3; i++) {
        (void)ipc_loop_run_once(&loop, 0);
        ipc_timer_set(&server[0]->tick, 1); /* no waiting for the clock */
    }
    drain(fd);
    page.ring.tail = page.ring.head; /* a guest that takes everything */
}

static void say(int fd, const void *data, size_t len)
{
    (void)!send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    turn(fd);
}

/* One colour, few or many, so that every kind of tile is made. */
static void scribble(const uint8_t *data, size_t size)
{
    unsigned mask = size > 1 && data[1] & 1 ? 0xffffff : size > 1 && data[1] & 2 ? 0x010101 : 0;

    for (unsigned i = 0; i < WIDTH * HEIGHT; i++) {
        vram[i] = ((i * 2654435761u) ^ data[i % size] * 0x9e3779b1u) & mask;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int pair[2];
    unsigned how;

    if (!server[0]) {
        set_up();
    }
    if (!size || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0) {
        return 0;
    }
    how = data[0];
    if (vnc_client_add(server[how >> 7], pair[0]) < 0) {
        abort(); /* the last one is still there */
    }
    if (how & 1) {
        say(pair[1], how & 2 ? "RFB 003.008\n" : how & 4 ? "RFB 003.007\n" : "RFB 003.003\n", 12);
    }
    if ((how & 9) == 9 && !(how >> 7)) {
        if (how & 6) {
            say(pair[1], "\1", 1);
        }
        say(pair[1], "\1", 1);
    }
    scribble(data, size);
    for (size_t at = 1; at < size;) {
        size_t n = 1 + (how >> 4 & 3) * 37u;

        n = n < size - at ? n : size - at;
        say(pair[1], data + at, n);
        at += n;
    }
    frames_count(server[0]);
    close(pair[1]);
    for (unsigned i = 0; i < 8; i++) {
        (void)ipc_loop_run_once(&loop, 0);
    }
    return 0;
}
