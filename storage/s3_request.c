#include "storage/s3_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum {
	TARGET_BYTES_MAX =
		16 * 1024, /* path and query: a key and a marker of 1,024 bytes, encoded */
	LINE_BYTES_MAX = 8 * 1024,
	LINES_MAX = S3_REQUEST_PAIRS_MAX + 5,
	HEADERS_OF_ALL = 3, /* host, x-amz-date, x-amz-content-sha256 */
};

#define SHA256_OF_NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void attempt(struct s3_request *q);

/* --- the client --- */

static void secret_free(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

static void keys_free(struct s3_store *s3)
{
	secret_free(TAKE(s3->secret_key));
	secret_free(TAKE(s3->upload_secret_key));
	free(TAKE(s3->access_key_id));
	free(TAKE(s3->upload_key_id));
}

static int keys_take(struct s3_store *s3, const struct bucket_access *access)
{
	s3->access_key_id = strdup(access->access_key_id);
	s3->secret_key = strdup(access->secret_key);
	if (!s3->access_key_id || !s3->secret_key)
		return EC_ENOMEM;
	if (!access->upload_key_id)
		return 0;
	s3->upload_key_id = strdup(access->upload_key_id);
	s3->upload_secret_key = strdup(access->upload_secret_key);
	return s3->upload_key_id && s3->upload_secret_key ? 0 : EC_ENOMEM;
}

int s3_client_open(struct s3_store *s3, const struct bucket_access *access, struct error *err)
{
	struct s3_http_config config = {.loop = s3->store->loop,
					.ca_pem = access->ca_pem,
					.stall_s = access->place.stall_s,
					.public_only = !access->private_address};

	LIST_INIT(&s3->sleeping);
	s3->place = access->place;
	int r = keys_take(s3, access) == 0 ? s3_http_new(&config, &s3->http, err)
					   : error_set(err, EC_ENOMEM, "storage: no memory");
	if (r < 0) {
		keys_free(s3);
		return r;
	}
	EC_ASSERT(uv_timer_init(s3->store->loop, &s3->timer) == 0);
	s3->timer.data = s3;
	return 0;
}

struct closing {
	struct s3_store *s3;
	s3_http_closed_cb cb;
	void *arg;
};

static void on_http_closed(void *arg)
{
	struct closing *c = arg;
	s3_http_closed_cb cb = c->cb;
	void *cb_arg = c->arg;

	keys_free(c->s3);
	free(c);
	cb(cb_arg);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct closing *c = handle->data;

	s3_http_close(c->s3->http, on_http_closed, c);
}

void s3_client_close(struct s3_store *s3, s3_http_closed_cb cb, void *arg)
{
	struct closing *c = malloc(sizeof(*c));

	EC_ASSERT(c && LIST_EMPTY(&s3->sleeping));
	*c = (struct closing){s3, cb, arg};
	s3->timer.data = c;
	uv_close((uv_handle_t *)&s3->timer, on_timer_closed);
}

/* --- making requests --- */

void s3_request_init(struct s3_request *q, struct s3_store *s3, const char *verb,
		     const char *method, const char *key)
{
	memset(q, 0, sizeof(*q));
	q->s3 = s3;
	q->verb = verb;
	q->method = method;
	q->key = key;
}

void s3_request_query(struct s3_request *q, const char *name, const char *value)
{
	EC_ASSERT(q->query_count < S3_REQUEST_PAIRS_MAX);
	q->query[q->query_count++] = (struct sigv4_pair){name, value};
}

void s3_request_header(struct s3_request *q, const char *name, const char *value)
{
	EC_ASSERT(q->header_count < S3_REQUEST_PAIRS_MAX);
	q->headers[q->header_count++] = (struct sigv4_pair){name, value};
}

int s3_fail(const struct s3_store *s3, struct error *err, int code, const char *verb,
	    const char *key, const char *text)
{
	if (s3->tenants)
		return error_set(err, code, "%s", text);
	return error_set(err, code, "storage: %s%s%s: %s", verb, key ? " " : "", key ? key : "",
			 text);
}

int s3_request_fail(const struct s3_request *q, struct error *err, int code, const char *text)
{
	return s3_fail(q->s3, err, code, q->verb, q->key ? q->key : q->about, text);
}

/* --- sleeping --- */

static void on_wake(uv_timer_t *timer);

static void sleep_timer(struct s3_store *s3)
{
	uint64_t now_ms = clock_mono_now_ms();
	uint64_t first_ms = UINT64_MAX;
	struct s3_request *q = NULL;

	LIST_FOREACH(q, &s3->sleeping, link)
	{
		if (q->wake_ms < first_ms)
			first_ms = q->wake_ms;
	}
	if (first_ms == UINT64_MAX) {
		(void)uv_timer_stop(&s3->timer);
		return;
	}
	uv_update_time(s3->store->loop);
	(void)uv_timer_start(&s3->timer, on_wake, first_ms > now_ms ? first_ms - now_ms : 0, 0);
}

static void sleep_until(struct s3_request *q, uint64_t wake_ms)
{
	q->wake_ms = wake_ms;
	q->asleep = true;
	LIST_INSERT_HEAD(&q->s3->sleeping, q, link);
	sleep_timer(q->s3);
}

static void wake(struct s3_request *q)
{
	q->asleep = false;
	LIST_REMOVE(q, link);
}

static struct s3_request *next_due(struct s3_store *s3, uint64_t now_ms)
{
	struct s3_request *q = NULL;

	LIST_FOREACH(q, &s3->sleeping, link)
	{
		if (q->wake_ms <= now_ms)
			return q;
	}
	return NULL;
}

static void on_wake(uv_timer_t *timer)
{
	struct s3_store *s3 = timer->data;
	uint64_t now_ms = clock_mono_now_ms();

	for (struct s3_request *q = next_due(s3, now_ms); q; q = next_due(s3, now_ms)) {
		wake(q);
		if (q->hopeless)
			q->done(q);
		else
			attempt(q);
	}
	/* the last operation of a store that is being closed may just have ended; s3 is freed later, by the loop */
	if (!uv_is_closing((uv_handle_t *)timer))
		sleep_timer(s3);
}

/* Report a failure that was seen while starting, but not from inside the start. */
static void fail_later(struct s3_request *q, int code, const char *text)
{
	(void)s3_request_fail(q, &q->err, code, text);
	q->hopeless = true;
	sleep_until(q, 0);
}

static uint64_t pause_ms(unsigned tries)
{
	uint64_t most = S3_TRY_FIRST_MS;
	uint16_t dice = 0;

	while (--tries > 0 && most < S3_TRY_PAUSE_MAX_MS)
		most *= 2;
	if (most > S3_TRY_PAUSE_MAX_MS)
		most = S3_TRY_PAUSE_MAX_MS;
	random_bytes(&dice, sizeof(dice));
	return most / 2 + most / 2 * dice / UINT16_MAX;
}

/* --- a try --- */

static void finish(struct s3_request *q, const struct s3_http_answer *answer)
{
	q->answer = answer;
	q->done(q);
}

/* Where no object was asked for, what is missing is the bucket. Some servers say 404 alone, and RGW, of a bucket that is just being
 * removed, NoSuchKey. */
static bool bucket_is_gone(const struct s3_request *q, int code)
{
	if (strcmp(q->error_code, "NoSuchBucket") == 0)
		return true;
	return code == EC_ENOTFOUND &&
	       (!q->key || strcmp(q->method, "PUT") == 0 || strcmp(q->method, "POST") == 0);
}

/* The meaning of what came: q->err; true when another try may help. */
static bool judge(struct s3_request *q, const struct error *err,
		  const struct s3_http_answer *answer)
{
	char text[S3_ERROR_CODE_BYTES + 128];
	bool is_error = false;

	q->err = (struct error){.code = 0};
	q->error_code[0] = '\0';
	q->status = answer ? answer->status : 0;
	if (err) {
		(void)s3_request_fail(q, &q->err, err->code, err->text);
		return err->code == EC_EUNAVAILABLE;
	}
	EC_ASSERT(answer);
	bool success = answer->status >= 200 && answer->status < 300;
	if (!success || q->may_be_error)
		is_error = s3_failure_code(answer->body, q->error_code);
	if (success && !is_error)
		return false;
	struct s3_failure failure = s3_failure_of(success ? 500 : answer->status, q->error_code);
	bool no_bucket = bucket_is_gone(q, failure.code);
	if (no_bucket)
		failure = s3_failure_of(404, "NoSuchBucket");
	if (failure.code == EC_ENOTFOUND)
		(void)snprintf(text, sizeof(text), "%s", failure.text);
	else
		(void)snprintf(text, sizeof(text), "%s (%d%s%s)", failure.text, answer->status,
			       q->error_code[0] ? " " : "", q->error_code);
	(void)s3_request_fail(q, &q->err, no_bucket && q->s3->tenants ? EC_ENOTFOUND : failure.code,
			      text);
	return failure.again;
}

static void on_answer(void *arg, const struct error *err, const struct s3_http_answer *answer)
{
	struct s3_request *q = arg;
	uint64_t now_ms = clock_mono_now_ms();
	bool again = judge(q, err, answer);

	q->call = NULL;
	if (!again || q->once || now_ms - q->begun_ms >= S3_TRY_UNTIL_MS || q->s3->store->closing)
		finish(q, answer);
	else
		sleep_until(q, now_ms + pause_ms(q->tries));
}

/* What is signed. headers: S3_REQUEST_PAIRS_MAX + HEADERS_OF_ALL. */
static struct sigv4_request to_sign(const struct s3_request *q, const char *path, const char *date,
				    const char *hash, struct sigv4_pair *headers)
{
	size_t n = 0;

	headers[n++] = (struct sigv4_pair){"host", q->s3->place.host};
	headers[n++] = (struct sigv4_pair){"x-amz-date", date};
	headers[n++] = (struct sigv4_pair){"x-amz-content-sha256", hash};
	for (size_t i = 0; i < q->header_count; i++)
		headers[n++] = q->headers[i];
	return (struct sigv4_request){.method = q->method,
				      .path = path,
				      .query = q->query,
				      .query_count = q->query_count,
				      .headers = headers,
				      .header_count = n,
				      .payload_hash = hash};
}

/* The texts of a try, and what they are made of. */
struct texts {
	struct buf url, lines[LINES_MAX];
	const char *line_texts[LINES_MAX];
	size_t count;
};

static void add_line(struct texts *t, const char *name, const char *value)
{
	struct buf *line = &t->lines[t->count++];

	EC_ASSERT(t->count <= LINES_MAX);
	buf_init(line, LINE_BYTES_MAX);
	buf_printf(line, "%s: %s", name, value);
}

static void texts_fini(struct texts *t)
{
	buf_fini(&t->url);
	for (size_t i = 0; i < t->count; i++)
		buf_fini(&t->lines[i]);
}

static int texts_make(struct texts *t, const struct s3_request *q)
{
	const struct s3_store *s3 = q->s3;
	const struct sigv4_key key = {s3->access_key_id, s3->secret_key, s3->place.region, "s3"};
	struct sigv4_pair headers[S3_REQUEST_PAIRS_MAX + HEADERS_OF_ALL];
	char path[S3_PATH_MAX + 1], date[SIGV4_DATE_BYTES], hash[DIGEST_HEX_BYTES];
	struct buf authorization;

	sigv4_date(clock_wall_now_us() / 1000000, date);
	if (q->body_sha256)
		digest_hex(q->body_sha256, hash);
	s3_place_path(&s3->place, q->key, path);
	struct sigv4_request signing =
		to_sign(q, path, date, q->body_sha256 ? hash : SHA256_OF_NOTHING, headers);
	buf_init(&t->url, TARGET_BYTES_MAX);
	buf_init(&authorization, LINE_BYTES_MAX);
	buf_printf(&t->url, "%s://%s", s3->place.tls ? "https" : "http", s3->place.host);
	int r = sigv4_target(&signing, &t->url);
	if (r == 0)
		r = sigv4_authorize(&key, &signing, date, &authorization);
	for (size_t i = 1; r == 0 && i < signing.header_count; i++) /* libcurl sends host */
		add_line(t, headers[i].name, headers[i].value);
	if (r == 0) {
		const char *text = buf_cstr(&authorization);
		add_line(t, "Authorization", text ? text : "");
		if (q->body_sha256)
			add_line(t, "Content-Type", "application/octet-stream");
	}
	buf_fini(&authorization);
	for (size_t i = 0; r == 0 && i < t->count; i++) {
		t->line_texts[i] = buf_cstr(&t->lines[i]);
		r = t->lines[i].failed;
	}
	return r;
}

static void attempt(struct s3_request *q)
{
	struct texts t;

	memset(&t, 0, sizeof(t));
	q->tries++;
	int r = texts_make(&t, q);
	if (r == 0) {
		struct s3_http_request http = {.method = q->method,
					       .url = buf_cstr(&t.url),
					       .headers = t.line_texts,
					       .header_count = t.count,
					       .body = q->body,
					       .dst = q->dst,
					       .dst_cap = q->dst_cap,
					       .answer_limit_bytes = S3_ANSWER_LIMIT_BYTES};
		r = http.url ? s3_http_start(q->s3->http, &http, on_answer, q, &q->call)
			     : EC_ENOMEM;
	}
	texts_fini(&t);
	if (r == EC_ENOMEM)
		fail_later(q, r, "no memory");
	else if (r < 0)
		fail_later(q, EC_EIO, "the request cannot be made");
}

void s3_request_start(struct s3_request *q)
{
	EC_ASSERT(q->done && q->query_count <= S3_REQUEST_PAIRS_MAX);
	q->tries = 0;
	q->begun_ms = clock_mono_now_ms();
	q->hopeless = false;
	q->answer = NULL;
	q->err = (struct error){.code = 0};
	attempt(q);
}

void s3_request_cancel(struct s3_request *q)
{
	if (q->asleep)
		wake(q);
	s3_http_cancel(q->call);
	q->call = NULL;
}
