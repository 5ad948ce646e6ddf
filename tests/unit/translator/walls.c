/* SPDX-License-Identifier: Apache-2.0 */
/* The cpu-worker maps the code cache from a descriptor that allows reading, and nothing makes that writable. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cpu-worker/run/xl.h"
#include "tests/lib/ctest.h"

#define SIZE (1u << 20)

int main(void)
{
    struct xl_memory m;
    char path[40];
    int rw = memfd_create("cache", MFD_CLOEXEC | MFD_ALLOW_SEALING), rings = memfd_create("rings", MFD_CLOEXEC);
    if (rw < 0 || rings < 0 || fchmod(rw, 0400) < 0 || ftruncate(rw, SIZE) < 0 || ftruncate(rings, (off_t)xl_rings_size(2)) < 0)
        return 1;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", rw);
    int ro = open(path, O_RDONLY | O_CLOEXEC);
    ok(xl_memory_map(&m, rw, SIZE, rings, 2) == -EACCES, "a descriptor that allows writing is refused");
    ok(xl_memory_map(&m, ro, SIZE, rings, 2) == 0, "a read-only one is mapped");
    void *cache = (void *)(uintptr_t)m.cache;
    ok(mprotect(cache, 4096, PROT_READ | PROT_WRITE) < 0 && errno == EACCES, "which cannot be protected writable");
    ok(mprotect(cache, SIZE, PROT_WRITE | PROT_EXEC) < 0 && errno == EACCES, "nor writable and executable");
    ok(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0) == MAP_FAILED && errno == EACCES, "nor mapped a second time");
    ok(write(ro, "x", 1) < 0 && errno == EBADF, "nor written through the descriptor");
    ok(ftruncate(ro, 0) < 0, "nor truncated");
    if (geteuid() == 0 && seteuid(65534) == 0) {
        ok(open(path, O_RDWR) < 0 && errno == EACCES, "nor opened anew by another user");
        if (seteuid(0) < 0)
            return 1;
    }
    uint8_t *w = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, rw, 0);
    if (w == MAP_FAILED)
        return 1;
    w[8192] = 0xc3;
    ((void (*)(void))(uintptr_t)(m.cache + 8192))();
    ok(true, "what the translator writes can be executed");
    return ctest_done();
}
