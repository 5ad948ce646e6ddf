/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rig in 32-bit protected mode without paging: segments of every privilege, task state segments,
 * call and task gates. Every gate of the IDT leads to a stub that stops. Must never be used for IA-32e mode.
 */
#ifndef BULKHEAD_TESTS_UNIT_CPU_RIG32_H
#define BULKHEAD_TESTS_UNIT_CPU_RIG32_H

#include "tests/unit/cpu/rig.h"

#define R32_GDT  0x6000u
#define R32_TSSA 0x20000u /* of the running task */
#define R32_TSSB 0x21000u
#define R32_TSS16 0x22000u
#define R32_B    0x110000u /* code of task B */
#define R32_SP0  0x88000u
#define R32_SPB  0x8c000u

#define S_CODE   0x08
#define S_DATA   0x10
#define S_UCODE  0x1b
#define S_UDATA  0x23
#define S_TSSA   0x28
#define S_TSSB   0x30
#define S_TSS16  0x38
#define S_TGATE  0x40 /* task gate to TSS B */
#define S_CG32   0x48 /* call gates, DPL 3, to R32_B in S_CODE */
#define S_CG16   0x50
#define S_CONF   0x58 /* conforming code */
#define S_DATA16 0x60 /* 16-bit stack, limit ffff */
#define S_TINY   0x68 /* data of 16 bytes */

#define LOAD32(NAME)  rig32_load(NAME, (unsigned)(NAME##_end - NAME))
#define LOAD32U(NAME) (LOAD32(NAME), rig32_user())
#define LOADB(NAME)   rig_put(R32_B, NAME, (unsigned)(NAME##_end - NAME))
#define STOP32        "lidt 0x600; ud2\n"

void rig32_load(const uint8_t *code, unsigned len);
void rig32_user(void); /* the loaded code runs at CPL 3, stack at RIG_STACK */
void rig32_desc(uint16_t sel, uint64_t v);
uint64_t rig32_desc_get(uint16_t sel);
void rig32_tss(uint32_t base, unsigned off, uint32_t v);
uint32_t rig32_stack(unsigned n); /* the n-th doubleword from ESP upwards */

#endif
