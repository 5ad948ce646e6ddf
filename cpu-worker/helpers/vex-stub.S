/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One host instruction per VEX encoding, made by the assembler, so that every AVX instruction is executed
 * as itself. Owns the tables that vex-stub.c looks into; must never hold anything but one instruction and
 * the jump back in a slot.
 *
 * A slot of 8 bytes: the instruction with its operands renamed, then jmp *%rsi. Registers are renamed by
 * their place: ModRM.reg is 1, VEX.vvvv is 0, ModRM.rm is 2 (or memory at (%rdi)), the fourth operand 3.
 */
    .section .note.GNU-stack, "", @progbits
    .text
    .balign 64

/* Maps 1 and 2 without an immediate: [map][pp][W][L][memory][opcode] */
    .globl vex_stub_plain
    .hidden vex_stub_plain
vex_stub_plain:
    .macro plain map, p, modrm
    .set opcode, 0
    .rept 256
    .byte 0xc4, 0xe0 | \map, 0x78 | \p, opcode, \modrm, 0xff, 0xe6, 0xcc
    .set opcode, opcode + 1
    .endr
    .endm
    .irp map, 1, 2
    .irp p, 0x00, 0x04, 0x80, 0x84, 0x01, 0x05, 0x81, 0x85, 0x02, 0x06, 0x82, 0x86, 0x03, 0x07, 0x83, 0x87
    plain \map, \p, 0xca
    plain \map, \p, 0x0f
    .endr
    .endr

/* With an immediate: rows of [L][memory][imm]. The table of rows gives map, opcode, W << 7 | pp, ModRM.reg
 * (an extension of the opcode, else 1), how many immediates differ, and the first; count 0 ends it. */
    .section .data.rel.ro, "aw", @progbits
    .balign 8
    .globl vex_stub_rows
    .hidden vex_stub_rows
vex_stub_rows:
    .text

    .macro slots map, opcode, p, modrm, count, first
    .set value, \first
    .rept \count
    .byte 0xc4, 0xe0 | \map, 0x78 | \p, \opcode, \modrm, value, 0xff, 0xe6
    .set value, value + 1
    .endr
    .endm
    .macro row map, opcode, p, count, ext=1, first=0
    .pushsection .data.rel.ro, "aw", @progbits
    .byte \map, \opcode, \p, \ext
    .short \count, \first
    .quad 9f
    .popsection
9:
    slots \map, \opcode, \p, 0xc2 | \ext << 3, \count, \first
    slots \map, \opcode, \p, 0x07 | \ext << 3, \count, \first
    slots \map, \opcode, \p | 4, 0xc2 | \ext << 3, \count, \first
    slots \map, \opcode, \p | 4, 0x07 | \ext << 3, \count, \first
    .endm

    /* VPSHUFD, VPSHUFHW, VPSHUFLW; shifts; VCMPxx; VPINSRW, VPEXTRW; VSHUFPx */
    row 1, 0x70, 0x01, 256
    row 1, 0x70, 0x02, 256
    row 1, 0x70, 0x03, 256
    .irp ext, 2, 4, 6
    row 1, 0x71, 0x01, 256, \ext
    row 1, 0x72, 0x01, 256, \ext
    .endr
    .irp ext, 2, 3, 6, 7
    row 1, 0x73, 0x01, 256, \ext
    .endr
    .irp pp, 0, 1, 2, 3
    row 1, 0xc2, \pp, 32
    .endr
    row 1, 0xc4, 0x01, 8
    row 1, 0xc5, 0x01, 8
    row 1, 0xc6, 0x00, 256
    row 1, 0xc6, 0x01, 256
    /* VPERMQ, VPERMPD, VPBLENDD, VPERMILPx, VPERM2F128 */
    row 3, 0x00, 0x81, 256
    row 3, 0x01, 0x81, 256
    row 3, 0x02, 0x01, 256
    row 3, 0x04, 0x01, 256
    row 3, 0x05, 0x01, 16
    row 3, 0x06, 0x01, 256
    /* VROUNDxx, VBLENDPx, VPBLENDW, VPALIGNR */
    .irp opcode, 0x08, 0x09, 0x0a, 0x0b
    row 3, \opcode, 0x01, 16
    .endr
    row 3, 0x0c, 0x01, 256
    row 3, 0x0d, 0x01, 16
    row 3, 0x0e, 0x01, 256
    row 3, 0x0f, 0x01, 256
    /* VPEXTRx, VEXTRACTx, VINSERTx, VCVTPS2PH, VPINSRx */
    row 3, 0x14, 0x01, 16
    row 3, 0x15, 0x01, 8
    row 3, 0x16, 0x01, 4
    row 3, 0x16, 0x81, 2
    row 3, 0x17, 0x01, 4
    row 3, 0x18, 0x01, 2
    row 3, 0x19, 0x01, 2
    row 3, 0x1d, 0x01, 8
    row 3, 0x20, 0x01, 16
    row 3, 0x21, 0x01, 256
    row 3, 0x22, 0x01, 4
    row 3, 0x22, 0x81, 2
    row 3, 0x38, 0x01, 2
    row 3, 0x39, 0x01, 2
    /* VDPPx, VMPSADBW, VPCLMULQDQ, VPERM2I128 */
    row 3, 0x40, 0x01, 256
    row 3, 0x41, 0x01, 256
    row 3, 0x42, 0x01, 64
    row 3, 0x44, 0x01, 32
    row 3, 0x46, 0x01, 256
    /* VBLENDVPx, VPBLENDVB: the immediate names register 3 */
    row 3, 0x4a, 0x01, 1, 1, 0x30
    row 3, 0x4b, 0x01, 1, 1, 0x30
    row 3, 0x4c, 0x01, 1, 1, 0x30
    /* VPCMPxSTRx, of which the explicit ones know 64-bit lengths */
    .irp opcode, 0x60, 0x61, 0x62, 0x63
    row 3, \opcode, 0x01, 128
    .endr
    row 3, 0x60, 0x81, 128
    row 3, 0x61, 0x81, 128
    /* VGF2P8AFFINEQB, VGF2P8AFFINEINVQB, VAESKEYGENASSIST */
    row 3, 0xce, 0x81, 256
    row 3, 0xcf, 0x81, 256
    row 3, 0xdf, 0x01, 256

    .pushsection .data.rel.ro, "aw", @progbits
    .quad 0, 0
    .popsection
