/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verified load on the rig: an image of BLOCKS blocks, what each must contain, random requests eight
 * deep, and the scenarios built on it.
 */
#ifndef BULKHEAD_TESTS_PROTO_BLOCK_LOAD_H
#define BULKHEAD_TESTS_PROTO_BLOCK_LOAD_H

#include "tests/proto/vblk-rig.h"

#define BLOCKS 1024u
#define DEPTH  8u

extern uint64_t version[BLOCKS]; /* what a read must return */
extern uint64_t completions, verified, last_done_ns;

void image_make(const char *path);
void image_verify(const char *path); /* the image itself, past the program */
void submit_random(struct rig *r);
void check_progress(struct rig *r);
bool load(struct rig *r, uint64_t deadline); /* until the deadline or the child's death (false) */
void drain(struct rig *r);
void run_some(struct rig *r, unsigned ms);

void scenario_basic(struct rig *r);   /* block-checks.c */
void scenario_errors(struct rig *r);
void scenario_hostile(struct rig *r); /* block-hostile.c */
void scenario_options(struct rig *r); /* block-options.c */

#endif
