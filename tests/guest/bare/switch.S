/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start-up by Multiboot or PVH, entry of a snippet in any mode, and the way back from any vector.
 * Must never decide what is right: it moves state between struct ctx and the processor.
 */
#include "layout.h"

    .section .multiboot, "ax"
    .align 4
    .long 0x1badb002, 3, -(0x1badb002 + 3)

    .section .note.pvh, "a", @note
    .long 4, 4, 18
    .asciz "Xen"
    .long start

    .text
    .code32
    .globl start
start:
    cld
    cli
    movl %eax, boot_magic
    movl %ebx, boot_info
    movl $boot_stack_top, %esp
    /* identity map of 4 GiB in 2 MiB pages; C splits the first one */
    movl $pd, %edi
    movl $0x83, %eax
    movl $2048, %ecx
1:  movl %eax, (%edi)
    movl $0, 4(%edi)
    addl $0x200000, %eax
    addl $8, %edi
    loop 1b
    movl $pdpt + 7, pml4
    movl $pd + 7, pdpt
    movl $pd + 0x1007, pdpt + 8
    movl $pd + 0x2007, pdpt + 16
    movl $pd + 0x3007, pdpt + 24
    movl $0x620, %eax /* PAE, OSFXSR, OSXMMEXCPT */
    movl %eax, %cr4
    movl $pml4, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x901, %eax /* NXE, LME, SCE */
    wrmsr
    movl $0x80010033, %eax /* PG WP NE ET MP PE */
    movl %eax, %cr0
    lgdt boot_gdtr
    ljmp $8, $1f
    .code64
1:  movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $boot_stack_top, %esp
    call kmain
2:  cli
    hlt
    jmp 2b

/* ---- 64-bit and compatibility mode --------------------------------------------------------- */
    .macro LOADGPR64
    mov CTX + 0x00, %rax
    mov CTX + 0x08, %rcx
    mov CTX + 0x10, %rdx
    mov CTX + 0x18, %rbx
    mov CTX + 0x28, %rbp
    mov CTX + 0x30, %rsi
    mov CTX + 0x38, %rdi
    mov CTX + 0x40, %r8
    mov CTX + 0x48, %r9
    mov CTX + 0x50, %r10
    mov CTX + 0x58, %r11
    mov CTX + 0x60, %r12
    mov CTX + 0x68, %r13
    mov CTX + 0x70, %r14
    mov CTX + 0x78, %r15
    .endm

    .macro ENTER
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, CTX + 0xc8
    movl $1, CTX + 0xd0
    .endm

    .globl enter_long
enter_long:
    ENTER
    movw CTX + 0x94, %ds
    movw CTX + 0x96, %es
    movw CTX + 0x98, %fs
    movw CTX + 0x9a, %gs
    movzwl CTX + 0x92, %eax
    push %rax
    push CTX + 0x20
    push CTX + 0x88
    movzwl CTX + 0x90, %eax
    push %rax
    push CTX + 0x80
    LOADGPR64
    iretq

    /* One entry a vector, each 16 bytes: error code (or 0) and vector on the stack. */
    .macro STUBS common
    vec = 0
    .rept 256
    .align 16
    .if !(vec == 8 || (vec >= 10 && vec <= 14) || vec == 17 || vec == 21)
    push $0
    .endif
    push $vec
    jmp \common
    vec = vec + 1
    .endr
    .endm

    .globl stubs64
    .align 16
stubs64:
    STUBS common64

common64:
    cld
    mov %rax, CTX + 0x00
    mov %rcx, CTX + 0x08
    mov %rdx, CTX + 0x10
    mov %rbx, CTX + 0x18
    mov %rbp, CTX + 0x28
    mov %rsi, CTX + 0x30
    mov %rdi, CTX + 0x38
    mov %r8, CTX + 0x40
    mov %r9, CTX + 0x48
    mov %r10, CTX + 0x50
    mov %r11, CTX + 0x58
    mov %r12, CTX + 0x60
    mov %r13, CTX + 0x68
    mov %r14, CTX + 0x70
    mov %r15, CTX + 0x78
    movw %ds, CTX + 0x94
    movw %es, CTX + 0x96
    movw %fs, CTX + 0x98
    movw %gs, CTX + 0x9a
    pop CTX + 0xa0
    pop CTX + 0xa8
    pop CTX + 0x80
    pop %rax
    movw %ax, CTX + 0x90
    pop CTX + 0x88
    pop CTX + 0x20
    pop %rax
    movw %ax, CTX + 0x92
    mov %cr2, %rax
    mov %rax, CTX + 0xb0
leave:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    cmpl $1, CTX + 0xd0
    jne lost
    movl $0, CTX + 0xd0
    mov CTX + 0xc8, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
lost:
    movl $boot_stack_top, %esp
    call guest_lost

/* ---- legacy modes -------------------------------------------------------------------------- */
    .globl enter_legacy
enter_legacy:
    ENTER
    push $SEL_CODE32
    push $legacy32
    lretq
    .code32
legacy32:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $legacy_stack_top, %esp
    movl %cr0, %eax
    andl $0x7fffffff, %eax
    movl %eax, %cr0
    movl $0xc0000080, %ecx
    rdmsr
    andl $~0x100, %eax
    wrmsr
    movl CTX + 0xc0, %eax
    movl %eax, %cr4
    movl CTX + 0xbc, %eax
    movl %eax, %cr3
    cmpl $MODE_REAL, CTX + 0xc4
    je 3f
    lidt legacy_idtr
    movl CTX + 0xb8, %eax
    movl %eax, %cr0
    movl $SEL_TSS32, %eax
    ltr %ax
    cmpl $MODE_VM86, CTX + 0xc4
    jne 1f
    pushl CTX + 0x9a
    pushl CTX + 0x98
    pushl CTX + 0x94
    pushl CTX + 0x96
    pushl CTX + 0x92
    pushl CTX + 0x20
    jmp 2f
1:  testl $3, CTX + 0x90
    jz 4f
    pushl CTX + 0x92
    pushl CTX + 0x20
    jmp 2f
4:  movw CTX + 0x92, %ss
    movl CTX + 0x20, %esp
2:  pushl CTX + 0x88
    pushl CTX + 0x90
    pushl CTX + 0x80
    movw CTX + 0x96, %es
    cmpl $MODE_VM86, CTX + 0xc4
    je 5f
    movw CTX + 0x98, %fs
    movw CTX + 0x9a, %gs
    movw CTX + 0x94, %ds
5:  movl %cs:CTX + 0x08, %ecx
    movl %cs:CTX + 0x10, %edx
    movl %cs:CTX + 0x18, %ebx
    movl %cs:CTX + 0x28, %ebp
    movl %cs:CTX + 0x30, %esi
    movl %cs:CTX + 0x38, %edi
    movl %cs:CTX + 0x00, %eax
    iretl
3:  lidt real_idtr
    ljmp $SEL_CODE16, $LOW

    .globl stubs32
    .align 16
stubs32:
    STUBS common32
common32:
    cld
    pushal
    pushl %ds
    pushl %es
    pushl %fs
    pushl %gs
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %esp, %esi
    movl $RAW, %edi
    movl $23, %ecx
    rep movsl %ss:(%esi), %es:(%edi)
    movl %cr2, %eax
    movl %eax, CTX + 0xb0
    movl %cr0, %eax
    movl %eax, CTX + 0xb8
    .globl back32
back32:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $legacy_stack_top, %esp
    movl %cr0, %eax
    andl $0x7fffffff, %eax
    movl %eax, %cr0
    movl long_cr4, %eax
    movl %eax, %cr4
    movl long_root, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x901, %eax
    wrmsr
    movl $0x80010033, %eax
    movl %eax, %cr0
    ljmp $8, $1f
    .code64
1:  lidt long_idtr
    movb $0x89, GDT + SEL_TSS64 + 5
    movb $0x89, GDT + SEL_TSS32 + 5
    movl $SEL_TSS64, %eax
    ltr %ax
    jmp leave

/* ---- copied to LOW: real mode -------------------------------------------------------------- */
    .globl low_start, low_end
    .code16
low_start:
    movw $SEL_DATA16, %ax
    cmpl $0, %cs:CTX + 0xd4 /* unreal: data segments keep 4 GiB */
    je 1f
    movw $SEL_DATA, %ax
1:  movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movw $SEL_DATA16, %ax
    movw %ax, %ss
    movl %cr0, %eax
    andl $0x7ffffffe, %eax
    movl %eax, %cr0
    ljmpw $0, $(LOW + (2f - low_start))
2:  movw %cs:CTX + 0x92, %ss
    movl %cs:CTX + 0x20, %esp
    pushw %cs:CTX + 0x88
    pushw %cs:CTX + 0x90
    pushw %cs:CTX + 0x80
    movw %cs:CTX + 0x94, %ds
    movw %cs:CTX + 0x96, %es
    movw %cs:CTX + 0x98, %fs
    movw %cs:CTX + 0x9a, %gs
    movl %cs:CTX + 0x00, %eax
    movl %cs:CTX + 0x08, %ecx
    movl %cs:CTX + 0x10, %edx
    movl %cs:CTX + 0x18, %ebx
    movl %cs:CTX + 0x28, %ebp
    movl %cs:CTX + 0x30, %esi
    movl %cs:CTX + 0x38, %edi
    iretw
    .globl common16
common16:
    cld
    pushal
    pushw %ds
    pushw %es
    pushw %fs
    pushw %gs
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ss, RAW + 0x60
    movl %esp, RAW + 0x64
    movw %sp, %si
    movw $RAW, %di
    movw $24, %cx
    rep movsw %ss:(%si), %es:(%di)
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $SEL_CODE32, $back32
low_end:
    .code64

    .data
    .align 8
boot_gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
    .word 0
boot_gdtr:
    .word 31
    .long boot_gdt, 0
    .globl long_root, long_cr4
long_root: .long pml4
long_cr4: .long 0x620 /* PAE, OSFXSR, OSXMMEXCPT */
    .globl boot_magic, boot_info
boot_magic: .long 0
boot_info: .long 0
    .globl legacy_idtr, long_idtr
legacy_idtr:
    .word 2047
    .long idt32
real_idtr:
    .word 1023
    .long 0
long_idtr:
    .word 4095
    .quad idt64

    .bss
    .align 4096
    .globl pml5, pml4, pdpt, pd, pt0
pml5: .skip 4096
pml4: .skip 4096
pdpt: .skip 4096
pd: .skip 16384
pt0: .skip 4096
    .globl boot_stack_top, legacy_stack_top, ist_top
    .skip 8192
boot_stack_top:
    .skip 4096
legacy_stack_top:
    .skip 4096
ist_top:
    .section .note.GNU-stack, "", @progbits
