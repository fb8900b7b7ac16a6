#include "api/download.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/actor.h"
#include "api/app.h"
#include "api/failure.h"
#include "api/query.h"
#include "api/range.h"
#include "base/limits.h"
#include "base/log.h"
#include "jobqueue/jq_audit.h"
#include "storage/store.h"

/* One file of a capture. X(name, query text, content type) */
#define FORMATS(X)                                                                                 \
	X(FORMAT_PCAP, "pcap", "application/vnd.tcpdump.pcap")                                     \
	X(FORMAT_PCAPNG, "pcapng", "application/x-pcapng")

enum format {
#define X(name, text, type) name,
	FORMATS(X)
#undef X
};

static const struct {
	const char *text, *type;
} formats[] = {
#define X(name, text, type) {text, type},
	FORMATS(X)
#undef X
};

enum { ETAG_BYTES = DIGEST_HEX_BYTES + 2, RETRY_S = 5 };

/* A download from its request to its last byte. Lives on the heap: a read may still run when the request is over. */
struct download {
	struct api_request *r;
	struct store *store;
	enum format format;
	char key[STORE_KEY_MAX + 1];
	char etag[ETAG_BYTES];
	uint64_t size;
	struct range_span span;
	bool part;
	struct store_reader *reader;
	uint64_t left;
	bool reading; /* the buffer is lent to the store */
	bool ended;   /* the answer is over; free when nothing is read */
	uint8_t buffer[LIMIT_DOWNLOAD_BUFFER_BYTES];
};

static void download_free(struct download *d)
{
	if (!d->reading)
		free(d);
}

/* --- streaming --- */

static void on_read(void *arg, const struct error *err, size_t n)
{
	struct download *d = arg;

	d->reading = false;
	if (d->ended) {
		download_free(d);
		return;
	}
	if (err || n == 0) {
		log_event(LOG_ERROR, "download-failed", "id", api_request_id(d->r), "key", d->key,
			  "text", err ? err->text : "the object is shorter than recorded",
			  (const char *)NULL);
		api_stream_fail(d->r); /* ends the source, which frees d */
		return;
	}
	d->left -= n;
	api_stream_push(d->r, (struct bytes){d->buffer, n}, d->left == 0);
}

static void pull(struct api_request *r, void *arg)
{
	struct download *d = arg;

	(void)r;
	d->reading = true;
	store_reader_read(d->reader, d->buffer,
			  d->left < sizeof(d->buffer) ? (size_t)d->left : sizeof(d->buffer),
			  on_read, d);
}

static void end(void *arg, bool complete)
{
	struct download *d = arg;

	(void)complete;
	d->ended = true;
	store_reader_close(d->reader);
	d->reader = NULL;
	download_free(d);
}

static const struct api_stream_source source = {pull, end};

/* --- beginning --- */

/* RFC 9110 section 15.4.5: 304 has them as well. */
static void add_cache_headers(struct download *d)
{
	api_request_header_add(d->r, "etag", d->etag);
	api_request_header_add(d->r, "cache-control", "private");
}

static void add_headers(struct download *d)
{
	struct id id = api_request_param_id(d->r, 1);
	char text[128];

	add_cache_headers(d);
	api_request_header_add(d->r, "accept-ranges", "bytes");
	(void)snprintf(text, sizeof(text), "attachment; filename=\"pcap_%s.%s\"", id.hex,
		       formats[d->format].text);
	api_request_header_add(d->r, "content-disposition", text);
	if (d->part) {
		(void)snprintf(text, sizeof(text), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
			       d->span.offset, d->span.offset + d->span.length - 1, d->size);
		api_request_header_add(d->r, "content-range", text);
	}
}

static void answer_file(struct download *d)
{
	struct api_request *r = d->r;

	add_headers(d);
	d->left = d->span.length;
	api_answer_stream(r, d->part ? 206 : 200, formats[d->format].type, d->span.length, &source,
			  d);
}

/* Give up before anything was sent. */
static void give_up(struct download *d, const struct error *err)
{
	struct api_request *r = d->r;

	store_reader_close(d->reader);
	download_free(d);
	/* a file that a job names and the store has not: not the client's mistake */
	if (err->code == EC_ENOTFOUND) {
		log_event(LOG_ERROR, "file-missing", "id", api_request_id(r), "text", err->text,
			  (const char *)NULL);
		api_answer_error(r, API_INTERNAL, "The capture's file is missing");
		return;
	}
	api_answer_failure(r, err);
}

/* The audit row is there before the first byte leaves. */
static void on_audited(void *arg, const struct error *err)
{
	struct download *d = arg;

	if (err)
		give_up(d, err);
	else
		answer_file(d);
}

static void on_reader(void *arg, const struct error *err, struct store_reader *reader,
		      const struct store_info *info)
{
	struct download *d = arg;
	struct api_app *app = api_request_app(d->r);
	struct id account = api_request_param_id(d->r, 0);
	struct error wrong = {.code = 0};
	struct jq_audit row = {.actor = api_actor_of(d->r),
			       .action = "pcap.download",
			       .object = api_request_param_id(d->r, 1),
			       .result = JQ_AUDIT_OK};

	if (err) {
		give_up(d, err);
		return;
	}
	d->reader = reader;
	if (info->bytes != d->size) {
		(void)error_set(&wrong, EC_EIO, "%s has %" PRIu64 " bytes, recorded are %" PRIu64,
				d->key, info->bytes, d->size);
		give_up(d, &wrong);
		return;
	}
	if (bytes_equal(api_request_method(d->r), bytes_of("HEAD")))
		answer_file(d);
	else
		jq_audit_write(app->jq, &account, &row, on_audited, d);
}

static void answer_unsatisfiable(struct download *d)
{
	struct api_request *r = d->r;
	char text[64];

	(void)snprintf(text, sizeof(text), "bytes */%" PRIu64, d->size);
	download_free(d);
	api_request_header_add(r, "content-range", text);
	api_answer_error(r, API_RANGE, NULL);
}

static void answer_not_modified(struct download *d)
{
	struct api_request *r = d->r;

	add_cache_headers(d);
	download_free(d);
	api_answer_empty(r, 304);
}

static void answer_too_many(struct download *d)
{
	struct api_request *r = d->r;

	download_free(d);
	api_answer_busy(r, API_OVERLOADED, RETRY_S,
			"Too many downloads of all accounts; try again");
}

/* The file is known: whole, a part, or nothing new? */
static void begin(struct download *d)
{
	struct range_request request = {.range = {NULL, 0}};
	enum range_answer answer = RANGE_WHOLE;

	(void)api_request_header(d->r, "if-none-match", &request.if_none_match);
	/* a Range of HEAD has no meaning (RFC 9110 section 14.2), two are none */
	if (bytes_equal(api_request_method(d->r), bytes_of("GET")) &&
	    api_request_header(d->r, "range", &request.range) > 1)
		request.range = (struct bytes){NULL, 0};
	(void)api_request_header(d->r, "if-range", &request.if_range);
	answer = range_decide(&request, d->etag, d->size, &d->span);
	switch (answer) {
	case RANGE_NOT_MODIFIED:
		answer_not_modified(d);
		return;
	case RANGE_UNSATISFIABLE:
		answer_unsatisfiable(d);
		return;
	case RANGE_WHOLE:
	case RANGE_PART:
		if (!api_request_reserve_answer(d->r)) {
			answer_too_many(d);
			return;
		}
		d->part = answer == RANGE_PART;
		store_reader_open(d->store, d->key, d->span.offset, d->span.length, on_reader, d);
		return;
	}
}

/* Copy what a job says of its file. Returns 0 or EC_EINTERNAL. */
static int take_file(struct download *d, const struct job *job, struct error *err)
{
	bool ng = d->format == FORMAT_PCAPNG;
	const char *key = ng ? job->pcapng_key : job->pcap_key;
	const char *hash = ng ? job->pcapng_sha256 : job->pcap_sha256;

	d->size = ng ? job->pcapng_bytes : job->pcap_bytes;
	if (!key || strlen(key) > STORE_KEY_MAX || !hash || strlen(hash) != DIGEST_HEX_BYTES - 1 ||
	    d->size == 0)
		return error_set(err, EC_EINTERNAL, "job %s is done without a %s file", job->id.hex,
				 formats[d->format].text);
	(void)snprintf(d->key, sizeof(d->key), "%s", key);
	(void)snprintf(d->etag, sizeof(d->etag), "\"%s\"", hash);
	return 0;
}

/* Answer for a job that has no file now; true: answered. */
static bool answer_without_file(struct api_request *r, const struct job *job)
{
	switch (job->stage) {
	case JOB_CAPTURING:
	case JOB_READY:
	case JOB_ASSEMBLING:
		api_answer_error(r, API_NOT_READY, "The packet capture is not ready yet");
		return true;
	case JOB_FAILED:
		api_answer_error(r, API_NOT_READY, "The packet capture failed: it has no file");
		return true;
	case JOB_EXPIRED:
		if (job_is_full(job))
			break;
		api_answer_error(r, API_EXPIRED,
				 job->delete_requested_us ? "The packet capture was deleted"
							  : NULL);
		return true;
	case JOB_DONE:
		break;
	}
	if (!job_is_full(job))
		return false;
	api_answer_error(r, API_NOT_READY, "A full packet capture is in its bucket");
	return true;
}

static void on_job(void *arg, const struct error *err, const struct job *job)
{
	struct download *d = arg;
	struct api_request *r = d->r;
	struct error wrong = {.code = 0};

	if (err) {
		download_free(d);
		api_answer_failure(r, err);
		return;
	}
	if (answer_without_file(r, job)) {
		download_free(d);
		return;
	}
	if (take_file(d, job, &wrong) < 0)
		give_up(d, &wrong);
	else
		begin(d);
}

/* ?format=; false: answered. */
static bool read_format(struct api_request *r, enum format *ret)
{
	char text[16];
	int code = api_query_get(api_request_query(r), "format", text, sizeof(text));

	*ret = FORMAT_PCAP;
	if (code == EC_ENOTFOUND)
		return true;
	for (size_t i = 0; code == 0 && i < ARRAY_LEN(formats); i++) {
		if (strcmp(formats[i].text, text) != 0)
			continue;
		*ret = (enum format)i;
		return true;
	}
	api_answer_error(r, API_INVALID, "format must be pcap or pcapng, once");
	return false;
}

void pcap_serve_download(struct api_request *r)
{
	struct api_app *app = api_request_app(r);
	struct id account = api_request_param_id(r, 0), id = api_request_param_id(r, 1);
	enum format format = FORMAT_PCAP;

	if (!read_format(r, &format))
		return;
	if (!api_request_share(r, API_SHARE_DOWNLOADS, &account,
			       app->config.account_downloads_max)) {
		api_answer_busy(r, API_TOO_MANY, 1,
				"Too many downloads at the same time: at most %u",
				app->config.account_downloads_max);
		return;
	}
	struct download *d = calloc(1, sizeof(*d));
	if (!d) {
		api_answer_error(r, API_INTERNAL, NULL);
		return;
	}
	d->r = r;
	d->store = app->store;
	d->format = format;
	jq_job_get(app->jq, &account, &id, on_job, d);
}
