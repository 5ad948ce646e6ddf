/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan as text, for tests and for people who ask what a command line meant. Must never change
 * anything.
 */
#include <inttypes.h>
#include <string.h>
#include "ipc/cpu-model.h"
#include "vmm/config/parse.h"

struct dump {
    FILE *out;
    const char *prefix;
    unsigned index;
};

static void put(const struct dump *d, const char *key, const char *val)
{
    if (val[0])
        fprintf(d->out, "%s%u.%s=%s\n", d->prefix, d->index, key, val);
}

static void put_flag(const struct dump *d, const char *key, bool on)
{
    if (on)
        fprintf(d->out, "%s%u.%s=on\n", d->prefix, d->index, key);
}

static void dump_disk(FILE *out, unsigned i, const struct plan_disk *k)
{
    struct dump d = {out, "disk", i};

    put(&d, "id", k->id);
    put(&d, "device", k->qdev_id);
    put(&d, "file", k->file);
    put(&d, "cache", strcmp(k->cache, "writeback") ? k->cache : "");
    put(&d, "serial", k->serial);
    put_flag(&d, "readonly", k->readonly);
    put_flag(&d, "share-rw", k->share_rw);
    put_flag(&d, "discard", k->discard);
    put_flag(&d, "snapshot", k->snapshot);
    put_flag(&d, "copy-on-read", k->copy_on_read);
    put(&d, "detect-zeroes", k->detect_zeroes);
    put(&d, "werror", k->werror);
    put(&d, "rerror", k->rerror);
    for (unsigned n = 0; n < PLAN_THROTTLE; n++)
        if (k->throttle[n])
            fprintf(out, "disk%u.throttle%u=%llu\n", i, n, (unsigned long long)k->throttle[n]);
    if (k->logical_block || k->physical_block)
        fprintf(out, "disk%u.blocks=%u/%u\n", i, k->logical_block, k->physical_block);
    put_flag(&d, "probe", !k->format[0]);
    put_flag(&d, "disable-legacy", k->disable_legacy);
    put_flag(&d, "disable-modern", k->disable_modern);
    if (k->pci_slot >= 0)
        fprintf(out, "disk%u.slot=%d\n", i, k->pci_slot);
}

static void dump_forwards(FILE *out, unsigned i, const struct plan_net *n)
{
    for (unsigned j = 0; j < n->n_hostfwd; j++) {
        const struct plan_hostfwd *f = &n->hostfwd[j];

        fprintf(out, "net%u.hostfwd=%s:%s:%u-%s:%u\n", i, f->udp ? "udp" : "tcp", f->host_addr,
                f->host_port, f->guest_addr, f->guest_port);
    }
    for (unsigned j = 0; j < n->n_dnssearch; j++)
        fprintf(out, "net%u.dnssearch=%s\n", i, n->dnssearch[j]);
}

static void dump_addr(const struct dump *d, const char *key, const struct plan_net_addr *a)
{
    char text[192] = "";

    if (a->kind == ADDR_UNIX)
        snprintf(text, sizeof(text), "unix:%s", a->path);
    else if (a->kind == ADDR_INET)
        snprintf(text, sizeof(text), "inet:%s:%u", a->host, a->port);
    else if (a->kind == ADDR_FD)
        snprintf(text, sizeof(text), "fd:%d", a->fd);
    put(d, key, text);
}

static void dump_link(const struct dump *d, const struct plan_net *n)
{
    put(d, "type", n->type);
    put(d, "ifname", n->ifname);
    put(d, "script", n->script);
    put(d, "br", n->br);
    put(d, "helper", n->helper);
    put_flag(d, "server", n->server);
    put_flag(d, "mcast", n->mcast);
    dump_addr(d, "at", &n->at);
    dump_addr(d, "local", &n->local);
}

static void dump_net(FILE *out, unsigned i, const struct plan_net *n)
{
    struct dump d = {out, "net", i};

    put(&d, "id", n->id);
    put(&d, "device", n->qdev_id);
    put(&d, "backend", n->backend);
    dump_link(&d, n);
    fprintf(out, "net%u.mac=%02x:%02x:%02x:%02x:%02x:%02x\n", i, n->mac[0], n->mac[1], n->mac[2],
            n->mac[3], n->mac[4], n->mac[5]);
    put_flag(&d, "no-ipv4", !n->ipv4);
    put_flag(&d, "no-ipv6", !n->ipv6);
    put_flag(&d, "restrict", n->restricted);
    put(&d, "net", n->net);
    put(&d, "host", n->host);
    put(&d, "dhcpstart", n->dhcpstart);
    put(&d, "dns", n->dns);
    put(&d, "ipv6-net", n->ipv6_net);
    put(&d, "ipv6-host", n->ipv6_host);
    put(&d, "ipv6-dns", n->ipv6_dns);
    put(&d, "hostname", n->hostname);
    put(&d, "domainname", n->domainname);
    put_flag(&d, "disable-legacy", n->disable_legacy);
    put_flag(&d, "disable-modern", n->disable_modern);
    if (n->pci_slot >= 0)
        fprintf(out, "net%u.slot=%d\n", i, n->pci_slot);
    dump_forwards(out, i, n);
}

static void dump_chardev(FILE *out, unsigned i, const struct plan_chardev *ch)
{
    static const char *const kinds[] = {"none", "null", "stdio", "file", "unix", "tcp", "pty"};
    struct dump d = {out, "chardev", i};

    put(&d, "id", ch->id);
    put(&d, "kind", kinds[ch->kind]);
    put(&d, "path", ch->path);
    put(&d, "host", ch->host);
    if (ch->port)
        fprintf(out, "chardev%u.port=%u\n", i, ch->port);
    put_flag(&d, "mux", ch->mux);
    put_flag(&d, "server", ch->server);
    put_flag(&d, "wait", ch->wait);
    put_flag(&d, "append", ch->append);
    put_flag(&d, "nodelay", ch->nodelay);
    put_flag(&d, "no-signal", ch->kind == CHAR_STDIO && !ch->signal);
}

static void dump_machine(const struct plan *p, FILE *out)
{
    static const char *const modes[] = {"require", "reduced", "off"};

    fprintf(out, "topology=%u,%u,%u,%u\n", p->topology.sockets, p->topology.dies, p->topology.cores,
            p->topology.threads);
    fprintf(out, "name=%s\nmachine=%s\ncpu=%s\nmem=%" PRIu64 "\nsmp=%u\ntb_size=%" PRIu64 "\n", p->name, p->machine,
            p->cpu, p->mem, p->smp, p->tb_size);
    fprintf(out, "uuid=%s\nkernel=%s\ninitrd=%s\nappend=%s\n", p->uuid, p->kernel, p->initrd,
            p->append);
    fprintf(out, "rtc=%s\nsandbox=%s\npidfile=%s\n", p->rtc_base, modes[p->sandbox], p->pidfile);
    if (p->rtc_start_s)
        fprintf(out, "rtc_start=%" PRId64 "\n", p->rtc_start_s);
    if (p->exit_ports)
        fprintf(out, "debug-exit=0x%x+%u\n", p->exit_port, p->exit_ports);
    if (p->vga.present)
        fprintf(out, "vga=std %u MiB slot %d edid %s %ux%u\n", p->vga.mem_mib, p->vga.pci_slot,
                p->vga.edid ? "on" : "off", p->vga.xres, p->vga.yres);
    fprintf(out, "display=%s\n", p->display);
    if (p->vnc.kind)
        fprintf(out, "vnc=%u %s%s:%u to %u%s%s share %u\n", p->vnc.kind, p->vnc.path, p->vnc.host, p->vnc.display,
                p->vnc.to, p->vnc.password ? " password" : "", p->vnc.lossy ? " lossy" : "", p->vnc.share);
    fprintf(out, "flags=%s%s%s%s%s%s\n", p->no_reboot ? "no-reboot " : "",
            p->no_shutdown ? "no-shutdown " : "", p->start_paused ? "paused " : "",
            p->nodefaults ? "nodefaults " : "", p->nographic ? "nographic " : "",
            p->msg_timestamp ? "timestamp " : "");
}

static void dump_firmware(const struct plan *p, FILE *out)
{
    const struct plan_boot *b = &p->boot;

    for (unsigned i = 0; i < p->n_rom; i++)
        fprintf(out, "rom%u=%s %s%s\n", i, p->rom[i].opt, p->rom[i].path, (int)i == p->bios_rom ? " (bios)" : "");
    for (unsigned i = 0; i < SMB_TEXTS; i++)
        if (p->smbios.text[i][0])
            fprintf(out, "smbios%u=%s\n", i, p->smbios.text[i]);
    for (unsigned i = 0; i < p->smbios.n_oem; i++)
        fprintf(out, "oem%u=%s\n", i, p->smbios.oem[i]);
    for (unsigned i = 0; i < 2; i++)
        if (p->flash[i].used)
            fprintf(out, "flash%u=%s%s\n", i, p->flash[i].file, p->flash[i].readonly ? " readonly" : "");
    for (unsigned i = 0; i < p->n_dir; i++)
        fprintf(out, "dir%u=%s\n", i, p->dir[i]);
    for (unsigned i = 0; i < p->n_fwcfg; i++)
        fprintf(out, "fwcfg%u=%s %s%s\n", i, p->fwcfg[i].name, p->fwcfg[i].file, p->fwcfg[i].string);
    if (b->order[0] || b->once[0] || b->menu || b->strict || b->splash[0])
        fprintf(out, "boot=%s,%s%s%s %s\n", b->order, b->once, b->menu ? " menu" : "", b->strict ? " strict" : "",
                b->splash);
    if (b->splash_ms >= 0 || b->reboot_given)
        fprintf(out, "boot.times=%d,%d\n", b->splash_ms, b->reboot_ms);
    if (p->no_s3 || p->no_fd_bootchk)
        fprintf(out, "firmware=%s%s\n", p->no_s3 ? "no-s3 " : "", p->no_fd_bootchk ? "no-fd-bootchk" : "");
}

static void dump_cpu(const struct plan *p, FILE *out)
{
    const struct abi_cpu_model *m = &p->cpu_model;

    fprintf(out, "identity=%.12s %u %u %u\n", m->vendor_id, m->family, m->model, m->stepping);
    if (m->tsc_khz)
        fprintf(out, "tsc_khz=%u\n", m->tsc_khz);
    for (unsigned i = 0; i < cpu_feature_count; i++)
        if (abi_cpu_has(m->feat, cpu_feature_table[i].feature))
            fprintf(out, "feature.%s=on\n", cpu_feature_table[i].name);
}

static void dump_controller(FILE *out, unsigned i, const struct plan_ctl *k)
{
    struct dump d = {out, "ctl", i};

    put(&d, "id", k->id);
    put(&d, "device", k->qdev_id);
    for (unsigned u = 0; u < PLAN_UNITS_MAX; u++) {
        if (!k->unit[u].used)
            continue;
        fprintf(out, "ctl%u.unit%u=", i, u);
        if (k->unit[u].disk >= 0)
            fprintf(out, "disk%d", k->unit[u].disk);
        else
            fputs("empty", out);
        fprintf(out, "%s\n", k->unit[u].cd ? " cd" : "");
    }
}

void plan_dump(const struct plan *p, FILE *out)
{
    dump_machine(p, out);
    dump_firmware(p, out);
    dump_cpu(p, out);
    for (unsigned i = 0; i < p->n_disk; i++)
        dump_disk(out, i, &p->disk[i]);
    for (unsigned i = 0; i < p->n_ctl; i++)
        dump_controller(out, i, &p->ctl[i]);
    for (unsigned i = 0; i < p->n_net; i++)
        dump_net(out, i, &p->net[i]);
    for (unsigned i = 0; i < p->n_char; i++)
        dump_chardev(out, i, &p->chardev[i]);
    for (unsigned i = 0; i < PLAN_PORTS_MAX; i++)
        if (p->serial[i] >= 0)
            fprintf(out, "%s%u=%s\n", i == PLAN_DEBUG_PORT ? "debug" : "serial", i % PLAN_DEBUG_PORT,
                    p->chardev[p->serial[i]].id);
    for (unsigned i = 0; i < p->n_mon; i++)
        fprintf(out, "mon%u=%s %s%s\n", i, p->chardev[p->mon[i].chardev].id,
                p->mon[i].qmp ? "control" : "readline", p->mon[i].pretty ? " pretty" : "");
}
