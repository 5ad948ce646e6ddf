/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VNC password as the monitors set it: kept here because ui-proc may be started anew, sent to it when
 * it changes. Must never appear in a log or an answer.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "vmm/lifecycle.h"

static int tell(struct vm *vm)
{
    struct supervisor *s = lifecycle_supervisor();
    Ctl__VncPassword m = CTL__VNC_PASSWORD__INIT;

    m.text = vm->vnc_password;
    m.expires = vm->vnc_expires;
    for (unsigned i = 0; i < s->n_child; i++)
        if (s->child[i].program == SPAWN_UI && s->child[i].state == CHILD_RUNNING)
            (void)sup_child_send(&s->child[i], CTL_VNC_PASSWORD, &m, NULL, 0); /* a successor gets it with BOOT */
    return 0;
}

int vm_vnc_password(struct vm *vm, const char *password)
{
    if (!vm->plan.vnc.kind)
        return vm_fail(-ENODEV, "VNC is not active");
    if (!vm->plan.vnc.password)
        return vm_fail(-EINVAL, "If you want use passwords please enable password auth using '-vnc "
                                "${dpy},password'.");
    explicit_bzero(vm->vnc_password, sizeof(vm->vnc_password));
    memcpy(vm->vnc_password, password, strnlen(password, sizeof(vm->vnc_password) - 1));
    return tell(vm);
}

int vm_vnc_expire(struct vm *vm, int64_t when)
{
    if (!vm->plan.vnc.kind)
        return vm_fail(-ENODEV, "VNC is not active");
    vm->vnc_expires = when;
    return tell(vm);
}
