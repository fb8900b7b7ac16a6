/* Compiler attributes, scope clean-up and assertions used by every folder.
 *
 * Not a portability layer: gcc 12 and clang 14 are the compilers. The clean-up macros release a
 * local when it leaves scope; TAKE() hands the value on and disarms the clean-up. EC_ASSERT stays on
 * in release builds and is for programmers' mistakes only, never for input.
 */
#pragma once

#include <stddef.h>

#define EC_MUST_CHECK __attribute__((warn_unused_result))
#define EC_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define EC_PURE __attribute__((pure))
#define EC_NORETURN __attribute__((noreturn))
#define EC_UNUSED __attribute__((unused))

#define EC_LIKELY(x) __builtin_expect(!!(x), 1)
#define EC_UNLIKELY(x) __builtin_expect(!!(x), 0)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The enclosing structure of a member. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Report a broken invariant on stderr and abort.
 * expr, file: borrowed for the call; file and line name the place. Does not return. */
EC_NORETURN void ec_assert_failed(const char *expr, const char *file, int line);

#define EC_ASSERT(expr)                                                                            \
	do {                                                                                       \
		if (EC_UNLIKELY(!(expr)))                                                          \
			ec_assert_failed(#expr, __FILE__, __LINE__);                               \
	} while (0)

/* Clean-up target of AUTO_FREE: free(3) what *p points to.
 * p: address of a pointer from malloc(3), or of NULL. */
void ec_auto_free(void *p);

/* Clean-up target of AUTO_FD: close(2) *fd unless it is negative.
 * fd: address of the descriptor. */
void ec_auto_fd(int *fd);

#define AUTO_FREE __attribute__((cleanup(ec_auto_free)))
#define AUTO_FD __attribute__((cleanup(ec_auto_fd)))

/* Yield the pointer and leave NULL behind, so that the clean-up does nothing. */
#define TAKE(p)                                                                                    \
	__extension__({                                                                            \
		__typeof__(p) ec_taken_ = (p);                                                     \
		(p) = NULL;                                                                        \
		ec_taken_;                                                                         \
	})

/* The same for a descriptor: leave -1 behind. */
#define TAKE_FD(fd)                                                                                \
	__extension__({                                                                            \
		int ec_taken_fd_ = (fd);                                                           \
		(fd) = -1;                                                                         \
		ec_taken_fd_;                                                                      \
	})
