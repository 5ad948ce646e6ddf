/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-ahci: ties the AHCI controller to its skeleton. Owns power-on, the check of a predecessor's state, and
 * what is done again after a death. Must never open anything.
 */
#include "device-procs/ahci/ahci.h"

struct ahci_state ahci;

static void power_on(struct regdev *d)
{
    ahci.ghc = ahci.is = 0;
    for (unsigned i = 0; i < AHCI_PORTS; i++)
        ahci_port_power_on(d, &ahci.port[i]);
}

static bool slot_ok(const struct ahci_slot *s)
{
    return s->stage < AHCI_STAGES && s->done <= s->total && s->chunk <= AHCI_CHUNK && s->tag < 32;
}

static bool state_ok(struct regdev *d)
{
    (void)d;
    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        const struct ahci_port *p = &ahci.port[i];

        if (!p->ata.heads || !p->ata.spt || p->ata.mult > ATA_MULT_MAX)
            return false;
        for (unsigned k = 0; k < AHCI_SLOTS; k++)
            if (p->running >> k & 1 && (!slot_ok(&p->slot[k]) || p->slot[k].stage == AHCI_NONE))
                return false;
    }
    return true;
}

static void port_resume(struct regdev *d, struct ahci_port *p)
{
    uint32_t again = p->running;

    p->running = 0;
    if (p->draining) {
        ahci_port_drained(d, p);
        return;
    }
    for (unsigned k = 0; k < AHCI_SLOTS; k++)
        if (again >> k & 1)
            ahci_again(d, p, k);
    ahci_port_run(d, p);
}

static void resume(struct regdev *d)
{
    for (unsigned i = 0; i < AHCI_PORTS; i++)
        port_resume(d, &ahci.port[i]);
}

static void disk_done(struct regdev *d, unsigned unit, uint32_t cookie, bool ok)
{
    if (unit < AHCI_PORTS && cookie < AHCI_SLOTS)
        ahci_request_done(d, &ahci.port[unit], cookie, ok);
}

static void units_changed(struct regdev *d)
{
    for (unsigned i = 0; i < AHCI_PORTS; i++)
        scsi_media_look(&d->unit[i], &ahci.port[i].lun);
}

static unsigned lines(struct regdev *d)
{
    (void)d;
    for (unsigned i = 0; i < AHCI_PORTS; i++)
        if (ahci.port[i].is & ahci.port[i].ie)
            ahci.is |= 1u << i;
    return ahci.ghc & 2 && ahci.is ? 1 : 0;
}

int main(int argc, char **argv)
{
    static struct regdev_ops ops = {
        .proc = {.program = "bulkhead-ahci", .role = "ahci", .sbx = SBX_AHCI},
        .kind = 0x49434841, .version = 1,
        .state = &ahci, .state_size = sizeof(ahci),
        .power_on = power_on, .state_ok = state_ok, .resume = resume,
        .read = ahci_read, .write = ahci_write, .disk_done = disk_done,
        .units_changed = units_changed, .lines = lines, .n_lines = 1,
    };

    return regdev_main(argc, argv, &ops);
}
