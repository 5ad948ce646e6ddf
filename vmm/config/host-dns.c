/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's name servers, read while the vmm may still open files: net processes forward the guest's DNS
 * to them and cannot see /etc. Owns the reading of resolv.conf; must never resolve anything.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include "vmm/config/plan.h"

/* "nameserver ADDRESS[%scope]": a numeric address, copied to out; false for every other line. */
static bool nameserver(const char *line, char *out, size_t len)
{
    unsigned char addr[16];
    char text[64];

    if (sscanf(line, "nameserver %63[0-9a-fA-F.:]", text) != 1)
        return false;
    if (inet_pton(AF_INET, text, addr) != 1 && inet_pton(AF_INET6, text, addr) != 1)
        return false;
    snprintf(out, len, "%s", text);
    return true;
}

void plan_host_dns(struct plan *p, const char *path)
{
    char line[256];
    FILE *f = fopen(path, "re");

    p->n_host_dns = 0;
    if (!f)
        return;
    while (p->n_host_dns < PLAN_DNS_MAX && fgets(line, sizeof(line), f))
        if (nameserver(line, p->host_dns[p->n_host_dns], sizeof(p->host_dns[0])))
            p->n_host_dns++;
    fclose(f);
}
