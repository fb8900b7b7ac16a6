#include "storage/bucket_keys.h"

#include <string.h>

#include "base/seal.h"

#define LABEL "edgecap bucket keys v1"

enum { ABOUT_MAX = DESTINATION_CANONICAL_MAX + ID_HEX_LEN + 1 };

static void about_make(const struct id *account, const struct destination *d, struct buf *about)
{
	buf_init(about, ABOUT_MAX);
	buf_printf(about, "%s\n%s", account->hex, d->canonical);
}

static void wipe(struct buf *b)
{
	if (b->p)
		explicit_bzero(b->p, b->cap);
	buf_fini(b);
}

int bucket_keys_seal(struct bytes secret, const struct id *account, const struct destination *d,
		     struct buf *dst)
{
	struct digest key = seal_key(secret, LABEL);
	struct buf about, plain;

	about_make(account, d, &about);
	buf_init(&plain, BUCKET_KEYS_SEALED_MAX);
	if (buf_reserve(&plain, BUCKET_KEYS_SEALED_MAX) ==
	    0) /* grows no more: no copy is left behind */
		buf_printf(&plain, "%s\n%s", d->access_key_id, d->secret_access_key);
	int r = about.failed ? about.failed : plain.failed;
	if (r == 0)
		r = seal_close(&key, buf_bytes(&about), buf_bytes(&plain), dst);
	wipe(&plain);
	buf_fini(&about);
	explicit_bzero(&key, sizeof(key));
	return r;
}

static int take(struct bytes plain, struct destination *d)
{
	const uint8_t *end = memchr(plain.p, '\n', plain.n);

	if (!end)
		return EC_EFORMAT;
	struct bytes id = {plain.p, (size_t)(end - plain.p)};
	struct bytes secret = {end + 1, plain.n - id.n - 1};
	return bytes_to_str(id, d->access_key_id, sizeof(d->access_key_id)) < 0 ||
			       bytes_to_str(secret, d->secret_access_key,
					    sizeof(d->secret_access_key)) < 0
		       ? EC_EFORMAT
		       : 0;
}

int bucket_keys_open(struct bytes secret, const struct id *account, struct bytes sealed,
		     struct destination *d)
{
	struct digest key = seal_key(secret, LABEL);
	struct buf about, plain;

	about_make(account, d, &about);
	buf_init(&plain, BUCKET_KEYS_SEALED_MAX);
	int r = about.failed;
	if (r == 0)
		r = seal_open(&key, buf_bytes(&about), sealed, &plain);
	if (r == 0)
		r = plain.n > 0 ? take(buf_bytes(&plain), d) : EC_EFORMAT;
	wipe(&plain);
	buf_fini(&about);
	explicit_bzero(&key, sizeof(key));
	return r == EC_ELIMIT ? EC_EFORMAT : r;
}
