/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pre-decoding of system instructions, segment registers and port I/O. Almost all of them end the block,
 * because what follows may have to be looked at in another mode.
 */
#include "cpu-worker/interp/decode.h"
#include "cpu-worker/interp/handlers.h"

#define M(x) ZYDIS_MNEMONIC_##x

static bool seg_reg(const ZydisDecodedOperand *p)
{
    return is_reg(p) && p->reg.value >= ZYDIS_REGISTER_ES && p->reg.value <= ZYDIS_REGISTER_GS;
}
static bool cr_reg(const ZydisDecodedOperand *p)
{
    return is_reg(p) && p->reg.value >= ZYDIS_REGISTER_CR0 && p->reg.value <= ZYDIS_REGISTER_CR15;
}
static bool dr_reg(const ZydisDecodedOperand *p)
{
    return is_reg(p) && p->reg.value >= ZYDIS_REGISTER_DR0 && p->reg.value <= ZYDIS_REGISTER_DR15;
}
static bool cr_exists(unsigned n)
{
    return n == 0 || n == 2 || n == 3 || n == 4 || n == 8;
}

static bool mov_system(struct decoding *d, bool *end)
{
    struct op *o = d->o;
    const ZydisDecodedOperand *a = &d->ops[0], *b = &d->ops[1];
    *end = true;
    if (seg_reg(a)) {
        o->dst = decode_seg(a->reg.value);
        o->src = is_reg(b) ? decode_gpr(b->reg.value) : 0;
        o->fn = o->dst == ABI_CS ? op_ud : is_reg(b) ? op_mov_seg_r : op_mov_seg_m;
    } else if (seg_reg(b)) {
        *end = false;
        o->src = decode_seg(b->reg.value);
        o->dst = is_reg(a) ? decode_gpr(a->reg.value) : 0;
        o->aux = a->size;
        o->fn = is_reg(a) ? op_mov_r_seg : op_mov_m_seg;
    } else if (cr_reg(a)) {
        o->dst = (uint8_t)(a->reg.value - ZYDIS_REGISTER_CR0);
        o->src = decode_gpr(b->reg.value);
        o->fn = cr_exists(o->dst) ? op_mov_cr_r : op_ud;
    } else if (cr_reg(b)) {
        *end = false;
        o->dst = decode_gpr(a->reg.value);
        o->src = (uint8_t)(b->reg.value - ZYDIS_REGISTER_CR0);
        o->fn = cr_exists(o->src) ? op_mov_r_cr : op_ud;
    } else if (dr_reg(a)) {
        o->dst = (uint8_t)(a->reg.value - ZYDIS_REGISTER_DR0);
        o->src = decode_gpr(b->reg.value);
        o->fn = o->dst < 8 ? op_mov_dr_r : op_ud;
    } else if (dr_reg(b)) {
        *end = false;
        o->dst = decode_gpr(a->reg.value);
        o->src = (uint8_t)(b->reg.value - ZYDIS_REGISTER_DR0);
        o->fn = o->src < 8 ? op_mov_r_dr : op_ud;
    } else {
        return false;
    }
    return true;
}

/* IN and OUT: the accumulator's size, and the port in an immediate or in DX. */
static void port_io(struct decoding *d, bool in)
{
    const ZydisDecodedOperand *acc = &d->ops[in ? 0 : 1], *port = &d->ops[in ? 1 : 0];
    bool imm = is_imm(port);
    if (imm)
        d->o->imm = port->imm.value.u & 0xff;
    d->o->aux = acc->size / 8;
    d->o->fn = in ? (imm ? op_in_i : op_in_dx) : (imm ? op_out_i : op_out_dx);
}
/* A register-or-memory operand in which 0xff stands for memory. */
static void src_rm(struct decoding *d, unsigned i)
{
    d->o->src = is_reg(&d->ops[i]) ? decode_gpr(d->ops[i].reg.value) : 0xff;
}
static void store_sel(struct decoding *d, op_fn r, op_fn m)
{
    d->o->aux = d->ops[0].size;
    if (is_reg(&d->ops[0]))
        d->o->dst = decode_gpr(d->ops[0].reg.value);
    d->o->fn = is_reg(&d->ops[0]) ? r : m;
}
static void load_far(struct decoding *d, unsigned seg)
{
    d->o->dst = decode_gpr(d->ops[0].reg.value);
    d->o->src = (uint8_t)seg;
    d->o->aux = d->ops[0].size;
    d->o->fn = op_lxs;
}
static void fsgs_base(struct decoding *d, unsigned seg, bool write)
{
    d->o->dst = decode_gpr(d->ops[0].reg.value);
    d->o->aux = d->ops[0].size;
    d->o->aux2 = seg;
    d->o->fn = write ? op_wrfsbase : op_rdfsbase;
}

/* Zydis tells no segment for these: the last of the prefixes, of which 64-bit mode knows FS and GS. */
static uint8_t prefix_segment(const struct decoding *d)
{
    static const uint8_t byte[ABI_GS + 1] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};
    uint8_t seg = d->m64 ? ABI_SEG_FLAT : ABI_DS;
    for (unsigned i = 0; i < d->in->raw.prefix_count; i++)
        for (uint8_t s = d->m64 ? ABI_FS : ABI_ES; s <= ABI_GS; s++)
            if (d->in->raw.prefixes[i].value == byte[s])
                seg = s;
    return seg;
}
/* The line at rAX, in DS or the segment of a prefix. */
static void implicit_line(struct decoding *d, op_fn fn, bool extended)
{
    d->o->base = REG_RAX;
    d->o->seg = prefix_segment(d);
    d->o->ea = d->m64 ? (d->in->address_width == 32 ? EA_32 : 0)
                      : EA_LEGACY | (d->in->address_width == 16 ? EA_16 : EA_32) | (d->o->seg == ABI_SS ? EA_STACK : 0);
    d->o->aux2 = extended;
    d->o->fn = fn;
}

/* Those that leave mode and translation alone: the block may go on. */
static bool harmless(struct decoding *d)
{
    struct op *o = d->o;
    switch (d->in->mnemonic) {
    case M(CLI): o->fn = op_cli; break;
    case M(STI): o->fn = op_sti; break;
    case M(RDTSC): o->fn = op_rdtsc; break;
    case M(RDTSCP): o->fn = op_rdtscp; break;
    case M(RDPID):
        o->dst = decode_gpr(d->ops[0].reg.value);
        o->fn = op_rdpid;
        break;
    case M(XGETBV): o->fn = op_xgetbv; break;
    case M(SGDT): o->fn = op_sgdt; break;
    case M(SIDT): o->fn = op_sidt; break;
    case M(SLDT): store_sel(d, op_sldt_r, op_sldt_m); break;
    case M(STR): store_sel(d, op_str_r, op_str_m); break;
    case M(SMSW): store_sel(d, op_smsw_r, op_smsw_m); break;
    case M(VERR): src_rm(d, 0); o->fn = op_verr; break;
    case M(VERW): src_rm(d, 0); o->fn = op_verw; break;
    case M(LAR):
    case M(LSL):
        o->dst = decode_gpr(d->ops[0].reg.value);
        o->aux = d->ops[0].size;
        src_rm(d, 1);
        o->fn = d->in->mnemonic == M(LAR) ? op_lar : op_lsl;
        break;
    case M(ARPL):
        o->dst = is_reg(&d->ops[0]) ? decode_gpr(d->ops[0].reg.value) : 0xff;
        o->src = decode_gpr(d->ops[1].reg.value);
        o->fn = op_arpl;
        break;
    case M(SWAPGS): o->fn = op_swapgs; break;
    case M(STAC): o->fn = op_stac; break;
    case M(CLAC): o->fn = op_clac; break;
    case M(RDPKRU): o->fn = op_rdpkru; break;
    case M(WRPKRU): o->fn = op_wrpkru; break;
    case M(RDFSBASE): fsgs_base(d, ABI_FS, false); break;
    case M(RDGSBASE): fsgs_base(d, ABI_GS, false); break;
    case M(WRFSBASE): fsgs_base(d, ABI_FS, true); break;
    case M(WRGSBASE): fsgs_base(d, ABI_GS, true); break;
    default: return false;
    }
    return true;
}

bool decode_system(struct decoding *d, bool *end)
{
    struct op *o = d->o;
    *end = false;
    if (d->in->mnemonic == M(MOV))
        return mov_system(d, end);
    if (harmless(d))
        return true;
    *end = true;
    switch (d->in->mnemonic) {
    /* Serialising: what other vCPUs stored before is decoded again after them (SDM volume 3, 8.1.3, 8.3). */
    case M(CPUID): o->fn = op_cpuid; break;
    case M(LGDT): o->aux = d->in->operand_width; o->fn = op_lgdt; break;
    case M(LIDT): o->aux = d->in->operand_width; o->fn = op_lidt; break;
    case M(LLDT): src_rm(d, 0); o->fn = op_lldt; break;
    case M(LTR): src_rm(d, 0); o->fn = op_ltr; break;
    case M(INVD):
    case M(WBINVD): o->fn = op_invd; break;
    case M(IN): port_io(d, true); break;
    case M(OUT): port_io(d, false); break;
    case M(HLT): o->fn = op_hlt; break;
    case M(RDPMC): o->fn = op_rdpmc; break;
    case M(RSM): o->fn = op_rsm; break;
    case M(MONITOR):
    case M(MONITORX): implicit_line(d, op_monitor, d->in->mnemonic == M(MONITORX)); break;
    case M(CLZERO): implicit_line(d, op_clzero, false); break;
    case M(MWAIT):
    case M(MWAITX):
        o->aux2 = d->in->mnemonic == M(MWAITX);
        o->fn = op_mwait;
        break;
    case M(SERIALIZE): o->fn = op_serialize; break;
    case M(XSETBV): o->fn = op_xsetbv; break;
    case M(RDMSR): o->fn = op_rdmsr; break;
    case M(WRMSR): o->fn = op_wrmsr; break;
    case M(CLTS): o->fn = op_clts; break;
    case M(LMSW):
        src_rm(d, 0);
        o->fn = is_reg(&d->ops[0]) ? op_lmsw_r : op_lmsw_m;
        break;
    case M(INVLPG): o->fn = op_invlpg; break;
    case M(INVPCID):
        o->dst = decode_gpr(d->ops[0].reg.value);
        o->fn = op_invpcid;
        break;
    case M(LDS): load_far(d, ABI_DS); break;
    case M(LES): load_far(d, ABI_ES); break;
    case M(LFS): load_far(d, ABI_FS); break;
    case M(LGS): load_far(d, ABI_GS); break;
    case M(LSS): load_far(d, ABI_SS); break;
    case M(UD0):
    case M(UD1):
    case M(UD2): o->fn = op_ud; break;
    default:
        *end = false;
        return false;
    }
    return true;
}
