/* SPDX-License-Identifier: Apache-2.0 */
/* Multiboot 1 and PVH kernels: placement, information structures, entry state, files that lie. */
#include "tests/unit/machine/fixture.h"
#include "tests/unit/machine/tap.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEN 12288u

static uint8_t file[LEN], memory[64 << 20];
static struct linux_image im;
static char err[256];

static void *ram(void *opaque, uint64_t gpa, uint64_t len)
{
    (void)opaque;
    return gpa <= sizeof(memory) && len <= sizeof(memory) - gpa ? memory + gpa : NULL;
}

static const struct linux_memory mem = {sizeof(memory), 0, NULL, ram};

static int try_open(size_t len)
{
    int fd = fix_memfd(file, len), r;

    err[0] = 0;
    r = linux_image_open(&im, fd, "k", -1, "", "a b", &mem, err, sizeof(err));
    if (r)
        close(fd);
    return r;
}

static bool refused(const char *word)
{
    bool good = try_open(LEN) < 0 && strstr(err, word);

    if (!good)
        printf("# err=%s\n", err);
    return good;
}

static uint32_t *kludge(void)
{
    uint32_t *h = (uint32_t *)(file + 64);

    memset(file, 0x90, LEN);
    h[0] = 0x1badb002;
    h[1] = 0x10003;
    h[2] = 0u - h[0] - h[1];
    h[3] = 0x100040; /* header_addr: the file's start is at 1 MiB */
    h[4] = 0x100000;
    h[5] = 0x102000;
    h[6] = 0x105000;
    h[7] = 0x100100;
    return h;
}

static void test_kludge(void)
{
    uint32_t *h = kludge();

    ok(!try_open(LEN) && im.kind == LINUX_MULTIBOOT && im.entry == 0x100100, "address fields");
    ok(im.n_seg == 1 && im.seg[0].file_off == 0 && im.seg[0].file_len == 0x2000 &&
           im.seg[0].mem_len == 0x5000,
       "part of the file, and a bss");
    h[5] = h[6] = 0;
    ok(!try_open(LEN) && im.seg[0].file_len == LEN && im.seg[0].mem_len == LEN, "the whole file");
    h[5] = 0x110000;
    ok(refused("beyond the file"), "load_end_addr too far");
    h = kludge();
    h[3] = 0x100100;
    ok(refused("before the file"), "load_addr before the file");
    h = kludge();
    h[6] = 0xf0000000;
    ok(refused("does not fit"), "bss beyond memory");
    h = kludge();
    h[7] = 0x90000;
    ok(refused("entry point"), "entry outside");
    h = kludge();
    h[1] |= 4, h[2] -= 4;
    ok(refused("video mode"), "a video mode is required");
    h = kludge();
    h[1] |= 0x80, h[2] -= 0x80;
    ok(refused("unknown"), "an unknown requirement");
    h = kludge();
    h[2]++;
    ok(refused("not a Linux kernel"), "a wrong checksum is no header");
}

static void test_info(void)
{
    const uint32_t *info = (void *)(memory + LINUX_ZERO_PAGE), *mod;
    struct abi_vcpu_state v;
    int fd = fix_memfd("12345", 5);

    kludge();
    ok(!try_open(LEN) && !multiboot_module_add(&im, fd, "m one", 5, &mem, err, sizeof(err)) &&
           !multiboot_module_add(&im, fd, "n", 5, &mem, err, sizeof(err)) &&
           !linux_image_load(&im, &mem, 0xf1000),
       "loaded with two modules");
    ok(memory[0x100100] == 0x90 && !memory[0x102000], "kernel in place, its bss cleared");
    mod = (void *)(memory + info[6]);
    ok((info[0] & 0x24f) == 0x24f && info[5] == 2, "information flags");
    ok(mod[0] == 0x105000 && mod[1] == 0x105005 && !memcmp(memory + mod[0], "12345", 5) &&
           !strcmp((char *)memory + mod[2], "m one"),
       "first module");
    ok(mod[4] == 0x106000 && !strcmp((char *)memory + mod[6], "n"), "second on a page of its own");
    ok(!strcmp((char *)memory + info[4], "k a b"), "command line with the kernel's name");
    ok(info[11] && *(uint32_t *)(memory + info[12]) == 20, "memory map");
    linux_vcpu_state(&im, &v);
    ok(v.gpr[0] == 0x2badb002 && v.gpr[3] == LINUX_ZERO_PAGE && v.cr0 == 0x11 &&
           v.rip == 0x100100,
       "eax, ebx, protected mode without paging");
    ok(multiboot_module_add(&im, fd, "big", sizeof(memory), &mem, err, sizeof(err)) < 0,
       "a module that does not fit");
}

static void elf_make(void)
{
    Elf32_Ehdr eh = {.e_type = ET_EXEC, .e_machine = EM_386, .e_entry = 0xc0100000,
                     .e_phoff = sizeof(eh), .e_phentsize = sizeof(Elf32_Phdr), .e_phnum = 2};
    Elf32_Phdr ph[2] = {{.p_type = PT_LOAD, .p_offset = 4096, .p_paddr = 0x200000,
                         .p_filesz = 4096, .p_memsz = 8192},
                        {.p_type = PT_NOTE, .p_offset = 4096, .p_filesz = 20}};
    const uint32_t words[5] = {4, 4, 18, 0x6e6558, 0x200010};

    memset(file, 0, LEN);
    memcpy(eh.e_ident, ELFMAG, SELFMAG);
    eh.e_ident[EI_CLASS] = ELFCLASS32;
    eh.e_ident[EI_DATA] = ELFDATA2LSB;
    memcpy(file, &eh, sizeof(eh));
    memcpy(file + sizeof(eh), ph, sizeof(ph));
    memcpy(file + 4096, words, sizeof(words));
}

static void test_pvh(void)
{
    const uint32_t *start = (void *)(memory + LINUX_ZERO_PAGE);
    struct abi_vcpu_state v;
    uint64_t entry;

    elf_make();
    ok(!try_open(LEN) && im.kind == LINUX_PVH && im.entry == 0x200010, "32-bit ELF with the note");
    ok(!linux_image_load(&im, &mem, 0xf1000) && start[0] == 0x336ec578 && start[1] == 1 &&
           start[8] == 0xf1000,
       "start info with the RSDP");
    ok(!strcmp((char *)memory + start[6], "a b") && start[12] == 4, "command line, memory map");
    linux_vcpu_state(&im, &v);
    ok(v.gpr[3] == LINUX_ZERO_PAGE && v.cr0 == 0x11 && v.rip == 0x200010 &&
           v.seg[ABI_TR].limit == 0x67,
       "ebx, task register");
    ((uint32_t *)(file + 4096))[4] = 0x300000;
    ok(refused("entry point"), "an entry outside of the segments is none");
    elf_make();
    ((uint32_t *)(file + 4096))[0] = 0xfffffff0;
    ok(!pvh_entry_find(file + 4096, 20, &entry), "a note with an absurd size");
    ((uint32_t *)(file + 4096))[2] = 17;
    ok(!pvh_entry_find(file + 4096, 20, &entry), "another note");
}

static void test_exit(void)
{
    struct vm *vm = fix_vm(64 << 20);

    vm->plan.exit_port = 0xf4;
    vm->plan.exit_ports = 4;
    ok(!machine_build(vm, err, sizeof(err)) && !machine_reset(vm), "isa-debug-exit");
    ok(fix_map_find(vm, true, 0xf7) && !fix_map_find(vm, true, 0xf8), "its ports");
    fix_mbox(vm, ABI_MBOX_IO_WRITE, 0xf3, 1, 1);
    ok(fix_exit == UINT32_MAX, "not the port before");
    fix_mbox(vm, ABI_MBOX_IO_WRITE, 0xf4, 1, 7);
    ok(fix_exit == 7, "a write asks for the end");
    vm->plan.exit_port = 0x3f0;
    vm->plan.exit_ports = 16;
    ok(machine_build(vm, err, sizeof(err)) < 0 && strstr(err, "chipset"), "ports that are taken");
}

int main(void)
{
    test_kludge();
    test_info();
    test_pvh();
    test_exit();
    return tap_end();
}
