/* The life of a job in the engine, and its legal moves.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

/* X(name, text) */
#define JOB_PHASES(X)                                                                              \
	X(JOB_ADDED, "added")         /* not in the kernel's filter yet */                         \
	X(JOB_INSERTING, "inserting") /* in the filter; on its way to the capture threads */       \
	X(JOB_ARMED, "armed")         /* the window is open */                                     \
	X(JOB_CLOSING, "closing")     /* the threads are being told the window's end */            \
	X(JOB_SETTLING, "settling")   /* the window is over; late packets reach the ring */        \
	X(JOB_FINISHING, "finishing") /* the ring is read up to what was in it then */             \
	X(JOB_ENDED, "ended")         /* nothing is on its way any more */

enum job_phase {
#define X(name, text) name,
	JOB_PHASES(X)
#undef X
};

/* Moves. X(from, to) */
#define JOB_MOVES(X)                                                                               \
	X(JOB_ADDED, JOB_INSERTING)                                                                \
	X(JOB_INSERTING, JOB_ARMED)                                                                \
	X(JOB_ARMED, JOB_CLOSING)  /* stopped, limit reached, no stream left */                    \
	X(JOB_ARMED, JOB_SETTLING) /* time limit: the threads know the end already */              \
	X(JOB_CLOSING, JOB_SETTLING)                                                               \
	X(JOB_SETTLING, JOB_FINISHING)                                                             \
	X(JOB_FINISHING, JOB_ENDED)

/* Is this one of the moves? */
bool job_move_is_legal(enum job_phase from, enum job_phase to);

/* Text of a phase, static. */
const char *job_phase_text(enum job_phase phase);
