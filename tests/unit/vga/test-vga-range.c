/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repeated string instructions in planar memory, executed by the engine, against the same bytes one by one in
 * a second card; with registers of every kind, elements of every size, and moves that overlap.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cpu-worker/run/run.h"
#include "cpu-worker/vga/vga-internal.h"
#include "tests/unit/cpu/rig.h"

#define VRAM (256u << 10)

GUEST(fill1, ".code64\n\tcld\n\trep stosb\n\t" STOP);
GUEST(fill2, ".code64\n\tcld\n\trep stosw\n\t" STOP);
GUEST(fill4, ".code64\n\tcld\n\trep stosl\n\t" STOP);
GUEST(move1, ".code64\n\tcld\n\trep movsb\n\t" STOP);
GUEST(move2, ".code64\n\tcld\n\trep movsw\n\t" STOP);

static struct abi_display *card[2];
static struct vga *vga[2]; /* 0: the engine's, 1: the model's */

static void card_make(unsigned i)
{
    card[i] = aligned_alloc(4096, ABI_DISPLAY_VRAM + VRAM);
    memset(card[i], 0, ABI_DISPLAY_VRAM + VRAM);
    card[i]->magic = ABI_DISPLAY_MAGIC;
    card[i]->version = ABI_DISPLAY_VERSION;
    card[i]->size = ABI_DISPLAY_VRAM + VRAM;
    vga[i] = vga_create(card[i], card[i]->size);
}

/* The window into the rig's map, between the two stretches of RAM. */
static void window_map(void)
{
    struct abi_addr_map *m = &rig.page->map;

    if (m->count == 2) {
        m->mem[2] = m->mem[1];
        m->mem[1] = (struct abi_map_entry){0xa0000, 0x20000, ABI_MAP_VGA, 0, 0};
        m->count = 3;
        m->seq += 2;
    }
    rig.mem.vga = vga[0];
    mmio_map_refresh(&rig.mem);
}

static void registers_set(void)
{
    static const uint8_t seq4[4] = {6, 6, 2, 0x0e}, gc5[6] = {0, 1, 2, 3, 1, 0x10};
    struct abi_vga *r = vga[0]->r;

    r->seq[2] = (uint8_t)(random() & 3 ? 15 : random() & 15);
    r->seq[4] = seq4[random() % 4];
    for (unsigned i = 0; i < 9; i++)
        r->gc[i] = (uint8_t)random();
    r->gc[1] = random() & 1 ? 0 : (uint8_t)(random() & 15);
    r->gc[3] &= 0x1f;
    r->gc[5] = gc5[random() % 6];
    r->gc[6] = (uint8_t)((random() & 3) << 2 | 1);
    r->gc[8] = random() & 1 ? 0xff : (uint8_t)random();
    r->latch = (uint32_t)random() * 3;
    *vga[1]->r = *r;
    vga[0]->window = 0; /* everything traps, whatever the registers would allow */
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double run_took;

static void run(const uint8_t *code, unsigned len, uint64_t di, uint64_t si, uint64_t cx, uint64_t ax)
{
    struct abi_vcpu_state *s;

    rig_load(code, len);
    window_map();
    for (unsigned i = 0; i < 0x2000; i++)
        rig.ram[0x200000 + i] = (uint8_t)(i * 7 + (i >> 5));
    s = rig.cpu->s;
    s->gpr[RDI] = di;
    s->gpr[RSI] = si;
    s->gpr[RCX] = cx;
    s->gpr[RAX] = ax;
    cpu_state_load(rig.cpu);
    run_took = seconds();
    int stop = rig_run();
    run_took = seconds() - run_took;
    if (stop != STOPPED)
        ok(false, "the code stopped elsewhere");
}

static void model_store(uint64_t gpa, uint64_t v, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        vga_byte_write(vga[1], (uint32_t)(gpa + i - 0xa0000), (uint8_t)(v >> 8 * i));
}

static bool same(void)
{
    return !memcmp(vga[0]->planes, vga[1]->planes, VRAM) && vga[0]->r->latch == vga[1]->r->latch;
}

static bool fills(unsigned size, const uint8_t *code, unsigned len)
{
    for (unsigned n = 0; n < 300; n++) {
        uint64_t at = 0xa0000 + (uint64_t)random() % 0x1e000, count = (uint64_t)random() % 2500;
        uint64_t value = (uint64_t)random() * 5;

        registers_set();
        run(code, len, at, 0, count, value);
        for (uint64_t i = 0; i < count; i++)
            model_store(at + i * size, value, size);
        if (!same() || rig_reg(RDI) != at + count * size || rig_reg(RCX))
            return false;
    }
    return true;
}

static bool moves(unsigned size, bool inside, const uint8_t *code, unsigned len)
{
    for (unsigned n = 0; n < 300; n++) {
        uint64_t to = 0xa0000 + (uint64_t)random() % 0xe000, count = (uint64_t)random() % 2500;
        uint64_t from = inside ? to + (uint64_t)random() % 200 - 100 : 0x200000 + (uint64_t)random() % 500;

        if (inside && from < 0xa0000)
            from = 0xa0000;
        registers_set();
        run(code, len, to, from, count, 0);
        for (uint64_t i = 0; i < count; i++) {
            uint64_t v = 0;
            for (unsigned b = 0; b < size; b++) {
                uint64_t s = from + i * size + b;
                v |= (uint64_t)(inside ? vga_byte_read(vga[1], (uint32_t)(s - 0xa0000)) : rig.ram[s]) << 8 * b;
            }
            model_store(to + i * size, v, size);
        }
        if (!same() || rig_reg(RSI) != from + count * size)
            return false;
    }
    return true;
}

/* Told, not judged: how far from the host's own memory (each CPU byte is four bytes of planes). */
static void speed(void)
{
    static uint8_t plain[1 << 18];
    double t[3], best[3] = {9, 9, 9};

    for (unsigned n = 0; n < 20; n++) {
        memset(&vga[0]->r->gc, 0, sizeof(vga[0]->r->gc));
        vga[0]->r->gc[6] = 5;
        vga[0]->r->gc[8] = 0xff;
        vga[0]->r->seq[2] = 15;
        vga[0]->r->seq[4] = 6;
        run(fill1, (unsigned)(fill1_end - fill1), 0xa0000, 0, 0x10000, 0x55);
        t[1] = run_took;
        vga[0]->r->gc[5] = 1;
        run(move1, (unsigned)(move1_end - move1), 0xa0000, 0xa0050, 0xff00, 0);
        t[2] = run_took;
        for (unsigned i = 1; i < 3; i++)
            best[i] = t[i] < best[i] ? t[i] : best[i];
        t[0] = seconds();
        memset(plain, (int)n, sizeof(plain));
        t[0] = seconds() - t[0];
        best[0] = t[0] < best[0] ? t[0] : best[0];
    }
    printf("# 64 KiB of addresses: rep stosb %.0f us, rep movsb by latches %.0f us; memset of the same 256 KiB %.0f us\n",
           best[1] * 1e6, best[2] * 1e6, best[0] * 1e6);
}

int main(void)
{
    srandom(3);
    card_make(0);
    card_make(1);
    rig_load(fill1, (unsigned)(fill1_end - fill1));
    ok(fills(1, fill1, (unsigned)(fill1_end - fill1)), "rep stosb");
    ok(fills(2, fill2, (unsigned)(fill2_end - fill2)), "rep stosw");
    ok(fills(4, fill4, (unsigned)(fill4_end - fill4)), "rep stosd");
    ok(moves(1, false, move1, (unsigned)(move1_end - move1)), "rep movsb from memory");
    ok(moves(2, false, move2, (unsigned)(move2_end - move2)), "rep movsw from memory");
    ok(moves(1, true, move1, (unsigned)(move1_end - move1)), "rep movsb inside the window");
    ok(moves(2, true, move2, (unsigned)(move2_end - move2)), "rep movsw inside the window");
    speed();
    return ctest_done();
}
