/* Error codes and text. The caller owns the struct error and may pass NULL; whoever stops an error's way reports it,
 * once. Messages name the file, the tensor and the offset where these are known, and hold no control bytes. */
#ifndef CORE_ERROR_H
#define CORE_ERROR_H

enum error_code {
    ERROR_NONE = 0,
    ERROR_REQUEST = -1,     /* the request itself is wrong: unknown name, bad pattern, value out of bounds */
    ERROR_NOT_FOUND = -2,   /* no such file, job or upload */
    ERROR_ACCESS = -3,      /* no permission to read */
    ERROR_OUTSIDE = -4,     /* a path or a symbolic link leads out of its root */
    ERROR_NOT_REGULAR = -5, /* a FIFO, a device, a socket */
    ERROR_NO_MODEL = -6,    /* a directory in which no model lies */
    ERROR_FORMAT = -7,      /* malformed: the file lies or is cut short */
    ERROR_UNSUPPORTED = -8, /* no format of this build recognises the content */
    ERROR_LIMIT = -9,       /* a claim beyond a limit of this program */
    ERROR_CHANGED = -10,    /* the file was changed or replaced while it was read */
    ERROR_READ = -11,       /* the device failed to read */
    ERROR_WRITE = -12,      /* the device failed to write */
    ERROR_NO_SPACE = -13,   /* no space left to write */
    ERROR_NO_MEMORY = -14,
    ERROR_CANCELLED = -15,
    ERROR_CONFLICT = -16, /* the resource's state does not allow this now */
    ERROR_BUSY = -17,     /* full, or not ready: try again later */
    ERROR_INTERNAL = -18, /* a defect of this program */
    ERROR_QUOTA = -19,    /* the caller's own share is used up: try again later */
};

enum { ERROR_TEXT_BYTES = 1024 };

struct error {
    enum error_code code;
    char text[ERROR_TEXT_BYTES];
};

/* Sets code and text (cut to fit) and returns the code, so that callers can `return error_set(…)`. err may be NULL. */
int error_set(struct error *err, enum error_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "what the caller knows: " in front of the text; the code stays. Returns the code. */
int error_prefix(struct error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The code's name as documents and logs spell it: "malformed", "not-found", … */
const char *error_code_name(int code);

#endif
