/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the worker's C code and translated code (ipc/abi/xl.h says who keeps what in which register). gs points
 * at the vCPU. Owns the switch of register sets; must never change what the guest can see of its own.
 */
#define GPR(n)    %gs:(8 * (n))
#define FL        %gs:144
#define RIP       %gs:232
#define PGBASE    %gs:248
#define SIMD_DEAD %gs:296
#define STATE     %gs:528 /* struct cpu's s; run/xl.c checks these numbers */
#define STATE_MXCSR 992
#define STATE_YMM   1216
#define HOW_POLL 1
#define HOW_LINK 2
#define HOW_JUMP 3

    .section .note.GNU-stack, "", @progbits
    .section .rodata
    .balign 4
host_mxcsr:
    .long 0x1f80
    .text

/* rcx = vCPU state. The guest's vector registers and MXCSR between the host's and memory. What the worker's own
 * code raised in the guest's name since the load of the controls is in the host's flags (helpers/simd-mxcsr.c). */
    .macro simd_save
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vmovaps %ymm\n, STATE_YMM + 32 * \n(%rcx)
    .endr
    vzeroupper
    stmxcsr STATE_MXCSR(%rcx)
    ldmxcsr host_mxcsr(%rip)
    .endm
    .macro simd_load
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vmovaps STATE_YMM + 32 * \n(%rcx), %ymm\n
    .endr
    ldmxcsr STATE_MXCSR(%rcx)
    .endm
    .macro flags_push
    push %rax
    seto %al
    lahf
    push %rax
    .endm
    .macro flags_pop
    pop %rax
    add $0x7f, %al /* OF where SETO said so */
    sahf
    pop %rax
    .endm

/* uint64_t xl_stub_enter(struct cpu *c, const uint8_t *code): how it came back. Low byte 0: LEAVE, reason in the
 * next byte; 1: POLL; 2: LINK, slot number in the high half; 3: JUMP. The guest's registers are then in the frame, and
 * its address in RIP but for LINK. */
    .globl xl_stub_enter
    .hidden xl_stub_enter
    .type xl_stub_enter, @function
    .balign 32
xl_stub_enter:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    sub $8, %rsp
    mov %rsi, %r10
    movzwl FL, %eax
    add $0x7f, %al
    sahf
    mov GPR(0), %rax
    mov GPR(1), %r8
    mov GPR(2), %rdx
    mov GPR(3), %rbx
    mov GPR(4), %r11
    mov GPR(5), %rbp
    mov GPR(6), %rsi
    mov GPR(7), %rdi
    mov GPR(12), %r12
    mov GPR(13), %r13
    mov GPR(14), %r14
    mov GPR(15), %r15
    jmp *%r10
    .size xl_stub_enter, . - xl_stub_enter

    .macro guest_save
    mov %rax, GPR(0)
    seto %al
    lahf
    mov %ax, FL
    mov %r8, GPR(1)
    mov %rdx, GPR(2)
    mov %rbx, GPR(3)
    mov %r11, GPR(4)
    mov %rbp, GPR(5)
    mov %rsi, GPR(6)
    mov %rdi, GPR(7)
    mov %r12, GPR(12)
    mov %r13, GPR(13)
    mov %r14, GPR(14)
    mov %r15, GPR(15)
    .endm

    .globl xl_stub_leave, xl_stub_poll, xl_stub_link, xl_stub_jump
    .hidden xl_stub_leave, xl_stub_poll, xl_stub_link, xl_stub_jump
    .balign 32
xl_stub_leave: /* ecx = offset from pgbase, r10d = why */
    guest_save
    movslq %ecx, %rcx
    add PGBASE, %rcx
    mov %rcx, RIP
    movzbl %r10b, %eax
    shl $8, %eax
    jmp back
    .balign 32
xl_stub_poll: /* ecx = offset from pgbase */
    guest_save
    movslq %ecx, %rcx
    add PGBASE, %rcx
    mov %rcx, RIP
    mov $HOW_POLL, %eax
    jmp back
    .balign 32
xl_stub_jump: /* r9 = the next address */
    guest_save
    mov %r9, RIP
    mov $HOW_JUMP, %eax
    jmp back
    .balign 32
xl_stub_link: /* ecx = slot */
    guest_save
    mov %ecx, %eax
    shl $32, %rax
    or $HOW_LINK, %rax
back:
    cmpq $0, SIMD_DEAD
    je 2f
1:
    add $8, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
2:
    mov STATE, %rcx
    simd_save
    movq $1, SIMD_DEAD
    jmp 1b

/* Loads the vector registers; keeps everything but rcx. */
    .globl xl_stub_simd
    .hidden xl_stub_simd
    .balign 32
xl_stub_simd:
    flags_push
    push %rcx
    stmxcsr (%rsp)
    mov STATE, %rcx
    mov (%rsp), %eax
    and $0x3f, %eax
    or %eax, STATE_MXCSR(%rcx)
    simd_load
    movq $0, SIMD_DEAD
    pop %rcx
    flags_pop
    ret

/* r9 = linear address, ecx = what; rcx = 0: filled. Keeps everything but rcx and r9. The stack is off by 8. */
    .globl xl_stub_miss
    .hidden xl_stub_miss
    .balign 32
xl_stub_miss:
    flags_push
    push %rdx
    push %rsi
    push %rdi
    push %r8
    push %r10
    push %r11
    sub $8, %rsp
    cmpq $0, SIMD_DEAD
    jne 1f
    mov %ecx, %edx
    mov STATE, %rcx
    simd_save
    mov %edx, %ecx
1:
    rdgsbase %rdi
    mov %r9, %rsi
    mov %ecx, %edx
    call xl_miss
    mov %rax, %r9
    cmpq $0, SIMD_DEAD
    jne 1f
    mov STATE, %rcx
    simd_load
1:
    mov %r9, %rcx
    add $8, %rsp
    pop %r11
    pop %r10
    pop %r8
    pop %rdi
    pop %rsi
    pop %rdx
    flags_pop
    ret
