/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known about a block before it is emitted: which memory accesses share one check, and where flags may be
 * clobbered because they can be made again. Internal to vmm/translator.
 */
#ifndef BULKHEAD_VMM_TRANSLATOR_PLAN_H
#define BULKHEAD_VMM_TRANSLATOR_PLAN_H

#include "vmm/translator/guest-insn.h"

#define ACCESS_MAX 192u
#define SPAN_MAX   128 /* bytes of one shared check */

/* One access. Its address is a base that does not change inside its group, plus off. */
struct access {
    uint8_t insn, sub;  /* the sub-th access of the instruction */
    uint8_t group;      /* index of the first access of its group */
    bool write;
    uint16_t size;
    struct gea ea;
    uint32_t version;   /* of base and index */
    int64_t off;        /* ea.disp counted from where the base was when its version began */
    int64_t lo, hi;     /* of a group's first access: the range all of them need, from off's origin */
    bool group_write, shared;
    bool chased;        /* its base comes from memory in this block: the page is likely another one each time */
    uint8_t window;
};
struct plan {
    struct access a[ACCESS_MAX];
    unsigned n;
    /* How a way out before this instruction gets the flags: PLAN_EXACT: they are there, and checks must keep them.
     * PLAN_SAVED: from the frame. Else: by repeating the instruction of that number. */
    int8_t recipe[ABI_XL_INSN_MAX];
    bool save[ABI_XL_INSN_MAX]; /* the flags are put into the frame before this instruction */
};
#define PLAN_EXACT (-1)
#define PLAN_SAVED (-2)
#define PLAN_SAVE_CHECKS 2u /* so many checks are worth saving the flags */

/* `loop`: instruction a branch at the end goes back to, or -1. `seed` and `user` choose windows. */
void plan_make(struct plan *p, const struct ginsn *g, unsigned n, int loop, uint32_t seed, bool user);
struct access *plan_find(struct plan *p, unsigned insn, unsigned sub);

#endif
