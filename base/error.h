/* Error codes shared by all folders, and an error with a text for whoever must be told.
 *
 * A fallible function returns 0 or one of the negative codes below. Where a person will read the
 * reason, the function also takes a `struct error *`, filled on failure only; its text names the
 * field or setting, the limit and what was seen. Libraries never log: the caller that gives up does.
 */
#pragma once

#include "base/attr.h"

/* X(code, value, name): the name is what logs and tests show. */
#define EC_ERRORS(X)                                                                               \
	X(EC_OK, 0, "ok")                                                                          \
	X(EC_EINVAL, -1, "invalid")        /* the caller's or a client's value is wrong */         \
	X(EC_EFORMAT, -2, "format")        /* bytes do not have the form they claim */             \
	X(EC_ELIMIT, -3, "limit")          /* a named limit was reached */                         \
	X(EC_ENOMEM, -4, "memory")         /* no memory */                                         \
	X(EC_EIO, -5, "io")                /* an operating system call failed */                   \
	X(EC_ENOTFOUND, -6, "not-found")   /* no such thing */                                     \
	X(EC_ECONFLICT, -7, "conflict")    /* the state does not allow it, or it was changed */    \
	X(EC_EPERM, -8, "forbidden")       /* known, but not allowed */                            \
	X(EC_EAUTH, -9, "unauthenticated") /* not known */                                         \
	X(EC_EUNAVAILABLE, -10, "unavailable") /* a needed service is away; may be tried again */  \
	X(EC_ETIMEOUT, -11, "timeout")         /* not done within its time */                      \
	X(EC_EGONE, -12, "gone")               /* was there once, removed by retention */          \
	X(EC_ECANCELED, -13, "canceled")       /* given up by the caller */                        \
	X(EC_EEND, -14, "end")                 /* no more input: the regular end */                \
	X(EC_EINTERNAL, -15, "internal")       /* cannot happen, happened */

enum ec_code {
#define X(code, value, name) code = (value),
	EC_ERRORS(X)
#undef X
};

enum { EC_ERROR_TEXT_BYTES = 512 };

/* A failure with its text. Zero-initialise; code stays EC_OK until something fails. */
struct error {
	int code;
	char text[EC_ERROR_TEXT_BYTES];
};

/* Short name of a code ("not-found"); "unknown" for a value that is none.
 * code: 0 or negative. The string is static. */
const char *error_name(int code);

/* Store code and a formatted text, and return the code, so that `return error_set(...)` reads well.
 * err: may be NULL (then only the code travels). code: negative. The text is cut to fit. */
int error_set(struct error *err, int code, const char *fmt, ...) EC_PRINTF(3, 4);

/* As error_set, with ": " and strerror(errnum) appended.
 * errnum: an errno value saved by the caller right after the failing call. Returns code. */
int error_set_errno(struct error *err, int code, int errnum, const char *fmt, ...) EC_PRINTF(4, 5);

/* Both show the compiler and the analyzers which code comes back: they take "failed, but returned 0" for
 * possible otherwise. */
#define error_set(err, code, ...)                                                                  \
	__extension__({                                                                            \
		const int ec_code_ = (code);                                                       \
		(void)error_set((err), ec_code_, __VA_ARGS__);                                     \
		ec_code_;                                                                          \
	})
#define error_set_errno(err, code, errnum, ...)                                                    \
	__extension__({                                                                            \
		const int ec_code_ = (code);                                                       \
		(void)error_set_errno((err), ec_code_, (errnum), __VA_ARGS__);                     \
		ec_code_;                                                                          \
	})

/* Put "what: " in front of the text already in err and return err->code.
 * err: holds an error; may be NULL (returns EC_EINTERNAL then). fmt: the prefix. */
int error_prefix(struct error *err, const char *fmt, ...) EC_PRINTF(2, 3);
