/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The option table and what is printed from it. See options.h.
 */
#include "vmm/config/options.h"

#include <string.h>
#include "vmm/config/version.h"

#define REFUSED(names_, why)                                                                       \
    {                                                                                              \
        names_, NULL, GROUP_HIDDEN, NULL, why                                                      \
    }
#define SCREEN   "windows are not built; use -display vnc=..., -display none or -nographic"

const struct option option_table[] = {
    {"h|help", NULL, GROUP_STANDARD, show_help, "display this help and exit"},
    {"version", NULL, GROUP_STANDARD, show_version, "display version information and exit"},
    {"M|machine", "[type=]name[,prop=value]", GROUP_STANDARD, set_machine,
     "select the machine ('-machine help' for a list): pc or q35, or pc-i440fx-N.M and\n"
     "pc-q35-N.M as other names of them. Properties: accel=tcg, acpi=on, usb=off,\n"
     "vmport=off, smm=on|auto"},
    {"accel", "[accel=]tcg[,thread=multi][,tb-size=n]|interp", GROUP_STANDARD, set_accel,
     "select the accelerator ('-accel help' for a list); guest CPUs are always emulated: tcg translates\n"
     "what runs often (tb-size= MiB of translations, default 256), interp only interprets"},
    {"cpu",
     "model[,+feature][,-feature][,feature=on|off][,check=on|off][,enforce=on|off]\n"
     "[,vendor=id][,family=n][,model=n][,stepping=n][,model-id=text][,level=n][,xlevel=n]\n"
     "[,phys-bits=n][,host-phys-bits=on|off][,l3-cache=on|off][,tsc-frequency=Hz]",
     GROUP_STANDARD, set_cpu,
     "select the CPU model ('-cpu help' for a list of models and features); default qemu64.\n"
     "Features that are not carried on this host are left out with a warning, and refused\n"
     "with enforce"},
    {"smp", "[cpus=]n[,maxcpus=n][,sockets=n][,dies=n][,cores=n][,threads=n]", GROUP_STANDARD,
     set_smp, "number of CPUs (1 to 64) and their topology"},
    {"m", "[size=]megs", GROUP_STANDARD, set_memory,
     "guest memory in MiB, or with a suffix k, M, G, T; default 128"},
    {"name", "[guest=]name[,debug-threads=on]", GROUP_STANDARD, set_name,
     "name of the guest, seen in process titles, logs and query-name"},
    {"uuid", "uuid", GROUP_STANDARD, set_uuid, "UUID of the machine"},
    {"device", "driver[,prop=value]...", GROUP_STANDARD, set_device,
     "add a device ('-device help' for a list, '-device driver,help' for properties)"},

    {"hda", "file", GROUP_BLOCK, set_hda, "disk image as first IDE disk"},
    {"hdb", "file", GROUP_BLOCK, set_hdb, "disk image as second IDE disk"},
    {"hdc", "file", GROUP_BLOCK, set_hdc, "disk image as third IDE disk"},
    {"hdd", "file", GROUP_BLOCK, set_hdd, "disk image as fourth IDE disk"},
    {"cdrom", "file", GROUP_BLOCK, set_cdrom, "disc image in an IDE CD-ROM drive (as third drive)"},
    {"snapshot", NULL, GROUP_BLOCK, set_snapshot, "writes to disks go to temporary files and are forgotten"},
    {"drive",
     "file=path[,format=raw|qcow2][,if=virtio|pflash|none][,id=name][,index=n|unit=n]\n"
     "[,readonly=on|off][,cache=writeback|writethrough|none|directsync|unsafe]\n"
     "[,discard=ignore|unmap][,detect-zeroes=off|on|unmap][,copy-on-read=on|off][,snapshot=on|off]\n"
     "[,werror=enospc|stop|report|ignore][,rerror=report|stop|ignore]\n"
     "[,bps=n][,bps_rd=n][,bps_wr=n][,iops=n][,iops_rd=n][,iops_wr=n][,..._max=n][,iops_size=n]\n"
     "[,serial=text][,aio=threads][,media=disk]",
     GROUP_BLOCK, set_drive,
     "use a raw or qcow2 image file or block device as a virtio disk; if=none needs a -device"},
    {"blockdev",
     "[driver=]raw|file|host_device,node-name=name[,file=node][,file.filename=path]\n"
     "[,filename=path][,read-only=on|off][,cache.direct=on|off][,cache.no-flush=on|off]\n"
     "[,discard=ignore|unmap]",
     GROUP_BLOCK, set_blockdev,
     "define a block node for -device ...,drive=name; the argument may be JSON"},

    {"nic", "type|none[,model=virtio-net-pci][,mac=addr][,id=name][,option]...", GROUP_NET, set_nic,
     "a network card and its back end in one; types and options as for -netdev.\n"
     "Without any network option the guest gets '-nic user,model=virtio-net-pci'"},
    {"netdev",
     "user,id=name[,ipv4=on|off][,net=addr[/mask]][,host=addr][,ipv6=on|off]\n"
     "[,ipv6-net=addr[/len]][,ipv6-host=addr][,restrict=on|off][,hostname=name]\n"
     "[,dhcpstart=addr][,dns=addr][,ipv6-dns=addr][,dnssearch=domain][,domainname=domain]\n"
     "[,hostfwd=[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport]\n"
     "tap,id=name[,ifname=name][,script=file|no][,downscript=no][,sndbuf=size] | tap,id=name,fd=n\n"
     "tap,id=name,br=bridge,helper=program | bridge,id=name[,br=bridge][,helper=program]\n"
     "stream,id=name[,server=on|off],addr.type=unix,addr.path=path\n"
     "stream,id=name[,server=on|off],addr.type=inet,addr.host=host,addr.port=n\n"
     "stream,id=name,addr.type=fd,addr.str=n\n"
     "dgram,id=name[,local.type=inet|unix|fd,local...],remote.type=inet|unix,remote...\n"
     "socket,id=name,fd=n|listen=[host]:port|connect=host:port|mcast=group:port|udp=host:port\n"
     "[,localaddr=addr[:port]]\n"
     "null,id=name",
     GROUP_NET, set_netdev,
     "network back end for -device virtio-net-pci,netdev=name: the host's sockets (user), an interface\n"
     "(tap, bridge), passt or another machine (stream, dgram, socket), nothing (null)"},
    {"net", "nic|type|none[,option]...", GROUP_NET, set_net,
     "the older form: '-net nic' is a card, '-net user' the back end of it"},

    {"serial", "dev", GROUP_CHAR, set_serial,
     "where a serial port goes: stdio, mon:stdio, file:path, unix:path[,server=on][,wait=off],\n"
     "tcp:host:port[,server=on][,wait=off], pty, null, chardev:id, none; mon:dev adds a\n"
     "monitor, reached with Ctrl-a c"},
    {"parallel", "none", GROUP_CHAR, set_parallel, "no parallel port (the only choice)"},
    {"debugcon", "dev", GROUP_CHAR, set_debugcon,
     "where the firmware's debug port (0xe9, or isa-debugcon.iobase) goes, as for -serial"},
    {"monitor", "dev", GROUP_CHAR, set_monitor, "where the monitor goes, as for -serial"},
    {"qmp", "dev", GROUP_CHAR, set_qmp, "where the JSON monitor goes, as for -serial"},
    {"qmp-pretty", "dev", GROUP_CHAR, set_qmp_pretty, "the same with indented output"},
    {"mon", "[chardev=]id[,mode=readline|control][,pretty=on|off]", GROUP_CHAR, set_mon,
     "a monitor on a -chardev"},
    {"chardev",
     "null|stdio|file|socket|pty,id=name[,mux=on|off][,path=path][,append=on|off]\n"
     "[,host=addr,port=n][,server=on|off][,wait=on|off][,nodelay=on|off][,signal=on|off]",
     GROUP_CHAR, set_chardev, "define a host end for -serial chardev:id, -mon or isa-serial"},

    {"nographic", NULL, GROUP_DISPLAY, set_nographic,
     "no display; serial port and monitor share standard input and output"},
    {"display", "none|vnc=display[,option]...", GROUP_DISPLAY, set_display,
     "where the screen is shown; default vnc=127.0.0.1:0,to=99"},
    {"vnc",
     "host:n|unix:path|none[,to=n][,password=on|off][,share=allow-exclusive|force-shared|ignore]\n"
     "[,lossy=on|off][,ipv4=on|off][,ipv6=on|off]",
     GROUP_DISPLAY, set_vnc, "serve the screen to VNC clients on TCP port 5900 + n or a UNIX socket"},
    {"vga", "std|none", GROUP_DISPLAY, set_vga,
     "graphics card: std (default without -nodefaults) is a VGA with the Bochs display interface"},

    {"kernel", "file", GROUP_BOOT, set_kernel, "kernel to boot: Linux bzImage, PVH ELF, Multiboot, vmlinux"},
    {"append", "line", GROUP_BOOT, set_append, "command line of the kernel"},
    {"initrd", "file", GROUP_BOOT, set_initrd, "initial RAM disk; for a Multiboot kernel modules: \"file args,file2\""},
    {"bios", "file", GROUP_BOOT, set_bios,
     "firmware at the top of 4 GiB; default bios-256k.bin (SeaBIOS) unless -kernel is given"},
    {"pflash", "file", GROUP_BOOT, set_pflash,
     "a flash chip with firmware, and the next one below it; as -drive if=pflash,format=raw,file="},
    {"L", "dir", GROUP_BOOT, set_rom_dir, "look for firmware and ROM files here first"},
    {"option-rom", "file", GROUP_BOOT, set_option_rom, "a ROM the firmware runs"},
    {"boot",
     "[order=]drives[,once=drives][,menu=on|off][,splash=file][,splash-time=ms]\n"
     "[,reboot-timeout=ms][,strict=on|off]",
     GROUP_BOOT, set_boot,
     "what the firmware starts: a, b floppy, c disk, d CD-ROM, n network; once for the first\n"
     "start only; strict: only devices with a bootindex"},
    {"fw_cfg", "[name=]name,file=path|string=text", GROUP_BOOT, set_fwcfg,
     "a file for the guest in the firmware configuration device"},
    {"smbios", "type=n[,key=value]...", GROUP_BOOT, set_smbios,
     "strings in the machine's description: type 0 (vendor, version, date, release, uefi),\n"
     "1 (manufacturer, product, version, serial, uuid, sku, family), 2 and 3 (board, case),\n"
     "4 (processor), 11 (value=text, repeatable), 17 (memory module)"},
    {"no-fd-bootchk", NULL, GROUP_BOOT, set_no_fd_bootchk,
     "the firmware starts a floppy without looking for its boot signature"},

    {"global", "driver.property=value", GROUP_EXPERT, set_global,
     "isa-debugcon.iobase=port, PIIX4_PM.disable_s3=0|1, ICH9-LPC.disable_s3=0|1"},
    {"S", NULL, GROUP_EXPERT, set_paused, "do not start the CPU until the monitor says 'cont'"},
    {"no-reboot", NULL, GROUP_EXPERT, set_no_reboot, "exit when the guest reboots"},
    {"no-shutdown", NULL, GROUP_EXPERT, set_no_shutdown, "pause when the guest powers off"},
    {"rtc", "[base=utc|localtime|YYYY-MM-DDThh:mm:ss][,clock=host]", GROUP_EXPERT, set_rtc,
     "what the guest's clock shows at start"},
    {"nodefaults", NULL, GROUP_EXPERT, set_nodefaults,
     "no serial port, monitor or network card that was not asked for"},
    {"no-user-config", NULL, GROUP_EXPERT, set_no_user_config,
     "read no configuration file (none is ever read)"},
    {"pidfile", "file", GROUP_EXPERT, set_pidfile, "write the process id to a file"},
    {"daemonize", NULL, GROUP_EXPERT, set_daemonize, "go into the background once the guest runs"},
    {"sandbox", "require|reduced|off", GROUP_EXPERT, set_sandbox,
     "require: start only with every layer of isolation (default; 'on' means this);\n"
     "reduced: go on without the layers this host cannot give; off: none"},
    {"msg", "timestamp=on|off", GROUP_EXPERT, set_msg, "begin error lines with the time"},

    {"dump-options-md", NULL, GROUP_HIDDEN, show_markdown, "print docs/user/options.md"},

    REFUSED("fda", "floppy drives are not built"),
    REFUSED("fdb", "floppy drives are not built"),
    REFUSED("mtdblock", NULL),
    REFUSED("sd", NULL),
    REFUSED("dtb", NULL),
    REFUSED("acpitable", NULL),
    REFUSED("no-acpi", NULL),
    REFUSED("no-hpet", NULL),
    REFUSED("enable-kvm", "KVM is not used, CPUs are emulated (-accel tcg)"),
    REFUSED("spice", SCREEN),
    REFUSED("sdl", SCREEN),
    REFUSED("curses", SCREEN),
    REFUSED("full-screen", SCREEN),
    REFUSED("g", SCREEN),
    REFUSED("k", SCREEN),
    REFUSED("rotate", SCREEN),
    REFUSED("usb", "USB is not built"),
    REFUSED("usbdevice", "USB is not built"),
    REFUSED("audiodev", "sound is not built"),
    REFUSED("audio", "sound is not built"),
    REFUSED("soundhw", "sound is not built"),
    REFUSED("set", NULL),
    REFUSED("object", NULL),
    REFUSED("readconfig", NULL),
    REFUSED("writeconfig", NULL),
    REFUSED("d", "there is no instruction log"),
    REFUSED("D", "there is no instruction log"),
    REFUSED("dfilter", NULL),
    REFUSED("seed", NULL),
    REFUSED("s", "there is no gdb server"),
    REFUSED("gdb", "there is no gdb server"),
    REFUSED("trace", NULL),
    REFUSED("plugin", NULL),
    REFUSED("icount", NULL),
    REFUSED("watchdog", NULL),
    REFUSED("watchdog-action", NULL),
    REFUSED("action", NULL),
    REFUSED("echr", NULL),
    REFUSED("loadvm", NULL),
    REFUSED("incoming", NULL),
    REFUSED("only-migratable", NULL),
    REFUSED("preconfig", NULL),
    REFUSED("mem-path", NULL),
    REFUSED("mem-prealloc", NULL),
    REFUSED("numa", NULL),
    REFUSED("overcommit", NULL),
    REFUSED("add-fd", NULL),
    REFUSED("fsdev", NULL),
    REFUSED("virtfs", NULL),
    REFUSED("iscsi", NULL),
    REFUSED("tpmdev", NULL),
    REFUSED("chroot", "every process has its own empty root already"),
    REFUSED("runas", "every process has its own user already"),
    REFUSED("run-with", NULL),
    REFUSED("singlestep", NULL),
    REFUSED("tb-size", NULL),
    REFUSED("win2k-hack", NULL),
    REFUSED("compat", NULL),
    REFUSED("enable-sync-profile", NULL),
    REFUSED("perfmap", NULL),
    REFUSED("nouserconfig", NULL),
    {.names = NULL},
};

static const char *const group_title[] = {
    [GROUP_STANDARD] = "Standard options", [GROUP_BLOCK] = "Block device options",
    [GROUP_NET] = "Network options",       [GROUP_CHAR] = "Character device and monitor options",
    [GROUP_DISPLAY] = "Display options",   [GROUP_BOOT] = "Boot options",
    [GROUP_EXPERT] = "Expert options",
};

static bool name_matches(const char *names, const char *name, size_t len)
{
    size_t n;

    for (const char *s = names; *s; s += n + (s[n] == '|')) {
        n = strcspn(s, "|");
        if (n == len && !memcmp(s, name, len))
            return true;
    }
    return false;
}

const struct option *option_find(const char *name, size_t len)
{
    for (const struct option *o = option_table; o->names; o++)
        if (name_matches(o->names, name, len))
            return o;
    return NULL;
}

static void print_names(FILE *out, const char *names, const char *between)
{
    size_t n;

    for (const char *s = names; *s; s += n + (s[n] == '|')) {
        n = strcspn(s, "|");
        fprintf(out, "%s-%.*s", s == names ? "" : between, (int)n, s);
    }
}

/* Every line of text, each indented but the first when lead is given. */
static void print_lines(FILE *out, const char *text, const char *indent)
{
    size_t n;

    for (const char *s = text; *s; s += n + (s[n] == '\n')) {
        n = strcspn(s, "\n");
        fprintf(out, "%s%.*s\n", indent, (int)n, s);
    }
}

static void help_entry(FILE *out, const struct option *o)
{
    print_names(out, o->names, " or ");
    if (o->form) {
        size_t n = strcspn(o->form, "\n");

        fprintf(out, " %.*s\n", (int)n, o->form);
        print_lines(out, o->form + n + (o->form[n] == '\n'), "         ");
    } else {
        fprintf(out, "\n");
    }
    print_lines(out, o->help, "                ");
}

void option_help(FILE *out)
{
    fprintf(out, "%s\nusage: bulkhead [options]\n", BULKHEAD_VERSION_LINE);
    for (unsigned g = 0; g < GROUP_HIDDEN; g++) {
        fprintf(out, "\n%s:\n", group_title[g]);
        for (const struct option *o = option_table; o->names; o++)
            if (o->group == g)
                help_entry(out, o);
    }
    fprintf(out, "\nDuring emulation, when the monitor shares the serial port:\n"
                 "Ctrl-a h        list the keys\n"
                 "Ctrl-a x        end the emulator\n"
                 "Ctrl-a c        switch between console and monitor\n");
}

static void markdown_entry(FILE *out, const struct option *o)
{
    fprintf(out, "### `");
    print_names(out, o->names, "`, `");
    fprintf(out, "`\n\n");
    if (o->form) {
        fprintf(out, "```\n");
        print_names(out, strchr(o->names, '|') ? strchr(o->names, '|') + 1 : o->names, " ");
        fprintf(out, " %s\n```\n\n", o->form);
    }
    fprintf(out, "%s\n\n", o->help);
}

void option_markdown(FILE *out)
{
    bool first = true;

    fprintf(
        out,
        "# Command-line options\n\n"
        "This page is printed by `bulkhead -dump-options-md` from the table the parser uses; a\n"
        "test compares the two. An option may be written with one or two dashes, and as\n"
        "`-option=value`. In lists of `key=value`, a comma inside a value is written `,,`.\n\n");
    for (unsigned g = 0; g < GROUP_HIDDEN; g++) {
        fprintf(out, "## %s\n\n", group_title[g]);
        for (const struct option *o = option_table; o->names; o++)
            if (o->group == g)
                markdown_entry(out, o);
    }
    fprintf(out, "## Options of QEMU that are refused by name\n\n");
    for (const struct option *o = option_table; o->names; o++) {
        if (o->set)
            continue;
        fprintf(out, "%s", first ? "" : ", ");
        print_names(out, o->names, ", ");
        first = false;
    }
    fprintf(out, "\n");
}
