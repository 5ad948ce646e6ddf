/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Code that changes: by the running block, by another alias, by the stack, by a device, and by the
 * page tables. The rule of the processor is that a store to the linear address about to be executed
 * is seen by the next instruction (SDM volume 3, 11.6), and a device's write after a completion.
 */
#include "tests/unit/cpu/rig.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

GUEST(g_next, "lea 1f+1(%rip), %rdi; movb $7, (%rdi); 1: mov $1, %eax; " STOP);
GUEST(g_next_rmw, "lea 1f+1(%rip), %rdi; lock addb $6, (%rdi); 1: mov $1, %eax; " STOP);
GUEST(g_next_sse, "lea 1f+1(%rip), %rdi; mov $7, %ecx; movd %ecx, %xmm0; movd %xmm0, (%rdi)\n"
                  "1: mov $1, %eax; " STOP);
GUEST(g_loop,
      "xor %ebx, %ebx; mov $5, %ecx; lea 1f+1(%rip), %rdi; 1: mov $1, %eax; add %eax, %ebx\n"
      "incb (%rdi); dec %ecx; jnz 1b; " STOP);
GUEST(g_later,
      "lea 1f+1(%rip), %rdi; mov $3, %ecx; 2: call 1f; movb $9, (%rdi); dec %ecx; jnz 2b; jmp 3f\n"
      ".balign 64; 1: mov $1, %eax; ret; 3: " STOP);
GUEST(g_rep,
      "lea 2f(%rip), %rsi; lea 1f(%rip), %rdi; mov $5, %ecx; rep movsb; 1: mov $1, %eax; " STOP
      "2: mov $7, %eax");
/* The immediate of an instruction that begins at the last bytes of a page is in the next page. */
GUEST(g_straddle, "mov $0x101000, %edi; mov $4, %ecx; xor %ebx, %ebx; jmp 1f; .org "
                  "g_straddle+4094; 1: mov $1, %eax\n"
                  "add %eax, %ebx; incb (%rdi); dec %ecx; jnz 1b; " STOP);
GUEST(g_straddle2, "lea 1f+1(%rip), %rdi; mov $4, %ecx; xor %ebx, %ebx; jmp 1f; .org "
                   "g_straddle2+4094; 1: mov $1, %eax\n"
                   "add %eax, %ebx; incb -0(%rdi); dec %ecx; jnz 1b; " STOP);
GUEST(g_stack, "lea 1f+8+1(%rip), %rsp; mov $0x9090909004030201, %rax; push %rax\n"
               "1: mov $0x11223344, %ebx; nop; nop; nop; nop; " STOP);
GUEST(g_call, "lea 1f+2+8(%rip), %rsp; call 2f; 2: jmp 1f; .balign 64; 1: movabs $-1, %rax; " STOP);
GUEST(
    g_data,
    "lea 1f(%rip), %rdi; mov $1000, %ecx; 2: incl (%rdi); mov (%rdi), %eax; dec %ecx; jnz 2b\n" STOP
    "1: .long 0");

static void expect(const uint8_t *code, const uint8_t *end, unsigned r, uint64_t want,
                   const char *name)
{
    rig_load(code, (unsigned)(end - code));
    rig.cpu->s->cr4 |= 0x200;
    cpu_state_load(rig.cpu);
    int v = rig_run();
    ok(v == STOPPED && same_u64("register", rig_reg(r), want), "%s (%d)", name, v);
}
#define EXPECT(CODE, R, WANT, NAME) expect(CODE, CODE##_end, R, WANT, NAME)
static void own_stores(void)
{
    EXPECT(g_next, RAX, 7, "the next instruction");
    EXPECT(g_next_rmw, RAX, 7, "the next instruction, by a locked add");
    EXPECT(g_next_sse, RAX, 7, "the next instruction, by an SSE store");
    EXPECT(g_loop, RBX, 1 + 2 + 3 + 4 + 5, "an earlier instruction of the same block, in a loop");
    EXPECT(g_later, RAX, 9, "another block of the page");
    EXPECT(g_rep, RAX, 7, "REP MOVSB over the instruction after it");
    EXPECT(g_straddle, RBX, 0x1 + 0x101 + 0x201 + 0x301,
           "the part of an instruction in the next page");
    EXPECT(g_straddle2, RBX, 1 + 2 + 3 + 4, "the part of such an instruction in its first page");
    EXPECT(g_data, RAX, 1000, "data in a page with code");
    LOAD(g_stack);
    int v = rig_run();
    ok(v == STOPPED && same_u64("ebx", rig_reg(RBX), 0x04030201),
       "a push over the next instruction (%d)", v);
    LOAD(g_call);
    v = rig_run();
    ok(v == STOPPED && same_u64("rax", rig_reg(RAX), RIG_CODE + 12),
       "a call's return address as code (%d)", v);
}

/* r8 = an alias of the code page: page 0 of RIG_VA. */
GUEST(g_alias,
      "mov $3, %ecx; lea 1f+1(%rip), %rdi; and $0xfff, %edi; add %rdi, %r8; xor %ebx, %ebx\n"
      "2: call 1f; add %eax, %ebx; incb (%r8); dec %ecx; jnz 2b; jmp 3f\n"
      ".balign 64; 1: mov $1, %eax; ret; 3: " STOP);
GUEST(g_run_alias,
      "lea 1f(%rip), %rdi; mov %edi, %eax; and $0xfff, %eax; add %rax, %r8; mov $3, %ecx\n"
      "xor %ebx, %ebx; 2: call *%r8; add %eax, %ebx; incb 1(%rdi); dec %ecx; jnz 2b; jmp 3f\n"
      ".balign 64; 1: mov $1, %eax; ret; 3: " STOP);
/* An instruction over two linear pages of one frame: r8 = where its first two bytes are. */
GUEST(g_twice, "mov $4, %ecx; xor %ebx, %ebx; call *%r8; " STOP);
GUEST(g_twice_head, "mov $1, %eax"); /* two bytes at the end of the page, three at its start */
GUEST(g_twice_tail, "add %eax, %ebx; incb (%rdi); dec %ecx; jz 1f; jmp *%r8; 1: ret");
/* Two frames with a function each; r9 = the entry of the second. */
GUEST(g_remap, "call *%r8; mov %eax, %ebx; mov %r9, (%r10); invlpg (%r8); call *%r8; " STOP);
GUEST(
    g_remap_cr3,
    "call *%r8; mov %eax, %ebx; mov %r9, (%r10); mov %cr3, %rax; mov %rax, %cr3; call *%r8; " STOP);
GUEST(g_ret1, "mov $1, %eax; ret");
GUEST(g_ret2, "mov $2, %eax; ret");
static void aliases(void)
{
    LOAD(g_alias);
    rig_map(0, RIG_CODE | 3);
    rig.cpu->gpr[8] = RIG_VA;
    ok(rig_run() == STOPPED && same_u64("ebx", rig_reg(RBX), 6),
       "a store through another linear address");
    LOAD(g_run_alias);
    rig_map(0, RIG_CODE | 3);
    rig.cpu->gpr[8] = RIG_VA;
    ok(rig_run() == STOPPED && same_u64("ebx", rig_reg(RBX), 6),
       "execution through another linear address");
    LOAD(g_twice);
    rig_put(0x1000ffe, g_twice_head, 2);
    rig_put(0x1000000, g_twice_head + 2, 3);
    rig_put(0x1000003, g_twice_tail, 16);
    rig_map(0, 0x1000003);
    rig_map(1, 0x1000003);
    rig.cpu->gpr[8] = RIG_VA + 0xffe;
    rig.cpu->gpr[RDI] = RIG_VA + 0x1000;
    ok(rig_run() == STOPPED && same_u64("ebx", rig_reg(RBX), 0x1 + 0x101 + 0x201 + 0x301),
       "an instruction over two linear pages of one frame");
    for (unsigned i = 0; i < 3; i++) {
        if (i == 1)
            LOAD(g_remap_cr3);
        else
            LOAD(g_remap);
        rig_put(0x1000000, g_ret1, 6);
        rig_put(0x1001000, g_ret2, 6);
        rig_map(0, 0x1000003);
        rig.cpu->gpr[8] = RIG_VA;
        rig.cpu->gpr[9] = i == 2 ? 0x1000003 | 1ull << 63 : 0x1001003;
        rig.cpu->gpr[10] = RIG_PT;
        int v = rig_run();
        if (i == 2)
            ok(v == 14 && rig_reg(RBX) == 1 && rig_stack(0) == 0x11, "code that becomes NX");
        else
            ok(v == STOPPED && rig_reg(RBX) == 1 && rig_reg(RAX) == 2,
               "another frame behind the code, %s", i ? "MOV CR3" : "INVLPG");
    }
}

/* A device writes the code of a loop that polls by executing it. */
GUEST(g_poll, "1: call 2f; cmp $2, %eax; jne 1b; " STOP ".org g_poll+4096; 2: mov $1, %eax; ret");
GUEST(g_poll_self, "1: mov $1, %eax; cmp $2, %eax; jne 1b; " STOP);
static void *device(void *arg)
{
    uint64_t off = *(uint64_t *)arg;
    usleep(20000); /* so that the loop is chained; the result does not depend on it */
    *(volatile uint8_t *)(rig.ram + off) = 2;
    abi_codepage_dma_written(rig.cp, RIG_RAM / 4096, off, 1);
    for (int i = 0; i < 500 && !rig.cpu->shutdown; i++)
        usleep(10000);
    rig.cpu->pause_req = 1;
    cpu_kick(rig.cpu);
    return NULL;
}
static void dma(const uint8_t *code, unsigned len, uint64_t at, const char *name)
{
    pthread_t t;
    uint64_t off = RIG_CODE + at;
    rig_load(code, len);
    rig.cpu->pause_req = 0;
    pthread_create(&t, NULL, device, &off);
    int v = rig_run();
    pthread_join(t, NULL);
    ok(v == STOPPED && rig_reg(RAX) == 2, "a device's write: %s", name);
}

int main(void)
{
    alarm(40);
    own_stores();
    aliases();
    dma(g_poll, (unsigned)(g_poll_end - g_poll), 4097, "a page that is called");
    dma(g_poll_self, (unsigned)(g_poll_self_end - g_poll_self), 1, "the loop itself");
    return ctest_done();
}
