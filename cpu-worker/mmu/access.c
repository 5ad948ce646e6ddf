/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slow paths of memory accesses: TLB misses, page crossings, MMIO, stores into pages with code, and
 * the supervisor accesses of descriptor-table walks. Both pages of a crossing are checked before a
 * byte is written.
 */
#include "cpu-worker/mmio/mmio.h"
#include "cpu-worker/mmu/tlb.h"
#include "cpu-worker/run/debug.h"
#include "cpu-worker/run/op.h"
#include "cpu-worker/run/run.h"
#include "cpu-worker/run/watch.h"

static bool crosses(uint64_t va, unsigned size)
{
    return (va & 0xfff) + size > 0x1000;
}
/* Loads and stores of a natural size are single ones on the host as well: other vCPUs look on, and a
 * store that libc's memcpy makes twice would undo what they wrote in between. */
static uint64_t host_load(const uint8_t *p, unsigned size)
{
    uint64_t v = 0;
    uint32_t v4;
    uint16_t v2;
    switch (size) {
    case 1:
        return *(const volatile uint8_t *)p;
    case 2:
        memcpy(&v2, p, 2);
        return v2;
    case 4:
        memcpy(&v4, p, 4);
        return v4;
    case 8:
        memcpy(&v, p, 8);
        return v;
    default:
        memcpy(&v, p, size);
        return v;
    }
}
static void host_store(uint8_t *p, unsigned size, uint64_t v)
{
    switch (size) {
    case 1:
        *(volatile uint8_t *)p = (uint8_t)v;
        break;
    case 2:
        memcpy(p, &v, 2);
        break;
    case 4:
        memcpy(p, &v, 4);
        break;
    case 8:
        memcpy(p, &v, 8);
        break;
    default:
        memcpy(p, &v, size);
        break;
    }
}

/* Natural alignment, of sixteen bytes at most; ten are an extended real, which wants eight; the x87
 * environments are rows of words or doublewords (SDM volume 3, table 6-7, and as processors do it). */
static unsigned alignment_of(unsigned size)
{
    if (!(size & (size - 1)))
        return size < 16 ? size : 16;
    return size == 10 ? 8 : size & 3 ? 2 : 4;
}
/* Only in CTX_CHECK, which never hits: every access of CPL 3 then comes here. */
static void align_check(struct cpu *c, const struct op *o, uint64_t va, unsigned size)
{
    if (unlikely((c->ctx & 3) == CTX_CHECK) && (va & (alignment_of(size) - 1)))
        cpu_raise_err(c, o, VEC_AC, 0);
}

static uint64_t load_at(struct cpu *c, const struct translation *t, unsigned size)
{
    return t->host ? host_load(t->host, size) : mmio_read(c, t->gpa, size);
}
static void store_at(struct cpu *c, const struct op *o, const struct translation *t, unsigned size,
                     uint64_t v)
{
    if (t->host && t->writable_host) {
        host_store(t->host, size, v);
        team_code_written(c, o, t->ram_off, size);
    } else { /* a store to what reads as ROM may be a command to a flash chip */
        mmio_write(c, t->gpa, size, v);
    }
}

uint64_t mmu_read_slow(struct cpu *c, const struct op *o, uint64_t va, unsigned size)
{
    debug_access(c, va, size, false);
    struct translation t;
    align_check(c, o, va, size);
    if (crosses(va, size)) {
        uint64_t v = 0;
        mmu_read_bytes(c, o, va, &v, size);
        return v;
    }
    mmu_translate(c, o, va, MMU_READ, &t);
    return load_at(c, &t, size);
}
void mmu_write_slow(struct cpu *c, const struct op *o, uint64_t va, unsigned size, uint64_t v)
{
    debug_access(c, va, size, true);
    struct translation t;
    align_check(c, o, va, size);
    if (crosses(va, size)) {
        mmu_write_bytes(c, o, va, &v, size);
        return;
    }
    mmu_translate(c, o, va, MMU_WRITE, &t);
    store_at(c, o, &t, size, v);
}

/* Largest power of two that divides both address and length: MMIO sees natural accesses. */
static unsigned mmio_chunk(uint64_t gpa, unsigned len)
{
    unsigned n = 8;
    while (n > len || (gpa & (n - 1)))
        n >>= 1;
    return n;
}
static void copy_in(struct cpu *c, const struct translation *t, uint8_t *buf, unsigned len)
{
    if (t->host) {
        memcpy(buf, t->host, len);
        return;
    }
    for (unsigned done = 0, n; done < len; done += n) {
        n = mmio_chunk(t->gpa + done, len - done);
        uint64_t v = mmio_read(c, t->gpa + done, n);
        memcpy(buf + done, &v, n);
    }
}
static void copy_out(struct cpu *c, const struct op *o, const struct translation *t,
                     const uint8_t *buf, unsigned len)
{
    if (t->host && t->writable_host) {
        memcpy(t->host, buf, len);
        team_code_written(c, o, t->ram_off, len);
        return;
    }
    for (unsigned done = 0, n; done < len; done += n) {
        uint64_t v = 0;
        n = mmio_chunk(t->gpa + done, len - done);
        memcpy(&v, buf + done, n);
        mmio_write(c, t->gpa + done, n, v);
    }
}

/* In 32-bit modes the second page of a crossing wraps at 4 GiB; but in compatibility mode the descriptor
 * tables and the TSS are reached by 64-bit addresses. */
static uint64_t next_page(const struct cpu *c, uint64_t va)
{
    uint64_t n = (va | 0xfff) + 1;
    return (c->mode & MODE_64) || va >> 32 ? n : (uint32_t)n;
}
void mmu_read_bytes(struct cpu *c, const struct op *o, uint64_t va, void *buf, unsigned len)
{
    debug_access(c, va, len, false);
    struct translation a, b;
    unsigned first = crosses(va, len) ? 0x1000 - (va & 0xfff) : len;
    align_check(c, o, va, len);
    if (first < len)
        mmu_canonical(c, o, next_page(c, va));
    mmu_translate(c, o, va, MMU_READ, &a);
    if (first < len)
        mmu_translate(c, o, next_page(c, va), MMU_READ, &b);
    copy_in(c, &a, buf, first);
    if (first < len)
        copy_in(c, &b, (uint8_t *)buf + first, len - first);
}
void mmu_write_bytes(struct cpu *c, const struct op *o, uint64_t va, const void *buf, unsigned len)
{
    debug_access(c, va, len, true);
    struct translation a, b;
    unsigned first = crosses(va, len) ? 0x1000 - (va & 0xfff) : len;
    align_check(c, o, va, len);
    if (first < len)
        mmu_canonical(c, o, next_page(c, va));
    mmu_translate(c, o, va, MMU_WRITE, &a);
    if (first < len)
        mmu_translate(c, o, next_page(c, va), MMU_WRITE, &b);
    copy_out(c, o, &a, buf, first);
    if (first < len)
        copy_out(c, o, &b, (const uint8_t *)buf + first, len - first);
}
static void probe(struct cpu *c, const struct op *o, uint64_t va, unsigned len, enum mmu_access kind)
{
    struct translation t;
    if (crosses(va, len))
        mmu_canonical(c, o, next_page(c, va));
    mmu_translate(c, o, va, kind, &t);
    if (crosses(va, len))
        mmu_translate(c, o, next_page(c, va), kind, &t);
}
void mmu_probe_write(struct cpu *c, const struct op *o, uint64_t va, unsigned len)
{
    if (!mmu_ptr_w(c, va, len))
        probe(c, o, va, len, MMU_WRITE);
}
void mmu_probe_read(struct cpu *c, const struct op *o, uint64_t va, unsigned len)
{
    if (!mmu_ptr_r(c, va, len))
        probe(c, o, va, len, MMU_READ);
}

static bool plain_ram(const struct cpu *c, const struct translation *t)
{
    return t->host && t->writable_host && !team_page_has_code(c->team, t->ram_off);
}
void *mmu_rmw_slow(struct cpu *c, const struct op *o, uint64_t va, unsigned size)
{
    struct translation a, b;
    bool cross = crosses(va, size);
    align_check(c, o, va, size);
    if (cross)
        mmu_canonical(c, o, next_page(c, va));
    mmu_translate(c, o, va, MMU_WRITE, &a);
    b = a;
    if (cross)
        mmu_translate(c, o, next_page(c, va), MMU_WRITE, &b);
    bool one_piece = !cross || b.host == a.host + (0x1000 - (va & 0xfff));
    if (plain_ram(c, &a) && plain_ram(c, &b) && one_piece) {
        if (team_page_watched(c->team, a.ram_off) || team_page_watched(c->team, b.ram_off))
            watch_store_comes(c, a.ram_off, size);
        return a.host;
    }
    if (a.host && b.host) { /* a device is asked once to read and once to write, and nobody waits for it */
        c->rmw_alone = true;
        cpu_exclusive_begin(c);
    }
    return NULL;
}
void mmu_rmw_end(struct cpu *c)
{
    if (!c->rmw_alone)
        return;
    c->rmw_alone = false;
    cpu_exclusive_end(c);
}

/* Supervisor rights for one access; a fault leaves with the rights restored by cpu_unwind_to_event. */
static void rights_system(struct cpu *c)
{
    c->mem_user = 0;
    c->ctx &= ~3u; /* implicit: SMAP holds whatever EFLAGS.AC says */
}
static void rights_restore(struct cpu *c)
{
    tlb_context_update(c);
}
uint64_t sys_read(struct cpu *c, const struct op *o, uint64_t va, unsigned size)
{
    uint64_t v = 0;
    rights_system(c);
    const void *p = mmu_ptr_r(c, va, size);
    if (p)
        memcpy(&v, p, size);
    else
        v = mmu_read_slow(c, o, va, size);
    rights_restore(c);
    return v;
}
void sys_write(struct cpu *c, const struct op *o, uint64_t va, unsigned size, uint64_t v)
{
    rights_system(c);
    void *p = mmu_ptr_w(c, va, size);
    if (p)
        memcpy(p, &v, size);
    else
        mmu_write_slow(c, o, va, size, v);
    rights_restore(c);
}
void sys_probe_write(struct cpu *c, const struct op *o, uint64_t va, unsigned len)
{
    rights_system(c);
    mmu_probe_write(c, o, va, len);
    rights_restore(c);
}
