/* SPDX-License-Identifier: Apache-2.0 */
/* See bare.h. */
#include "tests/lib/bare.h"
#include "ipc/cpu-model.h"

#include <cpuid.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include "tests/lib/xl-engine.h"

static uint64_t tsc_hz, tsc0, ns0;

static uint64_t mono_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
static void h_kick(void *op, unsigned vcpu)
{
    struct bare *b = op;
    (void)vcpu;
    cpu_kick(b->cpu);
}
static void h_rearm(void *op)
{
    (void)op;
}
static void h_event(void *op, enum chipset_event ev)
{
    struct bare *b = op;
    b->event = (int)ev;
    b->stop = 1;
    b->cpu->pause_req = 1;
    cpu_kick(b->cpu);
}
static void h_doorbell(void *op)
{
    (void)op;
}
static uint64_t h_now(void *op)
{
    (void)op;
    return mono_ns();
}
static uint64_t h_tsc(void *op, unsigned vcpu)
{
    struct bare *b = op;
    return __builtin_ia32_rdtsc() + b->page->vcpu[vcpu].tsc_offset;
}
static uint64_t h_tsc_to_ns(void *op, unsigned vcpu, uint64_t tsc)
{
    struct bare *b = op;
    uint64_t host = tsc - b->page->vcpu[vcpu].tsc_offset;
    return ns0 + (uint64_t)((unsigned __int128)(host - tsc0) * 1000000000u / tsc_hz);
}
static void *map(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        perror("bare: mmap");
        exit(1);
    }
    return p;
}
static void calibrate(void)
{
    struct timespec ts = {0, 20000000};
    tsc0 = __builtin_ia32_rdtsc();
    ns0 = mono_ns();
    nanosleep(&ts, NULL);
    tsc_hz = (uint64_t)((unsigned __int128)(__builtin_ia32_rdtsc() - tsc0) * 1000000000u / (mono_ns() - ns0));
}

int bare_init(struct bare *b, uint64_t ram_size)
{
    static struct chipset_host host;
    memset(b, 0, sizeof(*b));
    calibrate();
    b->ram_size = ram_size;
    b->ram = map(ram_size);
    b->page = map(sizeof(*b->page));
    b->cp = map(abi_codepage_size(ram_size));
    b->cp->pages = ram_size / 4096;
    b->page->ram_below_4g = ram_size;
    b->page->rtc_base_s = 1700000000;
    cpu_model_host(&b->page->cpu);
    b->page->acpi_sci_gsi = 9;
    b->page->serial[0].present = 1;
    b->page->map.count = 2;
    b->page->map.mem[0] = (struct abi_map_entry){0, 0xa0000, ABI_MAP_RAM, 0, 0};
    b->page->map.mem[1] = (struct abi_map_entry){0xc0000, ram_size - 0xc0000, ABI_MAP_RAM, 0, 0xc0000};
    b->page->map.seq = 2;
    mmio_host_init(&b->mem, b->page, b->ram, ram_size);
    mmio_map_refresh(&b->mem);
    host = (struct chipset_host){.opaque = b, .vcpu_kick = h_kick, .timer_rearm = h_rearm,
                                 .event = h_event, .serial_doorbell = h_doorbell, .now_ns = h_now,
                                 .guest_tsc = h_tsc, .tsc_to_ns = h_tsc_to_ns};
    b->cpu = map((cpu_size() + 4095) & ~4095ul);
    b->cs = chipset_init(b->page, &host);
    chipset_reset(b->cs);
    int err = cpu_init(b->cpu, 0, b->page, &b->mem, b->cs, b->cp);
    if (!err)
        xl_engine_attach(b->cpu);
    b->team = b->cpu->team;
    return err;
}

static void seg(struct abi_vcpu_state *s, unsigned i, uint16_t sel, uint32_t attr)
{
    s->seg[i] = (struct abi_segment){.selector = sel, .attr = attr, .limit = 0xffffffffu};
}
void bare_long_mode(struct bare *b, uint64_t rip, uint64_t rsp)
{
    struct abi_vcpu_state *s = b->cpu->s;
    uint64_t *pml4 = (uint64_t *)(b->ram + 0x1000), *pdpt = (uint64_t *)(b->ram + 0x2000);
    uint64_t *gdt = (uint64_t *)(b->ram + 0x500);

    memset(s, 0, sizeof(*s));
    pml4[0] = 0x2003;
    for (uint64_t g = 0; g < 4; g++) {
        uint64_t *pd = (uint64_t *)(b->ram + 0x3000 + g * 0x1000);
        pdpt[g] = (0x3000 + g * 0x1000) | 3;
        for (uint64_t i = 0; i < 512; i++)
            pd[i] = (g << 30 | i << 21) | 0x83;
    }
    gdt[0] = gdt[1] = 0;
    gdt[2] = 0x00af9b000000ffff; /* 0x10: 64-bit code */
    gdt[3] = 0x00cf93000000ffff; /* 0x18: data */
    s->gdtr.base = 0x500;
    s->gdtr.limit = 31;
    seg(s, ABI_CS, 0x10, 0xa09b);
    for (unsigned i = 0; i < 6; i++)
        if (i != ABI_CS)
            seg(s, i, 0x18, 0xc093);
    s->seg[ABI_LDTR].attr = ABI_SEG_UNUSABLE;
    s->seg[ABI_TR].attr = 0x8b;
    s->cr0 = 0x80000011;
    s->cr3 = 0x1000;
    s->cr4 = 0x220;
    s->efer = 0x500;
    s->rflags = 2;
    s->rip = rip;
    s->gpr[4] = rsp;
    s->fcw = 0x37f;
    s->ftw = 0xffff;
    s->mxcsr = 0x1f80;
    s->pat = 0x0007040600070406ull;
    s->dr[6] = 0xffff0ff0;
    s->dr[7] = 0x400;
    s->misc_enable = 1 | 1u << 18;
    s->smbase = ABI_SMBASE_RESET;
    cpu_state_load(b->cpu);
}

static long slurp(const char *path, uint8_t *to, size_t room)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return -1;
    }
    long n = (long)fread(to, 1, room, f);
    fclose(f);
    return n;
}
int bare_linux(struct bare *b, const char *kernel, const char *initrd, const char *cmdline)
{
    uint8_t *img = malloc(64u << 20), *bp = b->ram + 0x10000;
    long n = slurp(kernel, img, 64u << 20);
    if (n < 0x1000)
        return -1;
    unsigned setup = (img[0x1f1] ? img[0x1f1] : 4) + 1u;
    uint64_t load = 0x1000000;
    memcpy(b->ram + load, img + setup * 512, (size_t)n - setup * 512);
    memset(bp, 0, 4096);
    memcpy(bp + 0x1f1, img + 0x1f1, 0x290 - 0x1f1);
    bp[0x210] = 0xff;
    bp[0x211] |= 1;
    strcpy((char *)b->ram + 0x20000, cmdline);
    *(uint32_t *)(bp + 0x228) = 0x20000;
    if (initrd) {
        uint64_t at = (b->ram_size - (48u << 20)) & ~0xfffull;
        long m = slurp(initrd, b->ram + at, 48u << 20);
        if (m < 0)
            return -1;
        *(uint32_t *)(bp + 0x218) = (uint32_t)at;
        *(uint32_t *)(bp + 0x21c) = (uint32_t)m;
    }
    struct {
        uint64_t a, s;
        uint32_t t;
    } __attribute__((packed)) e820[2] = {{0, 0xa0000, 1}, {0x100000, b->ram_size - 0x100000, 1}};
    memcpy(bp + 0x2d0, e820, sizeof(e820));
    bp[0x1e8] = 2;
    free(img);
    bare_long_mode(b, load + 0x200, 0x8000);
    b->cpu->gpr[6] = 0x10000;
    b->cpu->s->gpr[6] = 0x10000;
    return 0;
}
int bare_run(struct bare *b)
{
    b->cpu->pause_req = 0;
    return cpu_run(b->cpu);
}
unsigned bare_serial(struct bare *b, char *buf, unsigned len)
{
    struct abi_char_ring *r = &b->page->serial[0].tx;
    uint32_t head = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE), n = 0;
    while (r->tail != head && n < len)
        buf[n++] = (char)r->data[r->tail++ % ABI_CHAR_RING];
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (n)
        chipset_serial_input(b->cs);
    return n;
}
void bare_dump(struct bare *b)
{
    static const char *const name[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                       "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"};
    struct cpu *c = b->cpu;
    for (unsigned i = 0; i < 16; i++)
        fprintf(stderr, "%s=%016" PRIx64 "%s", name[i], c->gpr[i], i % 4 == 3 ? "\n" : " ");
    fprintf(stderr, "rip=%016" PRIx64 " fl=%" PRIx64 " cpl=%u mode=%x cr0=%" PRIx64 " cr2=%" PRIx64
            " cr3=%" PRIx64 " cr4=%" PRIx64 " efer=%" PRIx64 " insns=%" PRIu64 "\n",
            c->rip, cpu_rflags(c), c->cpl, c->mode, c->s->cr0, c->s->cr2, c->s->cr3, c->s->cr4,
            c->s->efer, c->insns);
    fprintf(stderr, "cs=%04x base=%" PRIx64 " attr=%x internal: %s\n", c->s->seg[ABI_CS].selector,
            c->s->seg[ABI_CS].base, c->s->seg[ABI_CS].attr, c->internal_error ? c->internal_error : "-");
}
