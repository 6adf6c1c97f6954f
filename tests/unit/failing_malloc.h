/* The program's own malloc family, which counts and lets the nth allocation fail. Include it in one file of a test.
 * Under a sanitizer that family is the sanitizer's: HAS_SANITIZER is defined then, and the walk is left out. */
#ifndef TESTS_UNIT_FAILING_MALLOC_H
#define TESTS_UNIT_FAILING_MALLOC_H

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif

#ifndef HAS_SANITIZER

static bool is_counting;
static bool is_sparing; /* counts, and lets nothing fail: for the test's own fakes */
static long countdown;  /* the allocation that fails when it reaches 0 */
static long live;       /* blocks allocated minus blocks freed, while counting */

/* dlsym may allocate before it has found the real functions. */
static char early[4096];
static size_t early_used;

static void *real(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

static bool fails(void)
{
    if (!is_counting || is_sparing || countdown-- != 0)
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t bytes)
{
    static void *(*real_malloc)(size_t);
    void *block;

    if (!real_malloc)
        *(void **)&real_malloc = real("malloc");
    if (fails())
        return NULL;
    block = real_malloc(bytes);
    live += is_counting && block;
    return block;
}

void *calloc(size_t count, size_t bytes)
{
    static void *(*real_calloc)(size_t, size_t);
    static bool is_finding;
    void *block;

    if (!real_calloc) {
        if (is_finding) {
            block = early + early_used;
            early_used += (count * bytes + 15) & ~(size_t)15;
            return early_used <= sizeof(early) ? block : NULL;
        }
        is_finding = true;
        *(void **)&real_calloc = real("calloc");
    }
    if (fails())
        return NULL;
    block = real_calloc(count, bytes);
    live += is_counting && block;
    return block;
}

void *realloc(void *old, size_t bytes)
{
    static void *(*real_realloc)(void *, size_t);
    void *block;

    if (!real_realloc)
        *(void **)&real_realloc = real("realloc");
    if (fails())
        return NULL;
    block = real_realloc(old, bytes);
    live += is_counting && block && !old;
    return block;
}

void free(void *block)
{
    static void (*real_free)(void *);

    if (!block || ((char *)block >= early && (char *)block < early + sizeof(early)))
        return;
    if (!real_free)
        *(void **)&real_free = real("free");
    live -= is_counting;
    real_free(block);
}

#endif

#endif
