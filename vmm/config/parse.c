/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From argv to a finished plan: walks the options, calls the table's handlers, then resolves what
 * refers to what. Must never open a file or start anything.
 */
#include "vmm/config/parse.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "vmm/config/options.h"

#define ERR_MAX 1024

/* An error is one line whatever the user typed. */
static void one_line(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
}

static int vfail(struct parse *c, const char *opt, const char *arg, const char *fmt, va_list ap)
{
    char head[ERR_MAX / 2] = "", text[ERR_MAX / 2];

    if (c->err[0])
        return -1;
    if (opt)
        snprintf(head, sizeof(head), "%s%s%s: ", opt, arg ? " " : "", arg ? arg : "");
    vsnprintf(text, sizeof(text), fmt, ap);
    snprintf(c->err, c->errlen, "bulkhead: %s%s", head, text);
    one_line(c->err);
    return -1;
}

int parse_fail(struct parse *c, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vfail(c, c->opt, c->arg, fmt, ap);
    va_end(ap);
    return -1;
}

int parse_fail_at(struct parse *c, const char *opt, const char *arg, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vfail(c, opt, arg, fmt, ap);
    va_end(ap);
    return -1;
}

void parse_warn(struct parse *c, const char *fmt, ...)
{
    char text[ERR_MAX / 2];
    va_list ap;

    (void)c;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    one_line(text);
    fprintf(stderr, "bulkhead: warning: %s\n", text);
}

static void plan_defaults(struct plan *p)
{
    memset(p, 0, sizeof(*p));
    strcpy(p->name, "vm");
    strcpy(p->machine, "pc");
    cpu_default(p);
    strcpy(p->rtc_base, "utc");
    strcpy(p->display, "none");
    p->mem = 128ull << 20;
    p->smp = 1;
    p->bios_rom = -1;
    p->kernel_fd = p->initrd_fd = p->pidfile_fd = -1;
    for (unsigned i = 0; i < PLAN_PORTS_MAX; i++)
        p->serial[i] = -1;
    p->debug_port = 0xe9;
    p->boot.splash_fd = p->boot.splash_ms = p->boot.reboot_ms = -1;
    for (unsigned i = 0; i < PLAN_DISKS_MAX; i++)
        p->disk[i].fd = p->disk[i].bootindex = p->disk[i].rom = -1;
    for (unsigned i = 0; i < PLAN_NETS_MAX; i++)
        p->net[i].bootindex = p->net[i].rom = -1;
}

/* One option with its argument; *i is its index and moves over a separate argument. */
static int read_option(struct parse *c, int argc, char **argv, int *i)
{
    char *word = argv[*i], *name = word + (word[1] == '-' ? 2 : 1);
    const struct option *o = option_find(name, strlen(name));
    char *eq = strchr(name, '=');

    c->opt = word;
    c->arg = NULL;
    if (!o && eq) {
        o = option_find(name, (size_t)(eq - name));
        c->arg = eq + 1;
    }
    if (!o || (c->arg && o->set && !o->form)) {
        c->arg = NULL;
        return parse_fail(c, "invalid option");
    }
    if (c->arg)
        *eq = 0; /* argv is ours to cut; the option is named without its value */
    if (!o->set)
        return parse_fail_at(c, word, NULL, "not built in this version%s%s", o->help ? ": " : "",
                             o->help ? o->help : "");
    if (o->form && !c->arg) {
        if (*i + 1 >= argc)
            return parse_fail(c, "requires an argument");
        c->arg = argv[++*i];
    }
    return o->set(c, c->arg);
}

int plan_parse_to(struct plan *p, int argc, char **argv, FILE *out, char *err, size_t errlen)
{
    static struct parse c; /* large, used once at start */
    int rc;

    memset(&c, 0, sizeof(c));
    c.p = p;
    c.out = out;
    c.err = err;
    c.errlen = errlen;
    err[0] = 0;
    plan_defaults(p);
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-' || !argv[i][1]) { /* an image without an option: the first disk */
            c.opt = "-hda";
            c.arg = argv[i];
            if (set_hda(&c, argv[i]))
                return -1;
            continue;
        }
        rc = read_option(&c, argc, argv, &i);
        if (rc)
            return rc;
    }
    c.opt = c.arg = NULL;
    return parse_resolve(&c);
}

int plan_parse(struct plan *p, int argc, char **argv)
{
    char err[ERR_MAX], when[40] = "";
    int rc = plan_parse_to(p, argc, argv, stdout, err, sizeof(err));
    time_t now;

    if (rc < 0) {
        if (p->msg_timestamp) {
            now = time(NULL);
            strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ ", gmtime(&now));
        }
        fprintf(stderr, "%s%s\n", when, err);
    }
    return rc;
}
