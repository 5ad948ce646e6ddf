/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spawn protocol: what the vmm may ask of the spawner. Fixed structures on SOCK_SEQPACKET, no
 * parser. The plan is sent once and frozen; afterwards the vmm names roles by index and can choose
 * neither program, nor UID, nor namespace, nor path. Owns layouts only.
 */
#ifndef BULKHEAD_IPC_ABI_SPAWN_H
#define BULKHEAD_IPC_ABI_SPAWN_H

#include <stdint.h>

#define SPAWN_VERSION   1u
#define SPAWN_ROLES_MAX 64
#define SPAWN_FILES_MAX 64 /* host files opened by the vmm's user and held by the spawner */
#define SPAWN_NAME_MAX  32

enum spawn_program {
    SPAWN_CPU_WORKER,
    SPAWN_BLOCK,
    SPAWN_NET,
    SPAWN_UI,
    SPAWN_TRANSLATOR,
    SPAWN_IDE, /* this and what follows: controllers */
    SPAWN_AHCI,
    SPAWN_NVME,
    SPAWN_SCSI,
    SPAWN_PROGRAMS
};
enum spawn_sandbox { SPAWN_SBX_REQUIRE, SPAWN_SBX_REDUCED, SPAWN_SBX_OFF };

struct spawn_role {
    uint32_t program;            /* enum spawn_program */
    int32_t file;                /* index of the file handed to each incarnation, -1 = none */
    uint32_t host_net;           /* 1: stays in the host's network namespace (net-proc, user back end) */
    uint32_t pad;
    char title[SPAWN_NAME_MAX];  /* process title and log name, printable ASCII */
};
struct spawn_plan { /* message 1, vmm -> spawner; its SCM_RIGHTS are the files, in order */
    uint32_t version;
    uint32_t sandbox; /* enum spawn_sandbox */
    uint32_t roles;
    uint32_t files;
    char vm_name[SPAWN_NAME_MAX];
    struct spawn_role role[SPAWN_ROLES_MAX];
};
struct spawn_plan_reply {
    uint32_t version;
    int32_t error;   /* 0, or errno: the spawner then exits; text says what and where */
    uint32_t uid;    /* UID and GID the vmm itself must change to; 0 = stay (reduced mode) */
    uint32_t layers; /* SPAWN_LAYER_* every child will have */
    char text[200];
};

enum spawn_op { SPAWN_OP_START = 1, SPAWN_OP_KILL = 2 };
struct spawn_request { /* START carries two descriptors: control channel end, log channel end */
    uint32_t op;
    uint32_t role;       /* index into the plan */
    uint32_t generation; /* strictly increasing per role */
    uint32_t arg;        /* KILL: signal (SIGKILL, SIGTERM or SIGABRT) */
};
enum spawn_event_kind { SPAWN_EV_STARTED = 1, SPAWN_EV_FAILED, SPAWN_EV_EXITED };
#define SPAWN_LAYER_UID     0x001u /* a UID of its own */
#define SPAWN_LAYER_MOUNT   0x002u /* own mount namespace, empty root */
#define SPAWN_LAYER_PID     0x004u
#define SPAWN_LAYER_IPC     0x008u
#define SPAWN_LAYER_UTS     0x010u
#define SPAWN_LAYER_NET     0x020u
#define SPAWN_LAYER_CGROUP  0x040u
#define SPAWN_LAYER_RLIMIT  0x080u
#define SPAWN_LAYER_NOCAPS  0x100u
#define SPAWN_LAYER_NNP     0x200u
#define SPAWN_LAYER_SECCOMP 0x400u
struct spawn_event { /* spawner -> vmm. STARTED carries a pidfd, and, for a role with a file, that file
                        opened anew (its own open file description) as second descriptor */
    uint32_t kind;
    uint32_t role;
    uint32_t generation;
    int32_t pid;    /* in the vmm's pid namespace */
    uint32_t uid;
    uint32_t layers;
    int32_t status; /* EXITED: wait status; FAILED: errno */
    uint32_t pad;
    char text[200]; /* FAILED: which stage and why */
};

_Static_assert(sizeof(struct spawn_role) == 48, "ABI");
_Static_assert(sizeof(struct spawn_request) == 16, "ABI");
_Static_assert(sizeof(struct spawn_event) == 232, "ABI");

#endif
