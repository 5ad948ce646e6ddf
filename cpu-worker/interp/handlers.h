/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of handlers the pre-decoder picks from. Size index: 0 = 8 bits, 1 = 16, 2 = 32, 3 = 64.
 * Owns names only.
 */
#ifndef BULKHEAD_CPU_WORKER_INTERP_HANDLERS_H
#define BULKHEAD_CPU_WORKER_INTERP_HANDLERS_H

#include "cpu-worker/run/op.h"

enum alu_op { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP, ALU_TEST, ALU_N };
enum alu_form { FORM_RR, FORM_RI, FORM_RM, FORM_MR, FORM_MI, FORM_LMR, FORM_LMI, FORM_N };
extern const op_fn alu_table[ALU_N][FORM_N][4];

enum un_op { UN_INC, UN_DEC, UN_NEG, UN_NOT, UN_N };
extern const op_fn unary_table[UN_N][3][4]; /* form: 0 register, 1 memory, 2 locked memory */

enum sh_op { SH_ROL, SH_ROR, SH_RCL, SH_RCR, SH_SHL, SH_SHR, SH_SAR, SH_N };
extern const op_fn shift_table[SH_N][4][4]; /* form: 0 r,imm 1 r,cl 2 m,imm 3 m,cl */
extern const op_fn shld_table[2][4][4];     /* SHLD, SHRD; same forms; src = register */

extern const op_fn mov_rr[4], mov_ri[4], mov_rm[4], mov_mr[4], mov_mi[4];
extern const op_fn movzx_r[2][4], movzx_m[2][4], movsx_r[3][4], movsx_m[3][4]; /* [source][dest] */
extern const op_fn lea_table[4];
extern const op_fn cmov_r[3][16], cmov_m[3][16]; /* 16, 32, 64 */
extern const op_fn setcc_r[16], setcc_m[16];
extern const op_fn xchg_rr[4], xchg_mr[4];
extern const op_fn xadd_rr[4], xadd_mr[4];       /* memory forms are always atomic */
extern const op_fn cmpxchg_rr[4], cmpxchg_mr[4];
extern const op_fn bt_r_table[4][2][4];          /* BT BTS BTR BTC; form: reg, imm index; register dest */
extern const op_fn bt_m_table[4][2][4];          /* memory dest, atomic */
extern const op_fn scan_r[5][4], scan_m[5][4];   /* BSF BSR TZCNT LZCNT POPCNT, (16, 32, 64) */
enum bmi_op { BMI_ANDN, BMI_BEXTR, BMI_BLSI, BMI_BLSMSK, BMI_BLSR, BMI_BZHI, BMI_PDEP, BMI_PEXT, BMI_SARX,
              BMI_SHLX, BMI_SHRX, BMI_ADCX, BMI_ADOX, BMI_MULX, BMI_RORX, BMI_N };
extern const op_fn bmi_table[BMI_N][2][2]; /* r/m is memory; 64 bits */
extern const op_fn bswap_table[4], movbe_ld[4], movbe_st[4];
/* MUL IMUL DIV IDIV on (r)AX/(r)DX; first index host_mul_keeps_flags */
extern const op_fn mul_r[2][4][4], mul_m[2][4][4];
extern const op_fn imul2_rr[2][4], imul2_rm[2][4], imul3_rr[2][4], imul3_rm[2][4];
extern const op_fn jcc_table[16];
extern const op_fn loop_table[4]; /* LOOPNE LOOPE LOOP JCXZ; aux = address size in bits */

const struct op *op_nop(struct cpu *c, const struct op *o);
const struct op *op_ud(struct cpu *c, const struct op *o);
const struct op *op_goto_next(struct cpu *c, const struct op *o);
const struct op *op_jmp_rel(struct cpu *c, const struct op *o);
const struct op *op_resync(struct cpu *c, const struct op *o);
const struct op *op_dead(struct cpu *c, const struct op *o);

/* branch.c, stack.c: 64-bit fast forms and general ones (aux = operand size in bits) */
#define H(name) const struct op *name(struct cpu *c, const struct op *o);
H(op_call_rel64) H(op_call_r64) H(op_call_m64) H(op_call_r64_early) H(op_call_m64_early) H(op_jmp_r64) H(op_jmp_m64) H(op_ret64) H(op_ret64_imm)
H(op_call_rel) H(op_call_r) H(op_call_m) H(op_jmp_r) H(op_jmp_m) H(op_ret) H(op_ret_imm)
H(op_push_r64) H(op_push_i64) H(op_push_m64) H(op_pop_r64) H(op_leave64)
H(op_push_r) H(op_push_i) H(op_push_m) H(op_pop_r) H(op_pop_m) H(op_leave) H(op_enter)
H(op_push_seg) H(op_pop_seg) H(op_pusha) H(op_popa) H(op_pushf) H(op_popf)
/* flags and conversions */
H(op_cbw) H(op_cwde) H(op_cdqe) H(op_cwd) H(op_cdq) H(op_cqo) H(op_lahf) H(op_sahf) H(op_clc) H(op_stc)
H(op_cmc) H(op_cld) H(op_std) H(op_xlat) H(op_daa) H(op_das) H(op_aaa) H(op_aas) H(op_aam) H(op_aad)
H(op_movabs_ld) H(op_movabs_st) H(op_bound) H(op_salc) H(op_cmpxchg8b) H(op_cmpxchg16b) H(op_rdrand) H(op_rdseed)
/* string.c: aux = element size index, aux2 bit 0 REP/REPE, bit 1 REPNE; addr size in dst (bits) */
H(op_movs) H(op_stos) H(op_lods) H(op_scas) H(op_cmps) H(op_ins) H(op_outs)
/* system.c, segment.c, far.c */
H(op_serialize) H(op_in_i) H(op_in_dx) H(op_out_i) H(op_out_dx) H(op_hlt) H(op_cli) H(op_sti) H(op_cpuid) H(op_rdtsc)
H(op_xgetbv) H(op_xsetbv) H(op_rsm)
H(op_rdtscp) H(op_rdpid) H(op_rdmsr) H(op_wrmsr) H(op_rdpmc) H(op_mov_cr_r) H(op_mov_r_cr) H(op_mov_dr_r)
H(op_mov_r_dr) H(op_clts) H(op_lmsw_r) H(op_lmsw_m) H(op_smsw_r) H(op_smsw_m) H(op_invlpg) H(op_invpcid)
H(op_invd) H(op_stac) H(op_clac) H(op_rdpkru) H(op_wrpkru) H(op_swapgs) H(op_rdfsbase) H(op_wrfsbase) H(op_pause)
H(op_syscall) H(op_sysret) H(op_sysenter) H(op_sysexit) H(op_int) H(op_int3) H(op_int1) H(op_into)
H(op_iret) H(op_lgdt) H(op_lidt) H(op_sgdt) H(op_sidt) H(op_lldt) H(op_ltr) H(op_sldt_r) H(op_sldt_m)
H(op_str_r) H(op_str_m) H(op_lar) H(op_lsl) H(op_verr) H(op_verw) H(op_arpl)
H(op_mov_seg_r) H(op_mov_seg_m) H(op_mov_r_seg) H(op_mov_m_seg) H(op_lxs)
H(op_jmp_far_p) H(op_jmp_far_m) H(op_call_far_p) H(op_call_far_m) H(op_ret_far) H(op_ret_far_imm)
H(op_monitor) H(op_mwait) H(op_clzero) H(op_movdir64b) /* monitor.c */
#undef H

/* monitor.c: MONITOR and MWAIT exist, and IA32_MISC_ENABLE has not switched them off. */
bool monitor_enabled(const struct cpu *c);

/* xcr.c: CPUID leaf 0DH, registers in the order EAX EBX ECX EDX. */
void xcr_cpuid(struct cpu *c, uint32_t sub, uint32_t r[4]);

#endif
