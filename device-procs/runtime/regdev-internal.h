/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files of the register device skeleton share. Private to the runtime. */
#ifndef BULKHEAD_DEVICE_PROCS_RUNTIME_REGDEV_INTERNAL_H
#define BULKHEAD_DEVICE_PROCS_RUNTIME_REGDEV_INTERNAL_H

#include "device-procs/runtime/regdev.h"

void regdev_step_begin(struct regdev *d);
void regdev_answer_again(struct regdev *d);
bool regdev_units_look(struct regdev *d); /* true: something changed */

#endif
