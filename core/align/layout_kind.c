#include <string.h>

#include "core/align/layout_work.h"

struct name layout_own(struct name *name)
{
    static const char *const owns[] = {"weight", "bias", "input_min", "input_max", "output_min", "output_max"};

    for (size_t i = 0; i < sizeof(owns) / sizeof(owns[0]); i++) {
        const uint32_t bytes = (uint32_t)strlen(owns[i]);

        if (name->bytes > bytes + 1 && name->text[name->bytes - bytes - 1] == '.' &&
            memcmp(name->text + name->bytes - bytes, owns[i], bytes) == 0) {
            name->bytes -= bytes + 1;
            return name_of(owns[i]);
        }
    }
    return (struct name){"", 0};
}

struct name layout_kind(struct name name, char out[PATTERN_NAME_BYTES], struct captures *captures, struct name *ret_own)
{
    uint32_t used = 0;
    bool has_number = false;

    *ret_own = layout_own(&name);
    for (uint32_t i = 0; i < name.bytes && used + 3 < PATTERN_NAME_BYTES;) {
        uint32_t digits = 0;

        while (i + digits < name.bytes && name.text[i + digits] >= '0' && name.text[i + digits] <= '9')
            digits++;
        if (!has_number && digits && i > 0 && name.text[i - 1] == '.' &&
            (i + digits == name.bytes || name.text[i + digits] == '.')) {
            captures->n = (struct name){name.text + i, digits};
            memcpy(out + used, "{n}", 3);
            used += 3;
            has_number = true;
            i += digits;
        } else {
            digits = digits ? digits : 1;
            memcpy(out + used, name.text + i, digits < PATTERN_NAME_BYTES - used ? digits : PATTERN_NAME_BYTES - used);
            used += digits;
            i += digits;
        }
    }
    return (struct name){out, used < PATTERN_NAME_BYTES ? used : PATTERN_NAME_BYTES};
}
