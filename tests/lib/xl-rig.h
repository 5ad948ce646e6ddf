/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs translated code without a cpu-worker: a frame, stubs, executable memory, and the program's own answer to a
 * TLB miss. For instruction tests, fuzzing and benchmarks of the code generator; must never be linked into a
 * program that is installed.
 */
#ifndef BULKHEAD_TESTS_LIB_XL_RIG_H
#define BULKHEAD_TESTS_LIB_XL_RIG_H

#include <signal.h>
#include <stdbool.h>
#include "vmm/translator/xl.h"

enum xl_exit { XL_LEFT, XL_POLLED, XL_LINK, XL_LANDED, XL_JUMPED /* to frame rip */ };
/* Host address of the page of va if it may be read (written), else NULL. */
typedef uint8_t *(*xl_page_fn)(uint64_t va, bool write);

#define XL_RIG_CODE (16u << 20) /* the second half is for cold parts */
struct xl_rig {
    struct abi_xl_frame *frame;
    uint8_t *code, *code_rw; /* XL_RIG_CODE bytes, mapped twice: to execute and to write */
    struct abi_xl_out out;  /* of the last translation */
    xl_page_fn page;
    void *fpu_in, *fpu_out; /* XSAVE images: the guest's state before, and after when simd_dead is 0 */
    uint64_t off;           /* of XL_LEFT, XL_POLLED: offset from pgbase, sign-extended; XL_LINK: slot number */
    unsigned why;           /* of XL_LEFT */
    uint64_t misses;
    uint32_t cold; /* next place for a cold part */
};
bool xl_rig_init(struct xl_rig *r, xl_page_fn page); /* false: this host cannot run translated code */
/* Translates into place (code offset). */
bool xl_rig_translate(struct xl_rig *r, const struct abi_xl_in *in, const uint8_t *bytes, uint32_t place);
void xl_rig_tlb_clear(struct xl_rig *r);
void xl_rig_jc_clear(struct xl_rig *r);
void xl_rig_jc_add(struct xl_rig *r, uint64_t lip, uint64_t host); /* 0: the landing stub (XL_LANDED) */
/* Enters at code offset `place` with the frame's registers and fl. */
enum xl_exit xl_rig_run(struct xl_rig *r, uint32_t place);
/* From a signal handler: the fault was in translated code and the context goes on behind it. */
bool xl_rig_fault(struct xl_rig *r, void *ucontext);

#endif
