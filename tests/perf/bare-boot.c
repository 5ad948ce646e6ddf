/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boots a Linux kernel on the interpreter alone, without processes: instructions per second, and a place
 * to put a debugger. Usage: bare-boot KERNEL INITRD|- "COMMAND LINE" [SECONDS]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "tests/lib/bare.h"

static struct bare b;
static volatile int done;

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}
static void *pump(void *arg)
{
    char buf[4096];
    (void)arg;
    while (!done) {
        chipset_timers_run(b.cs);
        unsigned n = bare_serial(&b, buf, sizeof(buf));
        if (n && write(1, buf, n) < 0)
            break;
        usleep(200);
    }
    return NULL;
}
static void *killer(void *arg)
{
    sleep((unsigned)atoi(arg));
    fprintf(stderr, "\n[time is up]\n");
    b.stop = 1;
    b.cpu->pause_req = 1;
    cpu_kick(b.cpu);
    return NULL;
}
int main(int argc, char **argv)
{
    pthread_t t, k;
    if (argc < 4) {
        fprintf(stderr, "usage: %s KERNEL INITRD|- CMDLINE [SECONDS]\n", argv[0]);
        return 2;
    }
    if (bare_init(&b, 512u << 20) ||
        bare_linux(&b, argv[1], strcmp(argv[2], "-") ? argv[2] : NULL, argv[3]))
        return 1;
    pthread_create(&t, NULL, pump, NULL);
    if (argc > 4)
        pthread_create(&k, NULL, killer, argv[4]);
    double t0 = now();
    int r = bare_run(&b);
    double dt = now() - t0;
    usleep(20000);
    done = 1;
    pthread_join(t, NULL);
    fprintf(stderr, "\n[result %d, %.2f s, %.1f M instructions, %.1f MIPS]\n", r, dt,
            (double)b.cpu->insns / 1e6, (double)b.cpu->insns / 1e6 / dt);
    bare_dump(&b);
    return r;
}
