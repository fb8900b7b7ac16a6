/* What goes through the queue from a capture thread to the loop: a pointer to a struct that begins with a struct message.
 *
 * One queue for all kinds, so that a job's last chunk comes before the word that it has ended.
 */
#pragma once

enum message_kind {
	MESSAGE_CHUNK,   /* struct chunk: finished, to be handed on */
	MESSAGE_COMMAND, /* struct capture_command: done, with its results */
	MESSAGE_LIMIT, /* struct capture_job: it reached its packet or byte limit on this stream */
};

struct message {
	enum message_kind kind;
};
