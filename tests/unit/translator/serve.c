/* SPDX-License-Identifier: Apache-2.0 */
/* What the translator does with requests, good and hostile, and with a cache that fills up or outlives it. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "tests/lib/ctest.h"
#include "vmm/translator/process/serve.h"

#define SIZE (2u << 20)
#define MODE (ABI_XL_MODE_64 | ABI_XL_MODE_PE | 0x40)

static uint8_t *mem;
static struct xl_ring *ring; /* two vCPUs */
static uint32_t feat[ABI_CPU_WORDS];
static struct serve s;

static void start(bool fresh)
{
    if (fresh) {
        memset(mem, 0, SIZE);
        memset(ring, 0, xl_rings_size(2));
        for (unsigned i = 0; i < 2; i++)
            ring[i].epoch = 1;
    }
    memset(&s, 0, sizeof(s));
    s.feat = feat;
    ok(cache_attach(&s.cache, mem, SIZE, ring, 2) == 0, "attached to a %s cache", fresh ? "new" : "used");
}
/* add $n, %eax; ret */
static void ask(unsigned vcpu, uint64_t ram_off, uint32_t n, uint32_t len)
{
    struct xl_ask *a = &ring[vcpu].ask[ring[vcpu].head % XL_RING_SLOTS];
    uint8_t code[] = {0x05, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), 0, 0xc3};
    memset(a, 0x90, sizeof(*a));
    a->ram_off = ram_off;
    a->mode = MODE;
    a->len = len;
    memcpy(a->bytes, code, sizeof(code));
    ring[vcpu].head++;
}
static const struct xl_tb *found(uint64_t ram_off, uint32_t n)
{
    static struct xl_ring scratch;
    struct xl_ring *keep = ring;
    ring = &scratch;
    scratch.head = 0;
    ask(0, ram_off, n, 6);
    ring = keep;
    const struct xl_ask *a = &scratch.ask[0];
    return cache_find(&s.cache, a, xl_hash(a->ram_off, a->mode, a->bytes, a->len));
}

static void good(void)
{
    start(true);
    ask(0, 0x1000, 1, 6);
    ask(1, 0x1000, 1, 6);
    ask(0, 0x1000, 2, 6);
    ok(serve_waiting(&s) && serve_some(&s, 10) == 3 && !serve_waiting(&s), "three requests served");
    const struct xl_tb *t = found(0x1000, 1);
    ok(t && t->code_len && t->src_len == 6 && t->insns == 2, "the translation of the first is there");
    ok(found(0x1000, 2) && found(0x1000, 2) != t, "other bytes at the same place are another one");
    ok(s.cache.head->n.made == 2 && s.cache.head->n.known == 1, "the same one is made once");
    ok(!found(0x2000, 1) && !found(0x1000, 3), "and nothing else is there");
    ok(t->code_at % XL_CODE_ALIGN == 0 && t->slot_base + t->n_exits <= ABI_XL_SLOTS, "aligned, with slots of its own");
    ask(0, 0x3000, 0, 6);
    ring[0].ask[(ring[0].head - 1) % XL_RING_SLOTS].bytes[0] = 0xf4; /* HLT */
    serve_some(&s, 10);
    ok(s.cache.head->n.none == 1, "what cannot be translated is answered as well");
}
static void hostile(void)
{
    start(true);
    ask(0, 0x1000, 1, 0);
    ask(0, 0x1000, 1, XL_BYTES_MAX + 1);
    ask(0, 0x1000, 1, ~0u);
    ask(0, 0x1ffc, 1, 6); /* runs over the page's end */
    ask(0, ~0ull, 1, 6);
    ok(serve_some(&s, 10) == 5 && s.cache.head->n.refused == 5 && !s.cache.head->n.made, "lengths that cannot be");
    ring[0].head += XL_RING_SLOTS + 7;
    serve_some(&s, 10);
    ok(!serve_waiting(&s) && s.cache.head->n.refused == 6, "a ring that is overfull");
    ring[0].head -= 1000;
    serve_some(&s, 10);
    ok(!serve_waiting(&s) && !s.cache.head->n.made, "a ring that runs backwards");
    ask(0, 0x1000, 1, 6);
    ok(serve_some(&s, 10) == 1 && found(0x1000, 1), "serves on after all that");
    srand(1);
    for (unsigned i = 0; i < 20000; i++) { /* random bytes, modes and places */
        struct xl_ask *a = &ring[1].ask[ring[1].head++ % XL_RING_SLOTS];
        for (unsigned k = 0; k < sizeof(*a) / 4; k += 1 + (unsigned)rand() % 8)
            ((uint32_t *)a)[k] = (uint32_t)rand() << 1 ^ (uint32_t)rand();
        a->len = (uint32_t)rand() % 200;
        ring[0].epoch = ring[1].epoch = s.cache.head->epoch;
        serve_some(&s, 4);
    }
    ok(!serve_waiting(&s), "20000 random requests are survived");
}
static unsigned fill(unsigned from, unsigned n)
{
    unsigned done = 0;
    for (unsigned i = from; i < from + n; i++) {
        ask(0, (uint64_t)i << 12, i, 6);
        done += serve_some(&s, 1);
        if (serve_waiting(&s))
            break;
    }
    return done;
}
static void full(void)
{
    start(true);
    struct xl_cache *h = s.cache.head;
    unsigned n = fill(1, 100000), first = n;
    ok(n > 100 && h->epoch == 2, "%u translations fill the first half; the epoch goes on", n);
    ok(serve_some(&s, 1) == 0 && found(1, 1) == NULL && found(1ull << 12, 1), "nothing is overwritten while vCPUs hold on to it");
    ring[0].epoch = 2;
    ok(serve_some(&s, 1) == 0, "nor while one of them does");
    ring[1].away = 1;
    ok(serve_some(&s, 1) == 1 && found((uint64_t)(n + 1) << 12, n + 1), "one that is away does not count");
    ok(found(1ull << 12, 1) != NULL, "the first half is kept while the second is filled");
    n = fill(n + 2, 100000);
    ok(h->epoch == 3, "the second half is full after %u", n);
    ring[0].epoch = 3;
    ok(serve_some(&s, 1) == 1 && !found(1ull << 12, 1) && found((uint64_t)(first + 2) << 12, first + 2),
       "the first half's translations are gone, the second's are there");
}
static void successor(void)
{
    start(true);
    fill(1, 10);
    start(false);
    ok(s.cache.head->incarnation == 2 && found(5ull << 12, 5), "a successor finds what was made");
    fill(11, 10);
    ok(found(5ull << 12, 5) && found(15ull << 12, 15), "and goes on behind it");
    s.cache.head->half[1] += 4096;
    ok(cache_attach(&s.cache, mem, SIZE, ring, 2) == -EPROTO, "a cache whose head is wrong is refused");
    s.cache.head->half[1] -= 4096;
    s.cache.head->used[0] = SIZE;
    ok(cache_attach(&s.cache, mem, SIZE, ring, 2) == -EPROTO, "and one that is fuller than full");
    ok(cache_attach(&s.cache, mem, 4096, ring, 2) == -EINVAL && cache_attach(&s.cache, mem, SIZE, ring, 0) == -EINVAL &&
           cache_attach(&s.cache, mem, SIZE, ring, XL_VCPU_MAX + 1) == -EINVAL, "impossible sizes are refused");
}

int main(void)
{
    memset(feat, 0xff, sizeof(feat));
    mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ring = mmap(NULL, xl_rings_size(2), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mem == MAP_FAILED || ring == MAP_FAILED)
        return 1;
    good();
    hostile();
    full();
    successor();
    return ctest_done();
}
