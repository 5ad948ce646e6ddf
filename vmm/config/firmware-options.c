/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options about firmware: which, from where, what it is told and what it shall start. Must never open a
 * file: plan_open_files does.
 */
#include <stdlib.h>
#include <string.h>
#include "vmm/config/disk.h"
#include "vmm/config/options.h"
#include "vmm/config/optlist.h"

int plan_rom_want(struct plan *p, const char *opt, const char *path)
{
    struct plan_rom *r = &p->rom[p->n_rom];

    if (p->n_rom == PLAN_ROMS_MAX || strlen(path) >= sizeof(r->path))
        return -1;
    *r = (struct plan_rom){.opt = opt, .fd = -1};
    strcpy(r->path, path);
    return (int)p->n_rom++;
}

int set_bios(struct parse *c, const char *arg)
{
    if (c->p->bios_rom >= 0) /* the last one counts, as with every option of one value */
        return opt_copy(c, "bios", arg, c->p->rom[c->p->bios_rom].path, sizeof(c->p->rom[0].path));
    c->p->bios_rom = plan_rom_want(c->p, "-bios", arg);
    return c->p->bios_rom < 0 ? parse_fail(c, "the name is too long") : 0;
}

int flash_add(struct parse *c, int index, const struct plan_disk *d)
{
    struct plan *p = c->p;
    struct plan_flash *f;

    if (index < 0)
        index = p->flash[0].used;
    if (!d->file[0])
        return parse_fail(c, "if=pflash: file= is missing");
    if (index > 1)
        return parse_fail(c, "if=pflash: there are units 0 and 1");
    f = &p->flash[index];
    if (f->used)
        return parse_fail(c, "if=pflash: unit %d is given twice", index);
    if (d->format[0] && strcmp(d->format, "raw"))
        return parse_fail(c, "if=pflash: format=%s is not built (available: raw)", d->format);
    *f = (struct plan_flash){.used = true, .readonly = d->readonly, .fd = -1};
    return opt_copy(c, "file", d->file, f->file, sizeof(f->file));
}

int set_pflash(struct parse *c, const char *arg)
{
    struct plan_disk d = {.readonly = false};

    return opt_copy(c, "file", arg, d.file, sizeof(d.file)) ? -1 : flash_add(c, -1, &d);
}

int set_rom_dir(struct parse *c, const char *arg)
{
    struct plan *p = c->p;

    if (p->n_dir == sizeof(p->dir) / sizeof(p->dir[0]))
        return parse_fail(c, "too many directories (limit %zu)", sizeof(p->dir) / sizeof(p->dir[0]));
    return opt_copy(c, "L", arg, p->dir[p->n_dir++], sizeof(p->dir[0]));
}

static int key_option_rom(struct parse *c, void *obj, const char *key, const char *val)
{
    struct plan *p = obj;
    int i;

    (void)key;
    if (p->n_option_rom == PLAN_OPTION_ROMS_MAX)
        return parse_fail(c, "too many option ROMs (limit %d)", PLAN_OPTION_ROMS_MAX);
    i = plan_rom_want(p, "-option-rom", val);
    if (i < 0)
        return parse_fail(c, "too many ROMs, or a name that is too long");
    p->option_rom[p->n_option_rom++] = i;
    return 0;
}

int set_option_rom(struct parse *c, const char *arg)
{
    static const struct opt_key keys[] = {
        {"romfile", KEY_FN, .fn = key_option_rom},
        {"bootindex", KEY_REFUSE, .text = "option ROMs are run in the order given"},
        KEY_END,
    };
    struct optlist l;

    return optlist_split(c, &l, arg, "romfile") || optkeys_apply(c, keys, &l, c->p, NULL) ? -1 : 0;
}

int set_fwcfg(struct parse *c, const char *arg)
{
    static const struct opt_key keys[] = {
        {"name", .kind = KEY_STR, .off = offsetof(struct plan_fwcfg, name), .size = 56},
        {"file", .kind = KEY_STR, .off = offsetof(struct plan_fwcfg, file), .size = 512},
        {"string", .kind = KEY_STR, .off = offsetof(struct plan_fwcfg, string), .size = 1024},
        {"gen_id", KEY_REFUSE, .text = "there are no objects that generate items"},
        KEY_END,
    };
    struct plan_fwcfg *f = &c->p->fwcfg[c->p->n_fwcfg];
    struct optlist l;

    if (c->p->n_fwcfg == PLAN_FWCFG_MAX)
        return parse_fail(c, "too many items (limit %d)", PLAN_FWCFG_MAX);
    memset(f, 0, sizeof(*f));
    f->fd = -1;
    if (optlist_split(c, &l, arg, "name") || optkeys_apply(c, keys, &l, f, NULL))
        return -1;
    if (!f->name[0])
        return parse_fail(c, "name= is missing");
    if (!optlist_get(&l, "file") == !optlist_get(&l, "string"))
        return parse_fail(c, "one of file= and string= is needed");
    if (strncmp(f->name, "opt/", 4))
        parse_warn(c, "externally provided fw_cfg item names should be prefixed with \"opt/\"");
    c->p->n_fwcfg++;
    return 0;
}

int set_no_fd_bootchk(struct parse *c, const char *arg)
{
    (void)arg;
    c->p->no_fd_bootchk = true;
    return 0;
}

/* ---- -boot
 * --------------------------------------------------------------------------------------- */
static int key_letters(struct parse *c, void *obj, const char *key, const char *val)
{
    struct plan_boot *b = obj;
    unsigned seen = 0;

    for (const char *s = val; *s; s++) {
        unsigned bit = *s >= 'a' && *s <= 'p' ? 1u << (*s - 'a') : 0;

        if (!bit)
            return parse_fail(c, "Invalid boot device '%c' (a to p)", *s);
        if (seen & bit)
            return parse_fail(c, "Boot device '%c' was given twice", *s);
        if (!strchr("abcdn", *s))
            return parse_fail(c, "Invalid boot device for PC: '%c' (available: a, b, c, d, n)", *s);
        seen |= bit;
    }
    if (strlen(val) > 3)
        return parse_fail(c, "Too many boot devices for PC: '%s' (limit 3)", val);
    return opt_copy(c, key, val, !strcmp(key, "once") ? b->once : b->order, sizeof(b->order));
}

static int key_ms(struct parse *c, void *obj, const char *key, const char *val)
{
    struct plan_boot *b = obj;
    uint64_t v = 0;

    if (!strcmp(key, "reboot-timeout")) {
        b->reboot_given = true;
        if (!strcmp(val, "-1"))
            return 0;
    }
    if (opt_number(c, key, val, 0, 0xffff, &v))
        return -1;
    *(!strcmp(key, "splash-time") ? &b->splash_ms : &b->reboot_ms) = (int)v;
    return 0;
}

int set_boot(struct parse *c, const char *arg)
{
    static const struct opt_key keys[] = {
        {"order", KEY_FN, .fn = key_letters},
        {"once", KEY_FN, .fn = key_letters},
        {"menu", .kind = KEY_BOOL, .off = offsetof(struct plan_boot, menu)},
        {"strict", .kind = KEY_BOOL, .off = offsetof(struct plan_boot, strict)},
        {"splash", .kind = KEY_STR, .off = offsetof(struct plan_boot, splash), .size = 512},
        {"splash-time", KEY_FN, .fn = key_ms},
        {"reboot-timeout", KEY_FN, .fn = key_ms},
        KEY_END,
    };
    struct optlist l;

    return optlist_split(c, &l, arg, "order") || optkeys_apply(c, keys, &l, &c->p->boot, NULL) ? -1 : 0;
}

/* ---- -global
 * ------------------------------------------------------------------------------------- */
static int global_s3(struct parse *c, const char *val)
{
    if (strcmp(val, "0") && strcmp(val, "1") && strcmp(val, "off") && strcmp(val, "on"))
        return parse_fail(c, "disable_s3 is 0 or 1");
    c->p->no_s3 = val[0] == '1' || !strcmp(val, "on");
    return 0;
}

int set_global(struct parse *c, const char *arg)
{
    const char *eq = strchr(arg, '=');
    size_t n = eq ? (size_t)(eq - arg) : 0;
    unsigned long port;
    char *end;

    if ((n == 19 && !strncmp(arg, "PIIX4_PM.disable_s3", n)) || (n == 19 && !strncmp(arg, "ICH9-LPC.disable_s3", n)))
        return global_s3(c, eq + 1);
    if (n != 19 || strncmp(arg, "isa-debugcon.iobase", n))
        return parse_fail(c, "no such property (available: isa-debugcon.iobase, PIIX4_PM.disable_s3, "
                             "ICH9-LPC.disable_s3)");
    port = strtoul(eq + 1, &end, 0);
    if (end == eq + 1 || *end || !port || port > 0xffff)
        return parse_fail(c, "iobase is a port, 1 to 0xffff");
    c->p->debug_port = (uint16_t)port;
    return 0;
}
