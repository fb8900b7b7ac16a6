/* The file that the sampler's token comes from, so that a new token is taken without a restart.
 *
 * The file's directory is opened while there are privileges; what is read later is read by the ordinary user that the sampler has
 * become, and only by name in that directory. So the file may be replaced (rename(2)), and must be readable by EDGECAP_USER. Loop
 * thread only.
 */
#pragma once

#include "base/attr.h"
#include "base/error.h"
#include "base/limits.h"

enum { TOKEN_TEXT_BYTES = LIMIT_CREDENTIAL_BYTES + 1 };

struct token_file;

/* Open the directory of path. Returns 0 and *ret (free with token_file_free), EC_EINVAL with the system's reason, or EC_ENOMEM. */
int token_file_new(const char *path, struct token_file **ret, struct error *err) EC_MUST_CHECK;

/* Free; accepts NULL. */
void token_file_free(struct token_file *t);

/* The directory, as given: what the sandbox must let be read. */
const char *token_file_directory(const struct token_file *t);

/* Read the token that is there now, as EDGECAP_SAMPLER_TOKEN_FILE is read at the start (a newline at the end is none of it).
 * dst: TOKEN_TEXT_BYTES. Returns 0; EC_EINVAL when it cannot be read or is no token, and dst is as before. */
int token_file_read(const struct token_file *t, char *dst, struct error *err) EC_MUST_CHECK;

/* Is it a token: printable ASCII without blanks, 1..LIMIT_CREDENTIAL_BYTES? what: for the text. Returns 0 or EC_EINVAL. */
int token_check(const char *what, const char *token, struct error *err) EC_MUST_CHECK;
