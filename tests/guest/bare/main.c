/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start, output, the list of subjects and the end of the test guest. "only=NAME" on the command line
 * runs one subject, "list" names them all. Must never hold a test.
 */
#include "bare.h"

#include <stdarg.h>

extern const struct subject subjects_start[], subjects_end[];
static const char *subject_name = "start";
static u32 failed, passed;
static char cmdline[512];

void cpu_tables_init(void);
void guest_lost(void);
void kmain(void);

static void putc(char c)
{
    while (!(inb(0x3fd) & 0x20))
        ;
    outb(0x3f8, (u8)c);
}

static void puts(const char *s)
{
    while (*s)
        putc(*s++);
}

static void put_number(u64 v, unsigned base)
{
    char b[24];
    unsigned n = 0;

    do
        b[n++] = "0123456789abcdef"[v % base];
    while (v /= base);
    while (n)
        putc(b[--n]);
}

void print(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    for (; *fmt; fmt++) {
        if (*fmt != '%') {
            putc(*fmt);
            continue;
        }
        fmt++;
        if (*fmt == 's')
            puts(va_arg(ap, const char *));
        else
            put_number(va_arg(ap, u64), *fmt == 'x' ? 16 : 10);
    }
    va_end(ap);
}

void check(const char *name, u64 got, u64 want)
{
    if (got == want) {
        passed++;
        print("ok %s/%s: %x\n", subject_name, name, got);
        return;
    }
    failed++;
    print("not ok %s/%s: %x (manual: %x)\n", subject_name, name, got, want);
}

void note(const char *name, u64 got)
{
    print("note %s/%s: %x\n", subject_name, name, got);
}

static void quit(u8 v)
{
    outb(0xf4, v);
    for (;;)
        __asm__ volatile("cli; hlt");
}

void guest_lost(void)
{
    print("lost %s: vector %x error %x rip %x cs %x rsp %x cr2 %x\n", subject_name, ctx->vector,
          ctx->error, ctx->rip, (u64)ctx->cs, ctx->gpr[RSP], ctx->cr2);
    quit(2);
}

static const char *find(const char *key)
{
    for (const char *s = cmdline; *s; s++) {
        const char *a = s, *b = key;

        while (*b && *a == *b)
            a++, b++;
        if (!*b)
            return a;
    }
    return NULL;
}

static int same(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return !*a && (!*b || *b == ' ');
}

static void boot_report(void)
{
    const u32 *mb = (const u32 *)(u64)boot_info;
    const u64 *pvh = (const u64 *)(u64)boot_info;
    const char *s = (const char *)(boot_magic == 0x2badb002 ? (u64)mb[4] : pvh[3]);
    unsigned n = 0;

    for (; s && *s && n < sizeof(cmdline) - 1; n++)
        cmdline[n] = *s++;
    if (boot_magic == 0x2badb002) {
        const u32 *mod = (const u32 *)(u64)mb[6];

        print("boot: multiboot flags %x modules %d lower %d\n", (u64)(mb[0] & 0x24f), (u64)mb[5],
              (u64)mb[1]);
        for (unsigned i = 0; i < mb[5]; i++)
            print("module %d: %d bytes, first %x, \"%s\"\n", (u64)i,
                  (u64)(mod[4 * i + 1] - mod[4 * i]), (u64) * (u8 *)(u64)mod[4 * i],
                  (const char *)(u64)mod[4 * i + 2]);
        return;
    }
    print("boot: pvh magic %x version %d modules %d\n", (u64)mb[0], (u64)mb[1], (u64)mb[3]);
    for (unsigned i = 0; i < mb[3]; i++)
        print("module %d: %d bytes, first %x, \"\"\n", (u64)i, ((const u64 *)pvh[2])[1],
              (u64) * (u8 *)((const u64 *)pvh[2])[0]);
}

void kmain(void)
{
    const char *only;

    boot_report();
    only = find("exit=");
    if (only)
        quit((u8)(*only - '0'));
    only = find("only=");
    cpu_tables_init();
    if (find("triple")) {
        static const struct { u16 limit; u64 base; } __attribute__((packed)) none = {0, 0};

        __asm__ volatile("lidt %0; ud2" ::"m"(none));
    }
    for (const struct subject *s = subjects_start; s < subjects_end; s++) {
        if (find("list"))
            print("subject %s\n", s->name);
        else if (!only || same(s->name, only)) {
            subject_name = s->name;
            s->run();
        }
    }
    print("end: %d ok, %d not ok\n", (u64)passed, (u64)failed);
    quit(failed ? 1 : 0);
}
