/* The life of a job in the engine, and its legal moves.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

enum job_phase {
	JOB_ADDED,     /* not in the kernel's filter yet */
	JOB_INSERTING, /* in the filter; on its way to the capture threads */
	JOB_ARMED,     /* the window is open */
	JOB_CLOSING,   /* the threads are being told the window's end */
	JOB_SETTLING,  /* the window is over; late packets reach the ring */
	JOB_FINISHING, /* the ring is read up to what was in it then */
	JOB_ENDED,     /* nothing is on its way any more */
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
