/* SPDX-License-Identifier: Apache-2.0 */
/* The state table: the paths of the plan page exist, everything else is refused and changes
 * nothing. */
#include <string.h>
#include "tests/unit/supervise/tap.h"
#include "vmm/supervise/child.h"

static struct child c = {.role_name = "block", .id = "virtio0", .tag = "block/virtio0"};

static bool walk(enum child_state from, const enum child_event *ev, unsigned n, enum child_state to)
{
    c.state = from;
    for (unsigned i = 0; i < n; i++)
        if (!child_move(&c, ev[i]))
            return false;
    return c.state == to;
}
#define WALK(from, to, ...)                                                                        \
    walk(from, (const enum child_event[]){__VA_ARGS__},                                            \
         sizeof((const enum child_event[]){__VA_ARGS__}) / sizeof(enum child_event), to)

static void test_paths(void)
{
    ok(WALK(CHILD_ABSENT, CHILD_RUNNING, CEV_START, CEV_STARTED, CEV_READY), "start");
    ok(WALK(CHILD_RUNNING, CHILD_SPAWNING, CEV_LOST, CEV_START), "restart at once");
    ok(WALK(CHILD_RUNNING, CHILD_SPAWNING, CEV_LOST, CEV_BACKOFF, CEV_START),
       "restart after a delay");
    ok(WALK(CHILD_HANDSHAKE, CHILD_FAILED, CEV_LOST, CEV_GIVE_UP), "given up");
    ok(WALK(CHILD_FAILED, CHILD_SPAWNING, CEV_START), "device_restart leaves FAILED");
    ok(WALK(CHILD_RUNNING, CHILD_ABSENT, CEV_STOP, CEV_REAPED), "orderly end");
    ok(WALK(CHILD_DEAD, CHILD_ABSENT, CEV_STOP, CEV_REAPED), "end while it is being reaped");
    ok(WALK(CHILD_BACKOFF, CHILD_ABSENT, CEV_STOP), "end while waiting");
}

static void test_illegal(void)
{
    unsigned legal = 0;
    bool unchanged = true;

    for (int s = CHILD_ABSENT; s <= CHILD_FAILED; s++)
        for (int e = 0; e < CHILD_EVENTS; e++) {
            if (child_next_state((enum child_state)s, (enum child_event)e) >= 0) {
                legal++;
                continue;
            }
            c.state = (enum child_state)s;
            unchanged &= !child_move(&c, (enum child_event)e) && c.state == (enum child_state)s;
        }
    ok(unchanged, "an illegal event changes nothing");
    ok(legal == 20, "20 transitions are legal");
    ok(child_next_state((enum child_state)99, CEV_START) < 0, "a state out of range is refused");
}

int main(void)
{
    test_paths();
    test_illegal();
    return tap_end();
}
