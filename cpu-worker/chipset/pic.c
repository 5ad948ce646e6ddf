/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pair of 8259A interrupt controllers at 20h/21h and A0h/A1h and their edge/level registers at
 * 4D0h/4D1h. Owns requests, masks and priorities of the sixteen ISA inputs; must never know which
 * device drives an input. References: Intel 8259A data sheet; 82371SB for ELCR.
 */
#include "cpu-worker/chipset/chipset-internal.h"

#define CASCADE 2u
#define SPURIOUS 7u

/* The cascade input counts as level triggered: it is the slave's INT, which real parts drop and
 * raise again around each acknowledge. */
static uint8_t pic_level_mask(const struct abi_pic *p)
{
    return p->ltim ? 0xff : p->elcr;
}

/* Distance of the best set bit from the top priority: 0 best, 8 none. */
static unsigned pic_rank(const struct abi_pic *p, uint8_t bits)
{
    unsigned r = 0;
    while (r < 8 && !(bits & (1u << ((p->top + r) & 7))))
        r++;
    return r;
}

/* The input that would be acknowledged now, -1 none. */
static int pic_pending(const struct abi_pic *p, bool master)
{
    if (p->icw_next)
        return -1; /* not initialised: INT is held low */
    unsigned want = pic_rank(p, p->irr & ~p->imr);
    if (want == 8)
        return -1;
    uint8_t busy = p->isr;
    if (p->special_mask)
        busy &= ~p->imr; /* "Special Mask Mode": a masked level in service blocks nothing */
    if (p->sfnm && master)
        /* special fully nested: the slave may interrupt its own service */
        busy &= ~(1u << CASCADE);
    return want < pic_rank(p, busy) ? (int)((p->top + want) & 7) : -1;
}

static void pic_input(struct abi_pic *p, unsigned n, bool level)
{
    uint8_t bit = 1u << n;
    if (pic_level_mask(p) & bit)
        p->irr = level ? p->irr | bit : p->irr & ~bit;
    else if (level && !(p->lines & bit))
        p->irr |= bit;
    p->lines = level ? p->lines | bit : p->lines & ~bit;
}

static void pic_update(struct chipset *cs)
{
    struct abi_pic *pic = cs->st->pic;
    pic_input(&pic[0], CASCADE, pic_pending(&pic[1], false) >= 0);
    bool out = pic_pending(&pic[0], true) >= 0;
    if (out != cs->pic_out) {
        __atomic_store_n(&cs->pic_out, out, __ATOMIC_SEQ_CST);
        lapic_pic_changed(cs, out);
    }
}

void pic_line_set(struct chipset *cs, unsigned irq, bool level)
{
    pic_input(&cs->st->pic[irq >> 3], irq & 7, level);
    pic_update(cs);
}

static void pic_take(struct abi_pic *p, unsigned n)
{
    uint8_t bit = 1u << n;
    if (!(pic_level_mask(p) & bit))
        p->irr &= ~bit;
    if (!p->auto_eoi)
        p->isr |= bit;
    else if (p->rotate_aeoi)
        p->top = (n + 1) & 7;
}

int pic_ack(struct chipset *cs)
{
    struct abi_pic *m = &cs->st->pic[0], *s = &cs->st->pic[1];
    int n = pic_pending(m, true);
    int vector = m->base + SPURIOUS;
    if (n == (int)CASCADE && !m->single) {
        int k = pic_pending(s, false);
        pic_take(m, CASCADE);
        vector = s->base + (k < 0 ? (int)SPURIOUS : k);
        if (k >= 0)
            pic_take(s, (unsigned)k);
    } else if (n >= 0) {
        pic_take(m, (unsigned)n);
        vector = m->base + n;
    }
    pic_update(cs);
    return vector;
}

static void pic_icw1(struct abi_pic *p, uint8_t v)
{
    /* "Initialization command words": edge sense reset, IMR cleared, IR7 lowest, status read =
     * IRR. */
    p->irr &= v & 8 ? 0xff : p->elcr;
    p->isr = p->imr = 0;
    p->top = 0;
    p->read_isr = p->poll = p->special_mask = 0;
    p->rotate_aeoi = 0;
    p->auto_eoi = p->sfnm = 0;
    p->ltim = !!(v & 8);
    p->single = !!(v & 2);
    p->icw4_needed = v & 1;
    p->icw_next = 2;
}

static void pic_eoi(struct abi_pic *p, unsigned n, bool rotate)
{
    p->isr &= ~(1u << n);
    if (rotate)
        p->top = (n + 1) & 7;
}

static void pic_ocw2(struct abi_pic *p, uint8_t v)
{
    bool rotate = v & 0x80, specific = v & 0x40, eoi = v & 0x20;
    if (eoi && specific) {
        pic_eoi(p, v & 7, rotate);
    } else if (eoi) {
        uint8_t busy = p->special_mask ? p->isr & ~p->imr : p->isr;
        unsigned r = pic_rank(p, busy);
        if (r < 8)
            pic_eoi(p, (p->top + r) & 7, rotate);
    } else if (specific) {
        if (rotate)
            p->top = ((v & 7) + 1) & 7; /* set priority: the named level becomes the lowest */
    } else {
        p->rotate_aeoi = rotate;
    }
}

static void pic_ocw3(struct abi_pic *p, uint8_t v)
{
    if (v & 0x40)
        p->special_mask = !!(v & 0x20);
    if (v & 4)
        p->poll = 1;
    else if (v & 2)
        p->read_isr = v & 1;
}

static void pic_data_write(struct abi_pic *p, uint8_t v)
{
    switch (p->icw_next) {
    case 2:
        p->base = v & 0xf8;
        p->icw_next = p->single ? (p->icw4_needed ? 4 : 0) : 3;
        break;
    case 3:
        p->icw3 = v;
        p->icw_next = p->icw4_needed ? 4 : 0;
        break;
    case 4:
        p->auto_eoi = !!(v & 2);
        p->sfnm = !!(v & 0x10);
        p->icw_next = 0;
        break;
    default:
        p->imr = v;
    }
}

/* Poll command: the next read acknowledges and names the request. */
static uint8_t pic_poll(struct chipset *cs, struct abi_pic *p, bool master)
{
    int n = pic_pending(p, master);
    p->poll = 0;
    if (n < 0)
        return 0;
    pic_take(p, (unsigned)n);
    pic_update(cs);
    return 0x80 | n;
}

uint8_t pic_port_read(struct chipset *cs, uint16_t port)
{
    if (port == 0x4d0 || port == 0x4d1)
        return cs->st->pic[port & 1].elcr & (port & 1 ? 0xde : 0xf8);
    struct abi_pic *p = &cs->st->pic[port >= 0xa0];
    if (p->poll)
        return pic_poll(cs, p, port < 0xa0);
    if (port & 1)
        return p->imr;
    return p->read_isr ? p->isr : p->irr;
}

void pic_port_write(struct chipset *cs, uint16_t port, uint8_t v)
{
    struct abi_pic *p = &cs->st->pic[port >= 0xa0];
    if (port == 0x4d0 || port == 0x4d1) {
        p = &cs->st->pic[port & 1];
        p->elcr = port & 1 ? v & 0xde : (v & 0xf8) | 1u << CASCADE; /* IRQ 0 1 8 13: always edge */
        p->irr = (p->irr & ~p->elcr) | (p->lines & p->elcr);
    } else if (port & 1) {
        pic_data_write(p, v);
    } else if (v & 0x10) {
        pic_icw1(p, v);
    } else if (v & 8) {
        pic_ocw3(p, v);
    } else {
        pic_ocw2(p, v);
    }
    pic_update(cs);
}

void pic_reset(struct chipset *cs)
{
    for (unsigned i = 0; i < 2; i++) {
        struct abi_pic *p = &cs->st->pic[i];
        uint8_t lines = p->lines;
        *p = (struct abi_pic){.lines = lines, .imr = 0xff, .elcr = i ? 0 : 1u << CASCADE};
    }
    cs->st->pic[0].lines &= ~(1u << CASCADE);
    cs->pic_out = false;
    cs_ports_claim(cs, 0x20, 2, PORT_PIC);
    cs_ports_claim(cs, 0xa0, 2, PORT_PIC);
    cs_ports_claim(cs, 0x4d0, 2, PORT_PIC);
}
