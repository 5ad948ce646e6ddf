/* SPDX-License-Identifier: Apache-2.0 */
/* Surfaces: bounds, clipping, conversion. */
#include <errno.h>
#include <string.h>

#include "tests/lib/ctest.h"
#include "ui-proc/surface.h"

int main(void)
{
    struct surface s = {0};
    uint8_t rgb[4 * 3 * 4];
    uint16_t r565[4 * 4];

    ok(surface_init(&s, 0, 10) == -EINVAL && surface_init(&s, SURFACE_SIDE_MAX + 1, 1) == -EINVAL, "bad sizes");
    ok(surface_init(&s, 3, 4) == 0, "3 x 4");
    surface_fill(&s, 0, 0, 3, 4, 0x102030);
    surface_fill(&s, 2, 3, 0xffffffff, 0xffffffff, 0xff0000);
    surface_fill(&s, 3, 0, 1, 1, 0xffffff);
    ok(surface_pixel(&s, 0, 0) == 0x102030 && surface_pixel(&s, 1, 3) == 0x102030, "filled");
    ok(surface_pixel(&s, 2, 3) == 0xff0000, "clipped at the edge");
    ok(surface_pixel(&s, 3, 3) == 0 && surface_pixel(&s, 0, 4) == 0, "outside is nothing");
    memset(rgb, 0, sizeof(rgb));
    ok(surface_convert(&s, SURFACE_R8G8B8, rgb, sizeof(rgb), 12) == 0, "to 24 bits");
    ok(rgb[0] == 0x30 && rgb[1] == 0x20 && rgb[2] == 0x10 && rgb[3 * 12 + 8] == 0xff, "in the right order");
    ok(surface_convert(&s, SURFACE_R5G6B5, r565, sizeof(r565), 8) == 0 && r565[3 * 4 + 2] == 0xf800, "to 16 bits");
    ok(surface_convert(&s, SURFACE_R8G8B8, rgb, sizeof(rgb) - 1, 12) == -EINVAL, "too small a buffer");
    ok(surface_convert(&s, SURFACE_X8R8G8B8, rgb, sizeof(rgb), 8) == -EINVAL, "too small a stride");
    ok(surface_convert(&s, SURFACE_R5G6B5, r565, sizeof(r565), 7) == -EINVAL, "an odd stride");
    surface_fini(&s);
    return ctest_done();
}
