/* Writing small objects into tenants' buckets (storage/bucket_list.h), one request each.
 *
 * One try, no redirect, no proxy; the address is checked when the connection is made (public_address.h), and no connection is used twice. An
 * object that is there already is replaced. Loop thread only.
 */
#pragma once

#include <uv.h>

#include "storage/bucket_list.h"

struct bucket_client;

/* err: NULL when the object is there; EC_ECANCELED when the client is closing; else its text says what the bucket said, with neither host nor key: a
 * tenant may see it. Borrowed for the call. */
typedef void (*bucket_done_cb)(void *arg, const struct error *err);
typedef void (*bucket_closed_cb)(void *arg);

/* A new client. loop: borrowed until it is closed. NULL without memory. Close with bucket_client_close. */
struct bucket_client *bucket_client_new(uv_loop_t *loop) EC_MUST_CHECK;

/* Give up what runs (its callbacks come, with EC_ECANCELED), free, then call cb from the loop. */
void bucket_client_close(struct bucket_client *client, bucket_closed_cb cb, void *arg);

/* Write data as the object key of the bucket. Everything is copied. Calls back exactly once, never from inside this call. */
void bucket_put(struct bucket_client *client, const struct bucket_access *access, const char *key,
		struct bytes data, bucket_done_cb cb, void *arg);
