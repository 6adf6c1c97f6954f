/* A directory of its own for one test, and files in it. */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch[64];

static inline void scratch_setup(void)
{
    snprintf(scratch, sizeof(scratch), "/tmp/diffaid-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scratch));
}

static inline int scratch_remove(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static inline void scratch_teardown(void)
{
    nftw(scratch, scratch_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* The path of name in the directory; good until the eighth call after this one. */
static inline const char *in_scratch(const char *name)
{
    static char paths[8][512];
    static unsigned turn;
    char *path = paths[turn++ % 8];

    snprintf(path, sizeof(paths[0]), "%s/%s", scratch, name);
    return path;
}

static inline void scratch_write(const char *name, const void *data, size_t bytes)
{
    FILE *file = fopen(in_scratch(name), "wb");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, bytes, file), bytes);
    ck_assert_int_eq(fclose(file), 0);
}

static inline void scratch_text(const char *name, const char *text)
{
    scratch_write(name, text, strlen(text));
}

static inline void scratch_mkdir(const char *name)
{
    ck_assert_int_eq(mkdir(in_scratch(name), 0700), 0);
}

/* A safetensors file: the header's length, the header, and data_bytes of data that count up. */
static inline void scratch_safetensors(const char *name, const char *header, size_t data_bytes)
{
    uint64_t length = strlen(header);
    uint8_t *file = malloc(8 + length + data_bytes);

    ck_assert_ptr_nonnull(file);
    memcpy(file, &length, 8);
    memcpy(file + 8, header, length);
    for (size_t i = 0; i < data_bytes; i++)
        file[8 + length + i] = (uint8_t)i;
    scratch_write(name, file, 8 + length + data_bytes);
    free(file);
}

#endif
