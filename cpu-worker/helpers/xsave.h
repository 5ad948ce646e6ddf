/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State components as XCR0 numbers them: which there are, where they lie in an image, which are in use.
 * The one source of what CPUID leaf 0DH says. Must never know what a component means to the guest.
 */
#ifndef BULKHEAD_CPU_WORKER_HELPERS_XSAVE_H
#define BULKHEAD_CPU_WORKER_HELPERS_XSAVE_H

#include "cpu-worker/run/cpu.h"

#define XSAVE_X87 1u
#define XSAVE_SSE 2u
#define XSAVE_AVX 4u
#define XSAVE_PKRU 0x200u
#define XSAVE_HEADER 512u /* after the FXSAVE image */
#define XSAVE_EXTENDED 576u

/* Components that XCR0 can hold on this model. */
uint64_t xsave_components(const struct cpu *c);
/* Components that are not in their initial state (XINUSE). */
uint64_t xsave_in_use(struct cpu *c);
/* Offset and size of component n in a standard image; 0 if there is none of its own. The offsets are those of
 * a processor that has these components only. */
unsigned xsave_offset(unsigned n);
unsigned xsave_size(unsigned n);
/* Bytes of an image with these components. */
unsigned xsave_image_size(uint64_t components, bool compact);
/* May XCR0 have this value? */
bool xsave_xcr0_valid(const struct cpu *c, uint64_t v);

/* Pieces of the FXSAVE image at p (fxsave.c). `wide`: pointers of 64 bits without selectors. */
void fxsave_put_x87(const struct cpu *c, bool wide, uint8_t *p);
void fxsave_put_mxcsr(struct cpu *c, uint8_t *p);
void fxsave_put_xmm(const struct cpu *c, unsigned count, uint8_t *p);
void fxsave_get_x87(struct cpu *c, bool wide, const uint8_t *p);
void fxsave_get_xmm(struct cpu *c, unsigned count, const uint8_t *p);

#endif
