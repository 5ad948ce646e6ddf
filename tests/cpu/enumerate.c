/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks the opcode space (all maps, mandatory prefixes, W, L, /reg, register and memory shapes), asks the
 * pre-decoder what it accepts, and groups that into forms: mnemonic, encoding, operand kinds and sizes.
 * Must never leave out what the pre-decoder accepts.
 */
#include "tests/cpu/forms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FORMS 16384u
#define PREFIX_LOCK 4 /* in put_legacy's list, and the next one */

static ZydisDecoder decoder[2];
static struct form *all;
static unsigned count;
static uint16_t slot[4 * MAX_FORMS]; /* hash of keys: index + 1 */

static void decoders_init(void)
{
    for (unsigned m64 = 0; m64 < 2; m64++) {
        ZydisDecoderInit(&decoder[m64], m64 ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LEGACY_32,
                         m64 ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32);
        ZydisDecoderEnableMode(&decoder[m64], ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
        ZydisDecoderEnableMode(&decoder[m64], ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
    }
}
static bool is_string(const ZydisDecodedInstruction *in)
{
    return in->meta.category == ZYDIS_CATEGORY_STRINGOP || in->meta.category == ZYDIS_CATEGORY_IOSTRINGOP;
}
bool shape_decode(struct insn *i)
{
    ZyanStatus st = ZydisDecoderDecodeFull(&decoder[i->m64], i->bytes, 15, &i->in, i->ops);
    if (st == ZYDIS_STATUS_ILLEGAL_LOCK && i->refused) {
        memset(&i->in, 0, sizeof(i->in));
        i->len = 15;
        return true;
    }
    i->refused = 0;
    if (!ZYAN_SUCCESS(st))
        return false;
    i->len = i->in.length;
    i->branch = i->in.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE;
    i->rep = is_string(&i->in) && (i->in.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE |
                                                       ZYDIS_ATTRIB_HAS_REPNE));
    for (unsigned k = 0; k < i->in.operand_count_visible; k++)
        if (i->ops[k].type == ZYDIS_OPERAND_TYPE_MEMORY && i->in.address_width != 16 &&
            i->in.raw.modrm.rm == 4 && i->in.raw.modrm.mod == 0 && i->in.raw.sib.base == 5)
            i->ops[k].mem.base = ZYDIS_REGISTER_NONE; /* Zydis 4.0 gives R13D here */
    return true;
}

/* Overrides that change nothing, or nothing but the base: one in eight. FS is the host's thread, and GS is empty
 * in 32-bit code. */
static unsigned put_segment(const struct shape *s, uint8_t *b, uint64_t r)
{
    static const uint8_t set[] = {0x2e, 0x36, 0x3e, 0x26, 0x65, 0x65};
    if (r >> 20 & 7)
        return 0;
    b[0] = set[(r >> 24 & 0xff) % (s->m64 ? 6 : 4)];
    return 1;
}
static unsigned put_legacy(const struct shape *s, uint8_t *b, uint64_t r)
{
    static const uint8_t set[][3] = {{0}, {0x66}, {0xf3}, {0xf2}, {0xf0}, {0xf0, 0x66}, {0x66, 0xf3},
                                     {0x66, 0xf2}, {0x67}};
    unsigned n = put_segment(s, b, r);
    for (unsigned k = 0; k < 3 && set[s->prefix][k]; k++)
        b[n++] = set[s->prefix][k];
    if (s->m64 && (s->w || (r & 3)))
        b[n++] = (uint8_t)(0x40 | s->w << 3 | (r & 3 ? r >> 2 & 7 : 0));
    if (s->map)
        b[n++] = 0x0f;
    if (s->map > 1)
        b[n++] = s->map == 2 ? 0x38 : 0x3a;
    return n;
}
static unsigned put_vex(const struct shape *s, uint8_t *b, uint64_t r)
{
    unsigned v = r >> 8 & 15, rxb = s->m64 ? r >> 2 & 7 : 0;
    if (!s->m64)
        v &= 7;
    if (r >> 16 & 1) /* most forms have either a register here or 1111 */
        v = 0;
    unsigned n = put_segment(s, b, r);
    b[n++] = 0xc4;
    b[n++] = (uint8_t)((~rxb & 7) << 5 | s->map);
    b[n++] = (uint8_t)(s->w << 7 | (~v & 15) << 3 | s->l << 2 | s->pp);
    return n;
}
/* Bytes of a random instruction of this shape; fixed_reg: ModRM.reg is part of the opcode. */
bool shape_build(const struct shape *s, struct insn *i, bool fixed_reg)
{
    static const uint8_t mods[] = {0x00, 0x40, 0x80, 0x40};
    uint64_t r = rnd(), q = rnd();
    memset(i, 0, sizeof(*i));
    i->m64 = s->m64;
    unsigned n = s->vex ? put_vex(s, i->bytes, r) : put_legacy(s, i->bytes, r);
    i->bytes[n++] = s->opcode;
    unsigned reg = fixed_reg ? s->reg : q & 7;
    unsigned rm = s->rm < 8 ? s->rm : q >> 3 & 7;
    i->bytes[n++] = (uint8_t)((s->reg_form ? 0xc0 : mods[q >> 6 & 3]) | reg << 3 | rm);
    /* Not VERW of memory, which AMD's microcode that clears buffers executes with LOCK; APM 3 says #UD. */
    bool verw = s->map == 1 && s->opcode == 0 && reg == 5 && !s->reg_form;
    if (!s->vex && (s->prefix == PREFIX_LOCK || s->prefix == PREFIX_LOCK + 1) && !verw)
        i->refused = 0x10000u | (uint32_t)s->map << 8 | s->opcode;
    for (q = rnd(); n < 15; q = q >> 8 | q << 56)
        i->bytes[n++] = (uint8_t)q;
    return shape_decode(i);
}

static void mix(uint64_t *h, uint64_t v)
{
    *h = (*h ^ v) * 0x100000001b3ull;
    *h ^= *h >> 29;
}
uint64_t form_key(const struct insn *i)
{
    const ZydisDecodedInstruction *in = &i->in;
    uint64_t h = 0xcbf29ce484222325ull;
    if (i->refused) {
        mix(&h, i->m64 | (uint64_t)i->refused << 1);
        return h;
    }
    mix(&h, i->m64 | (uint64_t)in->mnemonic << 1 | (uint64_t)in->encoding << 20 |
                (uint64_t)in->operand_width << 24 | (uint64_t)in->operand_count_visible << 36);
    mix(&h, in->attributes & (ZYDIS_ATTRIB_HAS_LOCK | ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE |
                              ZYDIS_ATTRIB_HAS_REPNE));
    mix(&h, in->avx.vector_length | (uint64_t)in->meta.branch_type << 16);
    for (unsigned k = 0; k < in->operand_count_visible; k++) {
        const ZydisDecodedOperand *o = &i->ops[k];
        uint64_t c = o->type == ZYDIS_OPERAND_TYPE_REGISTER ? ZydisRegisterGetClass(o->reg.value) : 0;
        uint64_t e = o->encoding == ZYDIS_OPERAND_ENCODING_OPCODE ? 0 : o->encoding;
        mix(&h, o->type | (uint64_t)o->size << 8 | e << 24 | c << 40);
    }
    return h ? h : 1;
}

static unsigned operand_text(char *t, size_t room, const ZydisDecodedOperand *o)
{
    static const char *const class[] = {
        [ZYDIS_REGCLASS_GPR8] = "r8", [ZYDIS_REGCLASS_GPR16] = "r16", [ZYDIS_REGCLASS_GPR32] = "r32",
        [ZYDIS_REGCLASS_GPR64] = "r64", [ZYDIS_REGCLASS_X87] = "st", [ZYDIS_REGCLASS_MMX] = "mm",
        [ZYDIS_REGCLASS_XMM] = "xmm", [ZYDIS_REGCLASS_YMM] = "ymm", [ZYDIS_REGCLASS_SEGMENT] = "seg",
        [ZYDIS_REGCLASS_CONTROL] = "cr", [ZYDIS_REGCLASS_DEBUG] = "dr"};
    const char *name = "reg";
    if (o->type == ZYDIS_OPERAND_TYPE_REGISTER) {
        ZydisRegisterClass c = ZydisRegisterGetClass(o->reg.value);
        if (c < sizeof(class) / sizeof(class[0]) && class[c])
            name = class[c];
        return (unsigned)snprintf(t, room, " %s", name);
    }
    if (o->type == ZYDIS_OPERAND_TYPE_MEMORY)
        return (unsigned)snprintf(t, room, " m%u", o->size);
    return (unsigned)snprintf(t, room, o->type == ZYDIS_OPERAND_TYPE_POINTER ? " ptr%u" : " i%u", o->size);
}
static void form_name(struct form *f, const struct insn *i)
{
    if (i->refused) {
        snprintf(f->name, sizeof(f->name), "%u lock, not to be locked: map %u opcode %02x", i->m64 ? 64 : 32,
                 i->refused >> 8 & 3, i->refused & 0xff);
        return;
    }
    int n = snprintf(f->name, sizeof(f->name), "%u %s%s%s", i->m64 ? 64 : 32,
                     i->in.attributes & ZYDIS_ATTRIB_HAS_LOCK ? "lock " : "", i->rep ? "rep " : "",
                     ZydisMnemonicGetString(i->in.mnemonic));
    for (unsigned k = 0; k < i->in.operand_count_visible && n < (int)sizeof(f->name) - 8; k++)
        n += (int)operand_text(f->name + n, sizeof(f->name) - (unsigned)n, &i->ops[k]);
    if (!i->in.operand_count_visible)
        snprintf(f->name + n, sizeof(f->name) - (unsigned)n, " o%u", i->in.operand_width);
}

static bool any_class(const struct insn *i, ZydisRegisterClass a, ZydisRegisterClass b)
{
    for (unsigned k = 0; k < i->in.operand_count; k++) {
        ZydisRegisterClass c = i->ops[k].type == ZYDIS_OPERAND_TYPE_REGISTER
                                   ? ZydisRegisterGetClass(i->ops[k].reg.value)
                                   : ZYDIS_REGCLASS_INVALID;
        if (c != ZYDIS_REGCLASS_INVALID && (c == a || c == b))
            return true;
    }
    return false;
}
static enum group group_simd(const struct insn *i)
{
    switch (i->in.meta.isa_set) {
    case ZYDIS_ISA_SET_AES: case ZYDIS_ISA_SET_PCLMULQDQ: case ZYDIS_ISA_SET_SHA: case ZYDIS_ISA_SET_VAES:
    case ZYDIS_ISA_SET_VPCLMULQDQ: case ZYDIS_ISA_SET_GFNI: case ZYDIS_ISA_SET_AVXAES:
    case ZYDIS_ISA_SET_AVX_GFNI:
        return G_CRYPTO;
    case ZYDIS_ISA_SET_X87: case ZYDIS_ISA_SET_FCMOV: case ZYDIS_ISA_SET_SSE3X87:
        return G_X87;
    case ZYDIS_ISA_SET_FXSAVE: case ZYDIS_ISA_SET_FXSAVE64: case ZYDIS_ISA_SET_SSEMXCSR:
    case ZYDIS_ISA_SET_XSAVE: case ZYDIS_ISA_SET_XSAVEC: case ZYDIS_ISA_SET_XSAVEOPT:
    case ZYDIS_ISA_SET_XSAVES:
        return G_SSE;
    default:
        break;
    }
    bool vector = any_class(i, ZYDIS_REGCLASS_XMM, ZYDIS_REGCLASS_YMM);
    if (i->in.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX &&
        (vector || i->in.mnemonic == ZYDIS_MNEMONIC_VZEROALL || i->in.mnemonic == ZYDIS_MNEMONIC_VZEROUPPER ||
         i->in.mnemonic == ZYDIS_MNEMONIC_VLDMXCSR || i->in.mnemonic == ZYDIS_MNEMONIC_VSTMXCSR))
        return G_AVX;
    if (any_class(i, ZYDIS_REGCLASS_MMX, ZYDIS_REGCLASS_MMX) || i->in.mnemonic == ZYDIS_MNEMONIC_EMMS)
        return G_MMX;
    return vector ? G_SSE : G_N;
}
static enum group group_of(const struct insn *i)
{
    enum group g = group_simd(i);
    if (g != G_N)
        return g;
    if (i->branch || i->in.meta.category == ZYDIS_CATEGORY_INTERRUPT)
        return G_BRANCH;
    if (is_string(&i->in))
        return G_STRING;
    switch (i->in.meta.isa_set) {
    case ZYDIS_ISA_SET_BMI1: case ZYDIS_ISA_SET_BMI2: case ZYDIS_ISA_SET_ADOX_ADCX:
    case ZYDIS_ISA_SET_LZCNT: case ZYDIS_ISA_SET_POPCNT: case ZYDIS_ISA_SET_MOVBE:
    case ZYDIS_ISA_SET_SSE42:
        return G_BIT;
    default:
        break;
    }
    if ((i->in.attributes & ZYDIS_ATTRIB_IS_PRIVILEGED) || i->in.meta.category == ZYDIS_CATEGORY_SYSTEM ||
        i->in.meta.category == ZYDIS_CATEGORY_IO || cover_of(i->in.mnemonic))
        return G_SYSTEM;
    return i->in.meta.category == ZYDIS_CATEGORY_BITBYTE ? G_BIT : G_INTEGER;
}

static struct form *form_find(uint64_t key)
{
    unsigned h = (unsigned)(key % (4 * MAX_FORMS));
    while (slot[h] && all[slot[h] - 1].key != key)
        h = (h + 1) % (4 * MAX_FORMS);
    if (slot[h])
        return &all[slot[h] - 1];
    if (count == MAX_FORMS) {
        fprintf(stderr, "more forms than MAX_FORMS\n");
        exit(1);
    }
    all[count].key = key;
    slot[h] = (uint16_t)++count;
    return &all[count - 1];
}
static void offer(const struct shape *s)
{
    struct insn i;
    if (!shape_build(s, &i, true) || engine_accepts(&i) == !!i.refused)
        return;
    struct form *f = form_find(form_key(&i));
    if (!f->shapes) {
        f->m64 = s->m64;
        f->mnemonic = i.in.mnemonic;
        f->refused = i.refused;
        f->group = i.refused ? G_SYSTEM : group_of(&i);
        f->fp = f->group >= G_X87;
        f->listed = cover_listed(&i, &f->cover);
        form_name(f, &i);
    }
    if (f->shapes < SHAPES)
        f->shape[f->shapes++] = *s;
    else if (rnd() % 8 == 0)
        f->shape[rnd() % SHAPES] = *s;
}

static bool is_prefix(const struct shape *s)
{
    unsigned op = s->opcode;
    if (s->map == 1)
        return op == 0x38 || op == 0x3a;
    if (s->map)
        return false;
    return op == 0x0f || op == 0xf0 || op == 0xf2 || op == 0xf3 || (op >= 0x64 && op <= 0x67) ||
           (op & 0xe7) == 0x26 || (s->m64 && (op & 0xf0) == 0x40) || op == 0xc4 || op == 0xc5;
}
/* Register forms whose r/m field belongs to the opcode. */
static bool rm_counts(const struct shape *s)
{
    if (s->map == 0)
        return s->opcode >= 0xd8 && s->opcode <= 0xdf;
    return s->map == 1 && (s->opcode == 0x01 || s->opcode == 0xae || s->opcode == 0xc7 || s->opcode == 0x1e);
}
static void shapes_modrm(struct shape s)
{
    for (unsigned k = 0; k < 16; k++) {
        s.reg = k & 7;
        s.reg_form = k >> 3;
        bool each = !s.vex && s.reg_form && rm_counts(&s);
        for (unsigned rm = 0; rm < (each ? 8u : 2u); rm++) {
            s.rm = each ? (uint8_t)rm : 8;
            offer(&s);
        }
    }
}
static void walk(bool m64)
{
    struct shape s = {.m64 = m64};
    for (unsigned k = 0; k < 4 * 256 * 9 * 2; k++) {
        s.opcode = (uint8_t)k;
        s.map = k >> 8 & 3;
        s.w = k >> 10 & 1;
        s.prefix = (uint8_t)(k >> 11);
        if (!is_prefix(&s) && (m64 || !s.w))
            shapes_modrm(s);
    }
    s = (struct shape){.m64 = m64, .vex = true};
    for (unsigned k = 0; k < 3 * 256 * 16; k++) {
        s.opcode = (uint8_t)k;
        s.pp = k >> 8 & 3;
        s.w = k >> 10 & 1;
        s.l = k >> 11 & 1;
        s.map = (uint8_t)(1 + (k >> 12));
        shapes_modrm(s);
    }
}
struct form *forms_all(unsigned *n)
{
    decoders_init();
    all = calloc(MAX_FORMS, sizeof(*all));
    if (!all)
        exit(1);
    for (unsigned m64 = 0; m64 < 2; m64++) {
        engine_mode(m64);
        walk(m64);
    }
    *n = count;
    return all;
}
