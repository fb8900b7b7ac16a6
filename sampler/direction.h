/* Which packets of an interface are observed. Shared by settings, kernel filter and ring.
 */
#pragma once

/* X(name, text) */
#define DIRECTIONS(X)                                                                              \
	X(DIRECTION_IN, "in")                                                                      \
	X(DIRECTION_OUT, "out")                                                                    \
	X(DIRECTION_INOUT, "inout")

enum direction {
#define X(name, text) name,
	DIRECTIONS(X)
#undef X
};
