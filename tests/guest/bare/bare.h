/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a subject of the test guest has: run a snippet in a mode, look at how it ended, report. Values
 * a test expects come from the manuals, never from an emulator.
 */
#ifndef BARE_BARE_H
#define BARE_BARE_H

#include <stddef.h>
#include <stdint.h>
#include "layout.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };
struct ctx { /* layout known to switch.S */
    u64 gpr[16], rip, rflags;
    u16 cs, ss, ds, es, fs, gs, pad[2];
    u64 vector, error, cr2;
    u32 cr0, cr3, cr4, mode;
    u64 host_rsp;
    u32 in_guest, unreal;
};
#define ctx ((struct ctx *)CTX)
#define OFF (ctx->rip - CODE) /* where in the snippet it ended */

/* Modes a snippet can run in. */
enum mode { LONG0, LONG3, COMPAT0, COMPAT3, COMPAT16, PM32, PM32_3, PM16, PAGED, PAGED_3, PAE, PAE_3,
            REAL, UNREAL, VM86, MODES };

/* A snippet: position-independent code that ends with int $0xf0. bits = 16, 32 or 64. */
#define SNIP(bits, name, body)                                                                     \
    __asm__(".pushsection .snip,\"a\"\n.code" #bits "\n" #name ":\n" body                          \
            "\n int $0xf0\n" #name "_end:\n.code64\n.popsection\n");                               \
    extern const u8 name[], name##_end[]

void prepare(enum mode m);                          /* registers zero, flags 2, flat segments */
u64 resume(const u8 *code, const u8 *end, enum mode m); /* enter with ctx; the vector */
u64 run_at(const u8 *code, const u8 *end, enum mode m); /* prepare and resume */
#define RUN(name, m)    run_at(name, name##_end, m)
#define RESUME(name, m) resume(name, name##_end, m)
/* With va in RBX: vector << 16 | error code. */
u64 try_at(const u8 *code, const u8 *end, enum mode m, u64 va);
#define TRY(name, m, va) try_at(name, name##_end, m, va)
#define DONE             (V_DONE << 16)
#define PF               (14 << 16)

void check(const char *name, u64 got, u64 want); /* one line: ok or not ok */
void note(const char *name, u64 got);            /* a value without an expectation */
void print(const char *fmt, ...);                /* %s %x %d */

struct subject {
    const char *name;
    void (*run)(void);
};
#define SUBJECT(id)                                                                                \
    static void id##_run(void);                                                                    \
    static const struct subject id##_subject                                                       \
        __attribute__((used, aligned(16), section(".subjects"))) = {#id, id##_run};                             \
    static void id##_run(void)

void *memset(void *p, int v, size_t n);
void *memcpy(void *to, const void *from, size_t n);
void gdt_set(unsigned sel, u64 descriptor);
u64 seg_desc(u32 base, u32 limit, u32 attr); /* attr as in bits 8-23 of the high word, >> 8 */
void idt_ist(unsigned vector, unsigned ist); /* 0 = the stack in use */
void idt_dpl(unsigned vector, unsigned dpl);
/* 4 KiB page of the first 2 MiB: flags as in a page-table entry; the physical page is its own. */
void page_set(u64 va, u64 entry);
u64 page_get(u64 va);
void page_default(u64 va);
#define P 1ull
#define W 2ull
#define U 4ull
#define A 0x20ull
#define D 0x40ull
#define NX (1ull << 63)

/* What the way back from a legacy mode puts into CR3 and CR4. */
extern u32 long_root, long_cr4;
extern u64 pml5[512], pml4[512], pdpt[512], pd[2048], pt0[512];
extern u32 boot_magic, boot_info;
extern u8 tss64[0x2100], tss32[0x2100];

struct cpuid { u32 a, b, c, d; };
struct cpuid cpuid(u32 leaf, u32 sub);
int is_amd(void);
u64 rdmsr(u32 msr);
u64 rdmsr_safe(u32 msr, u64 *vector); /* *vector = V_DONE or 13 */
u64 wrmsr_safe(u32 msr, u64 v);       /* V_DONE or the vector */

static inline u64 cr0_get(void) { u64 v; __asm__ volatile("mov %%cr0,%0" : "=r"(v)); return v; }
static inline void cr0_put(u64 v) { __asm__ volatile("mov %0,%%cr0" ::"r"(v) : "memory"); }
static inline u64 cr4_get(void) { u64 v; __asm__ volatile("mov %%cr4,%0" : "=r"(v)); return v; }
static inline void cr4_put(u64 v) { __asm__ volatile("mov %0,%%cr4" ::"r"(v) : "memory"); }
static inline u64 cr3_get(void) { u64 v; __asm__ volatile("mov %%cr3,%0" : "=r"(v)); return v; }
static inline void cr3_put(u64 v) { __asm__ volatile("mov %0,%%cr3" ::"r"(v) : "memory"); }
static inline void outb(u16 p, u8 v) { __asm__ volatile("outb %0,%1" ::"a"(v), "Nd"(p)); }
static inline u8 inb(u16 p) { u8 v; __asm__ volatile("inb %1,%0" : "=a"(v) : "Nd"(p)); return v; }
static inline void outl(u16 p, u32 v) { __asm__ volatile("outl %0,%1" ::"a"(v), "Nd"(p)); }

#endif
