/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine plan: what the command line asked for, checked and complete, before any process
 * exists. Written by config/, frozen afterwards, read by everybody in the vmm. Holds no run-time
 * state.
 */
#ifndef BULKHEAD_VMM_CONFIG_PLAN_H
#define BULKHEAD_VMM_CONFIG_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include "ipc/abi/cpu-model.h"
#include "ipc/abi/topology.h"

#define PLAN_DISKS_MAX  16
#define PLAN_CHAIN_MAX  16 /* backing files below a disk */
#define PLAN_NETS_MAX   8
#define PLAN_CTLS_MAX   8 /* storage controllers in processes of their own */
#define PLAN_UNITS_MAX  8 /* drives behind one */
#define PLAN_SERIAL_MAX 4
#define PLAN_DEBUG_PORT 4 /* index in serial[] of the debug port */
#define PLAN_PORTS_MAX  5
#define PLAN_FWCFG_MAX  16
#define PLAN_OPTION_ROMS_MAX 8
#define PLAN_MON_MAX    8
#define PLAN_FWD_MAX    32
#define PLAN_CHAR_MAX   16
#define PLAN_DNS_MAX    3
#define PLAN_MODULES_MAX 16
#define PLAN_TB_SIZE (256ull << 20) /* translations, unless -accel tcg,tb-size= says otherwise */
#define PLAN_TB_SIZE_MAX (2ull << 30)

enum plan_char_kind { CHAR_NONE, CHAR_NULL, CHAR_STDIO, CHAR_FILE, CHAR_UNIX, CHAR_TCP, CHAR_PTY };
struct plan_chardev { /* a host end for a serial port or a monitor */
    enum plan_char_kind kind;
    bool mux; /* Ctrl-a keys and sharing (stdio with monitor) */
    bool server, wait, append, signal, nodelay;
    char id[64], path[256], host[128]; /* host "" = any address (server) or localhost (client) */
    uint16_t port;
};
struct plan_monitor {
    bool qmp, pretty;
    int chardev; /* index into chardev[] */
};
#define PLAN_THROTTLE 13
struct plan_disk {    /* -drive or -blockdev, seen by the guest through a virtio-blk function */
    char id[64];      /* drive/node id, "virtio0" style by default */
    char qdev_id[64]; /* -device id= */
    char file[512];
    bool readonly, share_rw;
    bool discard;   /* discard=unmap */
    bool snapshot, copy_on_read;
    char detect_zeroes[8], werror[8], rerror[8]; /* "" = off, enospc, report */
    uint64_t throttle[PLAN_THROTTLE]; /* order of Ctl__BlockConfig.throttle */
    uint32_t logical_block, physical_block; /* 0 = not given */
    char cache[16]; /* writeback | writethrough | none | directsync | unsafe */
    char serial[24];
    int pci_slot; /* addr=, -1 automatic */
    int bootindex; /* -1 = none */
    int rom;       /* index into rom[], -1 = none */
    int pci_fn;
    bool disable_legacy, disable_modern;
    bool used;         /* has a device (always true in a finished plan) */
    bool behind_ctl;   /* that device is a drive of a controller: plan.ctl[].unit[] */
    bool blockdev;     /* named by -blockdev, for error lines */
    char format[16];   /* format=, "" = guess */
    unsigned n_backing; /* what plan_open_files found below it, opened read-only, top to base */
    int backing_fd[PLAN_CHAIN_MAX];
    char backing_format[PLAN_CHAIN_MAX][16]; /* "" = guess */
    int fd;            /* plan_open_files; O_RDWR, or O_RDONLY when readonly. -1 before */
    uint64_t size;     /* bytes, set by plan_open_files */
};
enum plan_ctl_kind { CTL_IDE, CTL_AHCI, CTL_NVME, CTL_SCSI, CTL_KINDS };
struct plan_unit { /* a drive of a controller */
    bool used, cd;
    int disk; /* index into disk[], -1 = nothing in it */
    int bootindex; /* -1 = none */
    char qdev_id[64], serial[24], model[44];
};
struct plan_ctl { /* a storage controller: one process */
    enum plan_ctl_kind kind;
    char id[64];      /* names its process */
    char qdev_id[64]; /* -device id=, the name of its bus without the number */
    int pci_slot, pci_fn;
    bool builtin;     /* part of the board */
    bool disable_legacy, disable_modern; /* virtio-scsi */
    struct plan_unit unit[PLAN_UNITS_MAX];
};
struct plan_hostfwd {
    bool udp;
    char host_addr[48], guest_addr[48];
    uint16_t host_port, guest_port;
};
struct plan_net_addr { /* one end of a socket netdev */
    enum { ADDR_NONE, ADDR_UNIX, ADDR_INET, ADDR_FD } kind;
    char path[108], host[128];
    uint16_t port;
    int fd;
};
struct plan_net { /* one netdev, and the card attached to it if there is one */
    char id[64];
    char qdev_id[64];
    char type[12];    /* as named: "user", "tap", "bridge", "socket", "stream", "dgram", "null" */
    char backend[12]; /* what net-proc serves: "user", "tap", "dgram", "stream", "null" */
    char ifname[16], script[256], br[16], helper[256]; /* tap and bridge */
    uint64_t sndbuf;                                   /* of a tap, bytes; 0: the kernel's */
    int given_fd;                                      /* fd=; 0: none */
    bool server, mcast;
    struct plan_net_addr at, local; /* stream: its one address; dgram: where to, and where from */
    /* made by plan_open_files, -1 before: */
    int link_fd, listen_fd; /* a tap, a datagram socket or a connection; a listening socket */
    uint8_t send_to[128];   /* struct sockaddr of a multicast group */
    unsigned send_to_len;
    bool announce; /* its process takes over from another netdev's */
    bool deleted;  /* netdev_del: the entry is free, but for its card, which waits for a netdev of the id it had */
    char was_id[64];
    uint8_t mac[6];
    bool restricted, ipv4, ipv6, link_down;
    char net[48], host[48], dhcpstart[48], dns[48], hostname[64], domainname[64], tftp[256],
        bootfile[128], ipv6_net[64], ipv6_host[64], ipv6_dns[64], dnssearch[8][64];
    unsigned n_dnssearch, n_hostfwd;
    struct plan_hostfwd hostfwd[PLAN_FWD_MAX];
    int pci_slot, pci_fn;
    int bootindex; /* -1 = none */
    int rom;       /* index into rom[], -1 = none */
    bool disable_legacy, disable_modern;
    bool has_card;
};
#define PLAN_VGA_ROM "vgabios-stdvga.bin"
struct plan_vga {
    bool present;
    char id[64];
    int pci_slot;     /* -1: the board's choice */
    unsigned mem_mib; /* a power of two, at most 64 */
    bool edid;
    unsigned xres, yres; /* the monitor's preferred mode */
    char romfile[512];   /* "" = no expansion ROM */
    int rom;             /* index into rom[], -1 = none */
};
enum plan_vnc_kind { VNC_NOT, VNC_TCP, VNC_UNIX, VNC_IDLE }; /* idle: a server that listens nowhere */
struct plan_vnc {
    enum plan_vnc_kind kind;
    char host[128], path[104];
    uint16_t display, to; /* TCP port - 5900 */
    bool password, lossy, ipv4, ipv6;
    unsigned share; /* 0 allow-exclusive, 1 force-shared, 2 ignore */
};
struct plan_module { /* one file of -initrd for a Multiboot kernel */
    int fd;
    char text[512]; /* "file arguments": the module's string */
};
#define PLAN_ROMS_MAX 24
struct plan_rom { /* a firmware or option ROM file */
    const char *opt;  /* who wants it, for error lines: "-bios", "-option-rom", "romfile" */
    char path[512];   /* as named; a plain name is looked for in -L and the system's directories */
    bool optional;    /* may be missing: the machine works without */
    int fd;           /* plan_open_files; -1 = missing */
};
enum plan_smb_text { /* strings of -smbios */
    SMB_BIOS_VENDOR, SMB_BIOS_VERSION, SMB_BIOS_DATE, SMB_BIOS_RELEASE, SMB_SYS_MANUFACTURER, SMB_SYS_PRODUCT,
    SMB_SYS_VERSION, SMB_SYS_SERIAL, SMB_SYS_UUID, SMB_SYS_SKU, SMB_SYS_FAMILY, SMB_BOARD_MANUFACTURER,
    SMB_BOARD_PRODUCT, SMB_BOARD_VERSION, SMB_BOARD_SERIAL, SMB_BOARD_ASSET, SMB_BOARD_LOCATION,
    SMB_CASE_MANUFACTURER, SMB_CASE_VERSION, SMB_CASE_SERIAL, SMB_CASE_ASSET, SMB_CASE_SKU, SMB_CPU_SOCKET,
    SMB_CPU_MANUFACTURER, SMB_CPU_VERSION, SMB_CPU_SERIAL, SMB_CPU_ASSET, SMB_CPU_PART, SMB_CPU_MAX_SPEED,
    SMB_CPU_SPEED, SMB_DIMM_LOCATION, SMB_DIMM_BANK, SMB_DIMM_MANUFACTURER, SMB_DIMM_SERIAL, SMB_DIMM_ASSET,
    SMB_DIMM_PART, SMB_DIMM_SPEED, SMB_TEXTS
};
#define PLAN_OEM_MAX 16
struct plan_smbios {
    bool bios, board, uefi; /* types 0 and 2 were asked for */
    char text[SMB_TEXTS][96];
    unsigned n_oem;
    char oem[PLAN_OEM_MAX][512];
};
struct plan_flash { /* -drive if=pflash, by unit */
    bool used, readonly;
    char file[512];
    int fd;
};
struct plan_fwcfg { /* -fw_cfg: one of file and string */
    char name[56], file[512], string[1024];
    int fd;
};
struct plan_boot {
    char order[8], once[8]; /* letters; "" = not given */
    char splash[512];
    int splash_fd;
    bool menu, strict;
    int splash_ms, reboot_ms; /* -1 = not given */
    bool reboot_given;
};
enum plan_sandbox { PLAN_SBX_REQUIRE, PLAN_SBX_REDUCED, PLAN_SBX_OFF };
struct plan {
    char name[32]; /* "vm" when not given */
    bool name_set;
    char uuid[37];    /* "" when not given */
    char machine[32]; /* "pc" */
    char cpu[64];                   /* model as named */
    struct abi_cpu_model cpu_model; /* what came of -cpu; plan_cpu_model adds the topology */
    uint64_t mem; /* bytes */
    uint64_t tb_size; /* bytes of the translations' cache, 0: interpreter only */
    unsigned smp; /* vCPUs */
    struct abi_topology topology;
    char kernel[512], initrd[2048];
    char append[2048];
    bool no_reboot, no_shutdown, start_paused, nodefaults, daemonize;
    bool msg_timestamp;  /* -msg timestamp=on: error lines carry the time */
    char rtc_base[32];   /* "utc", "localtime" or the date given */
    int64_t rtc_start_s; /* for a given date: seconds since 1970 as the guest's clock shows it */
    char pidfile[256];
    enum plan_sandbox sandbox;
    bool sandbox_given; /* else root requires it, and an ordinary user has what can be had */
    char display[16]; /* "none" or "vnc" */
    bool nographic;
    unsigned n_disk, n_net, n_mon, n_char, n_ctl;
    struct plan_ctl ctl[PLAN_CTLS_MAX];
    struct plan_disk disk[PLAN_DISKS_MAX];
    struct plan_net net[PLAN_NETS_MAX];
    int serial[PLAN_PORTS_MAX]; /* index into chardev[], -1 = no UART; the last is the debug port */
    uint16_t debug_port;
    struct plan_monitor mon[PLAN_MON_MAX];
    struct plan_chardev chardev[PLAN_CHAR_MAX];
    unsigned n_host_dns;
    char host_dns[PLAN_DNS_MAX][64]; /* the host's name servers, numeric */
    unsigned n_rom, n_dir;
    struct plan_rom rom[PLAN_ROMS_MAX];
    int bios_rom;         /* index into rom[], -1 = none: the kernel starts without firmware */
    char dir[8][256];     /* -L */
    unsigned n_option_rom, n_fwcfg;
    int option_rom[PLAN_OPTION_ROMS_MAX];
    struct plan_fwcfg fwcfg[PLAN_FWCFG_MAX];
    struct plan_boot boot;
    struct plan_flash flash[2];
    struct plan_smbios smbios;
    bool no_s3, no_fd_bootchk;
    int kernel_fd, initrd_fd; /* plan_open_files; -1 = none */
    unsigned n_module;        /* plan_open_files: a Multiboot kernel has modules, not an initrd */
    struct plan_module module[PLAN_MODULES_MAX];
    uint16_t exit_port, exit_ports; /* isa-debug-exit: first port and how many, 0 = none */
    struct plan_vga vga;
    struct plan_vnc vnc;
    int pidfile_fd;           /* open and locked, or -1; the pid is already in it */
};

/* 0: go on. 1: a help or version text was printed, exit 0. -1: an error line is on stderr, exit 1.
 */
int plan_parse(struct plan *p, int argc, char **argv);

/* Opens kernel, initrd, every disk and the pid file as the user who started the vmm, all O_CLOEXEC,
 * and stores the descriptors in the plan. Disks: O_DIRECT for cache none and directsync. 0, or -1
 * with one clear line on stderr. Call it once, before any process is started and before any UID
 * changes. */
int plan_open_files(struct plan *p);
/* Wants a ROM file: its index in rom[], or -1: too many or too long a name. opt as in struct plan_rom. */
int plan_rom_want(struct plan *p, const char *opt, const char *path);
/* Fills host_dns from a resolv.conf (at most PLAN_DNS_MAX servers); an unreadable file leaves none. */
void plan_host_dns(struct plan *p, const char *path);

/* The guest's clock at power-on for -rtc base=, in seconds since 1970 (abi rtc_base_s). localtime
 * reads the time zone files: call it before the lock-down. */
int64_t plan_rtc_base(const struct plan *p);

#endif
