/* SPDX-License-Identifier: Apache-2.0 */
/* Every mode runs code and comes back: what all other subjects stand on (SDM 3, 2.2; 10.9; 21.2). */
#include "bare.h"

SNIP(64, add64, "mov $0x123456789abcdef0, %rax; add $1, %rax");
SNIP(32, add32, "movl $0x12345678, %eax; addl $1, %eax; pushl %eax; popl %ebx");
SNIP(16, add16, "movw $0x1234, %ax; addw $1, %ax; pushw %ax; popw %bx");

SUBJECT(modes)
{
    static const char *const names[MODES] = {
        "long-0", "long-3", "compat-0", "compat-3", "compat-16", "protected-32", "protected-32-user",
        "protected-16", "paged", "paged-user", "pae", "pae-user", "real", "unreal", "vm86"};

    for (enum mode m = 0; m < MODES; m++) {
        u64 vector, want = 0x12345679, reg = RBX;

        if (m < COMPAT0) {
            vector = RUN(add64, m);
            reg = RAX;
            want = 0x123456789abcdef1;
        } else if (m == COMPAT16 || m == PM16 || m >= REAL) {
            vector = RUN(add16, m);
            want = 0x1235;
        } else {
            vector = RUN(add32, m);
        }
        check(names[m], vector == V_DONE ? ctx->gpr[reg] : vector, want);
    }
}
