/* The signals that ask a program to end, SIGTERM and SIGINT, as something to read instead of something that interrupts.
 *
 * They are blocked from end_signals_open to the end of the process, so that neither the first moments nor the last ones can be hit by the
 * default action: whoever sends one twice does not kill what is ending. Call it before any thread is made; all inherit the mask.
 */
#pragma once

#include "base/attr.h"
#include "base/error.h"

/* Block them, and make a descriptor that is readable when one came (signalfd(2); non-blocking, close-on-exec). Returns it, or
 * EC_EIO. The caller closes it; they stay blocked. */
int end_signals_open(struct error *err) EC_MUST_CHECK;

/* As end_signals_open, and SIGHUP is blocked and can be read as well: the program is to look at its files again. */
int end_signals_open_hangup(struct error *err) EC_MUST_CHECK;

/* The number of one that came; 0: none. */
int end_signals_read(int fd) EC_MUST_CHECK;

/* Its name, static. */
const char *end_signal_text(int number);
