/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the slot of vex-stub.S for a decoded instruction. Must never be asked about an instruction that
 * the guest's processor or the host does not have: the slot would raise #UD in the host.
 */
#include "cpu-worker/helpers/vex.h"

struct row { /* as vex-stub.S lays it out */
    uint8_t map, opcode, p, ext;
    uint16_t count, first;
    const uint8_t *slots;
};
extern const uint8_t vex_stub_plain[];
extern const struct row vex_stub_rows[];

#define SLOT 8u

static bool row_matches(const struct row *r, const ZydisDecodedInstruction *in, unsigned p)
{
    unsigned ext = in->raw.modrm.reg;
    bool group = r->map == 1 && r->opcode >= 0x71 && r->opcode <= 0x73;
    return r->map == in->raw.vex.m_mmmm && r->opcode == in->opcode && r->p == p &&
           (!group || r->ext == ext);
}

static const struct row *row_find(const ZydisDecodedInstruction *in, bool wide)
{
    const struct row *r;
    for (unsigned p = in->raw.vex.pp | (wide ? 0x80u : 0);; p &= 0x7f) {
        for (r = vex_stub_rows; r->count; r++) {
            if (row_matches(r, in, p))
                return r;
        }
        if (!(p & 0x80)) /* else W has no meaning, or the row says so */
            return NULL;
    }
}

const void *vex_slot(const ZydisDecodedInstruction *in, bool wide, bool mem)
{
    const ZydisDecodedInstructionRawVex *v = &in->raw.vex;
    unsigned form = (v->L ? 2u : 0) | mem;

    if (in->raw.imm[0].size) {
        const struct row *r = row_find(in, wide);
        unsigned imm = (unsigned)in->raw.imm[0].value.u;
        return r ? r->slots + SLOT * (form * r->count + (imm & (r->count - 1u))) : NULL;
    }
    if (v->m_mmmm != 1 && v->m_mmmm != 2)
        return NULL;
    unsigned table = ((v->m_mmmm - 1u) * 4 + v->pp) * 8 + (wide ? 4u : 0) + form;
    return vex_stub_plain + SLOT * (table * 256 + in->opcode);
}
