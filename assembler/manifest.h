/* The manifest of a full capture: what the file beside it is, where its packets come from and what became of all others.
 *
 * JSON, for people and programs: the job, the file with its SHA-256, the limits that cut, each edge host with its ledger (packet/ledger.h) and what was
 * found of it, the job's messages. Like the file it depends on the parts: no current time; but a message says when an earlier try may have left an
 * upload in the bucket that could not be looked for.
 */
#pragma once

#include "assembler/assembly.h"

/* The manifest's text, malloc'ed; NULL without memory. a: assembled. Pure. */
char *manifest_text(const struct assembly *a) EC_MUST_CHECK;

/* Write it into the bucket as a->manifest_key, replacing one that is there. Blocks on the store. Returns 0, EC_ENOMEM or the store's
 * error. */
int manifest_store(const struct assembly *a, struct store *bucket, struct error *err) EC_MUST_CHECK;
