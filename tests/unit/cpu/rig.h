/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest code in the bare engine, started in 64-bit ring 0 with a GDT, a TSS and an IDT whose 256
 * gates lead to stubs that stop the machine. Stopping is a triple fault, which leaves every
 * register but the IDTR as the code had it.
 */
#ifndef BULKHEAD_TESTS_UNIT_CPU_RIG_H
#define BULKHEAD_TESTS_UNIT_CPU_RIG_H

#include "tests/lib/bare.h"
#include "tests/lib/ctest.h"

/* Guest physical layout; the first 4 GiB are mapped one to one by pages of 2 MiB. */
#define RIG_ZERO   0x600u /* an empty descriptor-table register */
#define RIG_GDT    0x7000u
#define RIG_TSS    0x7800u
#define RIG_IDT    0x9000u
#define RIG_STUBS  0xa000u /* 16 bytes per vector */
#define RIG_PT     0xc000u /* page table of the 2 MiB at RIG_VA */
#define RIG_STACK  0x80000u
#define RIG_STACK0 0x90000u /* rsp0 of the TSS */
#define RIG_IST1   0x98000u
#define RIG_CODE   0x100000u
#define RIG_USER   0x400000u /* 2 MiB accessible to CPL 3 */
#define RIG_VA     0x800000u /* 2 MiB of 4 KiB pages, none present */
#define RIG_RAM    (32u << 20)

/* Selectors */
#define SEL_CODE64    0x10
#define SEL_DATA      0x18
#define SEL_UCODE32   0x23
#define SEL_UDATA     0x2b
#define SEL_UCODE64   0x33
#define SEL_CODE16    0x38
#define SEL_TSS       0x40
#define SEL_DATA16    0x50
#define SEL_SMALL     0x58 /* 32-bit data, limit fff */
#define SEL_CODE32    0x60
#define SEL_SMALLCODE 0x68 /* 32-bit code, base RIG_CODE, limit fff */
#define SEL_DOWN      0x70 /* expand-down data, limit fff */

#define STOPPED 256 /* rig_run: the code ran into STOP */
#define STOP    "lidt 0x600\n\tud2\n\t"
#define GUEST(NAME, BODY)                                                                          \
    extern const uint8_t NAME[], NAME##_end[];                                                     \
    __asm__(".pushsection .rodata\n\t" #NAME ":\n\t" BODY "\n" #NAME                               \
            "_end:\n\t.code64\n\t.popsection")
/* Copy guest code to its address and set the machine up. */
#define LOAD(NAME) rig_load(NAME, (unsigned)(NAME##_end - NAME))

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };

extern struct bare rig;

void rig_load(const uint8_t *code, unsigned len);
void rig_put(uint64_t gpa, const void *bytes, unsigned len);
/* Continue in ring 3 at RIG_USER, where the code is copied too. */
void rig_user(const uint8_t *code, unsigned len);
#define LOAD_USER(NAME) rig_user(NAME, (unsigned)(NAME##_end - NAME))
/* Page n of RIG_VA; pte = 0 unmaps. No TLB flush. */
void rig_map(unsigned n, uint64_t pte);
uint64_t *rig_pte(unsigned n);
/* Runs to the next stop: the vector whose stub was reached, STOPPED, or -1. */
int rig_run(void);
uint64_t rig_reg(unsigned r);
uint64_t rig_stack(unsigned n); /* the n-th quadword from RSP upwards */
uint32_t rig_mem32(uint64_t gpa);
void rig_ist(unsigned vector, unsigned ist);
void rig_gate(unsigned vector, uint64_t to, unsigned type_dpl_p);
/* Prints what differs; for chains of conditions in one test. */
bool same_u64(const char *what, uint64_t got, uint64_t want);

#endif
