/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target: guest bytes through the code generator. Bytes and code end at inaccessible pages; the answer has
 * to be consistent, the same twice, and made of instructions that translated code may contain. Must never execute
 * what was generated.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <Zydis/Zydis.h>
#include "vmm/translator/xl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PAGE     4096u
#define HEAD     6u
#define ROOM_MAX (8 * PAGE)

static uint8_t *before_guard(uint8_t **area, unsigned pages, unsigned len)
{
    if (!*area) {
        *area = mmap(NULL, (pages + 1) * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (*area == MAP_FAILED || mprotect(*area + pages * PAGE, PAGE, PROT_NONE))
            abort();
    }
    return *area + pages * PAGE - len;
}
static void require(int good)
{
    if (!good)
        abort();
}
/* Nothing that enters the kernel, traps or loads a segment; memory only through gs or a scratch register. */
static void code_check(const uint8_t *code, uint32_t len)
{
    ZydisDecoder d;
    ZydisDecodedInstruction in;
    ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    for (uint32_t at = 0; at < len; at += in.length) {
        require(ZYAN_SUCCESS(ZydisDecoderDecodeFull(&d, code + at, len - at, &in, o)));
        require(!(in.attributes & ZYDIS_ATTRIB_IS_PRIVILEGED));
        require(in.meta.category != ZYDIS_CATEGORY_SYSCALL && in.meta.category != ZYDIS_CATEGORY_INTERRUPT &&
                in.meta.category != ZYDIS_CATEGORY_SYSTEM && in.meta.category != ZYDIS_CATEGORY_STRINGOP &&
                in.meta.category != ZYDIS_CATEGORY_IO && in.mnemonic != ZYDIS_MNEMONIC_POPFQ);
        for (unsigned k = 0; k < in.operand_count_visible; k++) {
            const ZydisDecodedOperandMem *m = &o[k].mem;
            if (o[k].type != ZYDIS_OPERAND_TYPE_MEMORY || m->type == ZYDIS_MEMOP_TYPE_AGEN)
                continue;
            bool scratch = m->base == ZYDIS_REGISTER_R9 || m->index == ZYDIS_REGISTER_R9 || m->base == ZYDIS_REGISTER_RCX;
            require(m->segment == ZYDIS_REGISTER_GS || scratch);
            require(m->base != ZYDIS_REGISTER_RIP);
        }
    }
}
static void out_check(const struct abi_xl_in *in, const struct abi_xl_out *o, uint32_t room)
{
    require(o->code_len && o->code_len <= room && o->src_len && o->src_len <= in->len && o->insns);
    require(o->insns <= ABI_XL_INSN_MAX && o->slots <= ABI_XL_SLOT_MAX && o->faults <= ABI_XL_FAULT_MAX);
    for (unsigned k = 0; k < o->slots; k++)
        require(o->slot[k] >= 0 && o->slot[k] < (int)PAGE);
    for (unsigned k = 0; k < o->faults; k++)
        require(o->fault[k].host < o->code_len && o->fault[k].resume < o->code_len &&
                (!k || o->fault[k].host > o->fault[k - 1].host));
}
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t *source, *target, first[ROOM_MAX];
    static struct abi_xl_out out, again;
    struct abi_xl_in in = {.mode = ABI_XL_MODE_64 | ABI_XL_MODE_PE | ABI_XL_MODE_OSFXSR | ABI_XL_MODE_AVX};
    if (size < HEAD + 1)
        return 0;
    in.mode ^= (data[0] & 1 ? ABI_XL_MODE_USER : 0) | (data[0] & 2 ? ABI_XL_MODE_TS : 0) | (data[0] == 0xff ? ABI_XL_MODE_64 : 0);
    in.page_off = (data[1] | data[2] << 8) & 0xfff;
    in.insns = data[3] & 0x7f;
    in.slot_base = data[4] * 1000u;
    in.len = (uint32_t)(size - HEAD < ABI_XL_SRC_MAX ? size - HEAD : ABI_XL_SRC_MAX);
    memset(in.feat, data[0] & 4 ? 0 : 0xff, sizeof(in.feat));
    uint32_t room = data[5] & 1 ? data[5] * 32u : ROOM_MAX;
    uint8_t *bytes = before_guard(&source, 1, in.len), *code = before_guard(&target, ROOM_MAX / PAGE, room);
    memcpy(bytes, data + HEAD, in.len);
    bool done = xl_translate(&in, bytes, code, room, &out);
    require(done || !out.code_len);
    if (!done)
        return 0;
    out_check(&in, &out, room);
    code_check(code, out.code_len);
    memcpy(first, code, out.code_len);
    require(xl_translate(&in, bytes, code, room, &again) && again.code_len == out.code_len &&
            !memcmp(first, code, out.code_len) && !memcmp(out.slot, again.slot, out.slots * sizeof(out.slot[0])));
    return 0;
}
