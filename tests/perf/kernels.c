/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels. Owns their data; must never be compiled so that one disappears.
 */
#include "tests/perf/kernels.h"

#include <immintrin.h>
#include <stddef.h>

/* A copy loop must stay one, and not become a call of memcpy. */
#ifdef __clang__
#define KERNEL static __attribute__((noinline, no_builtin)) uint64_t
#else
#define KERNEL static __attribute__((noinline, optimize("no-tree-loop-distribute-patterns"))) uint64_t
#endif
#define BARRIER() __asm__ volatile("" ::: "memory")
#define BYTES (1u << 20)
static uint8_t data[BYTES] __attribute__((aligned(4096)));
static uint8_t other[BYTES] __attribute__((aligned(4096)));

KERNEL k_alu(uint64_t n)
{
    uint64_t x = 88172645463325252ull, y = 1;
    for (uint64_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        y += x * 0x9e3779b97f4a7c15ull;
        y = y << 9 | y >> 55;
    }
    return x + y;
}
KERNEL k_adc(uint64_t n)
{
    static uint64_t a[8], b[8] = {~0ull, 9, 8, 7, 6, 5, 4, 3};
    for (unsigned k = 0; k < 8; k++)
        a[k] = k + 1;
    for (uint64_t i = 0; i < n; i++)
        __asm__ volatile(
            "mov (%1),%%rax\n\tadd %%rax,(%0)\n\tmov 8(%1),%%rax\n\tadc %%rax,8(%0)\n\tmov 16(%1),%%rax\n\t"
            "adc %%rax,16(%0)\n\tmov 24(%1),%%rax\n\tadc %%rax,24(%0)\n\tmov 32(%1),%%rax\n\tadc %%rax,32(%0)\n\t"
            "mov 40(%1),%%rax\n\tadc %%rax,40(%0)\n\tmov 48(%1),%%rax\n\tadc %%rax,48(%0)\n\tmov 56(%1),%%rax\n\t"
            "adc %%rax,56(%0)" : : "r"(a), "r"(b) : "rax", "memory", "cc");
    return a[3];
}
KERNEL k_collatz(uint64_t n)
{
    uint64_t s = 0;
    for (uint64_t i = 1; i <= n; i++) {
        uint64_t x = i + 1000000;
        unsigned k = 0;
        while (x != 1 && k < 64) {
            x = x & 1 ? 3 * x + 1 : x >> 1;
            k++;
            BARRIER();
        }
        s += k + x;
    }
    return s;
}
KERNEL k_div(uint64_t n)
{
    uint64_t x = 0x123456789abcdefull, s = 0;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t d = i | 0x10001;
        s += x / d;
        x = x * 6364136223846793005ull + s % d;
    }
    return s;
}
static __attribute__((noinline)) uint64_t fib(uint64_t n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}
KERNEL k_fib(uint64_t n)
{
    uint64_t s = 0;
    for (uint64_t i = 0; i < n; i++)
        s += fib(16);
    return s;
}
#define F(K) static __attribute__((noinline)) uint64_t f##K(uint64_t x) { return x * (2 * K + 1) + K; }
F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7)
KERNEL k_vcall(uint64_t n)
{
    static const kernel_fn table[8] = {f0, f1, f2, f3, f4, f5, f6, f7};
    uint64_t x = 12345;
    uint32_t r = 1;
    for (uint64_t i = 0; i < n; i++) {
        r = r * 1664525u + 1013904223u;
        x = table[r >> 29](x);
    }
    return x;
}
KERNEL k_interp(uint64_t n)
{
    static const uint8_t prog[] = {0, 1, 2, 3, 0, 4, 1, 5, 2, 6, 0, 1, 3, 4, 5, 2, 1, 0, 6, 3, 7};
    static const void *const label[] = {&&o0, &&o1, &&o2, &&o3, &&o4, &&o5, &&o6, &&o7};
    uint64_t a = 1, b = 2, c = 3, left = n;
    const uint8_t *pc = prog;
#define NEXT goto *label[*pc++]
    NEXT;
o0: a += b; NEXT;
o1: b ^= a; NEXT;
o2: c += a * 3; NEXT;
o3: a = a << 5 | a >> 59; NEXT;
o4: if (c & 1) b++; NEXT;
o5: c -= b; NEXT;
o6: b += 7; NEXT;
o7: pc = prog; if (--left) NEXT;
    return a + b + c;
}
#define ROR(X, N) ((X) >> (N) | (X) << (32 - (N)))
static __attribute__((noinline)) void sha_block(uint32_t *h, const uint8_t *p)
{
    uint32_t w[64], v[8];
    for (unsigned i = 0; i < 16; i++)
        w[i] = __builtin_bswap32(((const uint32_t *)(const void *)p)[i]);
    for (unsigned i = 16; i < 64; i++)
        w[i] = (ROR(w[i - 2], 17) ^ ROR(w[i - 2], 19) ^ w[i - 2] >> 10) + w[i - 7] +
               (ROR(w[i - 15], 7) ^ ROR(w[i - 15], 18) ^ w[i - 15] >> 3) + w[i - 16];
    for (unsigned i = 0; i < 8; i++)
        v[i] = h[i];
    for (unsigned i = 0; i < 64; i++) {
        uint32_t t1 = v[7] + (ROR(v[4], 6) ^ ROR(v[4], 11) ^ ROR(v[4], 25)) + ((v[4] & v[5]) ^ (~v[4] & v[6])) +
                      i * 0x9e3779b9u + w[i];
        uint32_t t2 = (ROR(v[0], 2) ^ ROR(v[0], 13) ^ ROR(v[0], 22)) + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        for (unsigned k = 7; k; k--)
            v[k] = v[k - 1];
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (unsigned i = 0; i < 8; i++)
        h[i] += v[i];
}
KERNEL k_sha(uint64_t n)
{
    uint32_t h[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (uint64_t i = 0; i < n; i++)
        sha_block(h, data + (i * 64 & 0xffff));
    return h[0];
}
static uint32_t crc_table[256];
KERNEL k_crc32(uint64_t n)
{
    uint32_t c = ~0u;
    for (uint64_t i = 0; i < n; i++)
        c = crc_table[(c ^ data[i & 0xffff]) & 255] ^ c >> 8;
    return c;
}
static int compare(const uint32_t *a, const uint32_t *b)
{
    return *a < *b ? -1 : *a > *b;
}
static void sort(uint32_t *a, long n, int (*less)(const uint32_t *, const uint32_t *))
{
    while (n > 1) {
        uint32_t pivot = a[n / 2], t;
        long i = 0, j = n - 1;
        while (i <= j) {
            while (less(&a[i], &pivot) < 0)
                i++;
            while (less(&a[j], &pivot) > 0)
                j--;
            if (i <= j) {
                t = a[i];
                a[i++] = a[j];
                a[j--] = t;
            }
        }
        sort(a, j + 1, less);
        a += i;
        n -= i;
    }
}
KERNEL k_sort(uint64_t n)
{
    static int (*volatile order)(const uint32_t *, const uint32_t *) = compare;
    uint32_t *a = (uint32_t *)(void *)other, r = 1;
    for (uint64_t i = 0; i < n; i++)
        a[i] = r = r * 1664525u + 1013904223u;
    sort(a, (long)n, order);
    return a[n / 3];
}
KERNEL k_bignum(uint64_t n)
{
    uint64_t a[16], b[16], r[32];
    for (unsigned i = 0; i < 16; i++)
        b[i] = ~(a[i] = 0x9e3779b97f4a7c15ull * (i + 1)) * 3;
    for (uint64_t k = 0; k < n; k++) {
        for (unsigned i = 0; i < 32; i++)
            r[i] = 0;
        for (unsigned i = 0; i < 16; i++) {
            uint64_t c = 0;
            for (unsigned j = 0; j < 16; j++) {
                unsigned __int128 t = (unsigned __int128)a[i] * b[j] + r[i + j] + c;
                r[i + j] = (uint64_t)t;
                c = (uint64_t)(t >> 64);
            }
            r[i + 16] = c;
        }
        a[k & 15] ^= r[20];
    }
    return r[7];
}
KERNEL k_sieve(uint64_t n)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < n; i++)
        other[i] = 1;
    for (uint64_t i = 2; i < n; i++)
        if (other[i]) {
            count++;
            for (uint64_t j = i * 2; j < n; j += i)
                other[j] = 0;
        }
    return count;
}
static void *chain[1024 * 8];
KERNEL k_chase(uint64_t n)
{
    void **p = chain;
    for (uint64_t i = 0; i < n; i += 4)
        p = *(void **)*(void **)*(void **)*p;
    return (uint64_t)((char *)p - (char *)chain);
}
KERNEL k_sum(uint64_t n)
{
    const volatile uint64_t *p = (const volatile uint64_t *)(const void *)data;
    uint64_t s = 0;
    for (uint64_t i = 0; i < n; i++)
        s += p[i & 8191];
    return s;
}
KERNEL k_store(uint64_t n)
{
    volatile uint64_t *p = (volatile uint64_t *)(void *)other;
    for (uint64_t i = 0; i < n; i++)
        p[i & 8191] = i;
    return p[5];
}
KERNEL k_histogram(uint64_t n)
{
    static uint32_t h[256];
    for (unsigned i = 0; i < 256; i++)
        h[i] = 0;
    for (uint64_t i = 0; i < n; i++)
        h[data[i & (BYTES - 1)]]++;
    return h[3] * 7 + h[9];
}
struct node {
    struct node *child[2];
    uint64_t key;
};
static struct node nodes[4096];
KERNEL k_tree(uint64_t n)
{
    uint64_t found = 0, r = 1;
    for (uint64_t i = 0; i < n; i++) {
        r = r * 6364136223846793005ull + 1442695040888963407ull;
        uint64_t key = r >> 40;
        const struct node *p = nodes;
        while (p && p->key != key)
            p = p->child[key > p->key];
        found += p != NULL;
    }
    return found;
}
KERNEL k_copy24(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t *s = (const uint64_t *)(const void *)(data + (i * 96 & 0x7fe0));
        uint64_t *d = (uint64_t *)(void *)(other + (i * 32 & 0x7fe0));
        d[0] = s[0];
        d[1] = s[1];
        d[2] = s[2];
        BARRIER();
    }
    return other[77];
}
/* ---- floating point ---- */
static uint64_t bits(double d)
{
    union {
        double d;
        uint64_t u;
    } v = {d};
    return v.u;
}
KERNEL k_mandel(uint64_t n)
{
    uint64_t it = 0;
    for (uint64_t k = 0; k < n; k++) {
        double cr = -0.5 + (double)(k % 64) * 1e-4, ci = 0.5, zr = 0, zi = 0;
        for (unsigned i = 0; i < 256; i++) {
            double t = zr * zr - zi * zi + cr;
            zi = 2 * zr * zi + ci;
            zr = t;
            if (zr * zr + zi * zi > 4)
                break;
            it++;
        }
    }
    return it;
}
struct body {
    double x[3], v[3], m;
};
KERNEL k_nbody(uint64_t n)
{
    static const struct body start[5] = {
        {{0, 0, 0}, {0, 0, 0}, 39.47}, {{4.84, -1.16, -.10}, {.606, 2.81, -.02}, .037},
        {{8.34, 4.12, -.4}, {-1.01, 1.82, .008}, .011}, {{12.89, -15.11, -.22}, {1.08, .868, -.01}, .0017},
        {{15.37, -25.9, .179}, {.979, .594, -.034}, .002}};
    static struct body b[5];
    for (unsigned i = 0; i < 5; i++)
        b[i] = start[i];
    for (uint64_t k = 0; k < n; k++) {
        for (unsigned i = 0; i < 5; i++)
            for (unsigned j = i + 1; j < 5; j++) {
                double d[3], q = 0;
                for (unsigned c = 0; c < 3; c++) {
                    d[c] = b[i].x[c] - b[j].x[c];
                    q += d[c] * d[c];
                }
                double mag = 0.001 / (q * _mm_cvtsd_f64(_mm_sqrt_sd(_mm_set_sd(q), _mm_set_sd(q))));
                for (unsigned c = 0; c < 3; c++) {
                    b[i].v[c] -= d[c] * b[j].m * mag;
                    b[j].v[c] += d[c] * b[i].m * mag;
                }
            }
        for (unsigned i = 0; i < 5; i++)
            for (unsigned c = 0; c < 3; c++)
                b[i].x[c] += 0.001 * b[i].v[c];
    }
    return bits(b[0].x[0]);
}
KERNEL k_matmul(uint64_t n)
{
    static double a[24][24], b[24][24], c[24][24];
    for (unsigned i = 0; i < 24 * 24; i++)
        a[i / 24][i % 24] = i * 0.5, b[i / 24][i % 24] = 7.0 - i;
    for (uint64_t k = 0; k < n; k++)
        for (unsigned i = 0; i < 24; i++)
            for (unsigned j = 0; j < 24; j++) {
                double s = 0;
                for (unsigned l = 0; l < 24; l++)
                    s += a[i][l] * b[l][j];
                c[i][j] = s;
            }
    return bits(c[3][5]);
}
KERNEL k_sse2d(uint64_t n)
{
    double *a = (double *)(void *)other, *b = a + 4096;
    for (unsigned i = 0; i < 8192; i++)
        a[i] = 1.0 + i * 1e-5;
    __m128d k = _mm_set1_pd(0.999), step = _mm_set1_pd(0.001);
    for (uint64_t r = 0; r < n; r++)
        for (unsigned i = 0; i < 1024; i += 2) {
            __m128d x = _mm_load_pd(a + i), y = _mm_load_pd(b + i);
            x = _mm_add_pd(_mm_mul_pd(x, k), y);
            y = _mm_sub_pd(_mm_mul_pd(y, k), step);
            _mm_store_pd(a + i, x);
            _mm_store_pd(b + i, y);
        }
    return bits(a[5]);
}
/* ---- strings and integer vectors ---- */
KERNEL k_sse2i(uint64_t n)
{
    const __m128i *a = (const __m128i *)(const void *)data;
    __m128i s = _mm_set1_epi8(3), t = _mm_setzero_si128();
    for (uint64_t r = 0; r < n; r++)
        for (unsigned i = 0; i < 256; i++) {
            __m128i x = _mm_add_epi8(_mm_load_si128(a + i), s);
            x = _mm_xor_si128(x, _mm_slli_epi32(x, 3));
            x = _mm_unpacklo_epi8(x, t);
            t = _mm_add_epi16(t, _mm_max_epu8(x, s));
            s = _mm_shuffle_epi32(_mm_cmpeq_epi32(t, x), 0x1b);
        }
    return (uint64_t)_mm_cvtsi128_si64(t);
}
KERNEL k_scan(uint64_t n)
{
    const __m128i *a = (const __m128i *)(const void *)data, want = _mm_set1_epi8(10);
    uint64_t found = 0;
    for (uint64_t i = 0; i < n; i++)
        if (_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_load_si128(a + (i & 4095)), want)))
            found++;
    return found;
}
KERNEL k_copy(uint64_t n)
{
    for (uint64_t r = 0; r < n; r++)
        for (unsigned i = 0; i < 1024; i += 4) {
            const __m128i *s = (const __m128i *)(const void *)data + i;
            __m128i *d = (__m128i *)(void *)other + i;
            __m128i w = _mm_loadu_si128(s), x = _mm_loadu_si128(s + 1), y = _mm_loadu_si128(s + 2), z = _mm_loadu_si128(s + 3);
            _mm_storeu_si128(d, w);
            _mm_storeu_si128(d + 1, x);
            _mm_storeu_si128(d + 2, y);
            _mm_storeu_si128(d + 3, z);
        }
    return other[4711];
}
KERNEL k_length(uint64_t n)
{
    uint64_t s = 0;
    for (uint64_t r = 0; r < n; r++) {
        const uint8_t *p = data + r % 64;
        while (*p != 10)
            p++;
        s += (uint64_t)(p - data);
    }
    return s;
}

const struct kernel kernels[] = {
    {"alu", k_alu, KC_INTEGER, 300000}, {"adc", k_adc, KC_INTEGER, 100000}, {"collatz", k_collatz, KC_INTEGER, 10000},
    {"div", k_div, KC_INTEGER, 100000}, {"fib", k_fib, KC_INTEGER, 400}, {"vcall", k_vcall, KC_INTEGER, 300000},
    {"interp", k_interp, KC_INTEGER, 30000}, {"sha", k_sha, KC_INTEGER, 3000}, {"crc32", k_crc32, KC_INTEGER, 300000},
    {"sort", k_sort, KC_INTEGER, 20000}, {"bignum", k_bignum, KC_INTEGER, 5000}, {"sieve", k_sieve, KC_INTEGER, 500000},
    {"chase", k_chase, KC_INTEGER, 300000}, {"sum", k_sum, KC_INTEGER, 1000000}, {"store", k_store, KC_INTEGER, 1000000},
    {"histogram", k_histogram, KC_INTEGER, 500000}, {"tree", k_tree, KC_INTEGER, 30000},
    {"copy24", k_copy24, KC_INTEGER, 300000},
    {"mandel", k_mandel, KC_FP, 1000}, {"nbody", k_nbody, KC_FP, 5000}, {"matmul", k_matmul, KC_FP, 100},
    {"sse2d", k_sse2d, KC_FP, 2000}, {"sse2i", k_sse2i, KC_STRING, 4000}, {"scan", k_scan, KC_STRING, 1000000},
    {"copy", k_copy, KC_STRING, 4000}, {"length", k_length, KC_STRING, 10000},
};
const unsigned kernel_count = sizeof(kernels) / sizeof(kernels[0]);

static void insert(unsigned i)
{
    struct node *p = nodes;
    nodes[i].key = (i * 2654435761u) >> 8;
    while (i) {
        struct node **next = &p->child[nodes[i].key > p->key];
        if (!*next) {
            *next = &nodes[i];
            return;
        }
        p = *next;
    }
}
void kernels_init(void)
{
    uint32_t r = 12345;
    for (unsigned i = 0; i < BYTES; i++)
        data[i] = (uint8_t)((r = r * 1664525u + 1013904223u) >> 24) | 0x10;
    for (unsigned i = 300; i < BYTES; i += 300)
        data[i] = 10;
    for (unsigned i = 0; i < 256; i++) {
        uint32_t c = i;
        for (unsigned k = 0; k < 8; k++)
            c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
        crc_table[i] = c;
    }
    for (unsigned i = 0; i < 4096; i++)
        insert(i);
    for (unsigned i = 0; i < 1024; i++)
        chain[i * 8] = &chain[(i * 37 + 11) % 1024 * 8];
}
