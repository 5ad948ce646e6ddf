/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-img: qemu-img's commands, those that are built. One table gives dispatch, help and the manual
 * page. Must never accept a command or an option it does not carry out.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "block-proc/img/img.h"
#include "block-proc/img/opener.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv); /* NULL: qemu-img has it, this program does not */
    const char *form, *text;
} commands[] = {
    {"check", cmd_check, "[-q] [-f fmt] [--output=human|json] [-r leaks|all] [-U] filename",
     "count all references of a qcow2 image and compare; -r repairs. Exit status 0 clean, 2 corrupt, 3 leaked "
     "clusters, 63 not for this format"},
    {"commit", cmd_commit, "[-q] [-f fmt] [-d] [-p] filename",
     "write what an image holds into its backing file, then empty the image (not with -d)"},
    {"compare", cmd_compare, "[-f fmt] [-F fmt] [-p] [-q] [-s] [-U] filename1 filename2",
     "do two images hold the same? Exit status 0 yes, 1 no, 2 cannot open, 4 cannot read"},
    {"convert", cmd_convert,
     "[-U] [-c] [-p] [-q] [-n] [-f fmt] [-O output_fmt] [-o options] [-t cache] [-T src_cache] [-S sparse_size] [-m "
     "threads] [-W] filename output_filename",
     "copy an image into another format; -c compresses (qcow2), -n keeps an existing target"},
    {"create", cmd_create, "[-q] [-f fmt] [-b backing_file -F backing_fmt] [-u] [-o options] filename [size]",
     "make an image"},
    {"info", cmd_info, "[-f fmt] [--output=human|json] [--backing-chain] [-U] filename",
     "what an image is"},
    {"map", cmd_map, "[-f fmt] [--start-offset=offset] [--max-length=len] [--output=human|json] [-U] filename",
     "where in which file the data lies"},
    {"resize", cmd_resize, "[-f fmt] [-q] [--shrink] filename [+|-]size", "change the size of a disk"},
    {"snapshot", cmd_snapshot, "[-U] [-q] [-f fmt] [-l|-a snapshot|-c snapshot|-d snapshot] filename",
     "internal snapshots of a qcow2 image: list, go back to, make, delete"},
    {"amend", cmd_amend, "[-f fmt] [-p] [-q] [-t cache] -o options filename",
     "change options of an existing qcow2 image: compat, lazy_refcounts, backing_file, backing_fmt, size"},
    {"bench", cmd_bench,
     "[-c count] [-d depth] [-f fmt] [--flush-interval=n] [-i threads] [-n] [--no-drain] [-o offset] [--pattern=byte] [-q] "
     "[-s buffer_size] [-S step_size] [-t cache] [-w] [-U] filename",
     "measure requests of one size, one behind the other; -w writes (over what is there)"},
    {"dd", cmd_dd, "[-U] [-f fmt] [-O output_fmt] [bs=block_size] [count=blocks] [skip=blocks] if=input of=output",
     "copy a part of a disk into a new image"},
    {"measure", cmd_measure, "[--output=human|json] [-O output_fmt] [-o options] [--size N | [-f fmt] [-l snapshot] [-U] filename]",
     "how large a file a new image would need"},
    {"rebase", cmd_rebase, "[-U] [-q] [-f fmt] [-t cache] [-T src_cache] [-p] [-u] -b backing_file -F backing_fmt filename",
     "give an image another backing file; what the new one shows differently is copied first (not with -u)"},
    {"bitmap", NULL, NULL, NULL},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void help(void)
{
    printf("usage: bulkhead-img [-h] [-V] command [command options]\nBulkhead disk image utility\n\nCommands:\n");
    for (unsigned i = 0; i < COMMANDS; i++)
        if (commands[i].run)
            printf("  %s %s\n      %s\n", commands[i].name, commands[i].form, commands[i].text);
    printf("\nNot built:");
    for (unsigned i = 0; i < COMMANDS; i++)
        if (!commands[i].run)
            printf(" %s", commands[i].name);
    printf("\n\nqcow2 options for -o: size, compat (0.10, 1.1), cluster_size, refcount_bits, lazy_refcounts, "
           "compression_type\n(zlib, zstd), preallocation (off, metadata, falloc, full), backing_file, backing_fmt, "
           "nocow. raw: size, preallocation, nocow.\nA backing file is looked for in the directory of the image "
           "that names it and in BULKHEAD_IMAGE_DIRS.\nSupported formats: %s\n", img_driver_names());
}

/* The manual page, from the same table (roff). */
static void manual(void)
{
    printf(".TH BULKHEAD-IMG 1\n.SH NAME\nbulkhead-img \\- disk image utility\n.SH SYNOPSIS\n.B bulkhead-img\n"
           "command [options]\n.SH COMMANDS\n");
    for (unsigned i = 0; i < COMMANDS; i++)
        if (commands[i].run)
            printf(".TP\n.B %s\n%s\n.br\n%s\n", commands[i].name, commands[i].form, commands[i].text);
    printf(".SH ENVIRONMENT\n.TP\n.B BULKHEAD_IMAGE_DIRS\nColon-separated directories that backing files named inside "
           "images may lie in, besides the image's own.\n");
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    tool_init();
    opterr = 1;
    if (!strcmp(name, "-h") || !strcmp(name, "--help"))
        return help(), 0;
    if (!strcmp(name, "--man"))
        return manual(), 0;
    if (!strcmp(name, "-V") || !strcmp(name, "--version"))
        return printf("bulkhead-img version %s\n", BULKHEAD_VERSION), 0;
    if (!*name)
        return tool_fail("Not enough arguments\nTry 'bulkhead-img --help' for more information");
    for (unsigned i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name))
            continue;
        if (!commands[i].run)
            return tool_fail("%s: this command is not built in this version", name);
        opener_start();
        return commands[i].run(argc - 1, argv + 1);
    }
    return tool_fail("Command not found: %s\nTry 'bulkhead-img --help' for more information", name);
}
