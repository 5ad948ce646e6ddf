/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target: guest bytes through the pre-decoder. The first two bytes choose the mode; the
 * rest end at an inaccessible page, so that a read beyond what was offered is seen without a
 * sanitizer too. Must never execute what it decoded.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "cpu-worker/run/block.h"
#include "cpu-worker/run/cpu.h"
#include "ipc/cpu-model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CODE_MAX 64u
#define PAGE     4096u

static const uint32_t modes[] = {MODE_64 | MODE_LMA | MODE_PE | MODE_OSFXSR,
                                 MODE_CS32 | MODE_SS32 | MODE_PE | MODE_OSFXSR,
                                 MODE_PE,
                                 0,
                                 MODE_VM86 | MODE_USER,
                                 MODE_LMA | MODE_CS32 | MODE_SS32 | MODE_PE | MODE_USER |
                                     MODE_OSFXSR};

static uint8_t *before_guard(const uint8_t *bytes, unsigned len)
{
    static uint8_t *page;
    if (!page) {
        page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED || mprotect(page + PAGE, PAGE, PROT_NONE))
            abort();
    }
    memcpy(page + PAGE - len, bytes, len);
    return page + PAGE - len;
}
static void require(int good)
{
    if (!good)
        abort();
}

/* What block construction relies on. Returns the bytes consumed, 0 at the end. */
static unsigned check_one(const uint8_t *at, unsigned avail, uint32_t mode, unsigned off)
{
    static struct op o[3], again[3]; /* decode_one may clear two */
    static uint32_t feat[ABI_CPU_WORDS];
    cpu_features_carried(feat);
    struct decode_in in = {at, avail, mode, off, feat, ABI_CPU_INTEL};
    memset(o, 0xa5, sizeof(o));
    memset(again, 0xa5, sizeof(again));
    enum decode_result r = decode_one(o, &in);
    require(decode_one(again, &in) == r && !memcmp(o, again, sizeof(o)));
    require(*(const uint8_t *)&o[2] == 0xa5 &&
            !memcmp(&o[2], (const uint8_t *)&o[2] + 1, sizeof(o[2]) - 1));
    if (r == DECODE_MORE) {
        require(avail < 15);
        return 0;
    }
    require(r == DECODE_OK || r == DECODE_END);
    require(o->fn && o->len >= 1 && o->len <= 15 && o->len <= avail);
    require(o->off == off && o->next_off == off + o->len);
    require(o->base < REG_COUNT && o->index < REG_COUNT && o->scale <= 4 && o->seg <= ABI_SEG_FLAT);
    return r == DECODE_OK ? o->len : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    uint32_t mode = modes[data[0] % (sizeof(modes) / sizeof(modes[0]))] | (data[1] & 3u) * MODE_EM;
    unsigned len = (unsigned)(size - 2 < CODE_MAX ? size - 2 : CODE_MAX), off = 0, n;
    const uint8_t *code = before_guard(data + 2, len);
    while (off < len && (n = check_one(code + off, len - off, mode, off)))
        off += n;
    return 0;
}
