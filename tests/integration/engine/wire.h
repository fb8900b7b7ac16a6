/* Network namespaces and a cable between them: s0, s1 ... here, c0, c1 ... there.
 *
 * Both namespaces are anonymous: the kernel removes them when the process ends, however it ends. The process stays in the one of the
 * c interfaces, where the engine runs; frames are sent by raw sockets that were opened in the other one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum { WIRE_CABLES_MAX = 2, WIRE_SKIP = 77 };

struct wire {
	int source_ns, capture_ns; /* descriptors of the namespaces */
	int out[WIRE_CABLES_MAX];  /* raw sockets on s0, s1: what they send comes in at c0, c1 */
	int back[WIRE_CABLES_MAX]; /* raw sockets on c0, c1: what they send goes out there */
};

/* May this process make network namespaces? If not, say so on stderr; the test program then returns WIRE_SKIP. */
bool wire_is_permitted(void);

/* Make the namespaces and cables, all up. Fails the test when that does not work. */
void wire_open(struct wire *w, unsigned cables);

/* Wait until a cable that was set up carries packets both ways. */
void wire_wait_running(const struct wire *w, unsigned cable);

/* Close descriptors; the namespaces go with the process, the cables now. */
void wire_close(struct wire *w);

/* Run a shell command in the namespace of the c interfaces. Fails the test when it fails. */
void wire_run(const char *command);

/* Send one frame. */
void wire_send(int socket, struct bytes frame);
