/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest registers that have no host register of their own (r8-r11): copies in scratch registers for the length
 * of one instruction. Owns that map; must never keep a copy longer.
 */
#include "vmm/translator/gen.h"

void gen_temps_begin(struct gen *t, unsigned free_mask)
{
    for (unsigned k = 0; k < 4; k++)
        t->temp[k] = -1;
    t->temps_free = 0;
    static const uint8_t order[] = {H_R10, H_RCX, H_R9};
    for (unsigned k = 0; k < 3; k++)
        if (free_mask & 1u << order[k])
            t->temps_free |= (uint8_t)(1u << k);
}
int gen_temp(struct gen *t, unsigned guest, bool load)
{
    static const uint8_t order[] = {H_R10, H_RCX, H_R9};
    int8_t *slot = &t->temp[guest - 8];
    if (*slot >= 0)
        return *slot;
    for (unsigned k = 0; k < 3; k++)
        if (t->temps_free & 1u << k) {
            t->temps_free &= (uint8_t)~(1u << k);
            *slot = (int8_t)order[k];
            if (load)
                emit_load(&t->e, order[k], GS_GPR(guest));
            return *slot;
        }
    return -1;
}
void gen_temp_store(struct gen *t, unsigned guest)
{
    if (t->temp[guest - 8] >= 0)
        emit_store(&t->e, GS_GPR(guest), (unsigned)t->temp[guest - 8]);
}
unsigned gen_read(struct gen *t, unsigned guest, unsigned tmp)
{
    if (gen_host[guest] >= 0)
        return (unsigned)gen_host[guest];
    emit_load(&t->e, tmp, GS_GPR(guest));
    return tmp;
}
