/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The single-byte system ports: 61h (PIT channel 2 gate and speaker), 80h (POST code), 92h (fast
 * A20 and reset), CF9h (reset control), F0h (coprocessor error). Owns those bytes; must never reset
 * anything itself. References: 82371SB (PIIX3) for 61h, 92h and F0h; PIIX3 2.4.6 for CF9h.
 */
#include "cpu-worker/chipset/chipset-internal.h"

#define P61_GATE2   0x01
#define P61_SPEAKER 0x02
#define P61_REFRESH 0x10
#define P61_OUT2    0x20
#define P92_RESET 0x01
#define P92_A20   0x02
#define CF9_HARD  0x02
#define CF9_RESET 0x04
#define FERR_LATCHED 0x01
#define FERR_IGNNE   0x02
#define IRQ_FERR     13
#define REFRESH_NS 15085 /* the refresh bit toggles with each DRAM refresh request */

static uint8_t port61_read(struct chipset *cs)
{
    uint8_t v = cs->st->pit.port61 & (P61_GATE2 | P61_SPEAKER);
    if (cs_now(cs) / REFRESH_NS & 1)
        v |= P61_REFRESH;
    return v | (pit_out(cs, 2) ? P61_OUT2 : 0);
}

uint8_t ports_read(struct chipset *cs, uint16_t port)
{
    const struct abi_ports *p = &cs->st->ports;
    switch (port) {
    case 0x61:  return port61_read(cs);
    case 0x80:  return p->post;
    case 0x92:  return p->port92;
    case 0xcf9: return p->cf9 & ~CF9_RESET;
    }
    return 0xff;
}

static void port92_write(struct chipset *cs, uint8_t v)
{
    struct abi_ports *p = &cs->st->ports;
    bool rose = (v & P92_RESET) && !(p->port92 & P92_RESET);
    p->port92 = v & (P92_RESET | P92_A20);
    cs_a20_set(cs, v & P92_A20);
    if (rose)
        cs_event(cs, CHIPSET_EV_RESET);
}

/* The processor met a pending x87 error with CR0.NE = 0: FERR# latches IRQ 13, unless software has
 * asked with port F0h that the error be ignored (SDM 1, 8.7.2 and appendix D). */
bool ports_ferr_raise(struct chipset *cs)
{
    struct abi_ports *p = &cs->st->ports;
    bool ignore = p->ferr & FERR_IGNNE;
    if (!ignore && !(p->ferr & FERR_LATCHED)) {
        p->ferr |= FERR_LATCHED;
        cs_line_set(cs, IRQ_FERR, SRC_FERR, true);
    }
    return ignore;
}

/* FERR# went away: IGNNE# with it. */
void ports_ferr_clear(struct chipset *cs)
{
    cs->st->ports.ferr &= (uint8_t)~FERR_IGNNE;
}

static void portf0_write(struct chipset *cs)
{
    if (cs->st->ports.ferr & FERR_LATCHED) {
        cs->st->ports.ferr = FERR_IGNNE;
        cs_line_set(cs, IRQ_FERR, SRC_FERR, false);
    }
}

void ports_write(struct chipset *cs, uint16_t port, uint8_t v)
{
    struct abi_ports *p = &cs->st->ports;
    switch (port) {
    case 0x61:
        cs->st->pit.port61 = v & (P61_GATE2 | P61_SPEAKER);
        pit_gate2_set(cs, v & P61_GATE2);
        break;
    case 0x80:
        p->post = v;
        break;
    case 0x92:
        port92_write(cs, v);
        break;
    case 0xf0:
        portf0_write(cs);
        break;
    case 0xcf9: /* RST_CPU going high resets; SYS_RST chooses hard or soft, the same thing here */
        if ((v & CF9_RESET) && !(p->cf9 & CF9_RESET))
            cs_event(cs, CHIPSET_EV_RESET);
        p->cf9 = v & (CF9_HARD | CF9_RESET);
        break;
    }
}

void ports_reset(struct chipset *cs)
{
    cs->st->ports = (struct abi_ports){.port92 = P92_A20};
    cs_ports_claim(cs, 0x61, 1, PORT_MISC);
    cs_ports_claim(cs, 0x80, 1, PORT_MISC);
    cs_ports_claim(cs, 0x92, 1, PORT_MISC);
    cs_ports_claim(cs, 0xf0, 1, PORT_MISC);
    cs_ports_claim(cs, 0xcf9, 1, PORT_MISC);
}
