/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run loop of a vCPU: finds blocks, runs them, takes interrupts between them, sleeps in HLT, parks
 * when asked. Owns cpu->unwind and the order in which events are looked at.
 */
#include "cpu-worker/run/run.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "cpu-worker/chipset/chipset.h"
#include "cpu-worker/helpers/simd-trap.h"
#include "cpu-worker/helpers/simd.h"
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/irq/clock.h"
#include "cpu-worker/mmio/mmio.h"
#include "cpu-worker/mmu/control.h"
#include "cpu-worker/run/chain.h"
#include "cpu-worker/run/debug.h"
#include "cpu-worker/run/mce.h"
#include "cpu-worker/run/smm.h"
#include "cpu-worker/run/startup.h"
#include "cpu-worker/run/team.h"
#include "cpu-worker/run/watch.h"
#include "cpu-worker/run/xl.h"
#include "ipc/cpu-model.h"
#include "ipc/log.h"

#define RF_TF 0x100u
#define RF_IF 0x200u
#define RF_RF 0x10000u

const struct op cpu_no_op;

size_t cpu_size(void)
{
    return sizeof(struct cpu);
}
/* The page may change under us: copy, then check, then use. */
static int model_take(struct cpu *c)
{
    char err[160];
    memcpy(&c->model, &c->page->cpu, sizeof(c->model));
    if (cpu_model_check(&c->model, err, sizeof(err))) {
        log_error("machine page: %s", err);
        return -1;
    }
    memcpy(c->feat, c->model.feat, sizeof(c->feat));
    c->vendor = c->model.vendor;
    return 0;
}
int cpu_init(struct cpu *c, unsigned index, struct abi_machine_page *page, struct mmu_host *mem,
             struct chipset *cs, struct abi_codepage *cp)
{
    struct team *t = team_create(1, page->ram_below_4g + page->ram_above_4g, cp);
    return t ? cpu_init_member(c, index, page, mem, cs, t) : -ENOMEM;
}
int cpu_init_member(struct cpu *c, unsigned index, struct abi_machine_page *page,
                    struct mmu_host *mem, struct chipset *cs, struct team *team)
{
    memset(c, 0, sizeof(*c));
    c->team = team;
    c->index = index;
    c->page = page;
    c->mem = mem;
    c->chipset = cs;
    c->cp = team->cp;
    cp_seq_set(c, c->cp->seq);
    c->s = &page->vcpu[index];
    c->exc.vector = -1;
    simd_traps_init();
    int err = model_take(c) ? -EINVAL : block_cache_init(c, mem->ram_size);
    c->va_shift = 16;
    c->cr4_mask = cr4_carried(c);
    if (!err)
        team->cpu[index] = c;
    return err;
}

/* #syscalls:cpu-worker futex */
static void futex_wait(volatile uint32_t *word, uint32_t expected, const struct timespec *patience)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, patience, NULL, 0);
}
static void futex_wake(volatile uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
/* The caller has made its reason visible before. Who sees exit_request still up leaves the rest to the
 * look that will take it down; a sleeper compares intr_wake, so that a kick before it sleeps counts. */
void cpu_kick(struct cpu *c)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(&c->exit_request, __ATOMIC_SEQ_CST) && !__atomic_load_n(&c->asleep, __ATOMIC_SEQ_CST))
        return;
    __atomic_store_n(&c->exit_request, 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&c->intr_wake, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&c->asleep, __ATOMIC_SEQ_CST))
        futex_wake(&c->intr_wake);
}
void cpu_request_flush(struct cpu *c)
{
    __atomic_store_n(&c->flush_req, 1, __ATOMIC_SEQ_CST);
    cpu_kick(c);
}

/* INIT waits for RSM (APM volume 2, 10.3.3); a start-up IPI would mean nothing. */
static bool startup_ready(const struct cpu *c)
{
    return !smm_active(c) && startup_pending(c);
}
static bool must_wake(struct cpu *c)
{
    if (c->pause_req || c->flush_req || startup_ready(c) || smm_smi_ready(c))
        return true;
    return !c->s->wait_sipi && (mce_waits(c) || (!c->s->nmi_blocked && chipset_nmi_pending(c->chipset, c->index)) ||
                                ((c->eflags & RF_IF) && chipset_intr_pending(c->chipset, c->index)));
}
/* HLT, MWAIT, or the wait for a start-up IPI: sleep until something may have to be done. */
static void halt_sleep(struct cpu *c)
{
    struct abi_vcpu_run *r = &c->page->run[c->index];
    __atomic_store_n(&r->halted, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&r->insns, c->insns, __ATOMIC_RELAXED);
    team_leave(c);
    xl_leave_guest(c);
    __atomic_store_n(&c->asleep, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        uint32_t seen = __atomic_load_n(&c->intr_wake, __ATOMIC_SEQ_CST);
        if (must_wake(c) || watch_over(c))
            break;
        struct timespec ts = {0, c->mwait ? (long)watch_patience(c) : 0};
        futex_wait(&c->intr_wake, seen, c->mwait ? &ts : NULL);
    }
    watch_disarm(c); /* whatever ended it: MWAIT is not restarted */
    __atomic_store_n(&c->asleep, 0, __ATOMIC_SEQ_CST);
    team_enter(c);
    xl_enter_guest(c);
    __atomic_store_n(&r->halted, 0, __ATOMIC_RELAXED);
}

static void flush_obey(struct cpu *c)
{
    uint32_t seq = __atomic_load_n(&c->team->flush_seq, __ATOMIC_SEQ_CST);
    __atomic_store_n(&c->flush_req, 0, __ATOMIC_SEQ_CST);
    mmio_map_refresh(c->mem);
    block_layout_check(c);
    tlb_flush_all(c);
    __atomic_store_n(&c->team->seat[c->index].flush_ack, seq, __ATOMIC_SEQ_CST);
}
/* What a raised exit request may mean. True: park. Runs outside blocks with c->rip current. */
static bool events_take(struct cpu *c)
{
    __atomic_store_n(&c->exit_request, 0, __ATOMIC_SEQ_CST);
    team_boundary(c);
    xl_boundary(c);
    if (c->flush_req)
        flush_obey(c);
    if (__atomic_load_n(&c->cp->seq, __ATOMIC_ACQUIRE) != c->cp_seq)
        team_dma_sync(c);
    if (c->pause_req) {
        c->exit_request = 1; /* interrupts are looked at again after the pause */
        return true;
    }
    if (startup_ready(c))
        startup_take(c);
    if (c->s->wait_sipi)
        return false;
    if (mce_waits(c)) { /* the first of all (SDM volume 3, table 6-2) */
        mce_take(c);
        c->exit_request = 1;
    } else if (!c->s->intr_shadow && smm_smi_ready(c)) { /* before everything else (SDM volume 3, table 6-2) */
        smm_enter(c);
        c->exit_request = 1; /* the handler may unblock what waits now */
    } else if (c->s->db_pending && c->s->intr_shadow != SHADOW_SS) { /* before NMI and interrupts (table 6-2) */
        c->s->dr[6] = (c->s->dr[6] & ~0xfull) | c->s->db_pending;
        c->s->db_pending = 0;
        c->s->halted = 0;
        cpu_deliver(c, VEC_DB, EVENT_EXCEPTION, false, 0);
        c->exit_request = 1;
    } else if (!c->s->intr_shadow) {
        if (!c->s->nmi_blocked && chipset_nmi_take(c->chipset, c->index)) {
            c->s->halted = 0;
            c->s->nmi_blocked = 1;
            cpu_deliver(c, VEC_NMI, EVENT_EXTERNAL, false, 0);
        } else if ((c->eflags & RF_IF) && chipset_intr_pending(c->chipset, c->index)) {
            int vector = chipset_intr_ack(c->chipset, c->index);
            if (vector >= 0) {
                c->s->halted = 0;
                cpu_deliver(c, vector, EVENT_EXTERNAL, false, 0);
            }
            c->exit_request = 1; /* there may be more */
        }
    }
    return false;
}

/* The one instruction of a block must end inside CS (SDM volume 3, 5.3). */
static void check_last_byte(struct cpu *c, const struct block *b)
{
    if (!(c->mode & MODE_64) && c->rip + b->len - 1 > c->s->seg[ABI_CS].limit)
        cpu_raise_err(c, &cpu_no_op, VEC_GP, 0);
}

/* The block at c->rip; NULL when the bytes are not in memory. */
static struct block *block_at_rip(struct cpu *c)
{
    uint64_t lip = c->rip + c->segbase[ABI_CS], gpa;
    c->gpr[REG_BLOCK] = c->rip; /* where a fault of the fetch points */
    if (!(c->mode & MODE_64)) {
        lip = (uint32_t)lip;
        if (unlikely(c->rip > c->s->seg[ABI_CS].limit))
            cpu_raise_err(c, &cpu_no_op, VEC_GP, 0);
    }
    if (!mmu_fetch(c, lip, &gpa, NULL))
        return NULL;
    struct block *b = block_find(c, gpa);
    if (b && b->gpa2 != ~0ull) { /* does the page after it still back it? */
        uint64_t gpa2;
        mmu_fetch(c, (lip & ~0xfffull) + 4096, &gpa2, NULL);
        if ((gpa2 ^ b->gpa2) >> 12)
            b = NULL;
    }
    if (unlikely(b && b->settle) && !block_settle(c, b))
        b = NULL;
    if (!b)
        b = block_make(c, lip);
    if (!b)
        return NULL;
    if (unlikely(c->cs_tight || b->gpa2 != ~0ull))
        check_last_byte(c, b);
    bool jumps = tlb_code_jumps(c, lip) && (b->gpa2 == ~0ull || tlb_code_jumps(c, (lip & ~0xfffull) + 4096));
    if (unlikely(b->settle || !jumps)) { /* no way to it that does not look again: at its bytes, or its page */
        c->link_slot = NULL;
        c->jc[jc_index(lip)].key = ~0ull;
        return b;
    }
    struct jc_entry *e = &c->jc[jc_index(lip)];
    e->lip = lip;
    e->key = c->jc_key;
    e->block = b;
    if (c->link_slot) { /* the terminator that led here can go directly next time */
        bool same_page = ((c->link_lip ^ lip) >> 12) == 0 && b->gpa2 == ~0ull && !b->dead;
        if (same_page && xl_is_slot(c->link_slot))
            xl_linked(c, b);
        else if (same_page)
            c->link_slot->imm = (uintptr_t)b;
        c->link_slot = NULL;
    }
    return b;
}

static void run_block(struct cpu *c, struct block *b)
{
    const struct op *o = b->ops;
    if (unlikely(c->xl_cold)) {
        o = xl_cold_start(c, b);
    } else {
        c->gpr[REG_BLOCK] = c->rip;
        c->insns += b->n;
    }
    while (o)
        o = o->fn(c, o);
}
/* Entering a handler by INT n or SYSCALL clears TF before the trap of that instruction could be taken;
 * POPF and IRET clear it after (SDM volume 3, 18.3.1.4). */
static bool entry_cleared_tf(const struct cpu *c, op_fn fn)
{
    return !(c->eflags & RF_TF) && (fn == op_int || fn == op_int3 || fn == op_into || fn == op_syscall);
}
/* Does the single-step trap follow the instruction that just ran? With BTF only after taken branches: those
 * that did not fall through. */
static bool step_traps(const struct cpu *c, op_fn fn, uint64_t fallthrough)
{
    if (fn == op_rsm) /* the flags now are those of another program */
        return false;
    if (c->s->intr_shadow == SHADOW_SS || entry_cleared_tf(c, fn))
        return false;
    return !(c->s->debugctl & DEBUGCTL_BTF) || c->rip != fallthrough;
}
/* An instruction breakpoint at c->rip: a fault of the instruction, unless RF or MOV SS holds it back. */
static bool code_breakpoint(struct cpu *c, uint32_t shadow)
{
    if (!(c->dbg_armed & DBG_CODE) || (c->eflags & RF_RF) || shadow == SHADOW_SS)
        return false;
    uint64_t lip = c->rip + c->segbase[ABI_CS];
    uint32_t hits = debug_code_hits(c, c->mode & MODE_64 ? lip : (uint32_t)lip);
    if (!hits)
        return false;
    c->s->dr[6] = (c->s->dr[6] & ~0xfull) | hits;
    cpu_deliver(c, VEC_DB, EVENT_EXCEPTION, false, 0);
    return true;
}
/* Execute exactly one instruction: single step, interrupt shadows, armed breakpoints, the end of CS. */
static void step_one(struct cpu *c)
{
    bool tf = c->eflags & RF_TF;
    uint32_t shadow = c->s->intr_shadow;
    uint64_t fallthrough = c->rip;
    op_fn fn = NULL;
    c->s->intr_shadow = 0; /* what the instruction sets is for the one after it */
    if (code_breakpoint(c, shadow))
        return;
    c->eflags &= ~(uint64_t)RF_RF;
    c->mode |= MODE_TF;
    c->link_slot = NULL;
    struct block *b = block_at_rip(c);
    c->jc[jc_index(c->rip + c->segbase[ABI_CS])].key = ~0ull;
    if (b) {
        const struct op *o = b->ops;
        fn = b->first;
        c->xl_cold = 0;
        fallthrough += o->len;
        c->gpr[REG_BLOCK] = c->rip;
        c->insns += b->n;
        c->exit_request = 1; /* the terminator then returns here instead of chaining on */
        while (o)
            o = o->fn(c, o);
    }
    c->link_slot = NULL;
    cpu_mode_update(c);
    c->exit_request = 1; /* events_take finds the traps, before anything else that may wait */
    if (tf && step_traps(c, fn, fallthrough))
        c->s->db_pending |= DR6_BS;
    c->s->db_pending |= c->dbg_hit;
    c->dbg_hit = 0;
}
/* RF lasts for one instruction, and matters only where breakpoints are looked at. */
static bool must_step(struct cpu *c)
{
    if (c->s->intr_shadow || (c->eflags & RF_TF) || c->dbg_armed || c->cs_tight)
        return true;
    c->eflags &= ~(uint64_t)RF_RF;
    return false;
}

static int run_loop(struct cpu *c)
{
    for (;;) {
        if (chain_poll(c) && events_take(c))
            return CPU_EXIT_PAUSED;
        if (c->shutdown)
            return CPU_EXIT_TRIPLE_FAULT;
        if (c->internal_error)
            return CPU_EXIT_INTERNAL_ERROR;
        if (c->s->halted || c->s->wait_sipi || c->mwait) {
            halt_sleep(c);
            c->exit_request = 1;
            continue;
        }
        if (unlikely(c->s->intr_shadow | (c->eflags & (RF_TF | RF_RF)) | c->dbg_armed | c->cs_tight) && must_step(c)) {
            step_one(c);
            continue;
        }
        struct block *b = block_at_rip(c);
        if (!b)
            return CPU_EXIT_INTERNAL_ERROR;
        run_block(c, b);
    }
}

int cpu_run(struct cpu *c)
{
    sigjmp_buf env;
    c->unwind = &env;
    c->tsc_ratio = worker_tsc_ratio();
    watch_disarm(c);
    c->exit_request = 1;
    simd_state_load(c);
    team_enter(c);
    xl_enter_guest(c);
    if (sigsetjmp(env, 0) && !c->internal_error)
        cpu_unwind_to_event(c);
    int r = run_loop(c);
    c->unwind = NULL;
    xl_leave_guest(c);
    team_leave(c);
    simd_state_save(c);
    cpu_state_save(c);
    return r;
}
