/* Which kernels this processor can run. Explicit tables rather than ifunc: a test can ask for a lower set. */
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "core/scan/kernels.h"

struct isa_row {
    const char *name;
    const struct kernels *kernels; /* NULL: not built here */
};

static const struct isa_row rows[] = {
    [ISA_AUTO] = {"auto", NULL},
    [ISA_SCALAR] = {"scalar", &kernels_scalar},
#if defined(__x86_64__)
    [ISA_AVX2] = {"avx2", &kernels_avx2},
    [ISA_AVX512] = {"avx512", &kernels_avx512},
#else
    [ISA_AVX2] = {"avx2", NULL},
    [ISA_AVX512] = {"avx512", NULL},
#endif
};
enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]) };

#if defined(__x86_64__)
/* The parts of x86-64-v3 that __builtin_cpu_supports has no name for in every compiler: MOVBE, F16C, LZCNT. */
static int has_unnamed_v3_parts(void)
{
    enum { MOVBE = 1 << 22, F16C = 1 << 29, LZCNT = 1 << 5 };
    unsigned a, b, c, d;

    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & (MOVBE | F16C)) != (MOVBE | F16C))
        return 0;
    return __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & LZCNT);
}
#endif

/* The kernels are compiled for x86-64-v3 and -v4 as a whole, so every part of these must be there. */
static int isa_is_supported(enum isa isa)
{
    switch (isa) {
    case ISA_AUTO:
    case ISA_SCALAR:
        return 1;
#if defined(__x86_64__)
    case ISA_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
               __builtin_cpu_supports("fma") && has_unnamed_v3_parts();
    case ISA_AVX512:
        return isa_is_supported(ISA_AVX2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl");
#else
    case ISA_AVX2:
    case ISA_AVX512:
        break;
#endif
    }
    return 0;
}

enum isa isa_best(void)
{
    if (isa_is_supported(ISA_AVX512))
        return ISA_AVX512;
    return isa_is_supported(ISA_AVX2) ? ISA_AVX2 : ISA_SCALAR;
}

int isa_by_name(const char *name, enum isa *ret_isa)
{
    for (int i = 0; i < ROW_COUNT; i++) {
        if (strcmp(name, rows[i].name) == 0 && isa_is_supported((enum isa)i)) {
            *ret_isa = (enum isa)i;
            return 0;
        }
    }
    return ERROR_REQUEST;
}

const char *isa_name(enum isa isa)
{
    return (int)isa < ROW_COUNT ? rows[isa].name : "unknown";
}

const struct kernels *kernels_of(enum isa isa)
{
    if (isa == ISA_AUTO || (int)isa >= ROW_COUNT || !isa_is_supported(isa))
        isa = isa_best();
    return rows[isa].kernels;
}
