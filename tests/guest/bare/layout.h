/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Low memory and selectors of the test guest, for C and assembly alike. Must never hold code.
 */
#ifndef BARE_LAYOUT_H
#define BARE_LAYOUT_H

#define CTX      0x1000 /* struct ctx: the state a snippet is entered with and leaves behind */
#define RAW      0x1200 /* what a stub of a legacy mode found on its stack */
#define LOW      0x2000 /* 16-bit half of the world switch, and the real-mode vector stubs */
#define LOW_STUB 0x2400
#define GDT      0x3000 /* 64 descriptors */
#define CODE     0x4000 /* the snippet, up to 4 KiB; user page */
#define STACK    0x7000 /* top of the snippet's stack; user pages 5000-6FFF */
#define DATA     0x10000 /* user pages up to 2FFFF */
#define DATA_END 0x30000

#define SEL_CODE64  0x08
#define SEL_DATA    0x10
#define SEL_CODE32  0x18
#define SEL_UCODE32 0x23
#define SEL_UDATA   0x2b
#define SEL_UCODE64 0x33
#define SEL_CODE16  0x38
#define SEL_DATA16  0x40
#define SEL_TSS64   0x48
#define SEL_TSS32   0x58
#define SEL_UCODE16 0x63
#define SEL_FREE    0x80 /* from here on: a test's own descriptors */

#define MODE_PM   0
#define MODE_VM86 1
#define MODE_REAL 2

#define V_DONE 0xf0 /* int $0xf0 ends a snippet */

#endif
