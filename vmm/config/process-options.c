/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options about the emulator as a program: name, isolation, boot files, start and stop behaviour,
 * help. Must never touch the host.
 */
#include <ctype.h>
#include <string.h>
#include "vmm/config/options.h"
#include "vmm/config/optlist.h"
#include "vmm/config/version.h"

/* ---- -name, -uuid
 * -------------------------------------------------------------------------------- */
static int key_guest(struct parse *c, void *obj, const char *key, const char *val)
{
    struct plan *p = obj;

    if (!*val)
        return parse_fail(c, "the name is empty");
    for (const char *s = val; *s; s++)
        if ((unsigned char)*s <= ' ' || (unsigned char)*s > '~' || *s == '/')
            return parse_fail(c, "the name may only have printable ASCII without space and '/'");
    p->name_set = true;
    return opt_copy(c, key, val, p->name, sizeof(p->name));
}

int set_name(struct parse *c, const char *arg)
{
    static const struct opt_key keys[] = {
        {"guest", KEY_FN, .fn = key_guest},
        {"debug-threads", KEY_ONLY, .form = "on"}, /* every thread has its own name anyway */
        {"process", KEY_REFUSE, .text = "process titles are made from the guest's name"},
        KEY_END,
    };
    struct optlist l;

    return optlist_split(c, &l, arg, "guest") || optkeys_apply(c, keys, &l, c->p, NULL) ? -1 : 0;
}

int set_uuid(struct parse *c, const char *arg)
{
    bool ok = strlen(arg) == 36;

    for (unsigned i = 0; ok && i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        ok = dash ? arg[i] == '-' : isxdigit((unsigned char)arg[i]) != 0;
    }
    if (!ok)
        return parse_fail(c, "failed to parse UUID string: wrong format");
    for (unsigned i = 0; i <= 36; i++)
        c->p->uuid[i] = (char)tolower((unsigned char)arg[i]);
    return 0;
}

/* ---- -sandbox, -msg, -pidfile
 * -------------------------------------------------------------------- */
static int key_sandbox(struct parse *c, void *obj, const char *key, const char *val)
{
    struct plan *p = obj;

    (void)key;
    p->sandbox_given = true;
    if (!strcmp(val, "require") || !strcmp(val, "on"))
        p->sandbox = PLAN_SBX_REQUIRE;
    else if (!strcmp(val, "reduced"))
        p->sandbox = PLAN_SBX_REDUCED;
    else if (!strcmp(val, "off"))
        p->sandbox = PLAN_SBX_OFF;
    else
        return parse_fail(c, "'%s' is not a sandbox mode (require, reduced, off)", val);
    return 0;
}

int set_sandbox(struct parse *c, const char *arg)
{
    /* QEMU's finer switches: each of these classes of system calls is always denied here. */
    static const struct opt_key keys[] = {
        {"enable", KEY_FN, .fn = key_sandbox},           {"obsolete", KEY_ONLY, .form = "deny"},
        {"elevateprivileges", KEY_ONLY, .form = "deny"}, {"spawn", KEY_ONLY, .form = "deny"},
        {"resourcecontrol", KEY_ONLY, .form = "deny"},   KEY_END,
    };
    struct optlist l;

    if (optlist_split(c, &l, arg, "enable") || optkeys_apply(c, keys, &l, c->p, NULL))
        return -1;
    if (c->p->sandbox == PLAN_SBX_OFF && l.n > 1)
        return parse_fail(c, "'deny' has no meaning with the sandbox off");
    return 0;
}

int set_msg(struct parse *c, const char *arg)
{
    static const struct opt_key keys[] = {
        {"timestamp", .kind = KEY_BOOL, .off = offsetof(struct plan, msg_timestamp)},
        KEY_END,
    };
    struct optlist l;

    return optlist_split(c, &l, arg, NULL) || optkeys_apply(c, keys, &l, c->p, NULL) ? -1 : 0;
}

int set_pidfile(struct parse *c, const char *arg)
{
    return opt_copy(c, "pidfile", arg, c->p->pidfile, sizeof(c->p->pidfile));
}

/* ---- boot files
 * ---------------------------------------------------------------------------------- */
int set_kernel(struct parse *c, const char *arg)
{
    if (!*arg)
        return parse_fail(c, "the file name is empty");
    return opt_copy(c, "kernel", arg, c->p->kernel, sizeof(c->p->kernel));
}

int set_initrd(struct parse *c, const char *arg)
{
    if (!*arg)
        return parse_fail(c, "the file name is empty");
    c->initrd_set = true;
    return opt_copy(c, "initrd", arg, c->p->initrd, sizeof(c->p->initrd));
}

int set_append(struct parse *c, const char *arg)
{
    c->append_set = true;
    if (strlen(arg) >= sizeof(c->p->append))
        return parse_fail_at(c, "-append", NULL,
                             "the command line is too long (%zu of at most %zu)", strlen(arg),
                             sizeof(c->p->append) - 1);
    return opt_copy(c, "append", arg, c->p->append, sizeof(c->p->append));
}

/* ---- switches
 * ------------------------------------------------------------------------------------ */
int set_no_reboot(struct parse *c, const char *arg)
{
    (void)arg;
    c->p->no_reboot = true;
    return 0;
}

int set_no_shutdown(struct parse *c, const char *arg)
{
    (void)arg;
    c->p->no_shutdown = true;
    return 0;
}

int set_paused(struct parse *c, const char *arg)
{
    (void)arg;
    c->p->start_paused = true;
    return 0;
}

int set_daemonize(struct parse *c, const char *arg)
{
    (void)arg;
    c->p->daemonize = true;
    return 0;
}

int set_nodefaults(struct parse *c, const char *arg)
{
    (void)arg;
    c->p->nodefaults = true;
    return 0;
}

/* True by construction: no configuration file is read. */
int set_no_user_config(struct parse *c, const char *arg)
{
    (void)c;
    (void)arg;
    return 0;
}

/* ---- display
 * ------------------------------------------------------------------------------------- */
int set_snapshot(struct parse *c, const char *arg)
{
    (void)arg;
    c->snapshot = true;
    return 0;
}

int set_nographic(struct parse *c, const char *arg)
{
    (void)arg;
    c->p->nographic = true;
    c->display_set = true;
    return 0;
}

/* ---- texts
 * --------------------------------------------------------------------------------------- */
int show_help(struct parse *c, const char *arg)
{
    (void)arg;
    option_help(c->out);
    return 1;
}

int show_version(struct parse *c, const char *arg)
{
    (void)arg;
    fprintf(c->out, "%s\n", BULKHEAD_VERSION_LINE);
    return 1;
}

int show_markdown(struct parse *c, const char *arg)
{
    (void)arg;
    option_markdown(c->out);
    return 1;
}
