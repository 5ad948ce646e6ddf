/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operands of the FXSAVE and XSAVE families: images as another XSAVE would leave them, good and bad headers,
 * pending x87 exceptions, and component masks. Must never ask for state that only the host has.
 */
#include "tests/cpu/forms.h"

#include <string.h>

static bool is_restore(const struct insn *i)
{
    switch (i->in.mnemonic) {
    case ZYDIS_MNEMONIC_XRSTOR: case ZYDIS_MNEMONIC_XRSTOR64: case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR64:
        return true;
    default:
        return false;
    }
}
static bool is_xsave(const struct insn *i)
{
    switch (i->in.mnemonic) {
    case ZYDIS_MNEMONIC_XSAVE: case ZYDIS_MNEMONIC_XSAVE64: case ZYDIS_MNEMONIC_XSAVEC:
    case ZYDIS_MNEMONIC_XSAVEC64: case ZYDIS_MNEMONIC_XSAVEOPT: case ZYDIS_MNEMONIC_XSAVEOPT64:
    case ZYDIS_MNEMONIC_XRSTOR: case ZYDIS_MNEMONIC_XRSTOR64:
        return true;
    default:
        return false;
    }
}

void image_components(const struct insn *i, struct state *s)
{
    if (!is_xsave(i))
        return;
    s->gpr[0] &= ~native_extra_state();
    s->gpr[2] &= ~(native_extra_state() >> 32);
}

/* XSTATE_BV, XCOMP_BV and the reserved rest; in four cases of sixteen something is wrong. */
static void header_random(uint8_t *p)
{
    uint64_t r = rnd(), bv = r & 7, comp = r & 8 ? 1ull << 63 | bv | (r >> 4 & 7) : 0;
    uint64_t odd = (1ull << (r >> 44 & 63)) & ~native_extra_state();
    memset(p, 0, 64);
    switch (r >> 40 & 15) {
    case 0: bv |= r >> 52 & 7; break;
    case 1: comp ^= odd; break;
    case 2: p[16 + (r >> 52) % 48] = 1; break;
    case 3: bv |= odd; break;
    default: break;
    }
    memcpy(p, &bv, 8);
    memcpy(p + 8, &comp, 8);
}

void image_random(const struct insn *i, uint64_t at)
{
    uint8_t *p = engine_ram() + at;
    uint64_t r = rnd();
    uint32_t mxcsr = (uint32_t)(r >> 8) & (r & 0x80 ? 0xffffffff : 0xffff);
    if (!is_restore(i) || (at & 15) || at < DATA || at + 576 > DATA + DATA_SIZE)
        return;
    memcpy(p + 24, &mxcsr, 4);
    if ((r & 3) == 3) { /* an exception is pending: the pointers count */
        p[2] |= 0x3f;
        p[0] &= 0xc0;
    }
    header_random(p + 512);
}
