/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest registers that have no host register of their own (r8-r11): copies in scratch registers for the length
 * of one instruction, and one of them in r10 for the length of the block. Owns these maps; the frame has every
 * value as soon as the instruction that made it is over.
 */
#include "vmm/translator/gen.h"

static const int8_t host_of[16] = {H_RAX, H_R8, H_RDX, H_RBX, H_R11, H_RBP, H_RSI, H_RDI,
                                   -1, -1, -1, -1, H_R12, H_R13, H_R14, H_R15};

int gen_host(const struct gen *t, int guest)
{
    if (guest < 0)
        return -1;
    return guest == t->cached ? H_R10 : guest == t->cached2 ? H_R9 : host_of[guest];
}

/* The frame always has the value as well, so that leaving needs no care. */
static void count_field(unsigned *n, const struct field *f)
{
    if (f->class == F_GPR && f->num >= 8 && f->num < 12)
        n[f->num - 8]++;
}
void gen_cache_choose(struct gen *t, bool loop)
{
    unsigned n[4] = {0}, best = 0;
    for (unsigned k = 0; k < t->n; k++) {
        const struct ginsn *g = &t->g[k];
        count_field(n, &g->reg);
        count_field(n, &g->rm);
        count_field(n, &g->v);
        count_field(n, &g->opreg);
        if (g->mem && g->ea.base >= 8 && g->ea.base < 12)
            n[g->ea.base - 8]++;
        if (g->mem && g->ea.index >= 8 && g->ea.index < 12)
            n[g->ea.index - 8]++;
    }
    for (unsigned k = 1; k < 4; k++)
        if (n[k] > n[best])
            best = k;
    t->cached = n[best] > (loop ? 0u : 1u) ? (int)best + 8 : -1;
    t->cached2 = -1;
    if (t->cached < 0 || t->plan.n)
        return;
    n[best] = 0;
    for (unsigned k = 0; k < 4; k++)
        if (n[k]) { /* two at most: what is left over would have no scratch registers */
            if (t->cached2 >= 0) {
                t->cached2 = -1;
                return;
            }
            t->cached2 = (int)k + 8;
        }
}
void gen_cache_load(struct gen *t)
{
    if (t->cached >= 0)
        emit_load(&t->e, H_R10, GS_GPR(t->cached));
    if (t->cached2 >= 0)
        emit_load(&t->e, H_R9, GS_GPR(t->cached2));
}

void gen_temps_begin(struct gen *t, unsigned free_mask)
{
    for (unsigned k = 0; k < 4; k++)
        t->temp[k] = -1;
    t->temps_free = 0;
    static const uint8_t order[] = {H_R10, H_RCX, H_R9};
    for (unsigned k = 0; k < 3; k++)
        if ((free_mask & 1u << order[k]) && !(order[k] == H_R10 && t->cached >= 0) && !(order[k] == H_R9 && t->cached2 >= 0))
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
void gen_written(struct gen *t, unsigned guest)
{
    if ((int)guest == t->cached)
        emit_store(&t->e, GS_GPR(guest), H_R10);
    else if ((int)guest == t->cached2)
        emit_store(&t->e, GS_GPR(guest), H_R9);
    else if (guest >= 8 && guest < 12 && t->temp[guest - 8] >= 0)
        emit_store(&t->e, GS_GPR(guest), (unsigned)t->temp[guest - 8]);
}
unsigned gen_read(struct gen *t, unsigned guest, unsigned tmp)
{
    int h = gen_host(t, (int)guest);
    if (h >= 0)
        return (unsigned)h;
    emit_load(&t->e, tmp, GS_GPR(guest));
    return tmp;
}
