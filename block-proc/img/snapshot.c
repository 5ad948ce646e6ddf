/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-img snapshot, and the list of internal snapshots for info. Must never print a name's control
 * characters to a terminal.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "block-proc/img/img.h"
#include "ipc/log.h"

static int list_get(struct tool_chain *c, unsigned at, struct qcow2_snapshot **list, unsigned *n)
{
    *n = 0;
    *list = NULL;
    return c->img[at].drv == &img_qcow2 ? qcow2_snapshots(&c->img[at], list, n, &c->io) : 0;
}

static void line(struct qcow2_snapshot *s)
{
    char size[32], date[64], clock[64], icount[24] = "";
    time_t when = s->date_s;
    struct tm tm;
    uint64_t sec = s->clock_ns / 1000000000u;
    ipc_log_text_clean(s->name, strlen(s->name));
    ipc_log_text_clean(s->id, strlen(s->id));
    localtime_r(&when, &tm);
    strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
    snprintf(clock, sizeof(clock), "%02d:%02d:%02d.%03d", (int)(sec / 3600), (int)(sec / 60 % 60), (int)(sec % 60),
             (int)(s->clock_ns / 1000000 % 1000));
    if (s->icount != UINT64_MAX)
        snprintf(icount, sizeof(icount), "%llu", (unsigned long long)s->icount);
    printf("%-9s %-16s %8s%20s%13s%11s\n", s->id, s->name, tool_human(s->state_size, size), date, clock, icount);
}

void tool_snapshots_human(struct tool_chain *c, unsigned at)
{
    struct qcow2_snapshot *list;
    unsigned n;
    if (list_get(c, at, &list, &n) < 0) {
        tool_fail("the list of snapshots cannot be read");
        return;
    }
    if (n)
        printf("Snapshot list:\n%-9s %-16s %8s%20s%13s%11s\n", "ID", "TAG", "VM SIZE", "DATE", "VM CLOCK", "ICOUNT");
    for (unsigned i = 0; i < n; i++)
        line(&list[i]);
    free(list);
}

void tool_snapshots_json(struct tool_chain *c, unsigned at, const char *in)
{
    struct qcow2_snapshot *list;
    unsigned n;
    if (list_get(c, at, &list, &n) < 0)
        return;
    if (!n) {
        free(list);
        return;
    }
    printf("%s    \"snapshots\": [\n", in);
    for (unsigned i = 0; i < n; i++) {
        printf("%s        {\n", in);
        if (list[i].icount != UINT64_MAX)
            printf("%s            \"icount\": %llu,\n", in, (unsigned long long)list[i].icount);
        printf("%s            \"vm-clock-nsec\": %llu,\n%s            \"name\": ", in,
               (unsigned long long)(list[i].clock_ns % 1000000000u), in);
        tool_json_string(list[i].name);
        printf(",\n%s            \"date-sec\": %u,\n%s            \"date-nsec\": %u,\n%s            \"vm-clock-sec\": %llu,\n"
               "%s            \"id\": ", in, list[i].date_s, in, list[i].date_ns, in,
               (unsigned long long)(list[i].clock_ns / 1000000000u), in);
        tool_json_string(list[i].id);
        printf(",\n%s            \"vm-state-size\": %llu\n%s        }%s\n", in,
               (unsigned long long)list[i].state_size, in, i + 1 < n ? "," : "");
    }
    printf("%s    ],\n", in);
    free(list);
}

static int act(struct tool_chain *c, int action, const char *name)
{
    struct img *img = &c->img[0];
    if (img->drv != &img_qcow2)
        return -ENOTSUP;
    switch (action) {
    case 'c':
        return qcow2_snapshot_create(img, name, &c->io);
    case 'a':
        return qcow2_snapshot_apply(img, name, &c->io);
    default:
        return qcow2_snapshot_delete(img, name, &c->io);
    }
}

int cmd_snapshot(int argc, char **argv)
{
    static struct tool_chain c;
    const char *fmt = NULL, *name = NULL;
    unsigned share = 0;
    int action = 0;
    for (int o; (o = getopt(argc, argv, "f:Uqla:c:d:")) != -1;) {
        switch (o) {
        case 'f': fmt = optarg; break;
        case 'U': share = TOOL_SHARE; break;
        case 'q': break; /* this command says nothing when it succeeds */
        case 'l': case 'a': case 'c': case 'd':
            if (action)
                return tool_fail("Cannot mix '-l', '-a', '-c', '-d'");
            action = o;
            name = optarg;
            break;
        default: return 1;
        }
    }
    if (optind != argc - 1)
        return tool_fail("Expecting one image file name");
    if (name && strlen(name) > 255)
        return tool_fail("the snapshot's name is longer than 255 bytes");
    bool list = !action || action == 'l';
    tool_grant(argv[optind], list ? 0 : TOOL_WRITE);
    if (tool_open(&c, argv[optind], fmt, TOOL_NO_BACKING | share | (list ? 0 : TOOL_WRITE)) < 0)
        return 1;
    int r = 0;
    if (list)
        tool_snapshots_human(&c, 0);
    else
        r = act(&c, action, name);
    tool_close(&c);
    static const char *const verbs[] = {"create", "apply", "delete"};
    return r < 0 ? tool_fail("Could not %s snapshot '%s': %s", verbs[action == 'c' ? 0 : action == 'a' ? 1 : 2], name,
                             r == -ENOENT ? "snapshot not found" : r == -ENOTSUP ? "not a qcow2 image" : strerror(-r))
                 : 0;
}
