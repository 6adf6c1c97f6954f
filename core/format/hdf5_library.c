#include "core/format/hdf5_library.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUDGET_FACTOR = 32, SMALLEST_BUDGET = 16 << 20, CACHE_BYTES_MIN = 4 << 20, CACHE_BYTES_MAX = 16 << 20 };

/* The library keeps everything of it in globals. */
static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER;

#if defined(__SANITIZE_ADDRESS__)
#define IS_ADDRESS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_ADDRESS_SANITIZED 1
#endif
#endif

#ifdef IS_ADDRESS_SANITIZED
const char *__lsan_default_suppressions(void);

/* Of files that it refuses, the library forgets to give some memory back. */
const char *__lsan_default_suppressions(void)
{
    return "leak:H5";
}
#endif

/* The driver. Its files are what the library holds of ours. */
struct driven {
    H5FD_t base;
    struct hdf5 *h5;
    haddr_t end;
};

/* What a file access property list hands to the driver. */
struct driver_info {
    struct hdf5 *h5;
};

bool hdf5_fault(struct hdf5 *h5, int code, const char *format, ...)
{
    char text[ERROR_TEXT_BYTES];
    va_list args;

    if (h5->rc)
        return false;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    h5->rc = error_set(h5->err, (enum error_code)code, "%s", text);
    return false;
}

bool hdf5_no_memory(struct hdf5 *h5)
{
    return hdf5_fault(h5, ERROR_NO_MEMORY, "out of memory for the model");
}

/* The innermost reason. */
static herr_t keep_reason(unsigned number, const H5E_error2_t *error, void *context)
{
    char *text = context;

    if (number == 0 && error->desc)
        snprintf(text, ERROR_TEXT_BYTES / 2, "%s", error->desc);
    return 0;
}

static void read_reason(char reason[ERROR_TEXT_BYTES / 2])
{
    snprintf(reason, ERROR_TEXT_BYTES / 2, "no reason");
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_reason, reason);
}

const char *hdf5_newer_reason(void)
{
    char reason[ERROR_TEXT_BYTES / 2];

    read_reason(reason);
    if (strcmp(reason, "bad version number for datatype message") == 0)
        return "its datatype is newer than the HDF5 library here";
    if (strcmp(reason, "bad version number for layout message") == 0)
        return "its layout is newer than the HDF5 library here";
    return NULL;
}

bool hdf5_library_fault(struct hdf5 *h5, const char *what)
{
    char reason[ERROR_TEXT_BYTES / 2];

    if (h5->rc)
        return false;
    read_reason(reason);
    return hdf5_fault(h5, strncmp(reason, "bad version", 11) == 0 ? ERROR_UNSUPPORTED : ERROR_FORMAT,
                      "%s; the HDF5 library says: %s", what, reason);
}

static H5FD_t *driver_open(const char *name, unsigned flags, hid_t access, haddr_t most)
{
    const struct driver_info *info = H5Pget_driver_info(access);
    struct driven *file = info ? calloc(1, sizeof(*file)) : NULL;

    (void)name;
    (void)flags;
    (void)most;
    if (file)
        file->h5 = info->h5;
    return file ? &file->base : NULL;
}

static herr_t driver_close(H5FD_t *file)
{
    free(file);
    return 0;
}

static int driver_compare(const H5FD_t *a, const H5FD_t *b)
{
    const struct driven *one = (const struct driven *)a, *two = (const struct driven *)b;

    return one->h5 < two->h5 ? -1 : one->h5 > two->h5;
}

static herr_t driver_query(const H5FD_t *file, unsigned long *features)
{
    (void)file;
    *features = 0;
    return 0;
}

static haddr_t driver_get_end(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return ((const struct driven *)file)->end;
}

static herr_t driver_set_end(H5FD_t *file, H5FD_mem_t type, haddr_t end)
{
    (void)type;
    ((struct driven *)file)->end = end;
    return 0;
}

static haddr_t driver_get_size(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return ((const struct driven *)file)->h5->bytes;
}

static herr_t driver_read(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t bytes, void *out)
{
    struct hdf5 *h5 = ((struct driven *)file)->h5;

    (void)transfer;
    if (h5->rc)
        return -1;
    if (at > h5->bytes || bytes > h5->bytes - at) {
        hdf5_fault(h5, ERROR_FORMAT, "%zu bytes at offset %" PRIu64 " are claimed, the file ends at %" PRIu64, bytes,
                   (uint64_t)at, h5->bytes);
        return -1;
    }
    if (h5->is_tracing && type == H5FD_MEM_DRAW) {
        h5->traced_at = at;
        h5->traced_bytes = bytes;
        return 0;
    }
    if (bytes > h5->budget) {
        hdf5_fault(h5, ERROR_LIMIT,
                   "its headers are read again and again, or are larger than such a file needs (at offset %" PRIu64 ")",
                   (uint64_t)at);
        return -1;
    }
    h5->budget -= bytes;
    h5->rc = source_read_at(h5->source, h5->start + at, out, bytes, h5->err);
    return h5->rc ? -1 : 0;
}

static herr_t driver_write(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t bytes, const void *data)
{
    (void)file;
    (void)type;
    (void)transfer;
    (void)at;
    (void)bytes;
    (void)data;
    return -1;
}

static const H5FD_class_t driver = {
#ifdef H5FD_CLASS_VERSION
    .version = H5FD_CLASS_VERSION,
    .value = (H5FD_class_value_t)600, /* of those for drivers that are not registered */
#endif
    .name = "source",
    .maxaddr = INT64_MAX,
    .fc_degree = H5F_CLOSE_STRONG,
    .fapl_size = sizeof(struct driver_info),
    .open = driver_open,
    .close = driver_close,
    .cmp = driver_compare,
    .query = driver_query,
    .get_eoa = driver_get_end,
    .set_eoa = driver_set_end,
    .get_eof = driver_get_size,
    .read = driver_read,
    .write = driver_write,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

/* Small caches: every header is read once. */
static bool bound_cache(hid_t access)
{
    H5AC_cache_config_t config = {.version = H5AC__CURR_CACHE_CONFIG_VERSION};

    if (H5Pget_mdc_config(access, &config) < 0)
        return false;
    config.set_initial_size = true;
    config.initial_size = CACHE_BYTES_MIN;
    config.min_size = CACHE_BYTES_MIN;
    config.max_size = CACHE_BYTES_MAX;
    return H5Pset_mdc_config(access, &config) >= 0 && H5Pset_cache(access, 0, 0, 0, 0) >= 0 &&
           H5Pset_sieve_buf_size(access, 0) >= 0;
}

bool hdf5_begin(struct hdf5 *h5, struct source *source, uint64_t at, uint64_t end, const struct limits *limits,
                struct error *err)
{
    const struct driver_info info = {.h5 = h5};
    const uint64_t bytes = end - at, most = bytes < limits->header_bytes ? bytes : limits->header_bytes;
    hid_t access, class_of;

    *h5 = (struct hdf5){.source = source, .start = at, .bytes = bytes, .limits = limits, .err = err, .file = -1};
    h5->arena.limit = 4 * limits->header_bytes;
    h5->budget = BUDGET_FACTOR * most + SMALLEST_BUDGET;
    if (pthread_mutex_lock(&library))
        abort();
    H5dont_atexit();
    if (H5open() < 0)
        return hdf5_no_memory(h5);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    H5PLset_loading_state(0); /* filters are not to be looked for in files */
    class_of = H5FDregister(&driver);
    access = H5Pcreate(H5P_FILE_ACCESS);
    if (class_of < 0 || access < 0 || H5Pset_driver(access, class_of, &info) < 0 || !bound_cache(access))
        hdf5_library_fault(h5, "the library cannot be set up");
    else
        h5->file = H5Fopen("/source", H5F_ACC_RDONLY, access); /* for a relative name it would ask for the directory */
    if (h5->file < 0)
        hdf5_library_fault(h5, "it cannot be opened");
    if (access >= 0)
        H5Pclose(access);
    if (class_of >= 0)
        H5FDunregister(class_of);
    return h5->rc == 0;
}

void hdf5_end(struct hdf5 *h5)
{
    if (h5->file >= 0)
        H5Fclose(h5->file);
    h5->file = -1;
    H5garbage_collect();
    if (pthread_mutex_unlock(&library))
        abort();
}
