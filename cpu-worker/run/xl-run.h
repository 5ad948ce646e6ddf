/* SPDX-License-Identifier: Apache-2.0 */
/* The handlers that stand in front of a block's first operation (run/xl.c, run/xl-run.c). Internal to run/. */
#ifndef BULKHEAD_CPU_WORKER_RUN_XL_RUN_H
#define BULKHEAD_CPU_WORKER_RUN_XL_RUN_H

#include "cpu-worker/run/op.h"

OP(op_xl_heat);  /* counts entries */
OP(op_xl_enter); /* runs the translation */

#endif
