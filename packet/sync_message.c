#include "packet/sync_message.h"

#include <string.h>

const char *sync_part_state_text(enum sync_part_state s)
{
	switch (s) {
#define X(name, text)                                                                              \
	case name:                                                                                 \
		return text;
		SYNC_PART_STATES(X)
#undef X
	}
	ec_assert_failed("a state of a part", __FILE__, __LINE__);
}

int sync_part_state_parse(const char *text, enum sync_part_state *ret)
{
#define X(name, word)                                                                              \
	if (strcmp(text, word) == 0) {                                                             \
		*ret = name;                                                                       \
		return 0;                                                                          \
	}
	SYNC_PART_STATES(X)
#undef X
	return EC_EFORMAT;
}

const char *part_reason_text(enum part_reason r)
{
	switch (r) {
#define X(name, text)                                                                              \
	case name:                                                                                 \
		return text;
		PART_REASONS(X)
#undef X
	}
	ec_assert_failed("a reason of a part", __FILE__, __LINE__);
}

int part_reason_parse(const char *text, enum part_reason *ret)
{
#define X(name, word)                                                                              \
	if (strcmp(text, word) == 0) {                                                             \
		*ret = name;                                                                       \
		return 0;                                                                          \
	}
	PART_REASONS(X)
#undef X
	return EC_EFORMAT;
}

const char *sync_desired_text(enum sync_desired d)
{
	switch (d) {
#define X(name, text)                                                                              \
	case name:                                                                                 \
		return text;
		SYNC_DESIRED(X)
#undef X
	}
	ec_assert_failed("a desired state", __FILE__, __LINE__);
}

int sync_desired_parse(const char *text, enum sync_desired *ret)
{
#define X(name, word)                                                                              \
	if (strcmp(text, word) == 0) {                                                             \
		*ret = name;                                                                       \
		return 0;                                                                          \
	}
	SYNC_DESIRED(X)
#undef X
	return EC_EFORMAT;
}
