/* SPDX-License-Identifier: Apache-2.0 */
/* See smbios.h. Section numbers are those of DSP0134 3.4, chapter 7. Type 0 is there when the user asks: firmware has one. */
#include "vmm/machine/smbios.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GIB (1ull << 30)
#define DIMM_MAX (16 * GIB)

struct entry { /* one structure under construction */
    uint8_t f[64];
    unsigned len; /* of the formatted area */
    char text[8192];
    size_t text_len;
    uint8_t strings;
};

static void begin(struct entry *e, uint8_t type, unsigned len, uint16_t handle)
{
    memset(e, 0, sizeof(*e));
    e->f[0] = type;
    e->f[1] = (uint8_t)len;
    e->f[2] = (uint8_t)handle;
    e->f[3] = (uint8_t)(handle >> 8);
    e->len = len;
}

static void put(struct entry *e, unsigned at, uint64_t v, unsigned n)
{
    memcpy(e->f + at, &v, n); /* little-endian hosts only, as everywhere here */
}

/* The number of a string, 0 = none. */
static void text(struct entry *e, unsigned at, const char *s)
{
    size_t n = strlen(s) + 1;

    if (n == 1 || e->text_len + n > sizeof(e->text))
        return;
    memcpy(e->text + e->text_len, s, n);
    e->text_len += n;
    e->f[at] = ++e->strings;
}

static const char *either(const char *given, const char *otherwise)
{
    return given[0] ? given : otherwise;
}

static void end(struct smbios_tables *t, const struct entry *e)
{
    size_t strings = e->strings ? e->text_len + 1 : 2, all = e->len + strings;

    if (t->len > SMBIOS_ROOM - all)
        return;
    memcpy(t->buf + t->len, e->f, e->len);
    memcpy(t->buf + t->len + e->len, e->text, e->text_len);
    t->len += all; /* the rest is zero already */
    t->count++;
    if (all > t->largest)
        t->largest = (unsigned)all;
}

static void uuid_put(struct entry *e, unsigned at, const char *s)
{
    static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

    for (unsigned i = 0; *s && i < 16; i++) {
        unsigned v = 0;

        s += *s == '-';
        sscanf(s, "%2x", &v);
        e->f[at + order[i]] = (uint8_t)v; /* 7.2.1: the first three fields are little-endian */
        s += 2;
    }
}

/* 7.1 */
static void bios(struct smbios_tables *t, const struct plan_smbios *s)
{
    struct entry e;
    unsigned major = 0, minor = 0;

    if (!s->bios)
        return;
    begin(&e, 0, 24, 0);
    text(&e, 4, s->text[SMB_BIOS_VENDOR]);
    text(&e, 5, s->text[SMB_BIOS_VERSION]);
    put(&e, 6, 0xe800, 2);
    text(&e, 8, s->text[SMB_BIOS_DATE]);
    put(&e, 10, 0x08, 8);                              /* characteristics are not supported */
    put(&e, 19, 0x04 | (s->uefi ? 0x08 : 0) | 0x10, 1); /* targeted content; UEFI; virtual machine */
    sscanf(s->text[SMB_BIOS_RELEASE], "%u.%u", &major, &minor);
    put(&e, 20, s->text[SMB_BIOS_RELEASE][0] ? major : 0xff, 1);
    put(&e, 21, s->text[SMB_BIOS_RELEASE][0] ? minor : 0xff, 1);
    put(&e, 22, 0xffff, 2);
    end(t, &e);
}

/* 7.2 */
static void system_info(struct smbios_tables *t, const struct plan *p)
{
    const struct plan_smbios *s = &p->smbios;
    struct entry e;

    begin(&e, 1, 27, 0x100);
    text(&e, 4, either(s->text[SMB_SYS_MANUFACTURER], "Bulkhead"));
    text(&e, 5, either(s->text[SMB_SYS_PRODUCT], "Standard PC"));
    text(&e, 6, either(s->text[SMB_SYS_VERSION], p->machine));
    text(&e, 7, s->text[SMB_SYS_SERIAL]);
    uuid_put(&e, 8, either(s->text[SMB_SYS_UUID], p->uuid));
    e.f[24] = 6; /* wake-up: power switch */
    text(&e, 25, s->text[SMB_SYS_SKU]);
    text(&e, 26, s->text[SMB_SYS_FAMILY]);
    end(t, &e);
}

/* 7.3 */
static void board(struct smbios_tables *t, const struct plan_smbios *s)
{
    struct entry e;

    if (!s->board)
        return;
    begin(&e, 2, 15, 0x200);
    text(&e, 4, s->text[SMB_BOARD_MANUFACTURER]);
    text(&e, 5, s->text[SMB_BOARD_PRODUCT]);
    text(&e, 6, s->text[SMB_BOARD_VERSION]);
    text(&e, 7, s->text[SMB_BOARD_SERIAL]);
    text(&e, 8, s->text[SMB_BOARD_ASSET]);
    e.f[9] = 1; /* hosting board */
    text(&e, 10, s->text[SMB_BOARD_LOCATION]);
    put(&e, 11, 0x300, 2);
    e.f[13] = 10; /* motherboard */
    end(t, &e);
}

/* 7.4 */
static void chassis(struct smbios_tables *t, const struct plan_smbios *s, const char *machine)
{
    struct entry e;

    begin(&e, 3, 22, 0x300);
    text(&e, 4, either(s->text[SMB_CASE_MANUFACTURER], "Bulkhead"));
    e.f[5] = 1; /* other */
    text(&e, 6, either(s->text[SMB_CASE_VERSION], machine));
    text(&e, 7, s->text[SMB_CASE_SERIAL]);
    text(&e, 8, s->text[SMB_CASE_ASSET]);
    e.f[9] = e.f[10] = e.f[11] = 3; /* states: safe */
    e.f[12] = 2;                    /* security: unknown */
    text(&e, 21, s->text[SMB_CASE_SKU]);
    end(t, &e);
}

/* 7.5, one a socket */
static void processor(struct smbios_tables *t, const struct plan *p, unsigned i)
{
    const struct plan_smbios *s = &p->smbios;
    unsigned cores = p->topology.cores * (p->topology.dies ? p->topology.dies : 1);
    char name[96];
    struct entry e;

    begin(&e, 4, 42, (uint16_t)(0x400 + i));
    snprintf(name, sizeof(name), "%.80s%u", either(s->text[SMB_CPU_SOCKET], "CPU "), i);
    text(&e, 4, name);
    e.f[5] = 3; /* central processor */
    e.f[6] = 1; /* family: other */
    text(&e, 7, either(s->text[SMB_CPU_MANUFACTURER], "Bulkhead"));
    text(&e, 16, either(s->text[SMB_CPU_VERSION], p->cpu));
    put(&e, 20, strtoul(either(s->text[SMB_CPU_MAX_SPEED], "2000"), NULL, 10), 2);
    put(&e, 22, strtoul(either(s->text[SMB_CPU_SPEED], "2000"), NULL, 10), 2);
    e.f[24] = 0x41; /* populated, enabled */
    e.f[25] = 1;    /* upgrade: other */
    put(&e, 26, 0xffffffffffff, 6); /* no cache structures */
    text(&e, 32, s->text[SMB_CPU_SERIAL]);
    text(&e, 33, s->text[SMB_CPU_ASSET]);
    text(&e, 34, s->text[SMB_CPU_PART]);
    e.f[35] = e.f[36] = (uint8_t)cores;
    e.f[37] = (uint8_t)(cores * p->topology.threads);
    put(&e, 38, 2, 2); /* characteristics: unknown */
    put(&e, 40, 1, 2); /* family 2 */
    end(t, &e);
}

/* 7.12: the user's strings */
static void oem_strings(struct smbios_tables *t, const struct plan_smbios *s)
{
    struct entry e;

    if (!s->n_oem)
        return;
    begin(&e, 11, 5, 0xb00);
    for (unsigned i = 0; i < s->n_oem; i++)
        text(&e, 4, s->oem[i]); /* the last number is how many there are */
    end(t, &e);
}

/* 7.17, 7.18, 7.20: one array, a module for every 16 GiB, and the two ranges they show up at */
static void memory_array(struct smbios_tables *t, uint64_t size, unsigned modules)
{
    struct entry e;

    begin(&e, 16, 23, 0x1000);
    e.f[4] = 1; /* other location */
    e.f[5] = 3; /* system memory */
    e.f[6] = 6; /* multi-bit ECC */
    put(&e, 7, size >> 10 < 0x80000000u ? size >> 10 : 0x80000000u, 4);
    put(&e, 11, 0xfffe, 2);
    put(&e, 13, modules, 2);
    put(&e, 15, size >> 10 < 0x80000000u ? 0 : size, 8);
    end(t, &e);
}

static void memory_module(struct smbios_tables *t, const struct plan_smbios *s, unsigned i, uint64_t size)
{
    char name[96];
    struct entry e;

    begin(&e, 17, 40, (uint16_t)(0x1100 + i));
    put(&e, 4, 0x1000, 2);
    put(&e, 6, 0xfffe, 2);
    put(&e, 8, 0xffff, 2); /* widths unknown */
    put(&e, 10, 0xffff, 2);
    put(&e, 12, size >> 20 < 0x7fff ? size >> 20 : 0x7fff, 2);
    e.f[14] = 9; /* DIMM */
    snprintf(name, sizeof(name), "%.80s %u", either(s->text[SMB_DIMM_LOCATION], "DIMM"), i);
    text(&e, 16, name);
    text(&e, 17, s->text[SMB_DIMM_BANK]);
    e.f[18] = 7;       /* RAM */
    put(&e, 19, 2, 2); /* other */
    put(&e, 21, strtoul(either(s->text[SMB_DIMM_SPEED], "0"), NULL, 10), 2);
    text(&e, 23, either(s->text[SMB_DIMM_MANUFACTURER], "Bulkhead"));
    text(&e, 24, s->text[SMB_DIMM_SERIAL]);
    text(&e, 25, s->text[SMB_DIMM_ASSET]);
    text(&e, 26, s->text[SMB_DIMM_PART]);
    put(&e, 28, size >> 20 < 0x7fff ? 0 : size >> 20, 4);
    end(t, &e);
}

static void memory_range(struct smbios_tables *t, unsigned i, uint64_t start, uint64_t size)
{
    struct entry e;

    if (!size)
        return;
    begin(&e, 19, 31, (uint16_t)(0x1300 + i));
    put(&e, 4, 0xffffffffu, 4); /* the 64-bit fields are used */
    put(&e, 8, 0xffffffffu, 4);
    put(&e, 12, 0x1000, 2);
    e.f[14] = 1;
    put(&e, 15, start, 8);
    put(&e, 23, start + size - 1, 8);
    end(t, &e);
}

static void memory(struct smbios_tables *t, const struct plan *p, uint64_t low, uint64_t high)
{
    unsigned n = (unsigned)((low + high + DIMM_MAX - 1) / DIMM_MAX);

    memory_array(t, low + high, n);
    for (unsigned i = 0; i < n; i++)
        memory_module(t, &p->smbios, i, i + 1 < n ? DIMM_MAX : low + high - i * DIMM_MAX);
    memory_range(t, 0, 0, low);
    memory_range(t, 1, 4 * GIB, high);
}

void smbios_build(struct smbios_tables *t, const struct plan *p, uint64_t low, uint64_t high)
{
    struct entry e;

    memset(t, 0, sizeof(*t));
    bios(t, &p->smbios);
    system_info(t, p);
    board(t, &p->smbios);
    chassis(t, &p->smbios, p->machine);
    for (unsigned i = 0; i < p->topology.sockets; i++)
        processor(t, p, i);
    oem_strings(t, &p->smbios);
    memory(t, p, low, high);
    begin(&e, 32, 11, 0x2000); /* 7.33: no errors detected at boot */
    end(t, &e);
    begin(&e, 127, 4, 0x7f00);
    end(t, &e);
    if (t->buf[t->len - 6] != 127) /* the end did not fit */
        t->len = 0;
}

static uint8_t checksum(const uint8_t *p, unsigned n)
{
    uint8_t sum = 0;

    while (n--)
        sum = (uint8_t)(sum + *p++);
    return (uint8_t)-sum;
}

/* 5.2.1 */
void smbios_anchor(const struct smbios_tables *t, uint32_t gpa, uint8_t a[SMBIOS_ANCHOR_LEN])
{
    memset(a, 0, SMBIOS_ANCHOR_LEN);
    memcpy(a, "_SM_", 4);
    a[5] = SMBIOS_ANCHOR_LEN;
    a[6] = 2;
    a[7] = 8;
    a[8] = (uint8_t)t->largest;
    a[9] = (uint8_t)(t->largest >> 8);
    memcpy(a + 16, "_DMI_", 5);
    a[22] = (uint8_t)t->len;
    a[23] = (uint8_t)(t->len >> 8);
    memcpy(a + 24, &gpa, 4);
    a[28] = (uint8_t)t->count;
    a[29] = (uint8_t)(t->count >> 8);
    a[30] = 0x28;
    a[21] = checksum(a + 16, 15);
    a[4] = checksum(a, SMBIOS_ANCHOR_LEN);
}
