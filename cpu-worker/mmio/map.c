/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's private copy of the address map, and guest memory looked up in it. Owns the copy
 * and its validation; must never hand out a host address that was not checked against the RAM
 * mapping.
 */
#include <string.h>
#include "cpu-worker/chipset/flash.h"
#include "cpu-worker/mmio/map.h"
#include "cpu-worker/mmio/mmio.h"
#include "cpu-worker/vga/vga.h"
#include "ipc/log.h"

#define SEQ_TRIES 1000

static bool entry_valid(const struct mmu_host *m, const struct abi_map_entry *e, uint64_t floor,
                        uint64_t limit)
{
    if (!e->size || e->gpa < floor || e->gpa > limit || e->size > limit - e->gpa)
        return false;
    switch (e->kind) {
    case ABI_MAP_RAM:
    case ABI_MAP_ROM:
    case ABI_MAP_FLASH:
        return e->slot < ABI_RAM_MAX && !((e->gpa | e->size | e->offset) & 0xfff) &&
               e->offset <= m->slot[e->slot].size &&
               e->size <= m->slot[e->slot].size - e->offset;
    case ABI_MAP_KICK:
        return e->slot < ABI_KICK_MAX;
    case ABI_MAP_ISR:
        return e->slot < ABI_ISR_MAX;
    case ABI_MAP_MAILBOX:
        return true;
    case ABI_MAP_VGA:
        return m->vga && e->slot <= 1;
    case ABI_MAP_DEVICE:
        return e->slot < ABI_DEV_MAX;
    }
    return false;
}

/* Keeps what is sound: sorted, not overlapping, inside [0, limit). Returns how many. */
static uint32_t entries_filter(const struct mmu_host *m, struct abi_map_entry *e, uint32_t n,
                               uint64_t limit)
{
    uint64_t floor = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (e[i].kind == ABI_MAP_NONE)
            continue;
        if (!entry_valid(m, &e[i], floor, limit)) {
            log_warn("address map entry %u (kind %u at %#llx) is not valid: ignored", i, e[i].kind,
                     (unsigned long long)e[i].gpa);
            continue;
        }
        floor = e[i].gpa + e[i].size;
        e[kept++] = e[i];
    }
    return kept;
}

/* Only memory can be SMRAM: registers are every vCPU's. */
static uint32_t smram_filter(const struct mmu_host *m, struct abi_map_entry *e, uint32_t n)
{
    uint32_t kept = 0;
    n = entries_filter(m, e, n, 1ull << 52);
    for (uint32_t i = 0; i < n; i++)
        if (e[i].kind == ABI_MAP_RAM || e[i].kind == ABI_MAP_ROM)
            e[kept++] = e[i];
    return kept;
}

/* FNV-1a over the RAM and ROM entries. */
static uint64_t layout_digest(const struct abi_map_entry *e, uint32_t n, uint64_t h)
{
    for (uint32_t i = 0; i < n; i++) {
        if (e[i].kind != ABI_MAP_RAM && e[i].kind != ABI_MAP_ROM)
            continue;
        const uint64_t v[4] = {e[i].gpa, e[i].size, e[i].slot, e[i].offset};
        for (unsigned k = 0; k < 4; k++)
            h = (h ^ v[k]) * 0x100000001b3ull;
    }
    return h;
}

/* Seqlock, reader's side. false: the writer was in the middle all the time. */
static bool map_copy(const struct abi_addr_map *src, struct abi_addr_map *dst)
{
    for (unsigned i = 0; i < SEQ_TRIES; i++) {
        uint32_t seq = __atomic_load_n(&src->seq, __ATOMIC_ACQUIRE);
        if (seq & 1) {
            __builtin_ia32_pause();
            continue;
        }
        memcpy(dst, src, sizeof(*dst));
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__atomic_load_n(&src->seq, __ATOMIC_RELAXED) == seq) {
            dst->seq = seq;
            return true;
        }
    }
    return false;
}

bool mmio_map_changed(struct mmu_host *m)
{
    return __atomic_load_n(&m->page->map.seq, __ATOMIC_ACQUIRE) !=
           __atomic_load_n(&m->seq, __ATOMIC_RELAXED);
}

bool mmio_map_refresh(struct mmu_host *m)
{
    struct abi_addr_map map;
    if (!mmio_map_changed(m) || !map_copy(&m->page->map, &map))
        return false; /* unchanged; or being written: the doorbell that follows brings us back */
    uint32_t n_mem = map.count < ABI_MAP_MAX ? map.count : ABI_MAP_MAX;
    uint32_t n_io = map.io_count < ABI_IO_MAX ? map.io_count : ABI_IO_MAX;
    uint32_t n_smram = map.smram_count < ABI_SMRAM_MAX ? map.smram_count : ABI_SMRAM_MAX;
    m->n_mem = entries_filter(m, map.mem, n_mem, 1ull << 52);
    m->n_io = entries_filter(m, map.io, n_io, 0x10000);
    m->n_smram = smram_filter(m, map.smram, n_smram);
    memcpy(m->smram, map.smram, sizeof(m->smram));
    memcpy(m->mem, map.mem, sizeof(m->mem));
    memcpy(m->io, map.io, sizeof(m->io));
    m->hot = 0;
    m->layout = layout_digest(m->smram, m->n_smram, layout_digest(m->mem, m->n_mem, 0xcbf29ce484222325ull));
    __atomic_store_n(&m->seq, map.seq, __ATOMIC_RELAXED);
    return true;
}

void mmio_host_init(struct mmu_host *m, struct abi_machine_page *page, uint8_t *ram,
                    uint64_t ram_size)
{
    mmio_host_prepare(m, page, ram, ram_size);
    mmio_map_refresh(m);
}

void mmio_host_prepare(struct mmu_host *m, struct abi_machine_page *page, uint8_t *ram,
                       uint64_t ram_size)
{
    memset(m, 0, sizeof(*m));
    m->page = page;
    m->ram = ram;
    m->ram_size = ram_size;
    m->slot[0].size = ram_size;
    m->a20_mask = ~0ull;
    m->doorbell_vmm = -1;
    for (unsigned i = 0; i < ABI_KICK_MAX; i++)
        m->kick[i] = -1;
    m->seq = ~0u; /* odd: never equal to a published map */
}

void mmio_slot_set(struct mmu_host *m, unsigned n, uint64_t base, uint64_t size)
{
    if (base <= m->ram_size && size <= m->ram_size - base)
        m->slot[n] = (struct mmu_slot){base, size};
}

void mmio_a20_set(struct mmu_host *m, bool enabled)
{
    __atomic_store_n(&m->a20_mask, enabled ? ~0ull : ~(1ull << 20), __ATOMIC_RELAXED);
}

void mmio_smm_set(struct mmu_host *m, bool smm)
{
    m->smm = smm;
}

void mmio_stop(struct mmu_host *m)
{
    __atomic_store_n(&m->stop, 1, __ATOMIC_SEQ_CST);
}

static bool entry_has(const struct abi_map_entry *e, uint64_t addr)
{
    return addr - e->gpa < e->size; /* wraps to a large number below the start */
}

const struct abi_map_entry *map_find(const struct abi_map_entry *e, uint32_t n, uint64_t addr)
{
    uint32_t lo = 0, hi = n;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (entry_has(&e[mid], addr))
            return &e[mid];
        if (addr < e[mid].gpa)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

static uint8_t *entry_host(struct mmu_host *m, const struct abi_map_entry *e, uint64_t gpa, uint64_t *ram_off)
{
    uint64_t off = m->slot[e->slot].base + e->offset + (gpa - e->gpa);
    if (ram_off)
        *ram_off = off;
    return m->ram + off;
}

/* The window at A0000h, where the card's registers make it plain memory. */
static uint8_t *vga_host(struct mmu_host *m, uint64_t gpa, bool *writable, uint64_t *ram_off)
{
    uint64_t off;
    if (!vga_window_find(m->vga, gpa, &off))
        return NULL;
    off += m->slot[ABI_SLOT_DISPLAY].base;
    *writable = true;
    if (ram_off)
        *ram_off = off;
    return m->ram + off;
}

/* A flash chip whose contents show; where a command's answer shows, it is no memory. */
static bool flash_is_memory(const struct mmu_host *m, const struct abi_map_entry *e)
{
    int unit = e->slot == ABI_SLOT_BOARD ? flash_unit(m->page, e->offset) : -1;
    return unit < 0 || flash_shows_array(m->page, unit);
}

uint8_t *mem_host(struct mmu_host *m, uint64_t gpa, bool *writable, uint64_t *ram_off)
{
    *writable = false;
    if (__builtin_expect(mmio_map_changed(m), 0))
        mmio_map_refresh(m);
    if (!m->smm) /* APM volume 2, 10.3.2: A20M# is not looked at in SMM */
        gpa &= __atomic_load_n(&m->a20_mask, __ATOMIC_RELAXED);
    const struct abi_map_entry *e = &m->mem[m->hot];
    const struct abi_map_entry *over = m->smm ? map_find(m->smram, m->n_smram, gpa) : NULL;
    if (over) {
        e = over;
    } else if (m->hot >= m->n_mem || !entry_has(e, gpa)) {
        e = map_find(m->mem, m->n_mem, gpa);
        if (e && e->kind == ABI_MAP_VGA && !e->slot)
            return vga_host(m, gpa, writable, ram_off);
        if (e && e->kind == ABI_MAP_FLASH)
            return flash_is_memory(m, e) ? entry_host(m, e, gpa, ram_off) : NULL;
        if (!e || e->kind > ABI_MAP_ROM)
            return NULL;
        m->hot = (uint32_t)(e - m->mem);
    }
    *writable = e->kind == ABI_MAP_RAM;
    return entry_host(m, e, gpa, ram_off);
}
