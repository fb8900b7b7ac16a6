/* Is this build instrumented (a sanitizer, gcov)? Such a program makes system calls and writes files of its own, when it likes, and
 * reserves more address space than any limit allows: a sandbox would kill it for what is not ours. It is built for tests only. */
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(EDGECAP_COVERAGE)
#define SANDBOX_INSTRUMENTED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANDBOX_INSTRUMENTED 1
#endif
#endif

#ifndef SANDBOX_INSTRUMENTED
#define SANDBOX_INSTRUMENTED 0
#endif
