/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SYSCALL, SYSRET, SYSENTER, SYSEXIT and null selectors where AMD's manual and Intel's say different things
 * (APM volume 3; SDM volume 2). Each case runs as both vendors, whatever the host is.
 */
#include "tests/unit/cpu/rig32.h"

#include <unistd.h>

#define ENTRY   (RIG_CODE + 0x800) /* where the kernel is entered */
#define EACH(V) for (unsigned V = ABI_CPU_INTEL; V <= ABI_CPU_AMD; V++)

static const char *const name[] = {[ABI_CPU_INTEL] = "Intel", [ABI_CPU_AMD] = "AMD"};

GUEST(k_stop64, "mov %cs, %ebx; mov %ss, %edx; " STOP);
GUEST(k_stop32, ".code32; mov %cs, %ebx; mov %ss, %edx; " STOP32);
#define ENTRY_CODE(NAME) rig_put(ENTRY, NAME, (unsigned)(NAME##_end - NAME))

static void compat_user(const uint8_t *code, unsigned len)
{
    rig_user(code, len);
    rig.cpu->s->seg[ABI_CS] = (struct abi_segment){.selector = SEL_UCODE32, .attr = 0xc0fb, .limit = ~0u};
    cpu_state_load(rig.cpu);
}
#define LOAD_COMPAT(NAME) compat_user(NAME, (unsigned)(NAME##_end - NAME))

GUEST(u_syscall32, ".code32; syscall; nop");
static void syscall_compat(unsigned vendor)
{
    LOAD_COMPAT(u_syscall32);
    ENTRY_CODE(k_stop64);
    rig.cpu->vendor = vendor;
    rig.cpu->s->star = (uint64_t)SEL_CODE64 << 32;
    rig.cpu->s->cstar = ENTRY;
    rig.cpu->s->sfmask = 0x200;
    int v = rig_run();
    ok(vendor == ABI_CPU_INTEL
           ? v == 6 && rig_stack(0) == RIG_USER
           : v == STOPPED && rig_reg(RCX) == RIG_USER + 2 && rig_reg(11) == 0x202 && rig_reg(RBX) == SEL_CODE64 &&
                 rig_reg(RDX) == SEL_DATA && (rig.cpu->mode & MODE_64) && !(rig.cpu->eflags & 0x200),
       "%s: SYSCALL in compatibility mode (%d)", name[vendor], v);
}
static void syscall_legacy(unsigned vendor)
{
    LOAD32U(u_syscall32);
    ENTRY_CODE(k_stop32);
    rig.cpu->vendor = vendor;
    rig.cpu->s->efer = 1;
    rig.cpu->s->star = (uint64_t)S_CODE << 32 | ENTRY;
    rig.cpu->s->sfmask = ~0ull;
    rig.cpu->eflags |= 0x200;
    rig.cpu->fl |= FL_CF;
    rig.cpu->gpr[11] = 0x77;
    int v = rig_run();
    ok(vendor == ABI_CPU_INTEL
           ? v == 6
           : v == STOPPED && rig_reg(RCX) == RIG_CODE + 2 && rig_reg(11) == 0x77 && rig_reg(RBX) == S_CODE &&
                 rig_reg(RDX) == S_DATA && (cpu_rflags(rig.cpu) & 0x201) == 1,
       "%s: SYSCALL in legacy mode: STAR[31:0], no R11, no SFMASK (%d)", name[vendor], v);
    LOAD32U(u_syscall32);
    rig.cpu->vendor = vendor;
    v = rig_run();
    ok(v == 6, "%s: ... without EFER.SCE: #UD (%d)", name[vendor], v);
}

GUEST(k_sysret32, ".code32; mov $0x400000, %ecx; sysret");
GUEST(u_int32, ".code32; mov %ss, %edx; mov %cs, %ebx; int $0x80");
static void sysret_legacy(unsigned vendor)
{
    LOAD32(k_sysret32);
    rig_put(RIG_USER, u_int32, (unsigned)(u_int32_end - u_int32));
    rig.cpu->vendor = vendor;
    rig.cpu->s->efer = 1;
    rig.cpu->s->star = (uint64_t)(S_UCODE & ~3) << 48;
    rig.cpu->gpr[11] = 1;
    int v = rig_run();
    ok(vendor == ABI_CPU_INTEL ? v == 6 && rig32_stack(0) == RIG_CODE + 5
                               : v == 0x80 && rig_reg(RBX) == S_UCODE && rig_reg(RDX) == S_UDATA &&
                                     (rig32_stack(2) & 0x201) == 0x200 && rig32_stack(3) == RIG_STACK,
       "%s: SYSRET in legacy mode: ring 3 with IF set, R11 not loaded (%d)", name[vendor], v);
    LOAD32U(k_sysret32);
    rig.cpu->vendor = vendor;
    rig.cpu->s->efer = 1;
    v = rig_run();
    ok(v == (vendor == ABI_CPU_AMD ? 13 : 6), "%s: ... in ring 3 (%d)", name[vendor], v);
}

GUEST(k_sysretq, "sysretq");
GUEST(k_null_ss, "xor %eax, %eax; mov %ax, %ss; sysretl");
GUEST(u_push32, ".code32; push %eax; int $0x80");
GUEST(u_ud32, ".code32; ud2");
static void sysret_long(unsigned vendor)
{
    LOAD(k_sysretq);
    rig.cpu->vendor = vendor;
    rig.cpu->s->star = 0x20ull << 48;
    rig.cpu->gpr[RCX] = 0x800000000000;
    rig.cpu->gpr[11] = 2;
    int v = rig_run();
    uint64_t cs = rig_stack(2), rip = rig_stack(1);
    ok(v == 13 && rig_stack(0) == 0 &&
           (vendor == ABI_CPU_AMD ? cs == SEL_UCODE64 && rip == 0x800000000000 : cs == SEL_CODE64 && rip == RIG_CODE),
       "%s: SYSRET to a non-canonical address: #GP in ring %s (%d)", name[vendor],
       vendor == ABI_CPU_AMD ? "3" : "0", v);
    LOAD(k_null_ss);
    rig_put(RIG_USER, u_push32, (unsigned)(u_push32_end - u_push32));
    rig.cpu->vendor = vendor;
    rig.cpu->s->star = 0x20ull << 48;
    rig.cpu->gpr[RCX] = RIG_USER;
    rig.cpu->gpr[RSP] = RIG_USER + 0x1000;
    rig.cpu->gpr[11] = 2;
    rig_ist(12, 1);
    v = rig_run();
    ok(v == (vendor == ABI_CPU_AMD ? 12 : 0x80), "%s: SYSRET %s SS (%d)", name[vendor],
       vendor == ABI_CPU_AMD ? "keeps the attributes of a null" : "makes a usable", v);
    LOAD(k_null_ss);
    rig_put(RIG_USER, u_ud32, (unsigned)(u_ud32_end - u_ud32));
    rig.cpu->vendor = vendor;
    rig.cpu->s->star = 0x20ull << 48;
    rig.cpu->gpr[RCX] = RIG_USER;
    rig.cpu->s->idtr.limit = 0;
    v = bare_run(&rig);
    cpu_state_load(rig.cpu);
    ok(v == CPU_EXIT_TRIPLE_FAULT && rig.cpu->cpl == 3, "%s: ... and the saved state is that of ring 3 (%d)",
       name[vendor], v);
}

GUEST(u_sysenter, "sysenter; nop");
GUEST(u_sysenter32, ".code32; sysenter; nop");
GUEST(k_sysexit, "sysexitq");
static void sysenter_long(unsigned vendor)
{
    for (unsigned compat = 0; compat < 2; compat++) {
        if (compat)
            LOAD_COMPAT(u_sysenter32);
        else
            LOAD_USER(u_sysenter);
        ENTRY_CODE(k_stop64);
        rig.cpu->vendor = vendor;
        rig.cpu->s->sysenter_cs = SEL_CODE64;
        rig.cpu->s->sysenter_eip = ENTRY;
        rig.cpu->s->sysenter_esp = RIG_STACK;
        int v = rig_run();
        ok(vendor == ABI_CPU_AMD ? v == 6 : v == STOPPED && rig_reg(RBX) == SEL_CODE64 && rig_reg(RSP) == RIG_STACK,
           "%s: SYSENTER in %s mode (%d)", name[vendor], compat ? "compatibility" : "64-bit", v);
    }
    LOAD(k_sysexit);
    rig.cpu->vendor = vendor;
    int v = rig_run();
    ok(v == (vendor == ABI_CPU_AMD ? 6 : 13), "%s: SYSEXIT in 64-bit mode, no SYSENTER_CS (%d)", name[vendor], v);
    LOAD_USER(k_sysexit);
    rig.cpu->vendor = vendor;
    v = rig_run();
    ok(v == 13, "%s: ... in ring 3: #GP before anything else (%d)", name[vendor], v);
}
static void sysenter_legacy(unsigned vendor)
{
    LOAD32U(u_sysenter32);
    ENTRY_CODE(k_stop32);
    rig.cpu->vendor = vendor;
    rig.cpu->s->sysenter_cs = S_CODE;
    rig.cpu->s->sysenter_eip = ENTRY;
    rig.cpu->s->sysenter_esp = RIG_STACK;
    int v = rig_run();
    ok(v == STOPPED && rig_reg(RBX) == S_CODE && rig_reg(RDX) == S_DATA, "%s: SYSENTER in legacy mode (%d)",
       name[vendor], v);
    LOAD32(u_sysenter32);
    rig.cpu->vendor = vendor;
    rig.cpu->s->cr0 = 0x10;
    rig.cpu->s->seg[ABI_CS].attr &= ~(uint32_t)ABI_SEG_DB;
    rig.cpu->s->sysenter_cs = S_CODE;
    rig.cpu->s->idtr.base = 0x40000;
    rig_put(0x40000 + 4 * 13, "\0\0\0\x50", 4);
    rig_put(0x50000, "\x0f\x01\x1e\0\x06\x0f\x0b", 7); /* lidt 0x600; ud2 */
    cpu_state_load(rig.cpu);
    v = bare_run(&rig);
    ok(v == CPU_EXIT_TRIPLE_FAULT && rig.cpu->s->seg[ABI_CS].selector == 0x5000, "%s: SYSENTER in real mode: #GP",
       name[vendor]);
}

GUEST(k_null_fs, "xor %eax, %eax; mov %eax, %fs; mov %fs:0x10, %ebx; " STOP);
static void null_base(unsigned vendor, bool announced)
{
    LOAD(k_null_fs);
    rig.cpu->vendor = vendor;
    uint32_t was = rig.cpu->feat[CPUW_X21_EAX];
    rig.cpu->feat[CPUW_X21_EAX] = announced ? was | 1u << 6 : was & ~(1u << 6);
    rig.cpu->s->seg[ABI_FS].base = 0x20000;
    rig_put(0x10, "\1\0\0\0", 4);
    rig_put(0x20010, "\2\0\0\0", 4);
    cpu_state_load(rig.cpu);
    int v = rig_run();
    rig.cpu->feat[CPUW_X21_EAX] = was;
    bool keeps = vendor == ABI_CPU_AMD && !announced;
    ok(v == STOPPED && rig_reg(RBX) == (keeps ? 2u : 1u), "%s: a null selector %s the base%s (%d)", name[vendor],
       keeps ? "keeps" : "clears", announced ? ", as CPUID says" : "", v);
}

int main(void)
{
    alarm(30);
    EACH(v) {
        syscall_compat(v);
        syscall_legacy(v);
        sysret_legacy(v);
        sysret_long(v);
        sysenter_long(v);
        sysenter_legacy(v);
        null_base(v, false);
    }
    null_base(ABI_CPU_AMD, true);
    return ctest_done();
}
