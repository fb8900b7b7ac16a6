#include "sampler/job_phase.h"

bool job_move_is_legal(enum job_phase from, enum job_phase to)
{
#define X(a, b)                                                                                    \
	if (from == (a) && to == (b))                                                              \
		return true;
	JOB_MOVES(X)
#undef X
	return false;
}
