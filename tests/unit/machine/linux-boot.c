/* SPDX-License-Identifier: Apache-2.0 */
/* Placement of kernel and initrd, zero page, e820, vCPU state; files that must be refused. */
#include "tests/unit/machine/fixture.h"
#include "tests/unit/machine/tap.h"

#include <elf.h>
#include <string.h>
#include <unistd.h>

static uint8_t file[5 * 512 + FIX_KERNEL_LEN];

static void *ram(void *opaque, uint64_t gpa, uint64_t len)
{
    (void)opaque;
    (void)gpa;
    (void)len;
    return NULL;
}

static const struct linux_memory mem64 = {64 << 20, 0, NULL, ram};

static int try_open(struct linux_image *im, size_t len, const struct linux_memory *mem, char *err)
{
    int fd = fix_memfd(file, len), r;

    err[0] = 0;
    r = linux_image_open(im, fd, "vmlinuz", -1, "", "quiet", mem, err, 256);
    close(fd);
    return r;
}

static bool refused(size_t len, const struct linux_memory *mem, const char *word)
{
    static struct linux_image im;
    char err[256];
    int r = try_open(&im, len, mem, err);

    if (r < 0 && strstr(err, word) && !strchr(err, '\n'))
        return true;
    printf("# r=%d err=%s\n", r, err);
    return false;
}

static void test_refused(void)
{
    struct linux_memory small = {18 << 20, 0, NULL, ram}, tiny = {4 << 20, 0, NULL, ram};
    static struct linux_image im;
    char err[256], longer[3000];
    size_t len = fix_bzimage(file, 0x20f, true);
    int fd;

    ok(!try_open(&im, len, &mem64, err), "good image");
    ok(refused(len / 2, &mem64, "cut short"), "half a file");
    ok(refused(100, &mem64, "not a Linux kernel"), "tiny file");
    ok(refused(0, &mem64, "not a Linux kernel"), "empty file");
    ok(!try_open(&im, len, &small, err) && im.load == 0x200000, "relocated when memory is small");
    ok(refused(len, &tiny, "needs"), "too little memory");
    file[0x206] = 5, file[0x207] = 2;
    ok(refused(len, &mem64, "2.05"), "protocol 2.05");
    fix_bzimage(file, 0x20f, true);
    memcpy(file + 0x202, "XXXX", 4);
    ok(refused(len, &mem64, "HdrS"), "no header magic");
    fix_bzimage(file, 0x20f, true);
    file[0x211] = 0;
    ok(refused(len, &mem64, "zImage"), "loaded low");
    fix_bzimage(file, 0x20f, true);
    memset(file + 0x258, 0xff, 8); /* pref_address: falls back to the alignment */
    ok(!try_open(&im, len, &mem64, err) && im.load == 0x200000, "absurd pref_address");
    fix_bzimage(file, 0x20f, true);
    memset(file + 0x260, 0xff, 4); /* init_size */
    ok(refused(len, &mem64, "needs"), "absurd init_size");
    fix_bzimage(file, 0x20f, true);
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = 0;
    fd = fix_memfd(file, len);
    ok(linux_image_open(&im, fd, "k", -1, "", longer, &mem64, err, sizeof(err)) < 0 &&
           strstr(err, "-append"),
       "command line too long");
    close(fd);
}

static void test_layout(void)
{
    struct vm *vm = fix_vm(64 << 20);
    const struct boot_params *bp = (void *)(vm->ram + LINUX_ZERO_PAGE);
    const struct abi_vcpu_state *v = &vm->page->vcpu[0];
    const uint64_t *pt = (void *)(vm->ram + LINUX_PAGETABLES);
    char err[256];
    unsigned n = bp->e820_entries;

    ok(!machine_build(vm, err, sizeof(err)) && !machine_reset(vm), "built and loaded");
    fix_bzimage(file, 0x20f, true);
    ok(!memcmp(vm->ram + 0x1000000, file + 5 * 512, FIX_KERNEL_LEN), "kernel at pref_address");
    ok(bp->hdr.header == 0x53726448 && bp->hdr.type_of_loader == 0xff, "setup header");
    ok(bp->hdr.cmd_line_ptr && !strcmp((char *)vm->ram + bp->hdr.cmd_line_ptr, "console=ttyS0"),
       "command line");
    ok(bp->hdr.ramdisk_size == 5000 && !(bp->hdr.ramdisk_image & 0xfff) &&
           bp->hdr.ramdisk_image + 5000 <= 64 << 20 && bp->hdr.ramdisk_image > 0x3f00000,
       "initrd high and page aligned");
    ok(vm->ram[bp->hdr.ramdisk_image + 4999] == 0x5a, "initrd copied");
    ok(bp->screen_info.orig_video_isVGA == 0 && !bp->screen_info.orig_video_lines, "no display");
    n = bp->e820_entries;
    ok(n == 4 && bp->e820_table[3].addr == 0x100000 &&
           bp->e820_table[3].size == (64 << 20) - 0x100000 && bp->e820_table[3].type == 1,
       "e820: main memory");
    ok(bp->e820_table[2].addr == 0xf0000 && bp->e820_table[2].type == 2, "e820: tables reserved");
    ok(bp->acpi_rsdp_addr && !memcmp(vm->ram + bp->acpi_rsdp_addr, "RSD PTR ", 8), "RSDP");
    ok(!memcmp(vm->ram + 0xf0000, "_MP_", 4), "MP floating pointer");
    ok(v->rip == 0x1000200 && v->gpr[6] == LINUX_ZERO_PAGE, "64-bit entry, rsi");
    ok(v->seg[ABI_CS].attr & ABI_SEG_L && v->efer == 0x500 && v->cr0 & 0x80000000 && v->cr4 & 0x20,
       "long mode");
    ok(v->cr3 == LINUX_PAGETABLES && (pt[0] & 1) && pt[1024 + 8] == (0x1000000 | 0x83),
       "identity map covers the kernel");
    ok(v->fcw == 0x37f && v->mxcsr == 0x1f80 && v->ftw == 0xffff && v->rflags == 2, "FPU, flags");

    memset(vm->ram + 0x1000000, 0, FIX_KERNEL_LEN);
    vm->ram[0x2000000] = 0x77;
    ok(!machine_reset(vm), "reset again");
    ok(!memcmp(vm->ram + 0x1000000, file + 5 * 512, FIX_KERNEL_LEN), "kernel is back");
    ok(vm->ram[0x2000000] == 0x77, "other memory is left alone");
    if (ftruncate(vm->plan.kernel_fd, 1000))
        return;
    ok(machine_reset(vm) < 0, "a file that shrank since is an error, not a crash");
}

static void test_32bit(void)
{
    static struct linux_image im;
    struct abi_vcpu_state v;
    char err[256];

    fix_bzimage(file, 0x20a, false);
    ok(!try_open(&im, sizeof(file), &mem64, err) && !im.entry64, "kernel without 64-bit entry");
    linux_vcpu_state(&im, &v);
    ok(v.rip == 0x1000000 && v.cr0 == 0x11 && !v.efer && v.seg[ABI_CS].attr == 0xc09b,
       "32-bit protected mode, flat");
}

static void test_e820_high(void)
{
    struct linux_memory m = {0xc0000000, 1ull << 30, NULL, ram};
    struct boot_e820_entry e[LINUX_E820_MAX];
    unsigned n = linux_e820_build(&m, e);

    ok(n == 5 && e[4].addr == 0x100000000ull && e[4].size == 1ull << 30, "memory above 4 GiB");
}

static void test_elf(void)
{
    static struct linux_image im;
    Elf64_Ehdr eh = {.e_type = ET_EXEC,
                     .e_machine = EM_X86_64,
                     .e_entry = 0x1000000,
                     .e_phoff = sizeof(eh),
                     .e_phentsize = sizeof(Elf64_Phdr),
                     .e_phnum = 1};
    Elf64_Phdr ph = {.p_type = PT_LOAD,
                     .p_offset = 4096,
                     .p_paddr = 0x1000000,
                     .p_filesz = 4096,
                     .p_memsz = 8192};
    char err[256];

    memcpy(eh.e_ident, ELFMAG, SELFMAG);
    eh.e_ident[EI_CLASS] = ELFCLASS64;
    eh.e_ident[EI_DATA] = ELFDATA2LSB;
    memcpy(file, &eh, sizeof(eh));
    memcpy(file + sizeof(eh), &ph, sizeof(ph));
    ok(!try_open(&im, 8192, &mem64, err) && im.entry == 0x1000000 && im.entry64, "vmlinux");
    ok(refused(8000, &mem64, "segment"), "segment beyond the file");
    ph.p_paddr = 0xfffffffffffff000ull;
    memcpy(file + sizeof(eh), &ph, sizeof(ph));
    ok(refused(8192, &mem64, "segment"), "segment beyond memory");
    eh.e_phnum = 1000;
    memcpy(file, &eh, sizeof(eh));
    ok(refused(8192, &mem64, "program headers"), "program headers out of reach");
}

int main(void)
{
    test_refused();
    test_layout();
    test_32bit();
    test_e820_high();
    test_elf();
    return tap_end();
}
