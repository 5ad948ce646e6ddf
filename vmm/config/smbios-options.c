/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -smbios: strings for the tables that describe the machine. One table says which keys each type has. Must never
 * know how the tables look.
 */
#include <stdlib.h>
#include <string.h>
#include "vmm/config/options.h"
#include "vmm/config/optlist.h"

static const struct smb_key {
    unsigned type;
    const char *name;
    enum plan_smb_text text;
} smb_keys[] = {
    {0, "vendor", SMB_BIOS_VENDOR},
    {0, "version", SMB_BIOS_VERSION},
    {0, "date", SMB_BIOS_DATE},
    {0, "release", SMB_BIOS_RELEASE},
    {1, "manufacturer", SMB_SYS_MANUFACTURER},
    {1, "product", SMB_SYS_PRODUCT},
    {1, "version", SMB_SYS_VERSION},
    {1, "serial", SMB_SYS_SERIAL},
    {1, "uuid", SMB_SYS_UUID},
    {1, "sku", SMB_SYS_SKU},
    {1, "family", SMB_SYS_FAMILY},
    {2, "manufacturer", SMB_BOARD_MANUFACTURER},
    {2, "product", SMB_BOARD_PRODUCT},
    {2, "version", SMB_BOARD_VERSION},
    {2, "serial", SMB_BOARD_SERIAL},
    {2, "asset", SMB_BOARD_ASSET},
    {2, "location", SMB_BOARD_LOCATION},
    {3, "manufacturer", SMB_CASE_MANUFACTURER},
    {3, "version", SMB_CASE_VERSION},
    {3, "serial", SMB_CASE_SERIAL},
    {3, "asset", SMB_CASE_ASSET},
    {3, "sku", SMB_CASE_SKU},
    {4, "sock_pfx", SMB_CPU_SOCKET},
    {4, "manufacturer", SMB_CPU_MANUFACTURER},
    {4, "version", SMB_CPU_VERSION},
    {4, "serial", SMB_CPU_SERIAL},
    {4, "asset", SMB_CPU_ASSET},
    {4, "part", SMB_CPU_PART},
    {4, "max-speed", SMB_CPU_MAX_SPEED},
    {4, "current-speed", SMB_CPU_SPEED},
    {17, "loc_pfx", SMB_DIMM_LOCATION},
    {17, "bank", SMB_DIMM_BANK},
    {17, "manufacturer", SMB_DIMM_MANUFACTURER},
    {17, "serial", SMB_DIMM_SERIAL},
    {17, "asset", SMB_DIMM_ASSET},
    {17, "part", SMB_DIMM_PART},
    {17, "speed", SMB_DIMM_SPEED},
};
#define SMB_KEYS (sizeof(smb_keys) / sizeof(smb_keys[0]))

/* What a type knows, for the line that refuses another key. */
static int key_unknown(struct parse *c, unsigned type, const char *key)
{
    char list[256];
    size_t n = 0;

    list[0] = 0;
    for (unsigned i = 0; i < SMB_KEYS; i++)
        if (smb_keys[i].type == type)
            n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", n ? ", " : "", smb_keys[i].name);
    return parse_fail(c, "type=%u has no '%s' (available: %s%s)", type, key, list,
                      type == 0 ? ", uefi" : type == 11 ? "value" : "");
}

static int number_check(struct parse *c, enum plan_smb_text t, const char *key, const char *val)
{
    uint64_t v;
    unsigned major, minor, used = 0;

    if (t == SMB_CPU_MAX_SPEED || t == SMB_CPU_SPEED || t == SMB_DIMM_SPEED)
        return opt_number(c, key, val, 0, 65535, &v);
    if (t == SMB_BIOS_RELEASE &&
        (sscanf(val, "%3u.%3u%n", &major, &minor, (int *)&used) != 2 || val[used] || major > 255 || minor > 255))
        return parse_fail(c, "release is two numbers up to 255, as 1.2");
    return 0;
}

static int oem_add(struct parse *c, const char *val)
{
    struct plan_smbios *s = &c->p->smbios;

    if (s->n_oem == PLAN_OEM_MAX)
        return parse_fail(c, "too many values (limit %d)", PLAN_OEM_MAX);
    return opt_copy(c, "value", val, s->oem[s->n_oem++], sizeof(s->oem[0]));
}

static int pair_set(struct parse *c, unsigned type, const char *key, const char *val)
{
    struct plan_smbios *s = &c->p->smbios;

    if (!val)
        return parse_fail(c, "'%s' needs a value", key);
    if (type == 11 && !strcmp(key, "value"))
        return oem_add(c, val);
    if (type == 0 && !strcmp(key, "uefi"))
        return opt_bool(c, key, val, &s->uefi);
    for (unsigned i = 0; i < SMB_KEYS; i++) {
        const struct smb_key *k = &smb_keys[i];

        if (k->type == type && !strcmp(k->name, key))
            return number_check(c, k->text, key, val) ? -1
                                                      : opt_copy(c, key, val, s->text[k->text], sizeof(s->text[0]));
    }
    return key_unknown(c, type, key);
}

int set_smbios(struct parse *c, const char *arg)
{
    static const unsigned types[] = {0, 1, 2, 3, 4, 11, 17};
    struct optlist l;
    const char *val;
    uint64_t type;
    bool known = false;

    if (optlist_split(c, &l, arg, NULL))
        return -1;
    if (optlist_get(&l, "file"))
        return parse_fail(c, "file= is not built (available: type=0, 1, 2, 3, 4, 11, 17)");
    val = optlist_take(&l, "type");
    if (!val || opt_number(c, "type", val, 0, 255, &type))
        return val ? -1 : parse_fail(c, "type= is missing (available: 0, 1, 2, 3, 4, 11, 17)");
    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        known |= types[i] == type;
    if (!known)
        return parse_fail(c, "type=%s is not built (available: 0, 1, 2, 3, 4, 11, 17)", val);
    c->p->smbios.bios |= type == 0;
    c->p->smbios.board |= type == 2;
    for (unsigned i = 0; i < l.n; i++)
        if (pair_set(c, (unsigned)type, l.kv[i].key, l.kv[i].val))
            return -1;
    return 0;
}
