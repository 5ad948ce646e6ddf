/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is printed from the option table. argv[1]: docs/user/options.md, which must be the table's
 * print. Without an argument it prints that page.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/config/options.h"

static int failed;

static void check(int ok, const char *what)
{
    printf("%sok - %s\n", ok ? "" : "not ", what);
    failed |= !ok;
}

static char *printed(const char *option, const char *arg, int *rc)
{
    char *argv[] = {(char *)"bulkhead", strdup(option), (char *)arg, NULL}, *text = NULL, err[1024];
    static struct plan p;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    *rc = plan_parse_to(&p, arg ? 3 : 2, argv, f, err, sizeof(err));
    fclose(f);
    free(argv[1]);
    return text;
}

static void prints(const char *option, const char *arg, const char *want)
{
    int rc;
    char *text = printed(option, arg, &rc), what[128];

    snprintf(what, sizeof(what), "%s %s", option, arg ? arg : "");
    check(rc == 1 && strstr(text, want), what);
    free(text);
}

/* Every name once, and every option that is built with a place in the help. */
static void check_table(void)
{
    int twice = 0, rc;
    char *help = printed("--help", NULL, &rc);

    for (const struct option *o = option_table; o->names; o++) {
        for (const struct option *q = option_table; q < o; q++)
            twice |= !strcmp(o->names, q->names);
        if (o->set && o->group != GROUP_HIDDEN) {
            char head[64];

            snprintf(head, sizeof(head), "\n-%.*s", (int)strcspn(o->names, "|"), o->names);
            check(strstr(help, head) && o->help, o->names);
        }
    }
    check(!twice, "no option twice");
    free(help);
}

static void check_page(const char *path)
{
    int rc;
    char *text = printed("-dump-options-md", NULL, &rc), *page = calloc(1, 65536);
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(page, 1, 65535, f) : 0;

    check(n == strlen(text) && !memcmp(page, text, n),
          "docs/user/options.md is what 'bulkhead -dump-options-md' prints");
    if (f)
        fclose(f);
    free(page);
    free(text);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        option_markdown(stdout);
        return 0;
    }
    prints("-h", NULL, "usage: bulkhead [options]");
    prints("-version", NULL, "QEMU emulator version 7.2.0");
    prints("-M", "help", "pc-q35-N.M");
    prints("-accel", "help", "tcg");
    prints("-cpu", "help", "qemu64");
    prints("-device", "help", "name \"virtio-net-pci\", alias \"virtio-net\"");
    prints("-device", "virtio-blk-pci,help", "drive=<name>");
    prints("-device", "isa-serial,help", "chardev=<name>");
    prints("-chardev", "help", "socket");
    prints("-chardev", "file,help", "append=<on|off>");
    prints("-netdev", "help", "user");
    prints("-nic", "user,model=help", "virtio-net-pci");
    prints("-display", "help", "none");
    check_table();
    check_page(argv[1]);
    return failed;
}
